import { quoteGo } from './go-text.js';
import { type Parsed, parsed, unparsable } from './parsed.js';

/** A JSON value with numbers as they were written: clients' 64-bit integers do not fit a JavaScript number. */
export type GoJson =
  | { readonly type: 'null' }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'number'; readonly text: string }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'array'; readonly items: readonly GoJson[] }
  | { readonly type: 'object'; readonly members: readonly (readonly [name: string, value: GoJson])[] };

/** Go allows 10,000; a thousand is more than any client writes, and keeps the stack shallow. */
const DEPTH_MAX = 1_000;

/** Parses as Go's encoding/json does, with its error texts, for small documents that clients send. */
export function parseGoJson(bytes: Uint8Array): Parsed<GoJson> {
  try {
    return parsed(createScanner(bytes).document());
  } catch (error) {
    if (error instanceof JsonSyntaxError) return unparsable(error.message);
    throw error;
  }
}

/** A JSON string as Go writes it: HTML's special characters and line separators are escaped. */
export function quoteGoJson(text: string): string {
  return JSON.stringify(wellFormed(text)).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Halves of surrogate pairs become U+FFFD. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

class JsonSyntaxError extends Error {}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function createScanner(bytes: Uint8Array) {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let position = 0;

  const ended = (): never => {
    throw new JsonSyntaxError('unexpected end of JSON input');
  };
  // Go's scanner is told of the end as of one more space: where a space is not allowed, it complains about that.
  const here = () => (position < text.length ? text[position]! : SPACE);
  const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
  const fail = (context: string): never => {
    const character = String.fromCharCode(here());
    const quoted = character === "'" ? "'\\''" : character === '"' ? "'\"'" : `'${quoteGo(character).slice(1, -1)}'`;
    throw new JsonSyntaxError(`invalid character ${quoted} ${context}`);
  };

  function skipSpace(): void {
    while (position < text.length && [0x20, 0x09, 0x0a, 0x0d].includes(text[position]!)) position++;
  }
  /** The next byte that is not white space. */
  function next(): number {
    skipSpace();
    return position < text.length ? text[position]! : ended();
  }

  function document(): GoJson {
    const result = value(0);
    skipSpace();
    if (position < text.length) fail('after top-level value');
    return result;
  }

  function value(depth: number): GoJson {
    if (depth > DEPTH_MAX) throw new JsonSyntaxError('exceeded max depth');
    const byte = next();
    switch (String.fromCharCode(byte)) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return { type: 'string', value: string() };
      case 't':
        literal('true');
        return { type: 'bool', value: true };
      case 'f':
        literal('false');
        return { type: 'bool', value: false };
      case 'n':
        literal('null');
        return { type: 'null' };
      default:
        return byte === 0x2d || isDigit(byte) ? number() : fail('looking for beginning of value');
    }
  }

  function object(depth: number): GoJson {
    const members: [string, GoJson][] = [];
    position++;
    for (let first = true; ; first = false) {
      const byte = next();
      if (first && byte === 0x7d) break;
      if (byte !== QUOTE) fail('looking for beginning of object key string');
      const name = string();
      if (next() !== 0x3a) fail('after object key');
      position++;
      members.push([name, value(depth + 1)]);
      const after = next();
      if (after === 0x7d) break;
      if (after !== 0x2c) fail('after object key:value pair');
      position++;
    }
    position++;
    return { type: 'object', members };
  }

  function array(depth: number): GoJson {
    const items: GoJson[] = [];
    position++;
    if (next() === 0x5d) {
      position++;
      return { type: 'array', items };
    }
    for (;;) {
      items.push(value(depth + 1));
      const after = next();
      if (after === 0x5d) break;
      if (after !== 0x2c) fail('after array element');
      position++;
    }
    position++;
    return { type: 'array', items };
  }

  function literal(word: string): void {
    for (let index = 0; index < word.length; index++, position++) {
      if (here() !== word.charCodeAt(index)) fail(`in literal ${word} (expecting '${word[index]}')`);
    }
  }

  function number(): GoJson {
    const start = position;
    if (here() === 0x2d) position++;
    if (!isDigit(here())) fail('in numeric literal');
    if (here() === 0x30) position++;
    else digits();
    if (here() === 0x2e) {
      position++;
      if (!isDigit(here())) fail('after decimal point in numeric literal');
      digits();
    }
    if (here() === 0x65 || here() === 0x45) {
      position++;
      if (here() === 0x2b || here() === 0x2d) position++;
      if (!isDigit(here())) fail('in exponent of numeric literal');
      digits();
    }
    return { type: 'number', text: text.toString('latin1', start, position) };
  }

  function digits(): void {
    while (isDigit(here())) position++;
  }

  function string(): string {
    const start = ++position;
    for (;;) {
      if (position >= text.length) ended();
      const byte = here();
      if (byte === QUOTE) break;
      if (byte < 0x20) fail('in string literal');
      position++;
      if (byte === BACKSLASH) escapeSequence();
    }
    const raw = text.toString('utf8', start, position++);
    return wellFormed(JSON.parse(`"${raw}"`) as string);
  }

  function escapeSequence(): void {
    const character = String.fromCharCode(here());
    if (!'bfnrt\\/"u'.includes(character)) fail('in string escape code');
    position++;
    if (character !== 'u') return;
    for (let digit = 0; digit < 4; digit++, position++) {
      if (!/[0-9a-fA-F]/.test(String.fromCharCode(here()))) fail('in \\u hexadecimal character escape');
    }
  }

  return { document };
}
