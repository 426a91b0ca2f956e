import { ZERO_TIME_SECONDS } from './json-write.js';
import { canonicalQuantity, isPlainCanonicalQuantity, QuantityError } from './quantity.js';
import { type Field, isNilable, type MessageType, messageType } from './schema.js';
import { after, compareBytes, readEnd, readInt64, textOf } from './wire.js';

/**
 * Answers: is this message exactly what the current Go marshaller would write? Then the bytes can
 * be served as they are. One generated function per message type; it never throws.
 *
 * The marshaller writes fields in ascending order, every non-pointer scalar and message even if
 * zero, map entries whole and sorted, varints as short as can be. So the check is a straight line:
 * expect each field in its turn, and arrive exactly at the end.
 */
type Check = (b: Uint8Array, i: number, end: number, depth: number) => boolean;

interface Holder {
  run: Check;
}

const DEPTH_MAX = 200;
const holders = new Map<string, Holder>();

export function isCanonical(messageName: string, bytes: Uint8Array, start: number, end: number): boolean {
  return checkerOf(messageName).run(bytes, start, end, 0);
}

export function checkerOf(messageName: string): Holder {
  const known = holders.get(messageName);
  if (known !== undefined) return known;
  const holder: Holder = {
    run: (b, i, end, depth) => {
      holder.run = compile(messageType(messageName));
      return holder.run(b, i, end, depth);
    },
  };
  holders.set(messageName, holder);
  return holder;
}

// ---- helpers of the generated code: each returns the next index, or -1 ------------------------

/** A varint of the fewest bytes, up to 64 bits. */
function int64(b: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end && i < start + 10; i++) {
    const byte = b[i]!;
    if (byte < 128) {
      if (byte === 0 && i > start) return -1;
      if (i === start + 9 && byte > 1) return -1;
      return i + 1;
    }
  }
  return -1;
}

/** As `int64`, and within 32 bits: up to 2^31-1, or negative and so ten bytes long. */
function int32(b: Uint8Array, start: number, end: number): number {
  const next = int64(b, start, end);
  if (next - start < 5) return next;
  const value = readInt64(b, start, end);
  return BigInt.asIntN(32, value) === value ? next : -1;
}

/** A length in the fewest bytes: returns where the value ends, and leaves where it starts in `after.at`. */
function length(b: Uint8Array, start: number, end: number): number {
  const next = int64(b, start, end);
  if (next < 0 || next - start > 5) return -1;
  let size = 0;
  let scale = 1;
  for (let i = start; i < next; i++, scale *= 128) size += (b[i]! & 127) * scale;
  if (size > end - next) return -1;
  after.at = next;
  return next + size;
}

function time(b: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  if (b[start] !== 8) return false;
  const next = int64(b, start + 1, end);
  if (next < 0 || next + 2 !== end || b[next] !== 16 || b[next + 1] !== 0) return false;
  return next - start < 8 || Number(readInt64(b, start + 1, end)) !== ZERO_TIME_SECONDS;
}

function microTime(b: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  if (b[start] !== 8) return false;
  const seconds = int64(b, start + 1, end);
  if (seconds < 0 || seconds >= end || b[seconds] !== 16) return false;
  const next = int64(b, seconds + 1, end);
  if (next !== end || next - seconds > 6) return false;
  let nanos = 0;
  let scale = 1;
  for (let i = seconds + 1; i < next; i++, scale *= 128) nanos += (b[i]! & 127) * scale;
  if (nanos > 999_999_999 || nanos % 1000 !== 0) return false;
  return nanos !== 0 || seconds - start < 8 || Number(readInt64(b, start + 1, end)) !== ZERO_TIME_SECONDS;
}

function quantity(b: Uint8Array, start: number, end: number): boolean {
  if (start >= end || b[start] !== 10) return false;
  const stop = length(b, start + 1, end);
  if (stop !== end) return false;
  const from = after.at;
  if (isPlainCanonicalQuantity(b, from, end)) return true;
  const text = textOf(b, from, end);
  try {
    return canonicalQuantity(text) === text;
  } catch (error) {
    if (error instanceof QuantityError) return false;
    throw error;
  }
}

