import { posix } from 'node:path';
import { type GoJson, parseGoJson, quoteGoJson } from '../api/go-json.js';
import { parseInt64 } from '../api/go-text.js';
import { type Parsed, parsed, unparsable } from '../api/parsed.js';
import type { ModRevision } from '../api/revision.js';

/**
 * Continue tokens (spec 2.7): where the next page starts, and in which state of the store.
 *
 *     base64url({"v":"meta.k8s.io/v1","rv":57,"start":"/default/f2\u0000"})
 *
 * `start` is the last key that was returned, without the prefix of the request, and a NUL: the
 * smallest key after it. Tokens are kube-apiserver's own, so a client may change servers midway.
 */
export interface ContinueToken {
  /** The first key of the page, with the prefix of the request. */
  readonly startKey: string;
  /** Negative: go on in the most recent state. Never 0. */
  readonly revision: bigint;
}

/** Tells the most recent state, in a token that replaces an expired one. */
export const MOST_RECENT = -1;

const VERSION = 'meta.k8s.io/v1';
const INVALID = 'continue key is not valid';

/** `prefix` ends in a slash. The message goes behind `invalid continue token: `. */
export function decodeContinueToken(text: string, prefix: string): Parsed<ContinueToken> {
  const bytes = decodeBase64Url(text);
  if (!bytes.ok) return unparsable(`${INVALID}: ${bytes.message}`);
  const json = parseGoJson(bytes.value);
  if (!json.ok) return unparsable(`${INVALID}: ${json.message}`);
  const fields = readFields(json.value);
  if (!fields.ok) return unparsable(`${INVALID}: ${fields.message}`);
  const { version, revision, start } = fields.value;
  if (version !== VERSION) return unparsable(`${INVALID}: server does not recognize this encoded version ${version}`);
  if (revision === 0n) return unparsable(`${INVALID}: incorrect encoded start resourceVersion (version ${VERSION})`);
  if (start === '') return unparsable(`${INVALID}: encoded start key empty (version ${VERSION})`);
  // A key that climbs (`../secrets/x`) must not lead out of the prefix that was authorized.
  const key = start.startsWith('/') ? start : `/${start}`;
  if (cleanPath(key) !== key) return unparsable(`${INVALID}: ${start}`);
  return parsed({ startKey: prefix + key.slice(1), revision });
}

/**
 * The token of the page that starts after `lastKey`. The prefix ends in a slash. kube-apiserver's
 * cache writes the slash before the key, its etcd client does not.
 */
export function encodeContinueToken(
  lastKey: string,
  prefix: string,
  revision: ModRevision,
  leadingSlash: boolean,
): string {
  return encodeStart(`${leadingSlash ? '/' : ''}${lastKey.slice(prefix.length)}\0`, revision);
}

/** Replaces an expired token: the same place, in the most recent state. */
export function renewContinueToken(token: ContinueToken, prefix: string): string {
  return encodeStart(token.startKey.slice(prefix.length), MOST_RECENT);
}

function encodeStart(start: string, revision: ModRevision): string {
  return Buffer.from(`{"v":"${VERSION}","rv":${revision},"start":${quoteGoJson(start)}}`).toString('base64url');
}

interface Fields {
  readonly version: string;
  readonly revision: bigint;
  readonly start: string;
}

/** encoding/json into a struct: names match in any case, null leaves a field alone, the first misfit is reported. */
function readFields(json: GoJson): Parsed<Fields> {
  if (json.type === 'null') return parsed({ version: '', revision: 0n, start: '' });
  if (json.type !== 'object') {
    return unparsable(`json: cannot unmarshal ${json.type} into Go value of type storage.continueToken`);
  }
  let version = '';
  let revision = 0n;
  let start = '';
  let misfit: string | undefined;
  const refuse = (found: string, field: string, type: string) => {
    misfit ??= `json: cannot unmarshal ${found} into Go struct field continueToken.${field} of type ${type}`;
  };
  for (const [name, value] of json.members) {
    if (value.type === 'null') continue;
    switch (name.toLowerCase()) {
      case 'v':
        if (value.type === 'string') version = value.value;
        else refuse(value.type, 'v', 'string');
        break;
      case 'start':
        if (value.type === 'string') start = value.value;
        else refuse(value.type, 'start', 'string');
        break;
      case 'rv': {
        const number = value.type === 'number' ? parseInt64(value.text) : undefined;
        if (number?.ok) revision = number.value;
        else refuse(value.type === 'number' ? `number ${value.text}` : value.type, 'rv', 'int64');
        break;
      }
    }
  }
  return misfit === undefined ? parsed({ version, revision, start }) : unparsable(misfit);
}

/** Go's base64.RawURLEncoding: no padding, and line ends are skipped. Errors name the first byte that is wrong. */
function decodeBase64Url(text: string): Parsed<Uint8Array> {
  const bytes = Buffer.from(text, 'utf8');
  let digits = 0;
  for (let index = 0; index < bytes.length; index++) {
    const character = String.fromCharCode(bytes[index]!);
    if (character === '\n' || character === '\r') continue;
    if (!/[A-Za-z0-9_-]/.test(character)) return unparsable(`illegal base64 data at input byte ${index}`);
    digits++;
  }
  if (digits % 4 === 1) return unparsable(`illegal base64 data at input byte ${bytes.length - 1}`);
  return parsed(Buffer.from(text.replace(/[\r\n]/g, ''), 'base64url'));
}

/** Go's path.Clean of an absolute path: unlike POSIX's, it drops the slash at the end. */
function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
