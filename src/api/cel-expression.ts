import { type CelToken, type CelTokenType, celTokens } from './cel-tokens.js';
import { type Parsed, parsed, unparsable } from './parsed.js';

/**
 * An expression of the Common Expression Language. It is only ever looked at, never evaluated, so
 * that operands which no caller looks at are not kept.
 */
export type CelExpression =
  /** Operators are functions, too: `_||_`, `!_`, `_[_]`. */
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly CelExpression[] }
  | { readonly kind: 'identifier'; readonly name: string }
  | { readonly kind: 'select'; readonly operand: CelExpression; readonly field: string }
  | { readonly kind: 'literal'; readonly type: CelLiteralType; readonly text: string }
  | { readonly kind: 'list' | 'map' | 'struct' };

/** As Go names the value's type. */
export type CelLiteralType = 'string' | 'int64' | 'uint64' | 'float64' | 'bool' | '[]uint8' | 'structpb.NullValue';

/** The bounds are cel-go's own. */
const CODE_POINTS_MAX = 100_000;
const DEPTH_MAX = 250;

/**
 * Parses with cel-go's grammar; without macros and without the optional syntax. The first error is
 * told in the words of cel-go's generated parser, which tries to go on: a token too many is
 * "extraneous", one that would have to be there is "missing", anything else is "mismatched".
 */
export function parseCel(text: string): Parsed<CelExpression> {
  const size = codePoints(text);
  if (size > CODE_POINTS_MAX) {
    return unparsable(`expression code point size exceeds limit: size: ${size}, limit ${CODE_POINTS_MAX}`);
  }
  const { tokens, unreadable } = celTokens(text);
  const parser = new Parser(text, tokens);
  try {
    const expression = parser.whole();
    if (unreadable !== undefined) return unparsable(`Syntax error: ${unreadable.message}`);
    return parser.problem === undefined ? parsed(expression) : unparsable(parser.problem);
  } catch (error) {
    if (!(error instanceof CelSyntaxError)) throw error;
    // Tokens are read as they are needed: up to the one behind the token that does not fit.
    const seen = unreadable !== undefined && unreadable.offset <= error.seenTo;
    return unparsable(seen ? `Syntax error: ${unreadable.message}` : error.message);
  }
}

class CelSyntaxError extends Error {
  readonly seenTo: number;
  constructor(message: string, seenTo: number) {
    super(message);
    this.seenTo = seenTo;
  }
}

const ATOMS = `'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`;
const EXPRESSION = `{'[', '{', '(', '.', '-', '!', ${ATOMS}`;
const ARGUMENTS = `{'[', '{', '(', ')', '.', '-', '!', ${ATOMS}`;
const INDEX = `{'[', '{', '(', '.', '-', '!', '?', ${ATOMS}`;
const LIST_ITEMS = `{'[', ']', '{', '(', '.', ',', '-', '!', '?', ${ATOMS}`;
const MAP_ENTRIES = `{'[', '{', '}', '(', '.', ',', '-', '!', '?', ${ATOMS}`;
const FIELD = '{IDENTIFIER, ESC_IDENTIFIER}';
const STRUCT_FIELDS = `{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}`;

const BEGINS_EXPRESSION = new Set(['[', '{', '(', '.', '-', '!', 'true', 'false', 'null']);
const BEGINS_ATOM: ReadonlySet<CelTokenType> = new Set(['float', 'int', 'uint', 'string', 'bytes', 'identifier']);
const NOTHING: ReadonlySet<string> = new Set();
const FOLLOWS_PRIMARY = ['.', '[', '*', '/', '%', '+', '-', '<', '<=', '>=', '>', '==', '!=', 'in', '&&', '||'];

/** Binary operators by how tightly they bind, the loosest first; all of them group to the left. */
const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!=', 'in', '<', '<=', '>=', '>'],
  ['+', '-'],
  ['*', '/', '%'],
];

/** Words that cel-go keeps free for host languages. */
const RESERVED = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(' '),
);

class Parser {
  /** The first thing that is wrong with an expression whose syntax is right. */
  problem: string | undefined;
  readonly #text: string;
  readonly #tokens: readonly CelToken[];
  #index = 0;
  #depth = 0;
  /** What may stand behind the expression that is being read. */
  #closers: readonly string[] = ['<EOF>'];

  constructor(text: string, tokens: readonly CelToken[]) {
    this.#text = text;
    this.#tokens = tokens;
  }

