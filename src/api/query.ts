/**
 * The query of a URL as Go's net/url reads it: `+` is a space, pairs that do not decode or contain a
 * semicolon are dropped in silence, and the first value of a repeated parameter wins (spec 2.1).
 */
export function decodeQuery(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';')) continue;
    const equals = pair.indexOf('=');
    const key = unescapeQuery(equals < 0 ? pair : pair.slice(0, equals));
    const value = unescapeQuery(equals < 0 ? '' : pair.slice(equals + 1));
    if (key === undefined || value === undefined || parameters.has(key)) continue;
    parameters.set(key, value);
  }
  return parameters;
}

/** undefined: a malformed escape. Bytes that are not UTF-8 become U+FFFD. */
function unescapeQuery(text: string): string | undefined {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  if (/%(?![0-9A-Fa-f]{2})/.test(spaced)) return undefined;
  const bytes = Buffer.from(spaced, 'utf8');
  let end = 0;
  for (let index = 0; index < bytes.length; index++) {
    if (bytes[index] === 0x25) {
      bytes[end++] = Number.parseInt(bytes.toString('latin1', index + 1, index + 3), 16);
      index += 2;
    } else {
      bytes[end++] = bytes[index]!;
    }
  }
  return bytes.toString('utf8', 0, end);
}
