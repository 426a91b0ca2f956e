import { compareUtf8 } from '../lib/bytes.js';
import { type FieldRequirement, parseFieldSelector } from './field-selector.js';
import { type Parsed, parsed } from './parsed.js';

/**
 * Field selectors with the grammar of label selectors: `in`, `notin`, a field alone (its text is not empty),
 * `!field`. An extension, behind a flag. kube-apiserver's parser goes first, so what it accepts means what it
 * means there, and what neither accepts is refused in its words.
 *
 *     spec.nodeName in (node-1,node-2),status.phase!=Succeeded,!status.nominatedNodeName
 *
 * Spaces are free around fields, operators and values. In a set, `\,` `\=` `\\` are escapes as elsewhere in
 * field selectors, and a parenthesis has none: no value with one can be in a set.
 */
export function parseExtendedFieldSelector(text: string): Parsed<readonly FieldRequirement[]> {
  const plain = parseFieldSelector(text);
  if (plain.ok) return plain;
  const requirements = parseTerms(text);
  return requirements === undefined ? plain : parsed(requirements);
}

const FIELD = '[A-Za-z0-9][A-Za-z0-9._/\\[\\]-]*';
const SET = new RegExp(`^(${FIELD})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const PRESENCE = new RegExp(`^(!?)\\s*(${FIELD})$`);

function parseTerms(text: string): FieldRequirement[] | undefined {
  const terms = split(text, true);
  if (terms === undefined) return undefined;
  const requirements: FieldRequirement[] = [];
  for (const term of terms.map((one) => one.trim()).sort(compareUtf8)) {
    if (term === '') continue;
    const set = SET.exec(term);
    const presence = PRESENCE.exec(term);
    if (set !== null) {
      const values = split(set[3]!, false)?.map((value) => unescapeValue(value.trim()));
      if (values === undefined || !values.every((value) => value !== undefined)) return undefined;
      const sorted = [...new Set(values as string[])].sort(compareUtf8);
      requirements.push({ field: set[1]!, operator: set[2] as 'in' | 'notin', value: '', values: sorted });
    } else if (presence !== null) {
      requirements.push({ field: presence[2]!, operator: presence[1] === '!' ? '!' : 'exists', value: '' });
    } else {
      const plain = parseFieldSelector(term);
      if (!plain.ok) return undefined;
      requirements.push(...plain.value);
    }
  }
  return requirements;
}

/** At commas that are not escaped, nor in parentheses when these count; undefined: they do not match. */
function split(text: string, parentheses: boolean): string[] | undefined {
  const parts: string[] = [];
  let start = 0;
  let open = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '\\') index++;
    else if (character === ',' && !open) {
      parts.push(text.slice(start, index));
      start = index + 1;
    } else if (parentheses && (character === '(' || character === ')')) {
      if (open === (character === '(')) return undefined;
      open = character === '(';
    }
  }
  parts.push(text.slice(start));
  return open ? undefined : parts;
}

function unescapeValue(text: string): string | undefined {
  let value = '';
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (character === '=') return undefined;
    if (character !== '\\') {
      value += character;
      continue;
    }
    const escaped = text[++index];
    if (escaped === undefined || !'\\,='.includes(escaped)) return undefined;
    value += escaped;
  }
  return value;
}
