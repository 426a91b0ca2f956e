import { CodecError } from './codec.js';
import { GROW, SLACK, writeMicroTime, writeString, writeTime } from './json-write.js';
import { type Field, type MessageType, messageType } from './schema.js';
import { READ_TAG, readLength } from './transcode-generator.js';
import { after, readBool, readEnd, readInt32, readSafeInteger, readInt64, readTag, skipField, textOf } from './wire.js';

/**
 * Reads a few members of an object straight from its wire bytes: one generated function per message
 * that a selection names, compiled at first use. Everything else is skipped by its length.
 *
 *     metadata{name labels} status{conditions{type status}}
 *
 * A projected object has the selected members and no others, each with the value that it would have
 * after JSON.parse of the transcoder's output; an absent member is `undefined`.
 *
 * Wire bytes are canonical (see canonical.ts): fields ascend, so a walk ends behind the last one it needs.
 */
export type Projector = (bytes: Uint8Array, start: number, end: number) => Record<string, unknown>;

/**
 * Members by name; null where the selection has no braces: the whole value. Empty braces ask only whether
 * a message is there, how many elements a list has, or which keys a map.
 */
export interface Selection extends Map<string, Selection | null> {}

/** `a b{c}`; a member that is named twice is selected for both. Throws CodecError when the braces do not match. */
export function parseSelection(text: string): Selection {
  const open: Selection[] = [new Map()];
  let last = '';
  for (const token of text.match(/[{}]|[^\s{}]+/g) ?? []) {
    const current = open.at(-1)!;
    if (token === '{') {
      const known = current.get(last);
      const inner: Selection = known ?? new Map();
      if (last === '') throw new CodecError(`a selection with a brace but no name: ${text}`);
      current.set(last, inner);
      open.push(inner);
    } else if (token === '}') {
      if (open.length === 1) throw new CodecError(`a selection with a brace too many: ${text}`);
      open.pop();
    } else if (!current.has(token)) current.set(token, null);
    last = token === '{' || token === '}' ? '' : token;
  }
  if (open.length !== 1) throw new CodecError(`a selection that does not end: ${text}`);
  return open[0]!;
}

const projectors = new Map<string, Projector>();

/** Throws CodecError when the message has no such members, or one of a class that has no projection. */
export function projectorOf(messageName: string, selection: string): Projector {
  const key = `${messageName} ${selection}`;
  let projector = projectors.get(key);
  if (projector === undefined) {
    projector = compile(messageName, parseSelection(selection));
    projectors.set(key, projector);
  }
  return projector;
}

/** What generated code calls. */
const runtime = {
  after,
  readBool,
  readEnd,
  readInt32,
  readTag,
  skipField,
  truncated: (offset: number): never => {
    throw new CodecError('unexpected end of the protobuf message', offset);
  },
  goText,
  time,
  microTime: (b: Uint8Array, start: number, end: number) => written(writeMicroTime, b, start, end),
  base64: (b: Uint8Array, start: number, end: number) =>
    Buffer.from(b.buffer, b.byteOffset + start, end - start).toString('base64'),
  quantity: (b: Uint8Array, start: number, end: number) => (start === end ? '0' : innerText(b, start, end, 10)),
  intOrString,
  integer,
  put,
};

function compile(messageName: string, selection: Selection): Projector {
  const generator = new Generator();
  const root = generator.functionOf(messageType(messageName), selection);
  const source = `'use strict';
const {${Object.keys(runtime).join(',')}} = R;
${generator.functions.join('\n')}
return ${root};`;
  return new Function('R', source)(runtime) as Projector;
}

/** In the source: `b` input, `i` and `end` the range that is read, `t` a tag, `e` the end of a value, `v0` ... the members. */
class Generator {
  readonly functions: string[] = [];

  /** The name of a function that reads one message. */
  functionOf(type: MessageType, selection: Selection): string {
    const fields = [...selection].map(([json, inner]) => {
      const field = type.fields.find((candidate) => candidate.json === json && !candidate.inline);
      if (field === undefined) throw new CodecError(`${type.name} has no member ${json}`);
      return { field, read: this.value(type, field, inner) };
    });
    const name = `n${this.functions.length}`;
    const cases = fields.map(
      ({ field, read }, index) => `case ${field.tag}:{${member(field, read.code, `v${index}`)}break;}`,
    );
    const last = Math.max(0, ...fields.map(({ field }) => field.tag));
    const declare = fields.map((_, index) => `,v${index}`).join('');
    const walk = `while(i<end){${READ_TAG}switch(t){${cases.join('')}default:i=t>${last}?end:skipField(b,i,end,t);}}`;
    const members = fields.map(
      ({ field, read }, index) => `${JSON.stringify(field.json)}:${finished(field, `v${index}`, read)}`,
    );
    this.functions.push(
      `function ${name}(b,i,end){let t=0,e=0${declare};${fields.length === 0 ? '' : walk}return{${members.join(',')}};}`,
    );
    return name;
  }

  /** How the value between `i` and `e` is read, and what stands for one that is not there. */
  private value(type: MessageType, field: Field, inner: Selection | null): Value {
    if (field.class === 'message') {
      if (inner === null && !field.map) throw new CodecError(`${type.name}: what of ${field.json}?`);
      if (!field.map) {
        const child = this.functionOf(messageType(field.messageName), inner!);
        return { code: `${child}(b,i,e)`, zero: `${child}(b,0,0)` };
      }
    }
    if (inner !== null && inner.size === 0 && field.map) return { code: 'null', zero: 'null' };
    const leaf = leaves[field.class];
    if (leaf === undefined || inner !== null) throw new CodecError(`${type.name}: ${field.json} cannot be projected`);
    return leaf;
  }
}

