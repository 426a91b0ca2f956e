import type { StatusCause } from '../api/status.js';

/** Every way in which a read can fail that a client may cause or must handle. http/to-status.ts says it. */
export type Failure =
  | { readonly kind: 'badRequest'; readonly message: string }
  /** ListOptions validation (422, spec 2.2 and 3.1), or that of another object. */
  | {
      readonly kind: 'invalid';
      readonly causes: readonly StatusCause[];
      readonly of?: { readonly group: string; readonly kind: string };
    }
  | { readonly kind: 'notFound'; readonly group: string; readonly resource: string; readonly name: string }
  /** Exact resourceVersion or continue token older than what is kept. `continue` is the token to go on inconsistently. */
  | { readonly kind: 'expired'; readonly message: string; readonly continue?: string }
  | {
      readonly kind: 'versionTooLarge';
      readonly requested: bigint;
      readonly current: number;
      /** From the cache after its wait: clients are told to retry in a second. From etcd: not. */
      readonly retryAfterSeconds?: number;
    }
  /** The cache is filling: 429, spec 2.5. */
  | { readonly kind: 'initializing'; readonly lastError: string | undefined; readonly retryAfterSeconds: number }
  /** The source could not answer in time (500 ServerTimeout). */
  | {
      readonly kind: 'serverTimeout';
      readonly group: string;
      readonly resource: string;
      readonly operation: 'get' | 'list' | 'watch';
    }
  /** The request's own deadline passed (504). */
  | { readonly kind: 'deadline' }
  | { readonly kind: 'tooManyRequests'; readonly message: string; readonly retryAfterSeconds: number }
  /** A stored value does not parse, or a bug: 500 InternalError. */
  | { readonly kind: 'internal'; readonly message: string }
  /** 500 without a reason, as upstream answers a malformed resourceVersion on GET and WATCH. */
  | { readonly kind: 'unclassified'; readonly message: string };

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure };

export function success<T>(value: T): Result<T> {
  return { ok: true, value };
}

export function failed(failure: Failure): { readonly ok: false; readonly failure: Failure } {
  return { ok: false, failure };
}
