import { status } from '@grpc/grpc-js';
import { SourceError } from '../source.js';

/** What a failed call says: the fields of gRPC's ServiceError and StatusObject that matter here. */
export interface RpcFailure {
  readonly code: number;
  readonly details: string;
}

/** etcd's own texts (api/v3/v3rpc/rpctypes/error.go), the only way to tell these apart. */
const COMPACTED = 'required revision has been compacted';
const FUTURE_REVISION = 'required revision is a future revision';
const TOKEN_INVALID = ['invalid auth token', 'revision of auth store is old'];
const CREDENTIALS = ['authentication failed', 'user name is empty', 'user name not found', 'permission denied'];
const AUTH_NOT_ENABLED = 'authentication is not enabled';

/** grpc-js reports a failed handshake as an unreachable server, with OpenSSL's or Node's text inside. */
const TLS = /certificate|self.signed|handshake|\bssl\b|\btls|EPROTO|wrong version number/i;

/** grpc-js says so only when no connection carried the call, so that even a write can go elsewhere. */
const NEVER_SENT = /^No connection established|^Name resolution failed/;

export function toSourceError(failure: RpcFailure, where: string): SourceError {
  const { code, details } = failure;
  const message = `etcd ${where}: ${details === '' ? (status[code] ?? `code ${code}`) : details}`;
  if (details.includes(COMPACTED)) return new SourceError('compacted', message);
  if (details.includes(FUTURE_REVISION)) return new SourceError('futureRevision', message);
  if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED || isAuthText(details)) {
    return new SourceError('unauthenticated', message);
  }
  if (code === status.UNAVAILABLE && TLS.test(details)) return new SourceError('unauthenticated', message);
  if (code === status.INVALID_ARGUMENT || details.includes('requested lease not found')) {
    return new SourceError('invalid', message);
  }
  if (code === status.RESOURCE_EXHAUSTED && details.startsWith('Received message larger than max')) {
    return new SourceError('corrupt', message);
  }
  return new SourceError('unavailable', message);
}

/** True when a fresh token may help. */
export function isTokenInvalid(failure: RpcFailure): boolean {
  return TOKEN_INVALID.some((text) => failure.details.includes(text));
}

export function isAuthNotEnabled(failure: RpcFailure): boolean {
  return failure.details.includes(AUTH_NOT_ENABLED);
}

export function wasNeverSent(failure: RpcFailure): boolean {
  return failure.code === status.UNAVAILABLE && NEVER_SENT.test(failure.details);
}

function isAuthText(details: string): boolean {
  return [...TOKEN_INVALID, ...CREDENTIALS].some((text) => details.includes(text));
}
