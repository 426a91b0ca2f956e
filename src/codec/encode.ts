import { CodecError } from './codec.js';
import { isJsonObject, JsonNumber, jsonText, rawMember } from './json-parse.js';
import { writeTimestampValue } from './normalize.js';
import { canonicalQuantity, QuantityError } from './quantity.js';
import { type Field, isNilable, type MessageType, messageType } from './schema.js';
import { parseMicroTime, parseTime } from './time-parse.js';
import { BackwardWriter } from './writer.js';

/**
 * JSON -> protobuf, complete and slow: a parsed object (see json-parse.ts) to the bytes that Go's
 * marshaller writes for what Go's decoder reads from that JSON. Types are strict, `null` is the
 * zero value, and an error names the field: `spec.ports[0].port: expected integer, got string "x"`.
 */
export interface Encoded {
  readonly bytes: Buffer;
  /** Paths of members that the type does not have, sorted. */
  readonly unknownFields: readonly string[];
}

export function encodeObject(messageName: string, value: unknown): Encoded {
  const encoder = new Encoder(messageName === SECRET);
  encoder.message(messageType(messageName), value);
  return { bytes: encoder.writer.finish(), unknownFields: encoder.unknownFields.sort() };
}

/** For objects that this program makes itself: a member that the type does not have is an error. */
export function encodeMessage(messageName: string, value: unknown): Buffer {
  const { bytes, unknownFields } = encodeObject(messageName, value);
  if (unknownFields.length > 0) throw new CodecError(`${messageName} has no field ${unknownFields.join(', ')}`);
  return bytes;
}

/** Values of these stand in no message: it may be logged, and others than their readers may see it. */
const SECRET = 'k8s.io.api.core.v1.Secret';

const INT32 = { min: -(2n ** 31n), max: 2n ** 31n - 1n, name: 'int32' };
const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n, name: 'int64' };

class Encoder {
  readonly writer = new BackwardWriter();
  readonly unknownFields: string[] = [];
  /** Where we are: member names, and indexes of lists as numbers. */
  private readonly path: (string | number)[] = [];
  private readonly isPrivate: boolean;

  constructor(isPrivate: boolean) {
    this.isPrivate = isPrivate;
  }

  /** Writes the fields of a message, last field first. `null` and undefined are the zero value. */
  message(type: MessageType, value: unknown): void {
    switch (type.class) {
      case 'message': {
        const object = value === undefined || value === null ? {} : this.object(value);
        this.reportUnknown(type, object);
        this.fields(type, object);
        return;
      }
      case 'items':
        this.list(type.fields[0]!, value);
        return;
      case 'Time':
      case 'MicroTime':
        this.time(type.class, value);
        return;
      case 'Quantity':
        this.quantity(value);
        return;
      case 'IntOrString':
        this.intOrString(value);
        return;
      case 'RawExtension':
      case 'FieldsV1':
      case 'JSON':
        this.raw(value);
        return;
      case 'JSONSchemaPropsOrBool':
      case 'JSONSchemaPropsOrArray':
      case 'JSONSchemaPropsOrStringArray':
        this.schemaOr(type, value);
        return;
      default:
        throw new CodecError(`${type.name} has no JSON form`);
    }
  }

  private fields(type: MessageType, object: Readonly<Record<string, unknown>>): void {
    for (let index = type.byNumber.length - 1; index >= 0; index--) {
      const field = type.byNumber[index]!;
      if (field.inline) {
        const before = this.writer.length;
        this.fields(messageType(field.messageName), object);
        this.writer.close(field.tag, before);
        continue;
      }
      const value = Object.hasOwn(object, field.json) ? object[field.json] : undefined;
      this.path.push(field.json);
      this.field(field, embedsJson(field) ? rawMember(object, field.json, value) : value);
      this.path.pop();
    }
  }

  private field(field: Field, value: unknown): void {
    if (field.map) {
      this.map(field, value);
      return;
    }
    if (field.repeated) {
      this.list(field, value);
      return;
    }
    if ((value === undefined || value === null) && isNilable(field)) return;
    this.tagged(field, field.tag, value);
  }

