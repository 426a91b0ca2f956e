import { varintSize, writeVarint } from '../lib/bytes.js';
import { after, readEnd, readTag, skipField } from './wire.js';

/** A field of a message as it is written: tag and value. */
export interface Part {
  readonly tag: number;
  /** Of the whole field. */
  readonly bytes: Uint8Array;
  /** Of a length-delimited field: its content, without the length. */
  readonly content: Uint8Array;
}

/** A message taken to pieces, for the rare places that put another one together from them. */
export function partsOf(bytes: Uint8Array, start = 0, end = bytes.length): Part[] {
  const parts: Part[] = [];
  for (let at = start; at < end; ) {
    const tag = readTag(bytes, at, end);
    const from = after.at;
    const isDelimited = (tag & 7) === 2;
    const to = isDelimited ? readEnd(bytes, from, end) : skipField(bytes, from, end, tag);
    parts.push({ tag, bytes: bytes.subarray(at, to), content: bytes.subarray(isDelimited ? after.at : from, to) });
    at = to;
  }
  return parts;
}

export function delimitedPart(tag: number, content: Uint8Array): Part {
  const head = Buffer.allocUnsafe(varintSize(tag) + varintSize(content.length));
  writeVarint(head, writeVarint(head, 0, tag), content.length);
  return { tag, bytes: Buffer.concat([head, content]), content };
}

export function joined(parts: readonly Part[]): Buffer {
  return Buffer.concat(parts.map(({ bytes }) => bytes));
}