interface Value {
  readonly code: string;
  readonly zero: string;
}

const leaves: Readonly<Record<string, Value>> = {
  string: { code: 'goText(b,i,e)', zero: '""' },
  bool: { code: 'readBool(b,i,end)', zero: 'false' },
  int32: { code: 'readInt32(b,i,end)', zero: '0' },
  int64: { code: 'integer(b,i,end)', zero: '0' },
  bytes: { code: 'base64(b,i,e)', zero: 'null' },
  Time: { code: 'time(b,i,e)', zero: 'null' },
  MicroTime: { code: 'microTime(b,i,e)', zero: 'null' },
  Quantity: { code: 'quantity(b,i,e)', zero: '"0"' },
  IntOrString: { code: 'intOrString(b,i,e)', zero: '0' },
};

/** One occurrence of a field: its value goes to `v`, or into the list or map that `v` is. */
function member(field: Field, code: string, v: string): string {
  if (field.map) {
    const entry = [
      'const x=e;let ka=0,kb=0,va=0,vb=0;',
      `while(i<x){${READ_TAG.replaceAll('end', 'x')}if(t===10){${readLength('x')}ka=i;kb=i=e;}`,
      `else if(t===18){${readLength('x')}va=i;vb=i=e;}else i=skipField(b,i,x,t);}`,
      `i=va;e=vb;put(${v}??={},goText(b,ka,kb),${code});i=x;`,
    ].join('');
    return readLength('end') + entry;
  }
  if (field.wireType === 0) {
    if (field.repeated) throw new CodecError(`${field.json}: lists of numbers cannot be projected`);
    return `${v}=${code};i=after.at;`;
  }
  // What is empty and omitted when empty is as good as absent.
  const assign = field.repeated ? `(${v}??=[]).push(${code});` : `${field.omitZero ? 'if(e>i)' : ''}${v}=${code};`;
  return `${readLength('end')}${assign}i=e;`;
}

/** The member as JSON has it, by the rules of the transcoder (`member` in transcode-generator.ts). */
function finished(field: Field, v: string, { zero }: Value): string {
  if (field.repeated || field.map) return field.omitEmpty ? v : `${v}??null`;
  if (field.pointer) return field.omitEmpty ? v : `${v}??null`;
  if (field.omitZero) return v;
  const empty = ['string', 'bool', 'int32', 'int64', 'bytes'].includes(field.class);
  if (field.omitEmpty && empty) return `${v}||undefined`;
  return `${v}??${zero}`;
}

/** Text as Go's encoder has it: one replacement for each byte that is not UTF-8, where JavaScript may put fewer. */
function goText(b: Uint8Array, start: number, end: number): string {
  const text = textOf(b, start, end);
  return text.includes('\ufffd') ? (written(writeString, b, start, end) as string) : text;
}

let scratch = Buffer.alloc(SLACK * 2);

/** metav1.Time as JSON has it, without the quotes; null for the zero time. */
function time(b: Uint8Array, start: number, end: number): string | null {
  const length = writeTime(b, scratch, start, end, 0);
  return scratch[0] === 0x22 ? scratch.toString('latin1', 1, length - 1) : null;
}

/** A value in the JSON form that a function of json-write.ts gives it. */
function written(
  write: (b: Uint8Array, o: Uint8Array, start: number, end: number, at: number) => number,
  b: Uint8Array,
  start: number,
  end: number,
): unknown {
  const room = (end - start) * 6 + SLACK * 2;
  if (scratch.length < room) scratch = Buffer.alloc(room);
  try {
    const length = write(b, scratch, start, end, 0);
    return JSON.parse(scratch.toString('utf8', 0, length)) as unknown;
  } catch (error) {
    if (error === GROW) throw new CodecError('a scalar is longer than its bytes allow', start);
    throw error;
  }
}

function innerText(b: Uint8Array, start: number, end: number, wanted: number): string {
  let text = '';
  for (let i = start; i < end; ) {
    const tag = readTag(b, i, end);
    if (tag === wanted) {
      const to = readEnd(b, after.at, end);
      text = goText(b, after.at, to);
      i = to;
    } else i = skipField(b, after.at, end, tag);
  }
  return text;
}

function intOrString(b: Uint8Array, start: number, end: number): number | string {
  let type = 0;
  let value = 0;
  for (let i = start; i < end; ) {
    const tag = readTag(b, i, end);
    const from = after.at;
    i = skipField(b, from, end, tag);
    if (tag === 8) type = readInt32(b, from, end);
    else if (tag === 16) value = readInt32(b, from, end);
  }
  if (type === 0) return value;
  if (type === 1) return innerText(b, start, end, 26);
  throw new CodecError('impossible IntOrString.Type', start);
}

/** A bigint where a number would lose digits, as the JSON parser has it. */
function integer(b: Uint8Array, start: number, end: number): number | bigint {
  const value = readSafeInteger(b, start, end);
  return Number.isNaN(value) ? readInt64(b, start, end) : value;
}

/** Sets a key of a map, whichever it is: assigning to `__proto__` would not. */
function put(map: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') map[key] = value;
  else Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}
