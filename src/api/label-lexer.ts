/** Tokens of a label selector (spec 6.1). Keywords and operators are their own types. */
export type LabelTokenType =
  | 'identifier'
  | 'end'
  | ')'
  | ','
  | '!'
  | '=='
  | '='
  | '>'
  | '<'
  | '!='
  | '('
  | 'in'
  | 'notin';

export interface LabelToken {
  readonly type: LabelTokenType;
  readonly literal: string;
}

const WHITESPACE = ' \t\r\n';
const SPECIAL = '=!(),><';
const operators: ReadonlySet<string> = new Set([')', ',', '!', '==', '=', '>', '<', '!=', '(']);

/** The last token is always `end`. As upstream, a NUL ends the text, but right behind a token it only ends that. */
export function lexLabelSelector(source: string): LabelToken[] {
  const tokens: LabelToken[] = [];
  let position = 0;
  while (position < source.length) {
    const character = source[position]!;
    if (WHITESPACE.includes(character)) {
      position++;
      continue;
    }
    if (character === '\0') break;
    const start = position;
    if (SPECIAL.includes(character)) {
      position++;
      // The longest operator wins: `==` over `=`.
      while (position < source.length && operators.has(source.slice(start, position + 1))) position++;
      const literal = source.slice(start, position);
      tokens.push({ type: literal as LabelTokenType, literal });
      if (source[position] === '\0') position++;
      continue;
    }
    while (
      position < source.length &&
      source[position] !== '\0' &&
      !WHITESPACE.includes(source[position]!) &&
      !SPECIAL.includes(source[position]!)
    ) {
      position++;
    }
    const literal = source.slice(start, position);
    if (source[position] === '\0') position++;
    tokens.push({ type: literal === 'in' || literal === 'notin' ? literal : 'identifier', literal });
  }
  tokens.push({ type: 'end', literal: '' });
  return tokens;
}
