import { quoteGo } from '../api/go-text.js';
import { headerValues, prefixedHeaders } from './headers.js';
import type { Identity } from './identity.js';

const PREFIX = 'impersonate-';

/** Cheap: most requests have none. */
export function impersonates(headers: Readonly<Record<string, unknown>>): boolean {
  for (const name in headers) if (name.startsWith(PREFIX)) return true;
  return false;
}

/**
 * Whom the Impersonate-* headers name, as they say it (spec 8.7); a text: what is wrong with them; undefined: nobody.
 * `raw`: names and values of headers in turn.
 */
export function readWantedUser(raw: readonly string[]): Identity | string | undefined {
  const wanted: Identity = {
    name: headerValues(raw, 'impersonate-user')[0] ?? '',
    uid: headerValues(raw, 'impersonate-uid')[0] ?? '',
    groups: headerValues(raw, 'impersonate-group'),
    extra: prefixedHeaders(raw, ['impersonate-extra-']),
  };
  if (wanted.name !== '') return wanted;
  if (onlyNamed(wanted)) return undefined;
  return `requested ${inGo(wanted)} without impersonating a user name`;
}

/** Nothing is said of the user but its name. */
export function onlyNamed({ uid, groups, extra }: Identity): boolean {
  return uid === '' && groups.length === 0 && Object.keys(extra).length === 0;
}

/** As Go prints the structure that has it. */
function inGo({ name, uid, groups, extra }: Identity): string {
  const list = (texts: readonly string[]) =>
    texts.length === 0 ? '[]string(nil)' : `[]string{${texts.map(quoteGo).join(', ')}}`;
  const keys = Object.keys(extra).sort();
  const map =
    keys.length === 0
      ? 'map[string][]string(nil)'
      : `map[string][]string{${keys.map((key) => `${quoteGo(key)}:${list(extra[key]!)}`).join(', ')}}`;
  return `&user.DefaultInfo{Name:${quoteGo(name)}, UID:${quoteGo(uid)}, Groups:${list(groups)}, Extra:${map}}`;
}
