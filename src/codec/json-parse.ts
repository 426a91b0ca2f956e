import { isObject } from '../lib/is-object.js';

/**
 * A JSON parser for the places where JSON.parse loses something that Kubernetes keeps:
 * integers beyond 2^53 (read as bigint), numbers that JavaScript would print another way (`1.0`,
 * read as JsonNumber), and the text of embedded raw values (see `sourceOf`).
 * Errors name line, column and offset. Duplicate keys: the last one wins, as in Go.
 */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
  readonly offset: number;
  readonly line: number;
  readonly column: number;
  constructor(message: string, text: string, offset: number) {
    const before = text.slice(0, offset);
    const line = before.split('\n').length;
    const column = offset - before.lastIndexOf('\n');
    super(`line ${line}, column ${column}: ${message}`);
    this.offset = offset;
    this.line = line;
    this.column = column;
  }
}

/** A number whose text matters: it is not what `String(Number(text))` gives. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  valueOf(): number {
    return Number(this.text);
  }
  toJSON(): number {
    return Number(this.text);
  }
}

export type JsonValue = null | boolean | number | bigint | string | JsonNumber | JsonValue[] | JsonObject;

export type JsonObject = { [member: string]: JsonValue };

/** Neither an array nor a number that keeps its text. */
export function isJsonObject(value: unknown): value is JsonObject {
  return isObject(value) && !(value instanceof JsonNumber);
}

const DEPTH_MAX = 1000;

interface Source {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}
const sources = new WeakMap<object, Source>();
/** By object or array: the text of those strings in it that JSON.stringify would write another way. */
const stringSources = new WeakMap<object, Map<string | number, string>>();

/** JSON text that stands for a value, to be embedded as it is. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** The member of a parsed object or array, as JsonText if it is a string that was written in an unusual way. */
export function rawMember(parent: object, key: string | number, value: unknown): unknown {
  const text = typeof value === 'string' ? stringSources.get(parent)?.get(key) : undefined;
  return text === undefined ? value : new JsonText(text);
}

/** The text that an object or array was parsed from, when it was parsed with `keepSource`. */
export function sourceOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const source = sources.get(value);
  return source === undefined ? undefined : source.text.slice(source.start, source.end);
}

export interface ParseOptions {
  /** Remember where each object and array came from. */
  readonly keepSource?: boolean;
}

export function parseJson(text: string, options: ParseOptions = {}): JsonValue {
  const parser = new Parser(text, options.keepSource === true);
  return parser.document();
}