  /** One value and its tag; null is the zero value. */
  private tagged(field: Field, tag: number, value: unknown): void {
    const w = this.writer;
    switch (field.class) {
      case 'bool':
        w.byte(this.boolean(value) ? 1 : 0);
        w.varint(tag);
        return;
      case 'int32':
        w.varint64(this.integer(value, INT32));
        w.varint(tag);
        return;
      case 'int64':
        w.varint64(this.integer(value, INT64));
        w.varint(tag);
        return;
      case 'float64':
        w.double(this.float(value));
        w.varint(tag);
        return;
      case 'string': {
        const before = w.length;
        w.text(this.string(value));
        w.close(tag, before);
        return;
      }
      case 'bytes': {
        const before = w.length;
        const bytes = this.base64(value);
        w.range(bytes, 0, bytes.length);
        w.close(tag, before);
        return;
      }
      default: {
        const before = w.length;
        this.message(messageType(field.messageName), value);
        w.close(tag, before);
      }
    }
  }

  private list(field: Field, value: unknown): void {
    if (value === undefined || value === null) return;
    if (!Array.isArray(value)) this.fail('array', value);
    for (let index = value.length - 1; index >= 0; index--) {
      this.path.push(index);
      this.tagged(field, field.tag, embedsJson(field) ? rawMember(value, index, value[index]) : value[index]);
      this.path.pop();
    }
  }

  private map(field: Field, value: unknown): void {
    if (value === undefined || value === null) return;
    const entries = Object.entries(this.object(value)).map(([key, member]) => ({
      key: Buffer.from(key),
      name: key,
      member,
    }));
    entries.sort((a, b) => Buffer.compare(b.key, a.key));
    for (const { key, name, member } of entries) {
      const before = this.writer.length;
      this.path.push(name);
      // A null byte string stays nil, and nil is not written.
      if (!(field.class === 'bytes' && (member === null || member === undefined))) {
        this.tagged(field, 18, member); // every map value in the API is length-delimited
      }
      this.path.pop();
      const keyBefore = this.writer.length;
      this.writer.range(key, 0, key.length);
      this.writer.close(10, keyBefore);
      this.writer.close(field.tag, before);
    }
  }

  private time(form: 'Time' | 'MicroTime', value: unknown): void {
    if (value === undefined || value === null) return;
    const text = this.string(value);
    const instant = form === 'Time' ? parseTime(text) : parseMicroTime(text);
    if (instant === undefined) {
      const layout = form === 'Time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
      throw this.error(`expected a time as ${layout}, got ${JSON.stringify(text)}`);
    }
    writeTimestampValue(instant.seconds, form === 'Time' ? 0 : Math.trunc(instant.nanos / 1000) * 1000, this.writer);
  }

  private quantity(value: unknown): void {
    let text = '0';
    if (typeof value === 'string') text = value.trim();
    else if (typeof value === 'number' || typeof value === 'bigint') text = String(value);
    else if (value instanceof JsonNumber) text = value.text;
    else if (value !== undefined && value !== null) this.fail('quantity', value);
    const before = this.writer.length;
    try {
      this.writer.text(canonicalQuantity(text));
    } catch (error) {
      if (error instanceof QuantityError) throw this.error(error.message);
      throw error;
    }
    this.writer.close(10, before);
  }

  private intOrString(value: unknown): void {
    const isString = typeof value === 'string';
    const before = this.writer.length;
    if (isString) this.writer.text(value);
    this.writer.close(26, before);
    if (!isString && value !== undefined && value !== null && typeof value !== 'number' && typeof value !== 'bigint') {
      this.fail('integer or string', value);
    }
    this.writer.varint64(isString ? 0n : this.integer(value, INT32));
    this.writer.byte(16);
    this.writer.byte(isString ? 1 : 0);
    this.writer.byte(8);
  }

  private raw(value: unknown): void {
    if (value === undefined || value === null) return;
    const before = this.writer.length;
    this.writer.text(jsonText(value));
    this.writer.close(10, before);
  }

