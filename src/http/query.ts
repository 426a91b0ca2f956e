import { decodeQuery } from '../api/query.js';

/** The parameters of a request, decoded; see api/query.ts. */
export type Query = ReadonlyMap<string, string>;

/** Every value of a parameter that may be repeated; elsewhere only the first one counts (spec 2.1). */
export function allValues(search: string, name: string): string[] {
  return search.split('&').flatMap((pair) => decodeQuery(pair).get(name) ?? []);
}

/** metav1's boolean parameters: `0` and `false` are false, anything else that is present is true. */
export function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '0' && value.toLowerCase() !== 'false';
}

/** Go's strconv.ParseBool; undefined when the text is none of its words. */
export function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}
