/** JSON as Go's encoder writes it: `<`, `>`, `&` and the two line separators are escaped (spec 5.1). */
export function goJson(value: unknown): string {
  return escapeHtml(JSON.stringify(value));
}

/** Go's json.MarshalIndent with two spaces; no newline at the end. */
export function goJsonIndented(value: unknown): string {
  return escapeHtml(JSON.stringify(value, undefined, 2));
}

const escapes: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (character) => escapes[character]!);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const NEWLINE = 0x0a;
const SPACE = 0x20;

interface Output {
  bytes: Buffer;
  position: number;
  reserve(size: number): void;
}

/**
 * Go's json.Indent as a stream: compact JSON goes in, in pieces cut anywhere, and comes out with
 * two spaces a level, so that a pretty LIST needs no more memory than a compact one.
 */
export class Indenter {
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** An object or array was opened and nothing has followed yet: `{}` and `[]` stay on one line. */
  #opened = false;

  push(source: Uint8Array, start: number, end: number, into: Output): void {
    for (let at = start; at < end; at++) {
      if (this.#inString) {
        at = this.#copyString(source, at, end, into) - 1;
        continue;
      }
      const byte = source[at]!;
      if (byte === NEWLINE || byte === SPACE) continue;
      const closes = byte === CLOSE_OBJECT || byte === CLOSE_ARRAY;
      if (this.#opened && !closes) {
        this.#opened = false;
        this.#depth++;
        this.#newline(into);
      }
      if (closes) {
        if (this.#opened) this.#opened = false;
        else {
          this.#depth--;
          this.#newline(into);
        }
      }
      into.reserve(2);
      into.bytes[into.position++] = byte;
      if (byte === COMMA) this.#newline(into);
      else if (byte === COLON) into.bytes[into.position++] = SPACE;
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#opened = true;
      else if (byte === QUOTE) this.#inString = true;
    }
  }

  /** Copies to the end of the string, or of what there is of it; returns where it stopped. */
  #copyString(source: Uint8Array, start: number, end: number, into: Output): number {
    let at = start;
    for (; at < end && this.#inString; at++) {
      const byte = source[at]!;
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
    }
    into.reserve(at - start);
    if (at - start < 32) for (let from = start; from < at; from++) into.bytes[into.position++] = source[from]!;
    else {
      into.bytes.set(source.subarray(start, at), into.position);
      into.position += at - start;
    }
    return at;
  }

  #newline(into: Output): void {
    const width = 1 + 2 * this.#depth;
    into.reserve(width);
    into.bytes[into.position] = NEWLINE;
    into.bytes.fill(SPACE, into.position + 1, into.position + width);
    into.position += width;
  }
}
