import type { Framer } from '../cache/cache.js';
import type { WireObject } from '../codec/codec.js';
import type { KindFragments } from './fragments.js';
import { itemIn } from './leaf-rows.js';
import type { WatchFormat } from './reader.js';

/**
 * The format, with initial events put together from the JSON that LISTs have left with the leaves. What is not there
 * is transcoded as for any event; nothing is kept, so that a WatchList holds no further copy of what it sends.
 */
export function fromFragments(format: WatchFormat, fragments: KindFragments | undefined): Framer {
  const { added } = format;
  if (fragments === undefined || added === undefined) return format;
  const wire: WireObject = { bytes: NO_BYTES, headerStart: 0, start: 0, end: 0 };
  const range = { bytes: NO_BYTES, start: 0, end: 0 };
  return {
    ...format,
    leaf(versions, leaf, start, end, into) {
      const kept = fragments.kept(fragments.scopeOf(versions), leaf);
      let next = 0;
      for (let index = start; index < end; index++) {
        const id = leaf.ids[leaf.offset + index]!;
        const revision = versions.modRevision(id);
        const found = kept === undefined ? -1 : itemIn(kept, id, revision, next);
        if (kept !== undefined && found !== -1) {
          next = found + 1;
          added(kept.pieces[kept.pieceOf[found]!]!, kept.starts[found]!, kept.ends[found]!, into);
          continue;
        }
        const { bytes, start: headerStart, end: wireEnd } = versions.wire(id, range);
        wire.bytes = bytes;
        wire.headerStart = headerStart;
        wire.end = wireEnd;
        wire.start = versions.object(id, range).start;
        format.event('ADDED', wire, revision, false, into);
      }
    },
  };
}

const NO_BYTES = new Uint8Array(0);
