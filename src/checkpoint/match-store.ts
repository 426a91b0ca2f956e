import type { FoundState, RestoredState } from '../cache/restored-state.js';
import { ValueReader } from '../cache/list-fill.js';
import { createKeyLayout } from '../cache/layout.js';
import { Pending } from '../cache/pending.js';
import type { KindCodec } from '../codec/codec.js';
import { compareRanges, prefixEnd, rangeOf, utf8 } from '../lib/bytes.js';
import type { Source, StoreId } from '../source/source.js';
import type { VersionId } from '../versions/versions.js';
import type { CheckpointHeader } from './format.js';

/** Why a checkpoint that is whole cannot be used with this store. */
export class MismatchError extends Error {
  override readonly name = 'MismatchError';
}

/**
 * Is the store the one that the checkpoint was made of, and does it still have every later change?
 *
 *   M1  the same cluster id, and a raft term and revision that did not fall
 *   M2  the checkpoint's revision can still be read: so the changes after it can be watched
 *   M3  some objects, the newest among them, are at that revision byte for byte what the checkpoint says; a store that was
 *       wiped and filled again under the same flags passes M1 and M2, but not this
 *
 * What these cannot show, the comparison of all keys does that follows a restore (cache/create-cache.ts).
 */
export function matchIdentity(header: CheckpointHeader, store: StoreId): void {
  const { clusterId, raftTerm, revision } = header;
  if (store.clusterId !== clusterId)
    throw new MismatchError(`etcd's cluster id is ${store.clusterId}, not ${clusterId}`);
  if (store.raftTerm < raftTerm) throw new MismatchError(`etcd's raft term is ${store.raftTerm}, below ${raftTerm}`);
  if (store.revision < revision) throw new MismatchError(`etcd is at revision ${store.revision}, before ${revision}`);
}

/** M2: rejects with SourceError `compacted`. Of an empty kind there must be nothing. */
export async function matchRevision(header: CheckpointHeader, source: Source, signal: AbortSignal): Promise<void> {
  const { objects, revision } = header;
  const from = utf8(header.prefix);
  const { count } = await source.range({ from, to: prefixEnd(from), countOnly: true, revision }, () => {}, signal);
  // Keys that are no object's may lie below the prefix, so there may be more.
  if (count < objects) throw new MismatchError(`etcd had ${count} keys at revision ${revision}, not ${objects}`);
}

/** M3. */
export async function matchSamples(
  { state, generation }: FoundState,
  header: CheckpointHeader,
  codec: KindCodec,
  source: Source,
  signal: AbortSignal,
): Promise<void> {
  const reader = new ValueReader(codec, createKeyLayout(utf8(header.prefix), codec.kind.namespaced));
  for (const id of state.samples()) {
    const stored = new Pending();
    const { key, to } = keyRange(state, id);
    const { revision } = state;
    const answer = await source.range(
      { from: key, to, revision },
      (bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) =>
        reader.put(bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision, stored),
      signal,
    );
    const same = stored.count === 1 && isSame(state, id, stored) && answer.generation === generation;
    if (!same) throw new MismatchError(`${Buffer.from(key).toString()} is another one in etcd at revision ${revision}`);
  }
}

function isSame({ storage }: RestoredState, id: VersionId, stored: Pending): boolean {
  const { versions } = storage;
  const row = stored.at(0);
  if (row.type !== 'put' || row.modRevision !== versions.modRevision(id)) return false;
  const held = versions.wire(id, rangeOf(new Uint8Array(0)));
  return compareRanges(stored.wireOf(row, rangeOf(new Uint8Array(0))), held) === 0;
}

function keyRange({ storage }: RestoredState, id: VersionId): { readonly key: Uint8Array; readonly to: Uint8Array } {
  const { bytes, start, end } = storage.versions.key(id, rangeOf(new Uint8Array(0)));
  const to = new Uint8Array(end - start + 1);
  to.set(bytes.subarray(start, end));
  return { key: to.subarray(0, -1), to };
}
