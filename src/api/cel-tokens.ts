/**
 * Tokens of the Common Expression Language (https://github.com/google/cel-spec), as cel-go reads
 * them. Shard selectors are written in its syntax (spec 6.3).
 */
export type CelTokenType =
  | 'operator'
  | 'identifier'
  | 'escapedIdentifier'
  | 'int'
  | 'uint'
  | 'float'
  | 'string'
  | 'bytes'
  | 'end';

export interface CelToken {
  readonly type: CelTokenType;
  /** As written. Of keywords and operators: all there is to them. */
  readonly text: string;
  readonly offset: number;
}

export interface CelTokens {
  /** The last one is the end. What cannot be read is left out. */
  readonly tokens: readonly CelToken[];
  /** The first run of characters that is no token. */
  readonly unreadable: { readonly message: string; readonly offset: number } | undefined;
}

const ESCAPE = String.raw`\\(?:[abfnrtv"'\x60\\?]|[xX][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-3][0-7]{2})`;
const TEXT = [
  `"""(?:${ESCAPE}|[^\\\\])*?"""`,
  `'''(?:${ESCAPE}|[^\\\\])*?'''`,
  `"(?:${ESCAPE}|[^\\\\"\\n\\r])*"`,
  `'(?:${ESCAPE}|[^\\\\'\\n\\r])*'`,
  String.raw`[rR]"""[\s\S]*?"""`,
  String.raw`[rR]'''[\s\S]*?'''`,
  String.raw`[rR]"[^"\n\r]*"`,
  String.raw`[rR]'[^'\n\r]*'`,
].join('|');

/** In the order in which they are tried; each takes as much as it can, like cel-go's longest match. */
const patterns: readonly (readonly [CelTokenType | 'space', RegExp])[] = [
  ['space', /(?:[\t \r\n\f]|\/\/[^\n]*)+/y],
  ['bytes', new RegExp(`[bB](?:${TEXT})`, 'y')],
  ['string', new RegExp(`(?:${TEXT})`, 'y')],
  ['float', /(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)/y],
  ['uint', /(?:0x[0-9A-Fa-f]+|[0-9]+)[uU]/y],
  ['int', /(?:0x[0-9A-Fa-f]+|[0-9]+)/y],
  ['operator', /(?:==|!=|<=|>=|&&|\|\||[[\]{}().,\-!?:+*/%<>]|(?:in|true|false|null)(?![A-Za-z0-9_]))/y],
  ['identifier', /[A-Za-z_][A-Za-z0-9_]*/y],
  ['escapedIdentifier', /`[A-Za-z0-9_.\-/ ]+`/y],
];

const PART_OF_ESCAPE = String.raw`\\(?:[xX][0-9A-Fa-f]?|u[0-9A-Fa-f]{0,3}|U[0-9A-Fa-f]{0,7}|[0-3][0-7]?)?[\s\S]?`;
/** A run that begins like a token and does not go on like one; the character that does not fit is part of it. */
const unfinished: readonly RegExp[] = [
  new RegExp(`"(?:${ESCAPE}|[^\\\\"\\n\\r])*(?:${PART_OF_ESCAPE}|[\\n\\r])?`, 'y'),
  new RegExp(`'(?:${ESCAPE}|[^\\\\'\\n\\r])*(?:${PART_OF_ESCAPE}|[\\n\\r])?`, 'y'),
  /`[A-Za-z0-9_.\-/ ]*[^A-Za-z0-9_.\-/ ]?/y,
  /[&|=][\s\S]?/uy,
  /[\s\S]/uy,
];

export function celTokens(text: string): CelTokens {
  const tokens: CelToken[] = [];
  let unreadable: CelTokens['unreadable'];
  let offset = 0;
  while (offset < text.length) {
    const found = tokenAt(text, offset);
    if (found === undefined) {
      const run = runAt(text, offset);
      unreadable ??= { message: `token recognition error at: '${run}'`, offset };
      offset += run.length;
      continue;
    }
    const [type, length] = found;
    if (type !== 'space') tokens.push({ type, text: text.slice(offset, offset + length), offset });
    offset += length;
  }
  tokens.push({ type: 'end', text: '<EOF>', offset });
  return { tokens, unreadable };
}

function tokenAt(text: string, offset: number): [CelTokenType | 'space', number] | undefined {
  for (const [type, pattern] of patterns) {
    pattern.lastIndex = offset;
    if (pattern.test(text)) return [type, pattern.lastIndex - offset];
  }
  return undefined;
}

function runAt(text: string, offset: number): string {
  for (const pattern of unfinished) {
    pattern.lastIndex = offset;
    if (pattern.test(text)) return text.slice(offset, pattern.lastIndex);
  }
  return text.slice(offset);
}