  private schemaOr(type: MessageType, value: unknown): void {
    const named = (name: string) => type.fields.find((field) => field.name === name)!;
    const schema = named('schema');
    const isObject = isJsonObject(value);
    if (isObject) this.tagged(schema, schema.tag, value);
    if (type.class === 'JSONSchemaPropsOrBool') {
      if (!isObject && value !== undefined && value !== null && typeof value !== 'boolean') {
        throw this.error('boolean or JSON schema expected');
      }
      this.writer.byte(isObject || value === true ? 1 : 0);
      this.writer.varint(named('allows').tag);
    } else if (Array.isArray(value)) {
      this.list(type.fields.find((field) => field.repeated)!, value);
    }
  }

  private object(value: unknown): Readonly<Record<string, unknown>> {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof JsonNumber) {
      this.fail('object', value);
    }
    return value as Readonly<Record<string, unknown>>;
  }

  private string(value: unknown): string {
    if (value === undefined || value === null) return '';
    if (typeof value !== 'string') this.fail('string', value);
    return value;
  }

  private boolean(value: unknown): boolean {
    if (value === undefined || value === null) return false;
    if (typeof value !== 'boolean') this.fail('boolean', value);
    return value;
  }

  private integer(value: unknown, type: typeof INT32): bigint {
    if (value === undefined || value === null) return 0n;
    const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
    if (!isInteger) {
      // Go reads "-0" as an integer, and rejects 1.0 and 1e3.
      if (value instanceof JsonNumber && value.text === '-0') return 0n;
      this.fail('integer', value);
    }
    const exact = BigInt(value as number | bigint);
    if (exact < type.min || exact > type.max) throw this.error(`${exact} does not fit ${type.name}`);
    return exact;
  }

  private float(value: unknown): number {
    if (value === undefined || value === null) return 0;
    const isNumber = typeof value === 'number' || typeof value === 'bigint' || value instanceof JsonNumber;
    if (!isNumber) this.fail('number', value);
    const number = Number(value instanceof JsonNumber ? value.text : value);
    if (!Number.isFinite(number)) this.fail('number', value);
    return number;
  }

  private base64(value: unknown): Buffer {
    const text = this.string(value).replace(/[\r\n]/g, '');
    if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
      throw this.error('expected base64 (standard alphabet, padded)');
    }
    return Buffer.from(text, 'base64');
  }

  private reportUnknown(type: MessageType, object: Readonly<Record<string, unknown>>): void {
    const names = memberNames(type);
    for (const key in object) {
      if (!names.has(key) && Object.hasOwn(object, key)) this.unknownFields.push(this.pathText(key));
    }
  }

  private pathText(member?: string): string {
    let text = '';
    for (const step of member === undefined ? this.path : [...this.path, member]) {
      if (typeof step === 'number') text += `[${step}]`;
      else if (step === '') continue;
      else if (/^[A-Za-z_$][\w$-]*$/.test(step)) text += text === '' ? step : `.${step}`;
      else text += `[${JSON.stringify(step)}]`;
    }
    return text;
  }

  private error(problem: string): CodecError {
    const path = this.pathText();
    return new CodecError(path === '' ? problem : `${path}: ${problem}`);
  }

  private fail(expected: string, value: unknown): never {
    throw this.error(`expected ${expected}, got ${this.isPrivate ? typeNameOf(value) : shown(value)}`);
  }
}

function embedsJson(field: Field): boolean {
  return field.class === 'RawExtension' || field.class === 'FieldsV1' || field.class === 'JSON';
}

const SHOWN_MAX = 60;

function typeNameOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'bigint' || value instanceof JsonNumber) return 'a number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function shown(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}...` : value;
    return `string ${JSON.stringify(text)}`;
  }
  if (value instanceof JsonNumber) return `number ${value.text}`;
  if (typeof value === 'object' || value === undefined) return typeNameOf(value);
  return `${typeof value === 'bigint' ? 'number' : typeof value} ${String(value)}`;
}

const memberNamesByType = new WeakMap<MessageType, ReadonlySet<string>>();

/** The members of an object of this type, inline ones included. */
function memberNames(type: MessageType): ReadonlySet<string> {
  const known = memberNamesByType.get(type);
  if (known !== undefined) return known;
  const names = new Set<string>(type.typeMeta ? ['kind', 'apiVersion'] : []);
  for (const field of type.fields) {
    if (!field.inline) names.add(field.json);
    else for (const name of memberNames(messageType(field.messageName))) names.add(name);
  }
  memberNamesByType.set(type, names);
  return names;
}
