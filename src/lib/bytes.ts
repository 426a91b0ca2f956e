/** A run of bytes in a larger buffer: no view object is made until one is needed. */
export interface ByteRange {
  bytes: Uint8Array;
  start: number;
  end: number;
}

export function rangeOf(bytes: Uint8Array): ByteRange {
  return { bytes, start: 0, end: bytes.length };
}

/** Bytes that are appended to. */
export interface ByteWriter {
  bytes: Buffer;
  position: number;
  /** Makes room for `size` more bytes after `position`. */
  reserve(size: number): void;
}

export function utf8(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

/** Orders as etcd orders keys: unsigned bytes, a prefix before its extensions. */
export function compareRanges(a: ByteRange, b: ByteRange): number {
  const left = a.bytes;
  const right = b.bytes;
  const shared = Math.min(a.end - a.start, b.end - b.start);
  for (let offset = 0; offset < shared; offset++) {
    const difference = left[a.start + offset]! - right[b.start + offset]!;
    if (difference !== 0) return difference;
  }
  return a.end - a.start - (b.end - b.start);
}

/** Orders texts as their bytes in UTF-8 are ordered, without making these. */
export function compareUtf8(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Halves of surrogate pairs are of characters above all that need one unit. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** The smallest key greater than every key with this prefix; `[0]` (etcd: to the end) if there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let last = prefix.length - 1; last >= 0; last--) {
    if (prefix[last]! < 0xff) {
      const end = new Uint8Array(prefix.subarray(0, last + 1)); // a copy: Buffer.slice would share the bytes
      end[last]! += 1;
      return end;
    }
  }
  return Uint8Array.of(0);
}

/** From this many bytes on, a call into native code is cheaper than what V8 does for shared memory. */
const NATIVE_COPY_BYTES_MIN = 512;

/**
 * Copies `source[start, end)` to `into[at]`. `set` moves single bytes out of a SharedArrayBuffer unless both sides
 * are aligned alike (docs/adr/0017-ingest-by-words.md); Node's `fill` with as many bytes as there is room is one memcpy.
 * The two must not overlap.
 */
export function copyBytes(into: Buffer, at: number, source: Uint8Array, start: number, end: number): void {
  const size = end - start;
  const piece = size === source.length ? source : source.subarray(start, end);
  if (size < NATIVE_COPY_BYTES_MIN) into.set(piece, at);
  else into.fill(piece, at, at + size);
}

/** Number of bytes of `value` as a protobuf varint; value is a non-negative safe integer. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes a non-negative safe integer as a varint and returns the offset after it. */
export function writeVarint(into: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 128) {
    into[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  into[at++] = rest;
  return at;
}
