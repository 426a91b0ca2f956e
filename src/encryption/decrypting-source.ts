import type { ModRevision } from '../api/revision.js';
import { unreadableValue } from '../api/unreadable-value.js';
import { fetchByRange } from '../source/list-prefix.js';
import { type EntryVisitor, PUT, type RangeRequest, type Source, type WatchHandler } from '../source/source.js';
import { DecryptError, decrypt, type Transformer } from './transformer.js';

/** How values of one resource are decrypted. Asked for each value, as the configuration may be another one by then. */
export interface ResourceDecryption {
  /** undefined: values of the resource are not configured to be encrypted. */
  transformers(): readonly Transformer[] | undefined;
  /** Calls back when the resource should be read anew. Returns what ends that. */
  onReread(reread: () => void): () => void;
}

/** Which resource a key or a prefix of keys belongs to. */
export type DecryptionOf = (key: Uint8Array) => ResourceDecryption;

/**
 * The same source with decrypted values. A value that cannot be decrypted is replaced by the reason (api/unreadable-value.ts),
 * which the codec reports as that object's error: others of its kind, and other kinds, are not concerned.
 */
export function decryptingSource(source: Source, decryptionOf: DecryptionOf): Source {
  /** undefined: what is read is not encrypted, or has no values. */
  const decryptionFor = ({ from, keysOnly, countOnly }: RangeRequest): ResourceDecryption | undefined => {
    if (keysOnly === true || countOnly === true) return undefined;
    const decryption = decryptionOf(from);
    return decryption.transformers() === undefined ? undefined : decryption;
  };
  const identify = source.identify?.bind(source);
  const range: Source['range'] = (request, visit, signal) => {
    const decryption = decryptionFor(request);
    return source.range(request, decryption === undefined ? visit : opening(decryption, visit), signal);
  };
  return {
    name: source.name,
    range,
    async fetch(request, signal) {
      const fetched = await (source.fetch?.(request, signal) ?? fetchByRange(source, request, signal));
      const decryption = decryptionFor(request);
      if (decryption === undefined) return fetched;
      return { ...fetched, visit: (visit, from, size) => fetched.visit(opening(decryption, visit), from, size) };
    },
    currentRevision: (signal) => source.currentRevision(signal),
    ...(identify === undefined ? {} : { identify: (signal?: AbortSignal) => identify(signal) }),
    watch(request, handler) {
      const decryption = decryptionOf(request.prefix);
      let rereading = false;
      let ended = false;
      const opened = opening(decryption, (bytes, keyStart, keyEnd, valueStart, valueEnd, created, modified) =>
        handler.change(PUT, bytes, keyStart, keyEnd, valueStart, valueEnd, created, modified),
      );
      const forwarding: WatchHandler = {
        change(type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) {
          if (type === PUT) opened(bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
          else handler.change(type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
        },
        commit: (modRevision) => handler.commit(modRevision),
        progress: (revision) => handler.progress(revision),
        ended(end) {
          ended = true;
          stopListening();
          if (rereading) handler.ended({ kind: 'replaced', message: 'the encryption configuration has changed' });
          else handler.ended(end);
        },
      };
      const stopListening = decryption.onReread(() => {
        if (rereading || ended) return;
        rereading = true;
        handle.close();
      });
      const handle = source.watch(request, forwarding);
      return {
        requestProgress: () => handle.requestProgress(),
        close: () => {
          rereading = false;
          handle.close();
        },
      };
    },
    progressTrusted: (signal) => source.progressTrusted(signal),
    probe: (signal) => source.probe(signal),
    close: () => source.close(),
  };
}

function opening(decryption: ResourceDecryption, visit: EntryVisitor): EntryVisitor {
  return (bytes, keyStart, keyEnd, valueStart, valueEnd, created: ModRevision, modified: ModRevision) => {
    const transformers = decryption.transformers();
    if (transformers === undefined) {
      visit(bytes, keyStart, keyEnd, valueStart, valueEnd, created, modified);
      return;
    }
    const value = bytes.subarray(valueStart, valueEnd);
    const key = bytes.subarray(keyStart, keyEnd);
    const opened = openValue(transformers, value, key);
    if (opened === value) {
      visit(bytes, keyStart, keyEnd, valueStart, valueEnd, created, modified);
      return;
    }
    const entry = Buffer.concat([key, opened]);
    visit(entry, 0, key.length, key.length, entry.length, created, modified);
    // The consumer has copied what it keeps; this copy leaves no plaintext behind.
    entry.fill(0);
  };
}

function openValue(transformers: readonly Transformer[], value: Uint8Array, key: Uint8Array): Uint8Array {
  try {
    return decrypt(transformers, value, key);
  } catch (error) {
    return unreadableValue(error instanceof DecryptError ? error.message : 'the value could not be decrypted');
  }
}
