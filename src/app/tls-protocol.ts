import { getCiphers } from 'node:tls';
import type { TlsParts } from '../http/server.js';
import { bad, readList, readOneOf, type ValueReader } from './values.js';

/** What the HTTPS listener speaks; what is absent is Node's choice. */
export type TlsProtocol = Pick<TlsParts, 'minVersion' | 'ciphers'>;

/** kube-apiserver's flags, with its names. */
export const tlsProtocolFlags = [
  ['tls-min-version', '<version>', 'VersionTLS12 or VersionTLS13 (default VersionTLS12)'],
  [
    'tls-cipher-suites',
    '<list>',
    'cipher suites of TLS 1.2, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; those of 1.3 are always there (default: those of Node)',
  ],
] as const;

export function resolveTlsProtocol(minVersion: string | undefined, ciphers: string | undefined): TlsProtocol {
  return {
    ...(minVersion === undefined ? {} : { minVersion: readMinVersion('tls-min-version', minVersion) }),
    ...(ciphers === undefined ? {} : { ciphers: readCiphers('tls-cipher-suites', ciphers) }),
  };
}

/** kube-apiserver still takes 1.0 and 1.1, which nobody should (RFC 8996). */
const readMinVersion: ValueReader<'TLSv1.2' | 'TLSv1.3'> = (flag, text) =>
  readOneOf('VersionTLS12', 'VersionTLS13')(flag, text) === 'VersionTLS13' ? 'TLSv1.3' : 'TLSv1.2';

/** Go has no flag for these, and always offers them. */
const OF_TLS_13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/** Go's names of the suites of TLS 1.2 that keep the past secret when a key is lost, and OpenSSL's. */
const suites: ReadonlyMap<string, string> = new Map([
  ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'],
  // Go's older names of the two.
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA'],
]);

/** Of these, HTTP/2 demands one where TLS 1.2 is spoken (RFC 7540, section 9.2.2); Go does not start without. */
const OF_HTTP2 = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'];

const readCiphers: ValueReader<string> = (flag, text) => {
  const names = readList(flag, text);
  const there = new Set(getCiphers());
  const found = names.flatMap((name) => {
    if (OF_TLS_13.includes(name)) return [];
    const suite = suites.get(name);
    if (suite === undefined) throw bad(flag, name, `expected suites among ${[...suites.keys()].join(', ')}`);
    if (!there.has(suite.toLowerCase())) throw bad(flag, name, `the OpenSSL of this Node has no ${suite}`);
    return [suite];
  });
  if (!names.some((name) => OF_HTTP2.includes(name)) && found.length > 0) {
    throw bad(flag, text, `HTTP/2 needs at least one of ${OF_HTTP2.join(', ')}`);
  }
  return [...OF_TLS_13, ...found].join(':');
};