/** Unlike other byte strings, an empty FieldsV1 is not written. */
function fieldsV1(b: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  return b[start] === 10 && length(b, start + 1, end) === end && after.at < end;
}

const runtime = { int64, int32, length, time, microTime, quantity, fieldsV1, after, compareBytes, readEnd };

// ---- the generator -----------------------------------------------------------------------------

function compile(type: MessageType): Check {
  switch (type.class) {
    case 'Time':
      return time;
    case 'MicroTime':
      return microTime;
    case 'Quantity':
      return quantity;
    case 'FieldsV1':
      return fieldsV1;
  }
  const children = new Map<string, string>();
  const child = (messageName: string) => {
    const name = children.get(messageName) ?? `h${children.size}`;
    children.set(messageName, name);
    return name;
  };
  const body = type.byNumber.map((field) => checkField(field, child)).join('');
  const declarations = [...children].map(([message, name]) => `const ${name}=H(${JSON.stringify(message)});`).join('');
  const source = `'use strict';
const {${Object.keys(runtime).join(',')}} = R;
${declarations}
return function(b,i,end,depth){if(depth>${DEPTH_MAX})return false;let e=0;${body}return i===end;}`;
  return new Function('R', 'H', source)(runtime, checkerOf) as Check;
}

/** Tests that the bytes at `i` are the tag. */
function tagTest(tag: number): { test: string; size: number } {
  if (tag < 128) return { test: `b[i]===${tag}`, size: 1 };
  if (tag < 16_384) return { test: `b[i]===${(tag & 127) | 128}&&b[i+1]===${tag >> 7}`, size: 2 };
  throw new Error(`field number ${tag >> 3} needs a longer tag than this generator writes`);
}

/** Leaves the end of the value in `e` and its start in `i`; short lengths without a call. */
const readLength = (end: string) =>
  `e=b[i];if(e<128){i++;e+=i;if(e>${end})return false;}else{e=length(b,i,${end});if(e<0)return false;i=after.at;}`;

function checkField(field: Field, child: (messageName: string) => string): string {
  const { test, size } = tagTest(field.tag);
  const value = `i+=${size};${field.map ? checkEntry(field, child) : checkValue(field, 'end', child)}`;
  if (field.repeated || field.map) {
    const before = field.map ? 'let k0=0,k1=-1;' : '';
    return `{${before}while(i<end&&${test}){${value}}}`;
  }
  if (isNilable(field)) return `if(i<end&&${test}){${value}}`;
  return `if(!(i<end&&${test}))return false;${value}`;
}

function checkValue(field: Field, end: string, child: (messageName: string) => string): string {
  switch (field.class) {
    case 'bool':
      return 'if(b[i]>1)return false;i++;';
    case 'int32':
      return `if(b[i]<128)i++;else{i=int32(b,i,${end});if(i<0)return false;}`;
    case 'int64':
      return `if(b[i]<128)i++;else{i=int64(b,i,${end});if(i<0)return false;}`;
    case 'float64':
      return 'i+=8;';
    case 'string':
    case 'bytes':
      return `${readLength(end)}i=e;`;
    case 'Time':
      return `${readLength(end)}if(!time(b,i,e))return false;i=e;`;
    case 'MicroTime':
      return `${readLength(end)}if(!microTime(b,i,e))return false;i=e;`;
    case 'Quantity':
      return `${readLength(end)}if(!quantity(b,i,e))return false;i=e;`;
    case 'FieldsV1':
      return `${readLength(end)}if(!fieldsV1(b,i,e))return false;i=e;`;
    default:
      return `{${readLength(end)}const x=e;if(!${child(field.messageName)}.run(b,i,x,depth+1))return false;i=x;}`;
  }
}

/** A map entry: key and value, both there, and keys ascending strictly. */
function checkEntry(field: Field, child: (messageName: string) => string): string {
  const value = checkValue({ ...field, map: false, repeated: false }, 'n', child);
  return [
    `{${readLength('end')}const n=e;if(!(i<n&&b[i]===10))return false;i++;${readLength('n')}`,
    'if(k1>=0&&compareBytes(b,k0,k1,i,e)>=0)return false;k0=i;k1=e;i=e;',
    `if(!(i<n&&b[i]===18))return false;i++;${value}if(i!==n)return false;}`,
  ].join('');
}
