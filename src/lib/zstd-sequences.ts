/**
 * Whether Zstandard blocks (RFC 8878, section 3.1.1) mean the same wherever in a frame they stand.
 *
 * Blocks that were compressed as a frame of their own refer to nothing before them, but for one thing: a match may be
 * given as "the last distance again", and a frame begins with the distances 1, 4 and 8 as its last ones. Behind other
 * blocks these are others. So the matches are walked until three distances are known; the text is never decoded.
 */

/** A table that turns the state of a decoder into a symbol, and into the next state with `bits` more of the stream. */
interface Table {
  readonly log: number;
  readonly symbol: Uint8Array;
  readonly bits: Uint8Array;
  readonly base: Uint16Array;
}

const ones = (count: number, value = 1) => Array.from({ length: count }, () => value);
/** Bits that follow a code: of how many literals stand before a match, and of how long the match is. */
const LITERAL_BITS = [...ones(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_BITS = [...ones(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

const literalsDefault = [4, 3, ...ones(11, 2), 1, 1, 1, ...ones(9, 2), 3, 2, 1, 1, 1, 1, 1, ...ones(4, -1)];
const distancesDefault = [...ones(6), 2, 2, 2, ...ones(15), ...ones(5, -1)];
const matchesDefault = [1, 4, 3, ...ones(6, 2), ...ones(37), ...ones(7, -1)];
const defaults: readonly Table[] = [
  tableOf(literalsDefault, 6),
  tableOf(distancesDefault, 5),
  tableOf(matchesDefault, 6),
];

const RAW = 0;
const RLE = 1;
const BLOCK_HEADER_BYTES = 3;

/** `blocks`: block after block, none of them the last of a frame. Throws a RangeError where they are none. */
export function standAlone(blocks: Uint8Array): boolean {
  const walk = new SequenceWalk();
  for (let at = 0; at < blocks.length; ) {
    const header = blocks[at]! | (blocks[at + 1]! << 8) | (blocks[at + 2]! << 16);
    const type = (header >> 1) & 3;
    const end = at + BLOCK_HEADER_BYTES + (type === RLE ? 1 : header >> 3);
    if (end > blocks.length) throw new RangeError('a block is cut off');
    if (type !== RAW && type !== RLE) {
      const reads = walk.block(blocks.subarray(at + BLOCK_HEADER_BYTES, end));
      if (reads !== undefined) return !reads;
    }
    at = end;
  }
  return true;
}

class SequenceWalk {
  /** Those of the block before, which a block may use again. */
  readonly #tables: (Table | undefined)[] = [undefined, undefined, undefined];
  /** Whether the last distance, the one before it and the third are set by these blocks. */
  #known: readonly boolean[] = [false, false, false];

  /** true: it uses a distance that was there before; false: none is left; undefined: neither can be said yet. */
  block(bytes: Uint8Array): boolean | undefined {
    let at = literalsEnd(bytes);
    const first = bytes[at++];
    if (first === undefined) throw new RangeError('a block has no sequences section');
    if (first === 0) return undefined;
    let count = first;
    if (first === 255) {
      count = bytes[at]! + (bytes[at + 1]! << 8) + 0x7f00;
      at += 2;
    } else if (first > 127) count = ((first - 128) << 8) + bytes[at++]!;
    const modes = bytes[at++]!;
    for (let which = 0; which < 3; which++) {
      const mode = (modes >> (6 - 2 * which)) & 3;
      if (mode === 0) this.#tables[which] = defaults[which];
      else if (mode === 1) this.#tables[which] = oneSymbol(bytes[at++]!);
      else if (mode === 2) [this.#tables[which], at] = readTable(bytes, at);
      else if (this.#tables[which] === undefined) return true;
    }
    return this.#sequences(count, new BackwardBits(bytes, at));
  }

  #sequences(count: number, bits: BackwardBits): boolean | undefined {
    const [literals, distances, matches] = this.#tables as [Table, Table, Table];
    let literal = bits.read(literals.log);
    let distance = bits.read(distances.log);
    let match = bits.read(matches.log);
    for (let left = count; left > 0; left--) {
      const literalCode = literals.symbol[literal]!;
      const code = distances.symbol[distance]!;
      const extra = bits.read(code);
      if (this.#uses(code, extra, literalCode === 0)) return true;
      if (this.#known.every(Boolean)) return false;
      bits.read(MATCH_BITS[matches.symbol[match]!]!);
      bits.read(LITERAL_BITS[literalCode]!);
      if (left === 1) break;
      literal = literals.base[literal]! + bits.read(literals.bits[literal]!);
      match = matches.base[match]! + bits.read(matches.bits[match]!);
      distance = distances.base[distance]! + bits.read(distances.bits[distance]!);
    }
    return undefined;
  }

  /** Notes the distance of a match. Whether it is one that was there before. */
  #uses(code: number, extra: number, noLiterals: boolean): boolean {
    const [last, second, third] = this.#known as [boolean, boolean, boolean];
    if (code > 1) {
      this.#known = [true, last, second];
      return false;
    }
    // Right behind another match "the last distance" would be that match going on, so the numbers mean the next ones.
    const repeated = (1 << code) + extra - 1 + (noLiterals ? 1 : 0);
    if (repeated === 0) return !last;
    if (repeated === 1) this.#known = [second, last, third];
    else if (repeated === 2) this.#known = [third, last, second];
    else this.#known = [last, last, second]; // one less than the last
    return !this.#known[0];
  }
}

/** Where the literals of a block end. */
function literalsEnd(bytes: Uint8Array): number {
  const type = bytes[0]! & 3;
  const format = (bytes[0]! >> 2) & 3;
  const word =
    bytes[0]! + bytes[1]! * 2 ** 8 + bytes[2]! * 2 ** 16 + (bytes[3] ?? 0) * 2 ** 24 + (bytes[4] ?? 0) * 2 ** 32;
  if (type === RAW || type === RLE) {
    const [header, size] =
      format === 1 ? [2, (word >> 4) & 0xfff] : format === 3 ? [3, (word >> 4) & 0xfffff] : [1, bytes[0]! >> 3];
    return header + (type === RLE ? 1 : size);
  }
  const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18;
  const header = format < 2 ? 3 : format + 2;
  return header + (Math.floor(word / 2 ** (4 + sizeBits)) % 2 ** sizeBits);
}

/** The table that begins at a byte, and the byte behind it. */
function readTable(bytes: Uint8Array, start: number): [Table, number] {
  let bit = start * 8;
  const read = (count: number) => {
    let value = 0;
    for (let index = 0; index < count; index++, bit++) value |= (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) << index;
    return value;
  };
  const log = read(4) + 5;
  if (log > 9) throw new RangeError('a table is larger than any may be');
  const chances: number[] = [];
  let left = 1 << log;
  while (left > 0) {
    const width = 32 - Math.clz32(left + 1);
    const low = (1 << (width - 1)) - 1;
    const spare = (1 << width) - 1 - (left + 1);
    let value = read(width);
    if ((value & low) < spare) {
      bit--;
      value &= low;
    } else if (value > low) value -= spare;
    const chance = value - 1;
    left -= Math.abs(chance);
    chances.push(chance);
    if (chance !== 0) continue;
    for (let repeat = 3; repeat === 3; ) {
      repeat = read(2);
      for (let index = 0; index < repeat; index++) chances.push(0);
    }
  }
  if (left < 0 || chances.length > 256) throw new RangeError('a table does not add up');
  return [tableOf(chances, log), (bit + 7) >> 3];
}

/** `chances`: of each symbol, in parts of 1 << log; -1 is less than one part. */
function tableOf(chances: readonly number[], log: number): Table {
  const size = 1 << log;
  const symbol = new Uint8Array(size);
  const bits = new Uint8Array(size);
  const base = new Uint16Array(size);
  const next = chances.map((chance) => Math.abs(chance));
  let high = size;
  chances.forEach((chance, of) => {
    if (chance === -1) symbol[--high] = of;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let place = 0;
  chances.forEach((chance, of) => {
    for (let index = 0; index < chance; index++) {
      symbol[place] = of;
      do place = (place + step) & (size - 1);
      while (place >= high);
    }
  });
  for (let state = 0; state < size; state++) {
    const following = next[symbol[state]!]!++;
    bits[state] = log - (31 - Math.clz32(following));
    base[state] = (following << bits[state]!) - size;
  }
  return { log, symbol, bits, base };
}

function oneSymbol(symbol: number): Table {
  return { log: 0, symbol: Uint8Array.of(symbol), bits: Uint8Array.of(0), base: Uint16Array.of(0) };
}

/** A bit stream that is read from its end: the highest bit that is set in the last byte stands before the first one. */
class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  #bit: number;

  constructor(bytes: Uint8Array, start: number) {
    const last = bytes[bytes.length - 1]!;
    if (start >= bytes.length || last === 0) throw new RangeError('a bit stream has no end');
    this.#bytes = bytes;
    this.#start = start * 8;
    this.#bit = (bytes.length - 1) * 8 + 31 - Math.clz32(last);
  }

  read(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index++) {
      this.#bit--;
      if (this.#bit < this.#start) throw new RangeError('a bit stream is cut off');
      value = value * 2 + ((this.#bytes[this.#bit >> 3]! >> (this.#bit & 7)) & 1);
    }
    return value;
  }
}
