import type { ModRevision } from '../api/revision.js';
import { fetchByRange } from '../source/list-prefix.js';
import type { EntryVisitor, FetchedRange, RangeRequest, Source } from '../source/source.js';
import { decryptEntry } from './decrypt-entry.js';
import { DecryptingWatch } from './decrypting-watch.js';
import { fetchesKeys, type ResourceDecryption } from './resource-decryption.js';
import { fetchOpen, type OpenValue } from './transformer.js';

/** Which resource a key or a prefix of keys belongs to. */
export type DecryptionOf = (key: Uint8Array) => ResourceDecryption;

/** Of a page, looked through in one go for data keys. */
const LOOK_BYTES = 2 ** 20;

/**
 * The same source with decrypted values. A value that cannot be decrypted is replaced by the reason (api/unreadable-value.ts),
 * which the codec reports as that object's error: others of its kind, and other kinds, are not concerned.
 *
 * `heldBytesMax`: of one watch, while it waits for data keys.
 */
export function decryptingSource(source: Source, decryptionOf: DecryptionOf, heldBytesMax: number): Source {
  /** undefined: what is read is not encrypted, or has no values. */
  const decryptionFor = ({ from, keysOnly, countOnly }: RangeRequest): ResourceDecryption | undefined => {
    if (keysOnly === true || countOnly === true) return undefined;
    const decryption = decryptionOf(from);
    return decryption.transformers() === undefined ? undefined : decryption;
  };
  const fetchPage = (request: RangeRequest, signal: AbortSignal | undefined) =>
    source.fetch?.(request, signal) ?? fetchByRange(source, request, signal);
  const identify = source.identify?.bind(source);
  return {
    name: source.name,
    async range(request, visit, signal) {
      const decryption = decryptionFor(request);
      if (decryption === undefined) return source.range(request, visit, signal);
      if (!fetchesKeys(decryption.transformers())) return source.range(request, opening(decryption, visit), signal);
      const page = await fetchPage(request, signal);
      page.visit(opening(decryption, visit, await fetchKeys(decryption, page)), 0, Infinity);
      return page;
    },
    async fetch(request, signal) {
      const page = await fetchPage(request, signal);
      const decryption = decryptionFor(request);
      if (decryption === undefined) return page;
      const opens = fetchesKeys(decryption.transformers()) ? await fetchKeys(decryption, page) : undefined;
      return { ...page, visit: (visit, from, size) => page.visit(opening(decryption, visit, opens), from, size) };
    },
    currentRevision: (signal) => source.currentRevision(signal),
    ...(identify === undefined ? {} : { identify: (signal?: AbortSignal) => identify(signal) }),
    watch: (request, handler) =>
      new DecryptingWatch(source, request, handler, decryptionOf(request.prefix), heldBytesMax),
    progressTrusted: (signal) => source.progressTrusted(signal),
    probe: (signal) => source.probe(signal),
    close: () => source.close(),
  };
}

/** What opens the values of a page whose data keys somebody else keeps, by etcd key. All that is missing is asked for side by side. */
async function fetchKeys(decryption: ResourceDecryption, page: FetchedRange): Promise<Map<string, OpenValue>> {
  const opens = new Map<string, OpenValue>();
  const missing: Promise<void>[] = [];
  const look: EntryVisitor = (bytes, keyStart, keyEnd, valueStart, valueEnd) => {
    const open = fetchOpen(decryption.transformers() ?? [], bytes.subarray(valueStart, valueEnd));
    if (open === undefined) return;
    const key = textOf(bytes, keyStart, keyEnd);
    if (open instanceof Promise) missing.push(open.then((fetched) => void opens.set(key, fetched)));
    else opens.set(key, open);
  };
  let at = page.visit(look, 0, LOOK_BYTES);
  while (at !== undefined) {
    await new Promise((resolve) => setImmediate(resolve));
    at = page.visit(look, at, LOOK_BYTES);
  }
  await Promise.all(missing);
  return opens;
}

function opening(
  decryption: ResourceDecryption,
  visit: EntryVisitor,
  opens?: ReadonlyMap<string, OpenValue>,
): EntryVisitor {
  return (bytes, keyStart, keyEnd, valueStart, valueEnd, created: ModRevision, modified: ModRevision) => {
    const transformers = decryption.transformers();
    if (transformers === undefined) {
      visit(bytes, keyStart, keyEnd, valueStart, valueEnd, created, modified);
      return;
    }
    const open = opens?.get(textOf(bytes, keyStart, keyEnd));
    decryptEntry(
      decryption,
      transformers,
      open,
      bytes,
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      (shown, k0, k1, v0, v1) => visit(shown, k0, k1, v0, v1, created, modified),
    );
  };
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
