import { type ByteWriter, CodecError } from './codec.js';
import { GROW, SLACK } from './json-write.js';
import { messageType } from './schema.js';
import { compileTranscoder, servedDifferently } from './transcode-generator.js';
import type { Transcode } from './transcode-runtime.js';

/**
 * protobuf -> JSON without an object in between: one generated function per message type, compiled
 * at first use.
 *
 *     pass 1  remembers where each field lies      12 05 6e 67 69 6e 78 ...   s3=7 e3=12
 *     pass 2  writes them in the order of Go's struct         {"image":"nginx",...
 *
 * A function reads `b` between `i` and `end` and writes to `o` at `p`; it returns the new `p`.
 * Member names are written eight bytes at a store: a double whose bytes are the text.
 */

/** Holds the function of one message type; other types call through it, so that recursion needs no order. */
interface Holder {
  run: Transcode;
}

const holders = new Map<string, Holder>();

/**
 * The generated function for a message: writes it as a JSON value. `served`: with what a server adds
 * to the message (nestedTypeMeta); otherwise as Go's encoder writes the decoded message.
 */
export function holderOf(messageName: string, served = false): Holder {
  const different = served && servedDifferently.has(messageName);
  const key = different ? `${messageName} as served` : messageName;
  const known = holders.get(key);
  if (known !== undefined) return known;
  const holder: Holder = {
    run: (b, o, v, i, end, p, depth) => {
      holder.run = compileTranscoder(messageType(messageName), different, holderOf);
      return holder.run(b, o, v, i, end, p, depth);
    },
  };
  holders.set(key, holder);
  return holder;
}

let viewed: Buffer | undefined;
let view: DataView = new DataView(new ArrayBuffer(0));

/** Appends the JSON of a message to `into`. Throws CodecError; then `into.position` is unchanged. */
export function transcode(messageName: string, bytes: Uint8Array, start: number, end: number, into: ByteWriter): void {
  transcodeWith(holderOf(messageName), '', bytes, start, end, into);
}

/** As `transcode`, with `"kind":"…","apiVersion":"…"` as the first members; `head` is their text, see typeMetaHead. */
export function transcodeWith(
  holder: Holder,
  head: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  into: ByteWriter,
): void {
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new CodecError(`range ${start}..${end} lies outside of ${bytes.length} bytes`);
  }
  let room = (end - start) * 2 + head.length + SLACK * 2;
  for (;;) {
    into.reserve(room);
    const output = into.bytes;
    if (viewed !== output) {
      viewed = output;
      view = new DataView(output.buffer, output.byteOffset, output.length);
    }
    try {
      let p = into.position;
      for (let k = 0; k < head.length; k++) output[p++] = head.charCodeAt(k);
      const object = p;
      p = holder.run(bytes, output, view, start, end, p, 0);
      if (head !== '') {
        // `{"kind":…` and `{"metadata":…` join with a comma, or nothing if there are no members.
        if (p === object + 2) p = object;
        else {
          output[object] = 44;
          p--;
        }
        output[p++] = 125;
      }
      into.position = p;
      return;
    } catch (error) {
      if (error !== GROW) throw error;
      room = Math.max(room, output.length - into.position) * 2;
    }
  }
}
