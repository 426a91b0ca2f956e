import type { IncomingHttpHeaders } from 'node:http';
import { anonymous, type Identity } from '../../auth/identity.js';
import type { ExchangeRequest } from '../exchange.js';

/** Headers of one connection, which a proxy does not pass on (RFC 9110, 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * What we say ourselves, or have dealt with: who asks is found out here, and Node has asked for the body of those who expect
 * to be asked (100-continue).
 */
const OURS: ReadonlySet<string> = new Set(['authorization', 'audit-id', 'expect', 'host', 'x-forwarded-for']);
const OURS_PREFIXES = ['x-remote-', 'impersonate-'];

/** The user cannot be named by headers. */
export class IdentityError extends Error {}

/**
 * The headers of the request to the target: those of the client, without what says who it is, and with the identity that we
 * found out, as a front proxy has it. Throws IdentityError.
 *
 * `identityHeaders`: further names, in lower case, that somebody may take for the word of a front proxy.
 */
export function headersToTarget(
  request: ExchangeRequest,
  user: Identity | undefined,
  auditId: string,
  identityHeaders: IdentityHeaders,
): Record<string, string[]> {
  const { rawHeaders, headers, client } = request;
  const ofConnection = namesIn(headers.connection);
  const passed: Record<string, string[]> = {};
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (name.startsWith(':') || HOP_BY_HOP.has(name) || ofConnection.has(name)) continue;
    if (isOurs(name) || identityHeaders.has(name)) continue;
    (passed[name] ??= []).push(rawHeaders[at + 1]!);
  }
  withoutToken(passed);
  // HTTP/2 may send it in pieces; HTTP/1.1 may not.
  if (passed['cookie'] !== undefined) passed['cookie'] = [passed['cookie'].join('; ')];
  if (namesIn(headers['te']?.toString()).has('trailers')) passed['te'] = ['trailers'];
  passed['audit-id'] = [auditId];
  const forwardedFor = [headers['x-forwarded-for'] ?? [], client === '' ? [] : client].flat();
  if (forwardedFor.length > 0) passed['x-forwarded-for'] = [forwardedFor.join(', ')];
  return Object.assign(passed, identityOf(user ?? anonymous));
}

const TOKEN_PROTOCOL = 'base64url.bearer.authorization.k8s.io.';

/** Browsers, which cannot set Authorization, offer their token as a protocol. */
function withoutToken(headers: Record<string, string[]>): void {
  const offered = headers['sec-websocket-protocol'];
  if (offered === undefined) return;
  const kept = offered
    .flatMap((list) => list.split(','))
    .map((protocol) => protocol.trim())
    .filter((protocol) => !protocol.toLowerCase().startsWith(TOKEN_PROTOCOL));
  if (kept.length > 0) headers['sec-websocket-protocol'] = [kept.join(', ')];
  else delete headers['sec-websocket-protocol'];
}

/** Names of headers that mean an identity. */
export class IdentityHeaders {
  readonly #names: ReadonlySet<string>;
  readonly #prefixes: readonly string[];

  constructor(names: Iterable<string> = [], prefixes: readonly string[] = []) {
    this.#names = new Set(names);
    this.#prefixes = prefixes;
  }

  has(name: string): boolean {
    return this.#names.has(name) || this.#prefixes.some((prefix) => name.startsWith(prefix));
  }
}

function isOurs(name: string): boolean {
  return OURS.has(name) || OURS_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** As client-go's SetAuthProxyHeaders says it, which kube-apiserver's aggregator uses. */
function identityOf({ name, uid, groups, extra }: Identity): Record<string, string[]> {
  if (name === '') throw new IdentityError('the user has no name');
  const headers: Record<string, string[]> = { 'x-remote-user': [said('name of the user', name)] };
  if (uid !== '') headers['x-remote-uid'] = [said('uid of the user', uid)];
  const named = groups.filter((group) => group !== '').map((group) => said('group of the user', group));
  if (named.length > 0) headers['x-remote-group'] = named;
  for (const [key, values] of Object.entries(extra)) {
    if (values.length === 0) continue;
    headers[`x-remote-extra-${escapeKey(key)}`] = values.map((value) => said('extra of the user', value));
  }
  return headers;
}

/** A value as it goes over the wire, in UTF-8. One that would arrive as another one is refused: `"admin "` is not admin. */
function said(what: string, value: string): string {
  if (/[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$/.test(value)) {
    throw new IdentityError(`the ${what} cannot be said in a header: ${JSON.stringify(value)}`);
  }
  return Buffer.from(value, 'utf8').toString('latin1');
}

/** Bytes that no name of a header has are percent-escaped, and the percent sign is, too. */
function escapeKey(key: string): string {
  return [...Buffer.from(key, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      if (/[!#$&'*+.^_`|~0-9A-Za-z-]/.test(character)) return character;
      return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** The target's headers for the client: all but those of its connection. */
export function headersToClient(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const ofConnection = namesIn(headers.connection);
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || HOP_BY_HOP.has(name) || ofConnection.has(name)) continue;
    passed[name] = value;
  }
  return passed;
}

function namesIn(list: string | undefined): ReadonlySet<string> {
  if (list === undefined) return new Set();
  return new Set(list.split(',').map((name) => name.trim().toLowerCase()));
}
