import { resolveConfig } from '../app/config.js';
import { createLog } from '../app/log.js';
import { openSource } from '../app/open-source.js';
import { oneLine, UsageError } from '../app/usage-error.js';
import { utf8 } from '../lib/bytes.js';
import type { Clock } from '../lib/clock.js';
import { defaultLimits } from '../lib/limits.js';
import { type Random, systemRandom } from '../lib/random.js';
import type { Source, WritableStore } from '../source/source.js';
import { ApiClient, ApiError, type ApiServer } from './api-client.js';
import { ApiWriter } from './api-writer.js';
import { NAMESPACES, NODES } from './kinds.js';
import { readApiServer } from './kubeconfig.js';
import { Meters } from './meters.js';
import { NODE_NAME_PREFIX } from './objects.js';
import type { HollowOptions } from './options.js';
import { ServerUnderTest, type ServerUsage } from './server-under-test.js';
import { StoreWriter } from './store-writer.js';
import type { Writer } from './writer.js';

export interface TwinCounts {
  readonly comparisons: number;
  readonly differences: number;
}

/** What the hollow cluster reads from and writes to. */
export interface Subject {
  readonly server: ApiServer;
  /** Aborted, with what happened as its reason, when the server is gone. */
  readonly ended: AbortSignal;
  writer(parts: { readonly meters: Meters; readonly clock: Clock; readonly random: Random }): Writer;
  /** undefined where it is not ours to know. */
  usage(): Promise<ServerUsage | undefined>;
  twin(): Promise<TwinCounts | undefined>;
  stop(): Promise<void>;
}

export interface SubjectParts {
  readonly clock: Clock;
  readonly version: string;
  /** For tests: the process of the server under test. */
  readonly serving?: (pid: number) => void;
}

/** Throws UsageError for what can be put right. */
export function openSubject(options: HollowOptions, parts: SubjectParts): Promise<Subject> {
  return options.kubeconfig === undefined ? startListwatch(options, parts) : reachServer(options.kubeconfig, parts);
}

async function startListwatch(options: HollowOptions, parts: SubjectParts): Promise<Subject> {
  const { clock, version } = parts;
  const config = resolveConfig({ ...options.serve, 'secure-port': '0', 'insecure-port': '8080' }, process.env);
  const { store, twin } = config;
  let etcd: (Source & Partial<WritableStore>) | undefined;
  if (store.kind === 'etcd') {
    const log = createLog(0, 'text');
    etcd = openSource(store, defaultLimits, { clock, random: systemRandom, log }).source;
    try {
      await requireEmpty(etcd, store.prefix);
    } catch (error) {
      await etcd.close();
      throw error instanceof UsageError ? error : new UsageError(`--etcd-servers: ${oneLine(error)}`);
    }
  }
  const server = await ServerUnderTest.start(options.serve, version, clock, defaultLimits.hollowServerMs);
  parts.serving?.(server.pid);
  const writable = (etcd ?? server.store) as Pick<WritableStore, 'write'>;
  return {
    server: { url: server.url },
    ended: server.ended.signal,
    writer: (writerParts) => new StoreWriter(writable, store.prefix, writerParts),
    usage: () => server.usage(),
    twin: async () => (twin === undefined ? undefined : twinOf(server.url)),
    async stop() {
      await server.stop();
      await etcd?.close();
    },
  };
}

/** Nobody's cluster is written over. */
async function requireEmpty(etcd: Source, prefix: string): Promise<void> {
  const request = { from: utf8(`${prefix}/`), to: utf8(`${prefix}0`), countOnly: true }; // 0 comes after /
  const { count } = await etcd.range(request, () => {});
  if (count === 0) return;
  throw new UsageError(
    `--etcd-servers: there are ${count} objects below ${prefix} already; give an empty etcd, or another --etcd-prefix`,
  );
}

/** What the twin engines have compared so far, from the server's own metrics. */
async function twinOf(url: string): Promise<TwinCounts> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^listwatch_twin_${name}_total (\\d+)$`, 'm').exec(text)?.[1]);
  return { comparisons: value('comparisons'), differences: value('differences') };
}

/** Somebody else's server: it stays; what was written into it is for the cluster to remove. */
async function reachServer(kubeconfig: string, { clock }: SubjectParts): Promise<Subject> {
  const server = readApiServer(kubeconfig, clock);
  const { requestTimeoutMs } = defaultLimits;
  const clientOf = (meters: Meters, name: string) =>
    new ApiClient(server, { encoding: 'json', meters, clock, requestTimeoutMs }, name);
  const probe = clientOf(new Meters(clock, defaultLimits), 'probe');
  try {
    await probe.list(NAMESPACES, { limit: 1 }, '');
    const { items } = await probe.list(NODES, {}, '');
    const left = items.find(({ metadata: { name } }) => name.startsWith(NODE_NAME_PREFIX));
    if (left !== undefined) {
      throw new UsageError(
        `--kubeconfig ${kubeconfig}: there is a node ${left.metadata.name} already: remove it first`,
      );
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new UsageError(`--kubeconfig ${kubeconfig}: ${server.url}: ${oneLine(error)}`);
  } finally {
    probe.close();
  }
  let writing: ApiClient | undefined;
  return {
    server,
    ended: new AbortController().signal,
    writer(writerParts) {
      writing = clientOf(writerParts.meters, 'writer');
      return new ApiWriter(writing, writerParts);
    },
    usage: async () => undefined,
    twin: async () => undefined,
    async stop() {
      writing?.close();
    },
  };
}
