import type { ByteWriter } from './bytes.js';

/** The piece refers to nothing before it. */
export const ALONE = -1;

/** How much of the piece before is looked back into, at most. */
const LOOK_BACK_BYTES = 4096;
const TABLE_BITS = 13;
const MATCH_MIN = 4;
const MATCH_MAX = 258;
const DISTANCE_MAX = 32_768;
/** A literal takes nine bits at most; the header, the end of the block and the flush besides. */
const ENDS_BYTES = 16;
const POSITION_MAX = 2 ** 30;

/**
 * Compresses short pieces of text of which each resembles the one before, as deflate (RFC 1951): a block with the fixed code, then an
 * empty stored block, as zlib's Z_SYNC_FLUSH leaves, so that pieces and stored blocks can stand one behind another.
 *
 *     piece a   stored(gap)   piece b   stored(gap)   piece c        b may refer into a, c into b, across the gap
 *
 * For pieces of 2 KB zlib spends most of its time on clearing its tables, and cannot be told that there will be a gap. Here one table
 * serves all pieces: what it holds of others than the last two lies before `#knownFrom`, and is not looked at.
 */
export class PieceDeflater {
  /** Position + 1 at which four bytes with this hash stood last. */
  readonly #table = new Int32Array(1 << TABLE_BITS);
  /** The piece before and this one, side by side. */
  #text = Buffer.allocUnsafeSlow(64 * 1024);
  /** Position of `#text[0]`: positions are those of all pieces in a row. */
  #base = 0;
  #knownFrom = 0;
  #end = 0;

  /** Takes a piece as the one before the next, without compressing it. */
  know(piece: Uint8Array): void {
    const from = this.#append(piece, false);
    this.#learn(from, this.#end);
  }

  /**
   * Appends `piece`, compressed. `gap`: how many bytes stand between it and the piece before, which was written or made known last;
   * ALONE: it refers to nothing before it.
   */
  write(piece: Uint8Array, gap: number, into: ByteWriter): void {
    const from = this.#append(piece, gap !== ALONE);
    into.reserve(Math.ceil((piece.length * 9) / 8) + ENDS_BYTES);
    into.position = this.#compress(from, this.#end, gap, into.bytes, into.position);
  }

  /** Where it begins in `#text`. With `keepBefore` the end of the piece before stays in front of it. */
  #append(piece: Uint8Array, keepBefore: boolean): number {
    if (this.#base > POSITION_MAX) {
      this.#table.fill(0);
      this.#base = 0;
      this.#end = 0;
      this.#knownFrom = 0;
    }
    const kept = keepBefore ? Math.min(this.#end - this.#knownFrom, LOOK_BACK_BYTES) : 0;
    let at = this.#end;
    if (at + piece.length > this.#text.length) {
      const text = kept + piece.length > this.#text.length ? Buffer.allocUnsafeSlow(kept + piece.length) : this.#text;
      text.set(this.#text.subarray(at - kept, at));
      this.#base += at - kept;
      this.#text = text;
      at = kept;
    }
    this.#text.set(piece, at);
    this.#knownFrom = at - kept;
    this.#end = at + piece.length;
    return at;
  }

  #learn(from: number, to: number): void {
    const text = this.#text;
    const table = this.#table;
    const base = this.#base + 1;
    for (let at = from; at + MATCH_MIN <= to; at++) table[hashAt(text, at)] = base + at;
    this.#knownFrom = from;
  }