  whole(): CelExpression {
    const expression = this.#expression(['?', '<EOF>']);
    if (this.#next.type !== 'end') this.#refuse('<EOF>', ['<EOF>'], NOTHING);
    return expression;
  }

  get #next(): CelToken {
    return this.#tokens[this.#index]!;
  }

  get #afterNext(): CelToken {
    return this.#tokens[Math.min(this.#index + 1, this.#tokens.length - 1)]!;
  }

  #is(text: string, token = this.#next): boolean {
    return token.text === text && (token.type === 'operator' || token.type === 'end');
  }

  #takeIf(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#index++;
    return true;
  }

  #take(): CelToken {
    return this.#tokens[this.#index++]!;
  }

  #expression(closers: readonly string[]): CelExpression {
    if (++this.#depth > DEPTH_MAX) this.#fail(`expression recursion limit exceeded: ${DEPTH_MAX}`);
    const outer = this.#closers;
    this.#closers = closers;
    let expression = this.#binary(0);
    if (this.#takeIf('?')) {
      this.#closers = [':'];
      const then = this.#binary(0);
      this.#match(':', BEGINS_EXPRESSION);
      expression = { kind: 'call', name: '_?_:_', args: [expression, then, this.#expression(closers)] };
    }
    this.#closers = outer;
    this.#depth--;
    return expression;
  }

  #binary(level: number): CelExpression {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    let chained = 0;
    while (this.#next.type === 'operator' && operators.includes(this.#next.text)) {
      const operator = this.#take().text;
      // cel-go balances && and ||, so that only the others grow deep.
      if (level > 1 && ++chained > DEPTH_MAX) this.problem ??= 'max recursion depth exceeded';
      const name = operator === 'in' ? '@in' : `_${operator}_`;
      left = { kind: 'call', name, args: [left, this.#binary(level + 1)] };
    }
    return left;
  }

  #unary(): CelExpression {
    const first = this.#next;
    if (!this.#is('-') && !this.#is('!')) {
      if (!this.#beginsExpression(first)) this.#refuse(EXPRESSION, [], NOTHING);
      return this.#member();
    }
    // A single sign belongs to the number behind it.
    if (this.#isSignOf(this.#afterNext)) return this.#member();
    let count = 0;
    for (; this.#is(first.text); count++) this.#index++;
    if (this.#is('!') || (this.#is('-') && !this.#isSignOf(this.#afterNext)) || !this.#beginsExpression(this.#next)) {
      if (first.text === '-') this.#failWithin(this.#tokens[this.#index - 1]!, this.#next);
      if (this.#is('-')) this.#failWithin(this.#next, this.#afterNext);
      this.#fail(`extraneous input '${this.#next.text}' expecting ${EXPRESSION}`, this.#next);
    }
    const operand = this.#member();
    return count % 2 === 0 ? operand : { kind: 'call', name: `${first.text}_`, args: [operand] };
  }

  /** A value that is written like a name. */
  #isWord({ type, text }: CelToken): boolean {
    return type === 'operator' && (text === 'true' || text === 'false' || text === 'null');
  }

  #isSignOf({ type }: CelToken): boolean {
    return this.#is('-') && (type === 'int' || type === 'float');
  }

  #beginsExpression(token: CelToken): boolean {
    return BEGINS_ATOM.has(token.type) || (token.type === 'operator' && BEGINS_EXPRESSION.has(token.text));
  }

  #member(): CelExpression {
    let member = this.#primary();
    for (let chained = 0; ; ) {
      if (this.#is('.')) member = this.#select(member);
      else if (this.#is('[')) member = this.#element(member);
      else return member;
      if (++chained > DEPTH_MAX) this.problem ??= 'max recursion depth exceeded';
    }
  }

  #select(operand: CelExpression): CelExpression {
    const named = this.#afterNext;
    if (this.#is('?', named)) {
      this.#index += 2;
      const { type } = this.#next;
      if (type !== 'identifier' && type !== 'escapedIdentifier') {
        this.#refuse(FIELD, [], NOTHING);
      }
      this.problem ??= "unsupported syntax '.?'";
      return { kind: 'select', operand, field: this.#take().text };
    }
    if (this.#isWord(named)) {
      this.#index++;
      this.#refuse('IDENTIFIER', [], NOTHING);
    }
    if (named.type !== 'identifier' && named.type !== 'escapedIdentifier') {
      this.#failWithin(this.#next, named);
    }
    this.#index += 2;
    if (named.type === 'escapedIdentifier') this.problem ??= "unsupported syntax: '`'";
    else if (this.#is('(')) return { kind: 'call', name: named.text, args: this.#arguments() };
    return { kind: 'select', operand, field: named.text };
  }

  #element(operand: CelExpression): CelExpression {
    this.#index++;
    this.#optional('[?');
    if (!this.#beginsExpression(this.#next)) this.#refuse(INDEX, [], NOTHING);
    const index = this.#expression(['?', ']']);
    this.#match(']');
    return { kind: 'call', name: '_[_]', args: [operand, index] };
  }

  #primary(): CelExpression {
    const token = this.#next;
    if (token.type === 'operator') {
      switch (token.text) {
        case '(': {
          this.#index++;
          const inner = this.#expression(['?', ')']);
          this.#match(')');
          return inner;
        }
        case '[':
          return this.#list();
        case '{':
          return this.#map();
        case '.':
          return this.#named('.');
        case '-': {
          this.#index++;
          return this.#number('-');
        }
        default:
          this.#index++;
          return { kind: 'literal', type: token.text === 'null' ? 'structpb.NullValue' : 'bool', text: token.text };
      }
    }
    if (token.type === 'identifier') return this.#named('');
    if (token.type === 'string' || token.type === 'bytes') return this.#quoted();
    return this.#number('');
  }

  #named(dot: '.' | ''): CelExpression {
    if (dot === '.') {
      if (this.#afterNext.type !== 'identifier') this.#failWithin(this.#next, this.#afterNext);
      this.#index++;
    }
    // A message is named by the whole path in front of its fields.
    let at = this.#index + 1;
    while (this.#is('.', this.#tokens[at]) && this.#tokens[at + 1]?.type === 'identifier') at += 2;
    if (this.#is('{', this.#tokens[at])) {
      this.#index = at;
      return this.#struct();
    }
    const { text } = this.#take();
    if (RESERVED.has(text)) this.problem ??= `reserved identifier: ${text}`;
    const name = `${dot}${text}`;
    return this.#is('(') ? { kind: 'call', name, args: this.#arguments() } : { kind: 'identifier', name };
  }

  #arguments(): CelExpression[] {
    this.#index++;
    if (this.#takeIf(')')) return [];
    if (!this.#beginsExpression(this.#next)) this.#refuse(ARGUMENTS, [')'], NOTHING);
    const args = [this.#expression(['?', ')', ','])];
    while (this.#takeIf(',')) args.push(this.#expression(['?', ')', ',']));
    this.#match(')');
    return args;
  }

  #list(): CelExpression {
    this.#index++;
    this.#items(LIST_ITEMS, ']', () => void this.#expression(['?', ']', ',']));
    return { kind: 'list' };
  }

  #map(): CelExpression {
    this.#index++;
    this.#items(MAP_ENTRIES, '}', () => {
      this.#expression(['?', ':']);
      this.#match(':', BEGINS_EXPRESSION);
      this.#expression(['?', '}', ',']);
    });
    return { kind: 'map' };
  }

  #struct(): CelExpression {
    this.#index++;
    const isField = ({ type }: CelToken) => type === 'identifier' || type === 'escapedIdentifier';
    const field = () => {
      this.#index++;
      this.#match(':', BEGINS_EXPRESSION);
      this.#expression(['?', '}', ',']);
    };
    this.#items(STRUCT_FIELDS, '}', field, isField);
    return { kind: 'struct' };
  }

  /** Items between commas up to the closing token; one comma may be left over. */
  #items(
    expected: string,
    close: string,
    item: () => void,
    begins = (token: CelToken) => this.#beginsExpression(token),
  ) {
    const isItem = () => begins(this.#next) || this.#is('?');
    const read = () => {
      this.#optional('?');
      if (!begins(this.#next)) this.#refuse(expected === STRUCT_FIELDS ? FIELD : EXPRESSION, [], NOTHING);
      item();
    };
    if (isItem()) {
      read();
      while (this.#is(',')) {
        this.#index++;
        if (!isItem()) return this.#match(close);
        read();
      }
      if (!this.#is(close)) this.#refuse(`{'${close}', ','}`, [close, ','], NOTHING);
    } else if (!this.#is(close) && !this.#takeIf(',')) {
      this.#refuse(expected, [close, ','], NOTHING);
    }
    this.#match(close);
  }

  #optional(syntax: '?' | '[?'): void {
    if (this.#takeIf('?')) this.problem ??= `unsupported syntax '${syntax}'`;
  }

  #number(sign: '-' | ''): CelExpression {
    const { type, text } = this.#take();
    const digits = type === 'uint' ? text.slice(0, -1) : text;
    if (type === 'float') {
      if (!Number.isFinite(Number(text))) this.problem ??= 'invalid double literal';
      return { kind: 'literal', type: 'float64', text: `${sign}${text}` };
    }
    const value = digits.startsWith('0x') ? BigInt(digits) : BigInt(digits.replace(/^0+(?=.)/, ''));
    const max = type === 'uint' ? 2n ** 64n - 1n : sign === '-' ? 2n ** 63n : 2n ** 63n - 1n;
    if (value > max) this.problem ??= `invalid ${type} literal`;
    return { kind: 'literal', type: type === 'uint' ? 'uint64' : 'int64', text: `${sign}${text}` };
  }

  #quoted(): CelExpression {
    const { type, text } = this.#take();
    const bytes = type === 'bytes';
    const quoted = bytes ? text.slice(1) : text;
    const raw = /^[rR]/.test(quoted);
    const open = raw ? quoted.slice(1) : quoted;
    const quotes = open.startsWith('"""') || open.startsWith("'''") ? 3 : 1;
    const inner = open.slice(quotes, -quotes);
    const value = raw ? inner : this.#unescaped(inner, bytes);
    return { kind: 'literal', type: bytes ? '[]uint8' : 'string', text: value };
  }

  #unescaped(text: string, bytes: boolean): string {
    const escapes = /\\(?:[xX]([0-9A-Fa-f]{2})|(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))|([0-7]{3})|([\s\S]))/g;
    return text.replace(escapes, (...found) => {
      const [, hex, short, long, octal, named] = found as (string | undefined)[];
      if (named !== undefined) return ESCAPES[named] ?? named;
      const unicode = short ?? long;
      if (unicode !== undefined && bytes) this.problem ??= 'unable to unescape string';
      const code = octal !== undefined ? Number.parseInt(octal, 8) : Number.parseInt((hex ?? unicode)!, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        this.problem ??= 'invalid unicode code point';
        return '';
      }
      return String.fromCodePoint(code);
    });
  }

  /** `insertable`: what may stand behind the token; if that is what comes instead, the token is missing. */
  #match(text: string, insertable: ReadonlySet<string> = new Set([...FOLLOWS_PRIMARY, ...this.#closers])): void {
    if (!this.#takeIf(text)) this.#refuse(text === '<EOF>' ? text : `'${text}'`, [text], insertable, text);
  }

  #fits(tokens: ReadonlySet<string>): boolean {
    if (tokens === BEGINS_EXPRESSION) return this.#beginsExpression(this.#next);
    return tokens.has(this.#next.text) && this.#is(this.#next.text);
  }

  /** The next token does not fit. */
  #refuse(expected: string, fits: readonly string[], insertable: ReadonlySet<string>, missing = ''): never {
    const { text } = this.#next;
    const second = this.#afterNext;
    const isLast = this.#next.type === 'end';
    const wantsExpression = BEGINS_LISTED.has(expected);
    const goesOn =
      fits.some((fit) => this.#is(fit, second)) ||
      (wantsExpression && this.#beginsExpression(second)) ||
      (expected === STRUCT_FIELDS && second.type === 'identifier');
    if (!isLast && goesOn) return this.#fail(`extraneous input '${text}' expecting ${expected}`);
    if (this.#fits(insertable)) return this.#fail(`missing '${missing}' at '${text}'`);
    return this.#fail(`mismatched input '${text}' expecting ${expected}`);
  }

  /** No rule begins with the tokens from `first` to `last`; they are quoted as written. */
  #failWithin(first: CelToken, last: CelToken): never {
    const end = last.type === 'end' ? last.offset : last.offset + last.text.length;
    return this.#fail(`no viable alternative at input '${this.#text.slice(first.offset, end)}'`, last);
  }

  #fail(message: string, seenTo = this.#afterNext): never {
    const syntax = message.startsWith('expression recursion') ? message : `Syntax error: ${message}`;
    throw new CelSyntaxError(syntax, seenTo.offset);
  }
}

/** Sets that every beginning of an expression belongs to. */
const BEGINS_LISTED = new Set([EXPRESSION, ARGUMENTS, INDEX, LIST_ITEMS, MAP_ENTRIES]);

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function codePoints(text: string): number {
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0xdc00 || unit > 0xdfff) count++;
  }
  return count;
}
