import type { WireWriter } from './codec.js';

/** A buffer that doubles. Also used where only a ByteWriter is asked for. */
export function createWriter(sizeHint = 4096): WireWriter {
  return {
    bytes: Buffer.allocUnsafeSlow(Math.max(sizeHint, 64)),
    position: 0,
    headerStart: 0,
    start: 0,
    reserve(size: number): void {
      const needed = this.position + size;
      if (needed <= this.bytes.length) return;
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.position);
      this.bytes = grown;
    },
  };
}

const SIZE_MIN = 256;
/** Up to here a loop is faster than a view and a copy of it. */
const LOOP_COPY_BYTES_MAX = 96;

/**
 * Protobuf is easiest to write from its end: a message's length is known once its fields are
 * written, so nothing is moved or measured twice. Fields and elements are put in descending order.
 */
export class BackwardWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(SIZE_MIN);
  /** Index of the first byte written. */
  at = SIZE_MIN;

  get length(): number {
    return this.bytes.length - this.at;
  }

  reset(): void {
    this.at = this.bytes.length;
  }

  reserve(size: number): void {
    if (size <= this.at) return;
    const written = this.length;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, written + size));
    const at = grown.length - written;
    this.bytes.copy(grown, at, this.at);
    this.bytes = grown;
    this.at = at;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[--this.at] = value;
  }

  /** A non-negative safe integer. */
  varint(value: number): void {
    this.reserve(10);
    let size = 1;
    for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
    this.at -= size;
    let at = this.at;
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.bytes[at++] = (rest % 128) | 128;
    this.bytes[at] = rest;
  }

  /** Any 64-bit integer; negative ones take ten bytes, as protobuf has it. */
  varint64(value: bigint): void {
    if (value >= 0n && value <= 0xffff_ffffn) {
      this.varint(Number(value));
      return;
    }
    this.reserve(10);
    const digits: number[] = [];
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 128n; rest >>= 7n) digits.push(Number(rest & 127n) | 128);
    digits.push(Number(rest));
    this.at -= digits.length;
    for (let index = 0; index < digits.length; index++) this.bytes[this.at + index] = digits[index]!;
  }

  range(source: Uint8Array, start: number, end: number): void {
    const size = end - start;
    this.reserve(size);
    this.at -= size;
    if (size > LOOP_COPY_BYTES_MAX) this.bytes.set(source.subarray(start, end), this.at);
    else for (let from = start, to = this.at; from < end; from++, to++) this.bytes[to] = source[from]!;
  }

  text(value: string): void {
    const size = Buffer.byteLength(value, 'utf8');
    this.reserve(size);
    this.at -= size;
    this.bytes.write(value, this.at, size, 'utf8');
  }

  double(value: number): void {
    this.reserve(8);
    this.at -= 8;
    this.bytes.writeDoubleLE(value, this.at);
  }

  /** Closes what was written since `lengthBefore`: its length and tag go in front. */
  close(tag: number, lengthBefore: number): void {
    this.varint(this.length - lengthBefore);
    this.varint(tag);
  }

  /** A copy of what was written. */
  finish(): Buffer {
    const result = Buffer.allocUnsafeSlow(this.length);
    this.bytes.copy(result, 0, this.at);
    return result;
  }
}
