import { compareUtf8 } from '../lib/bytes.js';
import { type Parsed, parsed, unparsable } from './parsed.js';

/** One ANDed term of a field selector (spec 6.2). kube-apiserver knows the first three operators only. */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!';
  /** '' for the other operators. */
  readonly value: string;
  /** Of `in` and `notin`: sorted, without duplicates. */
  readonly values?: readonly string[];
}

/** Parses `a=b,c!=d` with kube-apiserver's grammar and error texts; terms come back in order of their text. */
export function parseFieldSelector(text: string): Parsed<readonly FieldRequirement[]> {
  const requirements: FieldRequirement[] = [];
  const terms = splitTerms(text).sort(compareUtf8);
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
  return requirements.map(formatRequirement).join(',');
}

function formatRequirement({ field, operator, value, values = [] }: FieldRequirement): string {
  switch (operator) {
    case 'in':
    case 'notin':
      return `${field} ${operator} (${values.map(escapeFieldValue).join(',')})`;
    case 'exists':
      return field;
    case '!':
      return `!${field}`;
    default:
      return `${field}${operator === '!=' ? '!=' : '='}${escapeFieldValue(value)}`;
  }
}

/** Does an object match whose field has this text? A field that is absent compares as '' (spec 6.2). */
export function matchesField({ operator, value, values = [] }: FieldRequirement, text: string): boolean {
  switch (operator) {
    case '=':
    case '==':
      return text === value;
    case '!=':
      return text !== value;
    case 'in':
      return values.includes(text);
    case 'notin':
      return !values.includes(text);
    case 'exists':
      return text !== '';
    case '!':
      return text === '';
  }
}

/** The value that the selector demands of a field, or undefined when it demands none. */
export function exactFieldValue(requirements: readonly FieldRequirement[], field: string): string | undefined {
  return requirements.find((requirement) => requirement.field === field && isExact(requirement))?.value;
}

export function isExact({ operator }: FieldRequirement): boolean {
  return operator === '=' || operator === '==';
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