  #compress(from: number, to: number, gap: number, out: Buffer, position: number): number {
    const text = this.#text;
    const table = this.#table;
    const base = this.#base + 1;
    const knownFrom = this.#knownFrom;
    const lastMatch = to - MATCH_MIN;
    let at = from;
    let end = position;
    let bits = 0b010; // not the last block, fixed code
    let count = 3;
    while (at < to) {
      let length = 0;
      let distance = 0;
      if (at <= lastMatch) {
        const hash = hashAt(text, at);
        const match = table[hash]! - base;
        table[hash] = base + at;
        if (match >= knownFrom) {
          const isBefore = match < from;
          distance = at - match + (isBefore ? gap : 0);
          if (distance <= DISTANCE_MAX) {
            const most = Math.min(MATCH_MAX, isBefore ? Math.min(from - match, to - at) : to - at);
            while (length < most && text[match + length] === text[at + length]) length++;
          }
        }
      }
      if (length < MATCH_MIN) {
        const literal = LITERALS[text[at]!]!;
        bits |= (literal >>> 4) << count;
        count += literal & 15;
        at++;
      } else {
        const code = LENGTHS[length]!;
        bits |= (code >>> 4) << count;
        count += code & 15;
        while (count >= 8) {
          out[end++] = bits;
          bits >>>= 8;
          count -= 8;
        }
        const symbol = distanceSymbol(distance);
        bits |= (DISTANCE_CODES[symbol]! | ((distance - DISTANCE_BASES[symbol]!) << 5)) << count;
        count += 5 + distanceExtra(symbol);
        const next = at + length;
        const learnTo = Math.min(next, lastMatch + 1);
        for (at++; at < learnTo; at++) table[hashAt(text, at)] = base + at;
        at = next;
      }
      while (count >= 8) {
        out[end++] = bits;
        bits >>>= 8;
        count -= 8;
      }
    }
    count += 7 + 3; // the end of the block, and the head of a stored one: zeros
    for (; count > 0; count -= 8) {
      out[end++] = bits;
      bits >>>= 8;
    }
    out[end++] = 0;
    out[end++] = 0;
    out[end++] = 0xff;
    out[end++] = 0xff;
    this.#knownFrom = from;
    return end;
  }
}

function hashAt(text: Buffer, at: number): number {
  const word = text[at]! | (text[at + 1]! << 8) | (text[at + 2]! << 16) | (text[at + 3]! << 24);
  return Math.imul(word, 0x9e3779b1) >>> (32 - TABLE_BITS);
}

/** RFC 1951, 3.2.5: lengths from 3 and distances from 1, in groups whose extra bits grow. */
const LENGTH_EXTRA = [
  ...groups(8, 0),
  ...groups(4, 1),
  ...groups(4, 2),
  ...groups(4, 3),
  ...groups(4, 4),
  ...groups(4, 5),
];

function groups(count: number, extra: number): number[] {
  return new Array<number>(count).fill(extra);
}

/** By byte: the code, its first bit lowest, in all but the lower four bits, which say how many it has. */
const LITERALS = Int32Array.from({ length: 256 }, (_, byte) =>
  byte < 144 ? packed(0x30 + byte, 8) : packed(0x190 + byte - 144, 9),
);
/** By length: the same, with the extra bits. */
const LENGTHS = lengthCodes();
const DISTANCE_BASES = distanceBases();
const DISTANCE_CODES = Int32Array.from({ length: 30 }, (_, symbol) => reversed(symbol, 5));

function lengthCodes(): Int32Array {
  const codes = new Int32Array(MATCH_MAX + 1);
  let length = 3;
  LENGTH_EXTRA.forEach((extra, index) => {
    const symbol = 1 + index; // counted from 256
    const [code, size] = symbol < 24 ? [reversed(symbol, 7), 7] : [reversed(0xc0 + symbol - 24, 8), 8];
    for (let rest = 0; rest < 1 << extra; rest++) codes[length++] = ((code | (rest << size)) << 4) | (size + extra);
  });
  codes[MATCH_MAX] = packed(0xc0 + 285 - 280, 8); // has a symbol of its own
  return codes;
}

function distanceBases(): Int32Array {
  const bases = new Int32Array(30);
  let distance = 1;
  for (let symbol = 0; symbol < 30; symbol++) {
    bases[symbol] = distance;
    distance += 1 << distanceExtra(symbol);
  }
  return bases;
}

function distanceExtra(symbol: number): number {
  return symbol < 4 ? 0 : (symbol >> 1) - 1;
}

/** The group that a distance is in: two for each power of two. */
function distanceSymbol(distance: number): number {
  const value = distance - 1;
  if (value < 4) return value;
  const top = 31 - Math.clz32(value);
  return 2 * top + ((value >>> (top - 1)) & 1);
}

function packed(code: number, size: number): number {
  return (reversed(code, size) << 4) | size;
}

/** Codes go out from their highest bit, everything else from its lowest. */
function reversed(code: number, size: number): number {
  let result = 0;
  for (let bit = 0; bit < size; bit++) result |= ((code >>> bit) & 1) << (size - 1 - bit);
  return result;
}