/** JSON.parse, unless that would lose digits of a large integer. */
export function parseExact(text: string): unknown {
  return /[0-9]{16}/.test(text) && /[:,[]-?[0-9]{16}/.test(text) ? parseJson(text) : (JSON.parse(text) as unknown);
}

class Parser {
  private at = 0;
  private readonly text: string;
  private readonly keepSource: boolean;

  constructor(text: string, keepSource: boolean) {
    this.text = text;
    this.keepSource = keepSource;
  }

  document(): JsonValue {
    const value = this.value(0);
    this.space();
    if (this.at < this.text.length) this.fail('unexpected text after the JSON value');
    return value;
  }

  private fail(message: string, at = this.at): never {
    throw new JsonSyntaxError(message, this.text, at);
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.at++;
    }
  }

  private value(depth: number): JsonValue {
    this.space();
    if (depth > DEPTH_MAX) this.fail('the JSON is nested too deeply');
    const start = this.at;
    switch (this.text[start]) {
      case undefined:
        return this.fail('unexpected end of JSON');
      case '{': {
        const object = this.object(depth);
        if (this.keepSource) sources.set(object, { text: this.text, start, end: this.at });
        return object;
      }
      case '[': {
        const array = this.array(depth);
        if (this.keepSource) sources.set(array, { text: this.text, start, end: this.at });
        return array;
      }
      case '"':
        return this.string();
      case 't':
        return this.word('true', true);
      case 'f':
        return this.word('false', false);
      case 'n':
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail(`unexpected character ${this.shown()}`);
    this.at += word.length;
    return value;
  }

  private shown(): string {
    const code = this.text.codePointAt(this.at);
    return code === undefined ? 'at the end' : JSON.stringify(String.fromCodePoint(code));
  }

  private object(depth: number): { [member: string]: JsonValue } {
    const object: { [member: string]: JsonValue } = {};
    this.at++;
    this.space();
    if (this.text[this.at] === '}') {
      this.at++;
      return object;
    }
    for (;;) {
      this.space();
      if (this.text[this.at] !== '"') this.fail(this.expected('a member name'));
      const key = this.string();
      this.space();
      if (this.text[this.at] !== ':') this.fail(this.expected('":"'));
      this.at++;
      const start = this.at;
      const value = this.value(depth + 1);
      if (this.keepSource && typeof value === 'string') this.keepString(object, key, value, start);
      // A plain assignment would set the prototype.
      if (key === '__proto__') {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      } else object[key] = value;
      this.space();
      const next = this.text[this.at];
      if (next !== ',' && next !== '}') this.fail(this.expected('"," or "}"'));
      this.at++;
      if (next === '}') return object;
    }
  }

  private array(depth: number): JsonValue[] {
    const array: JsonValue[] = [];
    this.at++;
    this.space();
    if (this.text[this.at] === ']') {
      this.at++;
      return array;
    }
    for (;;) {
      const start = this.at;
      const value = this.value(depth + 1);
      if (this.keepSource && typeof value === 'string') this.keepString(array, array.length, value, start);
      array.push(value);
      this.space();
      const next = this.text[this.at];
      if (next !== ',' && next !== ']') this.fail(this.expected('"," or "]"'));
      this.at++;
      if (next === ']') return array;
    }
  }

  private keepString(parent: object, key: string | number, value: string, start: number): void {
    const text = this.text.slice(start, this.at).trim();
    if (text === JSON.stringify(value)) return;
    const known = stringSources.get(parent);
    if (known !== undefined) known.set(key, text);
    else stringSources.set(parent, new Map([[key, text]]));
  }

  private expected(what: string): string {
    return this.at >= this.text.length ? 'unexpected end of JSON' : `expected ${what}, got ${this.shown()}`;
  }

  private string(): string {
    const start = this.at + 1;
    let at = start;
    let escaped = false;
    for (;;) {
      const code = this.text.charCodeAt(at);
      if (code === 34) break;
      if (code === 92) {
        escaped = true;
        at += 2;
        continue;
      }
      if (Number.isNaN(code)) this.fail('unexpected end of JSON in a string', this.text.length);
      if (code < 32) this.fail('control character in a string', at);
      at++;
    }
    this.at = at + 1;
    if (!escaped) return this.text.slice(start, at);
    try {
      return JSON.parse(this.text.slice(start - 1, at + 1)) as string;
    } catch {
      return this.fail('invalid escape in a string', start - 1);
    }
  }

  private number(): number | bigint | JsonNumber {
    numberPattern.lastIndex = this.at;
    const match = numberPattern.exec(this.text);
    if (match === null) this.fail(`unexpected character ${this.shown()}`);
    const text = match[0];
    this.at += text.length;
    const value = Number(text);
    if (match[1] === undefined && match[2] === undefined && !Number.isSafeInteger(value)) return BigInt(text);
    return String(value) === text ? value : new JsonNumber(text);
  }
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

/**
 * The JSON text of a parsed value: its source when kept, else as Go's json.Marshal writes a map:
 * compact, members sorted by the bytes of their keys, HTML-escaped, big integers exactly.
 */
export function jsonText(value: unknown): string {
  const source = sourceOf(value);
  if (source !== undefined) return source;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof JsonNumber || value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${value.map((element) => jsonText(element ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => ({ key, order: Buffer.from(key), member }))
      .sort((a, b) => Buffer.compare(a.order, b.order))
      .map(({ key, member }) => `${stringText(key)}:${jsonText(member)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'string') return stringText(value);
  if (Object.is(value, -0)) return '-0';
  return JSON.stringify(value) ?? 'null';
}

function stringText(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
