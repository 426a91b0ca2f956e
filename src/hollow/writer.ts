import type { KubeObject } from '../app/sample/objects.js';
import type { Kind } from '../codec/kind.js';
import type { ReadObject } from './answers.js';
import { ApiError } from './api-client.js';

export interface Ref {
  readonly kind: Kind;
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** What there is to write to is gone, or was changed by another: the watch will tell, or has told. */
export class WriteRefused extends Error {
  override readonly name = 'WriteRefused';
}

/** The cluster cannot be written to any more, or said that it will not have this object. */
export class WriteFailed extends Error {
  override readonly name = 'WriteFailed';
}

/** What others changed or removed in the meantime is no failure, and a call that failed was counted. */
export function isRefused(error: unknown): boolean {
  return error instanceof WriteRefused || error instanceof ApiError;
}

/** Lets pass what `isRefused`. */
export async function refusable(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!isRefused(error)) throw error;
  }
}

/**
 * The write half of an apiserver, as the hollow cluster's components use it. Each call resolves with the object as it is
 * then, when it is stored; it rejects with WriteRefused or WriteFailed. Writes to one object take effect in the order of
 * the calls.
 */
export interface Writer {
  create(object: KubeObject): Promise<ReadObject>;
  /** Replaces the object that was read before. */
  update(object: ReadObject): Promise<ReadObject>;
  /** RFC 7386: objects are merged, anything else replaces. */
  patch(ref: Ref, patch: object, subresource?: 'status'): Promise<ReadObject>;
  /** The scheduler's decision. */
  bind(ref: Ref, node: string): Promise<void>;
  /** With a grace, a pod that runs somewhere is only marked: its kubelet deletes it without. */
  delete(ref: Ref, graceSeconds: number): Promise<void>;
}
