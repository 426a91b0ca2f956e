import type { WireObject } from '../codec/codec.js';
import type { ItemsToEncode } from '../serve/fragment-encoder.js';

/** Where items lie, in a form that another thread understands. */
export interface Places {
  readonly slabs: readonly SharedArrayBuffer[];
  /** Three numbers an item: index of its slab, start and end of its message there. */
  readonly places: Int32Array;
  /** Of all messages. */
  readonly byteSize: number;
}

/** undefined: an item lies in memory that only this thread sees. */
export function placesOf({ count, at }: Pick<ItemsToEncode, 'count' | 'at'>): Places | undefined {
  const wire: WireObject = { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
  const slabs: SharedArrayBuffer[] = [];
  const places = new Int32Array(count * 3);
  let byteSize = 0;
  let last: ArrayBufferLike | undefined;
  let slab = 0;
  for (let index = 0; index < count; index++) {
    const { bytes, start, end } = at(index, wire);
    const { buffer, byteOffset } = bytes;
    if (buffer !== last) {
      if (!(buffer instanceof SharedArrayBuffer)) return undefined;
      last = buffer;
      slab = slabs.indexOf(buffer);
      if (slab === -1) slab = slabs.push(buffer) - 1;
    }
    places[index * 3] = slab;
    places[index * 3 + 1] = byteOffset + start;
    places[index * 3 + 2] = byteOffset + end;
    byteSize += end - start;
  }
  return { slabs, places, byteSize };
}
