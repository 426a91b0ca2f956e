import assert from 'node:assert/strict';
import type { ModRevision } from '../../../src/api/revision.js';
import { prefixEnd } from '../../../src/lib/bytes.js';
import { type Source, SourceError, type WritableStore } from '../../../src/source/source.js';

export type TestStore = Source & WritableStore;

export interface SuiteStore {
  readonly store: TestStore;
  readonly dispose: () => Promise<void>;
  /** Lets time pass for the store; by default by waiting. */
  readonly elapse?: (ms: number) => Promise<void>;
  /** The shortest lease that the store keeps to. */
  readonly leaseSeconds?: number;
  /** Why this store's progress may come before events that precede it; absent: it never does, and is trusted. */
  readonly progressMayOvertake?: string | undefined;
}

export interface Context {
  readonly store: TestStore;
  readonly elapse: (ms: number) => Promise<void>;
  readonly leaseSeconds: number;
  readonly progressMayOvertake: string | undefined;
  /** Unlike that of every other test, so that stores may be shared. */
  readonly root: string;
}

/** Registers one test on a fresh (or shared) store. */
export type PromiseTest = (what: string, run: (context: Context) => Promise<void>) => void;

export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly createRevision: ModRevision;
  readonly modRevision: ModRevision;
}

export async function read(
  store: TestStore,
  prefix: string,
  options: { limit?: number; revision?: ModRevision; keysOnly?: boolean; countOnly?: boolean } = {},
) {
  const entries: Entry[] = [];
  const from = bytes(prefix);
  const result = await store.range(
    { from, to: prefixEnd(from), ...options },
    (buffer, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
      const key = text(buffer, keyStart, keyEnd);
      entries.push({ key, value: text(buffer, valueStart, valueEnd), createRevision, modRevision });
    },
  );
  return { entries, result };
}

export function put(store: TestStore, key: string, value: string): Promise<ModRevision> {
  return store.write([{ type: 'put', key: bytes(key), value: bytes(value) }]);
}

export function remove(store: TestStore, key: string): Promise<ModRevision> {
  return store.write([{ type: 'delete', key: bytes(key) }]);
}

export async function rejects(kind: SourceError['kind'], promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof SourceError, `not a SourceError: ${error}`);
    assert.equal(error.kind, kind, error.message);
    return true;
  });
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

export function text(buffer: Uint8Array, from: number, to: number): string {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.length).toString('latin1', from, to);
}
