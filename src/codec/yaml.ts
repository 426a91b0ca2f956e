import { stringify } from 'yaml';
import { JsonNumber } from './json-parse.js';

/**
 * YAML as kubectl prints it: made from the JSON, members sorted by name, lists not indented,
 * long strings as literal blocks, no line folding.
 */
export function toYaml(value: unknown): string {
  return stringify(plain(value), {
    sortMapEntries: (a, b) => compare(keyOf(a.key), keyOf(b.key)),
    indentSeq: false,
    lineWidth: 0,
    aliasDuplicateObjects: false,
    // Kubernetes reads YAML 1.1, where yes, no, on and off are booleans and must be quoted.
    version: '1.1',
    blockQuote: 'literal',
    defaultStringType: 'PLAIN',
    defaultKeyType: 'PLAIN',
  });
}

function keyOf(key: unknown): string {
  return typeof key === 'object' && key !== null && 'value' in key ? String(key.value) : String(key);
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Numbers whose text matters become what they are worth; everything else is as it is. */
function plain(value: unknown): unknown {
  if (value instanceof JsonNumber) return value.valueOf();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
  }
  return value;
}
