import { type Parsed, parsed, unparsable } from './parsed.js';

/** One ANDed term of a field selector (spec 6.2). */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '==' | '!=';
  readonly value: string;
}

/** Parses `a=b,c!=d` with kube-apiserver's grammar and error texts; terms come back in order of their text. */
export function parseFieldSelector(text: string): Parsed<readonly FieldRequirement[]> {
  const requirements: FieldRequirement[] = [];
  const terms = splitTerms(text).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const term of terms) {
    if (term === '') continue;
    const split = /!=|==|=/.exec(term);
    if (split === null) return unparsable(`invalid selector: '${text}'; can't understand '${term}'`);
    const value = unescapeValue(term.slice(split.index + split[0].length));
    if (!value.ok) return value;
    const field = term.slice(0, split.index);
    if (field === '' && value.value === '') continue; // a bare operator selects everything
    requirements.push({ field, operator: split[0] as FieldRequirement['operator'], value: value.value });
  }
  return parsed(requirements);
}

/** Canonical text. */
export function formatFieldSelector(requirements: readonly FieldRequirement[]): string {
  return requirements
    .map(({ field, operator, value }) => `${field}${operator === '!=' ? '!=' : '='}${escapeFieldValue(value)}`)
    .join(',');
}

/** The value that the selector demands of a field, or undefined when it demands none. */
export function exactFieldValue(requirements: readonly FieldRequirement[], field: string): string | undefined {
  return requirements.find((requirement) => requirement.field === field && requirement.operator !== '!=')?.value;
}

export function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, (character) => `\\${character}`);
}

/** Splits at commas that are not escaped; escapes stay in the terms. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\') index++;
    else if (text[index] === ',') {
      terms.push(text.slice(start, index));
      start = index + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescapeValue(text: string): Parsed<string> {
  let value = '';
  let escaped = false;
  for (const character of text) {
    if (escaped) {
      if (!'\\,='.includes(character)) {
        return unparsable(`invalid field selector: invalid escape sequence: \\${character}`);
      }
      value += character;
      escaped = false;
    } else if (character === '\\') {
      escaped = true;
    } else if (character === ',' || character === '=') {
      return unparsable(`invalid field selector: unescaped character in value: ${character.codePointAt(0)}`);
    } else {
      value += character;
    }
  }
  if (escaped) return unparsable('invalid field selector: invalid escape sequence: \\');
  return parsed(value);
}
