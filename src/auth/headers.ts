/** Values of a header that may be repeated, which Node would join. `raw`: names and values in turn, as they came. */
export function headerValues(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]!.toLowerCase() === name) values.push(textOf(raw[at + 1]!));
  }
  return values;
}

/**
 * Headers that begin with one of some prefixes in lower case: what follows it, in lower case and percent-decoded, and the values, in the
 * order of the prefixes. Keys may be anything, `__proto__` too.
 */
export function prefixedHeaders(raw: readonly string[], prefixes: readonly string[]): Record<string, string[]> {
  const found = new Map<string, string[]>();
  for (const prefix of prefixes) {
    for (let at = 0; at + 1 < raw.length; at += 2) {
      const name = raw[at]!.toLowerCase();
      if (!name.startsWith(prefix)) continue;
      const key = unescapeKey(name.slice(prefix.length));
      const values = found.get(key);
      if (values === undefined) found.set(key, [textOf(raw[at + 1]!)]);
      else values.push(textOf(raw[at + 1]!));
    }
  }
  return Object.fromEntries(found);
}

/** Node shows the bytes of a header as Latin-1; names are UTF-8. */
function textOf(value: string): string {
  return /[\x80-\xff]/.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

/** What cannot be decoded stays as it is. */
function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/**
 * The token of `Authorization: Bearer <token>`, as kube-apiserver takes it apart: parts are separated by single spaces, and a
 * third one is ignored. undefined: there is none.
 */
export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const [scheme, token] = authorization.trim().split(' ');
  return scheme?.toLowerCase() === 'bearer' && token !== '' ? token : undefined;
}

/** There is a space where `bearerToken` looks for the token, and something behind it. */
export function hasSpaceForToken(authorization: string | undefined): boolean {
  return authorization !== undefined && /^\s*bearer {2}\S/i.test(authorization);
}
