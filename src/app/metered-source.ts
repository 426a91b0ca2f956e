import type { KindSet } from '../codec/kind-set.js';
import { kindByDirectory } from '../codec/kinds.js';
import type { Clock } from '../lib/clock.js';
import type { RangeRequest, Source } from '../source/source.js';

/** What kube-apiserver calls the requests that it sends to etcd. */
export type EtcdOperation = 'get' | 'list' | 'listOnlyKeys';
export type ReportRequest = (
  operation: EtcdOperation,
  group: string,
  resource: string,
  seconds: number,
  failed: boolean,
) => void;

/** The same source, with the time of each read reported under the resource whose keys it reads. */
export function meteredSource(
  source: Source,
  prefix: string,
  kinds: KindSet,
  clock: Clock,
  report: ReportRequest,
): Source {
  const timed = async <T>(
    operation: EtcdOperation,
    key: Uint8Array | undefined,
    read: () => Promise<T>,
  ): Promise<T> => {
    const startMs = clock.monotonicMs();
    const { group, resource } = resourceOf(key, prefix, kinds);
    const done = (failed: boolean) =>
      report(operation, group, resource, (clock.monotonicMs() - startMs) / 1_000, failed);
    try {
      const value = await read();
      done(false);
      return value;
    } catch (error) {
      done(true);
      throw error;
    }
  };
  const identify = source.identify?.bind(source);
  const fetch = source.fetch?.bind(source);
  return {
    name: source.name,
    range: (request, visit, signal) =>
      timed(operationOf(request), request.from, () => source.range(request, visit, signal)),
    ...(fetch === undefined
      ? {}
      : {
          fetch: (request: RangeRequest, signal?: AbortSignal) =>
            timed(operationOf(request), request.from, () => fetch(request, signal)),
        }),
    currentRevision: (signal) => timed('get', undefined, () => source.currentRevision(signal)),
    ...(identify === undefined
      ? {}
      : { identify: (signal?: AbortSignal) => timed('get', undefined, () => identify(signal)) }),
    watch: (request, handler) => source.watch(request, handler),
    progressTrusted: (signal) => source.progressTrusted(signal),
    probe: (signal) => source.probe(signal),
    close: () => source.close(),
  };
}

function operationOf({ from, to, keysOnly }: RangeRequest): EtcdOperation {
  if (keysOnly === true) return 'listOnlyKeys';
  return to.length === from.length + 1 && to.at(-1) === 0 ? 'get' : 'list';
}

const NO_RESOURCE = { group: '', resource: '' };
const SEGMENTS_MAX = 2; // `services/specs`, `apiextensions.k8s.io/customresourcedefinitions`

/** Which resource a key belongs to, or the prefix of its keys. */
export function resourceOf(
  key: Uint8Array | undefined,
  prefix: string,
  kinds: KindSet,
): { readonly group: string; readonly resource: string } {
  if (key === undefined) return NO_RESOURCE;
  const segments = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
    .toString()
    .slice(prefix.length + 1)
    .split('/');
  for (let count = SEGMENTS_MAX; count > 0; count--) {
    const directory = segments.slice(0, count).join('/');
    const kind = kindByDirectory(directory) ?? kinds.customByDirectory(directory);
    if (kind !== undefined) return kind;
  }
  return NO_RESOURCE;
}
