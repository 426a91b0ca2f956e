import { setMaxListeners } from 'node:events';
import { openSource } from '../app/open-source.js';
import { createLog } from '../app/log.js';
import { resolveConfig } from '../app/config.js';
import { planNodes } from '../app/sample/plan.js';
import { oneLine, UsageError } from '../app/usage-error.js';
import { utf8 } from '../lib/bytes.js';
import { type Clock, sleep } from '../lib/clock.js';
import { defaultLimits } from '../lib/limits.js';
import { type Random, seededRandom, systemRandom } from '../lib/random.js';
import type { Source, WritableStore } from '../source/source.js';
import { ApiClient } from './api-client.js';
import { type InformerHandler, onlooker, runInformer, type Selected } from './informer.js';
import { LEASES, NODE_LEASE_NAMESPACE, NODES, PODS, REPLICA_SETS } from './kinds.js';
import { Kubelet, nameOf } from './kubelet.js';
import { Meters } from './meters.js';
import { nodeWatches } from './node-watches.js';
import { namespaceOf, TEST_LABEL } from './objects.js';
import type { HollowOptions } from './options.js';
import { CONTROLLER_GROUP, CONTROLLER_POD, isReady, ReplicaController } from './replica-controller.js';
import { Scheduler, SCHEDULER_NODE } from './scheduler.js';
import { ServerUnderTest, type ServerUsage } from './server-under-test.js';
import { StoreWriter } from './store-writer.js';
import { runUser } from './user.js';
import { planTest, runWorkload } from './workload.js';
import type { Writer } from './writer.js';

export interface HollowProgress {
  readonly phase: 'starting' | 'nodes' | 'test';
  /** 0 to 1, of the test. */
  readonly share: number;
  readonly pods: number;
}

export interface HollowResult {
  readonly meters: Meters;
  readonly status: 'done' | 'interrupted' | 'failed';
  /** Why it failed. */
  readonly message: string | undefined;
  readonly testSeconds: number;
  readonly server: ServerUsage | undefined;
  readonly twin: { readonly comparisons: number; readonly differences: number } | undefined;
}

export interface HollowParts {
  readonly clock: Clock;
  readonly version: string;
  readonly progress: (progress: HollowProgress) => void;
  /** For tests: the process of the server under test. */
  readonly serving?: (pid: number) => void;
}

/** A namespace for so many nodes, as the load test has it. */
const NODES_A_NAMESPACE = 100;
const PROGRESS_EVERY_MS = 250;
const READY_EVERY_MS = 20;
/** Nodes that come up at once. */
const REGISTERING = 16;

/**
 * Runs the hollow cluster. Rejects with UsageError for what can be put right, before anything has run; later it resolves
 * whatever happens, with what was measured until then.
 */
export async function runHollow(
  options: HollowOptions,
  parts: HollowParts,
  interrupted: AbortSignal,
): Promise<HollowResult> {
  const { clock } = parts;
  parts.progress({ phase: 'starting', share: 0, pods: 0 });
  const config = resolveConfig({ ...options.serve, 'secure-port': '0', 'insecure-port': '8080' }, process.env);
  let etcd: (Source & Partial<WritableStore>) | undefined;
  if (config.store.kind === 'etcd') {
    const log = createLog(0, 'text');
    etcd = openSource(config.store, defaultLimits, { clock, random: systemRandom, log }).source;
    try {
      await requireEmpty(etcd, config.store.prefix);
    } catch (error) {
      await etcd.close();
      throw error instanceof UsageError ? error : new UsageError(`--etcd-servers: ${oneLine(error)}`);
    }
  }
  const { hollowServerMs } = defaultLimits;
  const server = await ServerUnderTest.start(options.serve, parts.version, clock, hollowServerMs);
  parts.serving?.(server.pid);
  const store = (etcd ?? server.store) as Pick<WritableStore, 'write'>;
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // each watch and each wait has one
  const ends = (event: AbortSignal) => {
    if (event.aborted) stop.abort();
    else event.addEventListener('abort', () => stop.abort(), { once: true });
  };
  ends(interrupted);
  ends(server.ended.signal);
  const meters = new Meters(clock, defaultLimits);
  let message: string | undefined;
  let testMs = 0;
  const cluster = new HollowCluster(options, server.url, store, config.store.prefix, meters, clock);
  let usage: ServerUsage | undefined;
  let twin: HollowResult['twin'];
  try {
    await cluster.start(stop.signal, parts.progress);
    const before = await server.usage();
    const startMs = clock.monotonicMs();
    await cluster.test(stop.signal, parts.progress);
    testMs = clock.monotonicMs() - startMs;
    const after = await server.usage();
    if (before !== undefined && after !== undefined) {
      usage = { ...after, cpuSeconds: after.cpuSeconds - before.cpuSeconds };
    }
    if (options.serve.twin !== undefined && after !== undefined) twin = await twinOf(server.url);
  } catch (error) {
    message = oneLine(error);
  }
  stop.abort();
  await cluster.stop();
  await server.stop();
  await etcd?.close();
  if (server.ended.signal.aborted) message = oneLine(server.ended.signal.reason);
  const status = message !== undefined ? 'failed' : interrupted.aborted ? 'interrupted' : 'done';
  return { meters, status, message, testSeconds: testMs / 1000, server: usage, twin };
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

class HollowCluster {
  readonly #options: HollowOptions;
  readonly #url: string;
  readonly #meters: Meters;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #writer: Writer;
  readonly #replicas: ReplicaController;
  readonly #namespaces: readonly string[];
  readonly #kubelets: { readonly kubelet: Kubelet; readonly client: ApiClient }[];
  readonly #clients: ApiClient[] = [];
  readonly #running: Promise<void>[] = [];
  readonly #broken = new AbortController();
  #informers = 0;

  constructor(
    options: HollowOptions,
    url: string,
    store: Pick<WritableStore, 'write'>,
    prefix: string,
    meters: Meters,
    clock: Clock,
  ) {
    this.#options = options;
    this.#url = url;
    this.#meters = meters;
    this.#clock = clock;
    this.#random = seededRandom(options.seed);
    const random = this.#random;
    this.#writer = new StoreWriter(store, prefix, { meters, clock, random });
    this.#replicas = new ReplicaController({
      writer: this.#writer,
      meters,
      clock,
      random,
      writesPerSecond: options.controllerRate,
    });
    const count = Math.ceil(options.nodes / NODES_A_NAMESPACE);
    this.#namespaces = Array.from({ length: count }, (_, index) => `hollow-${index + 1}`);
    const size = { nodes: options.nodes, pods: options.nodes, churn: 0 };
    const nodes = planNodes(random, size, clock.nowMs()).map((node, index) => ({
      ...node,
      name: `hollow-node-${index + 1}`,
      controlPlane: false,
    }));
    this.#kubelets = nodes.map((node) => {
      const client = this.#client(node.name);
      const parts = { client, writer: this.#writer, meters, clock, random, times: options.kubelet };
      return { kubelet: new Kubelet(node, parts), client };
    });
  }

  /** Everything but the test: namespaces, nodes and what watches them. */
  async start(signal: AbortSignal, progress: (progress: HollowProgress) => void): Promise<void> {
    for (const name of ['default', 'kube-system', NODE_LEASE_NAMESPACE, ...this.#namespaces]) {
      await this.#writer.create(namespaceOf(name));
    }
    let registered = 0;
    const waiting = [...this.#kubelets];
    const register = async () => {
      for (let next = waiting.pop(); next !== undefined && !signal.aborted; next = waiting.pop()) {
        await next.kubelet.register();
        progress({ phase: 'nodes', share: ++registered / this.#options.nodes, pods: 0 });
      }
    };
    await Promise.all(Array.from({ length: REGISTERING }, register));
    this.#startControllers(signal);
    for (const { kubelet, client } of this.#kubelets) {
      const watches = nodeWatches(kubelet.name, this.#namespaces[0]!, this.#options.watchesPerNode);
      for (const [index, watch] of watches.entries()) {
        this.#inform(client, watch, index === 0 ? kubelet.handler : onlooker, signal);
      }
      this.#run(kubelet.run(signal));
    }
    await this.#watched(signal);
  }

  /** Waits until every watch is open: until then it is not the cluster whose service level is asked for. */
  async #watched(signal: AbortSignal): Promise<void> {
    const { hollowServerMs } = defaultLimits;
    const untilMs = this.#clock.monotonicMs() + hollowServerMs;
    while (this.#meters.counts.watchesOpen < this.#informers && !signal.aborted) {
      if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
      if (this.#clock.monotonicMs() > untilMs) {
        const { watchesOpen } = this.#meters.counts;
        throw new Error(`${watchesOpen} of ${this.#informers} watches were open after ${hollowServerMs / 1000} s`);
      }
      await sleep(this.#clock, READY_EVERY_MS, signal);
    }
  }

  /** The workload and those who look at it; resolves after the duration, when all pods are where they should be, or with the signal. Rejects when a part broke. */
  async test(signal: AbortSignal, progress: (progress: HollowProgress) => void): Promise<void> {
    const { durationMs, listIntervalMs } = this.#options;
    const [clock, random, meters] = [this.#clock, this.#random, this.#meters];
    meters.begin();
    const groups = new Set<string>();
    const steps = planTest(this.#options, this.#namespaces, random);
    let underWay = true;
    const workload = runWorkload(steps, this.#writer, clock, groups, signal);
    this.#run(workload.finally(() => (underWay = false)));
    const places = {
      namespaces: this.#namespaces,
      groups: () => [...groups],
      nodes: this.#kubelets.map(({ kubelet }) => kubelet.name),
    };
    this.#run(runUser(this.#client('user'), places, { clock, random, everyMs: listIntervalMs }, signal));
    const startMs = clock.monotonicMs();
    const { hollowSettleMs } = defaultLimits;
    const isOver = (elapsedMs: number) =>
      elapsedMs >= durationMs + hollowSettleMs || (elapsedMs >= durationMs && !underWay && this.#isSettled());
    for (let elapsedMs = 0; !isOver(elapsedMs) && !signal.aborted && !this.#broken.signal.aborted; ) {
      await sleep(clock, PROGRESS_EVERY_MS, signal);
      elapsedMs = clock.monotonicMs() - startMs;
      const { created, running } = meters.starts;
      const moment = meters.moment();
      if (moment !== undefined) Object.assign(moment, { podsCreated: created, podsRunning: running });
      progress({ phase: 'test', share: Math.min(1, elapsedMs / durationMs), pods: running });
    }
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }

  #isSettled(): boolean {
    return this.#replicas.isSettled && this.#meters.starts.isSettled;
  }

  /** After the signal of `start` and `test`. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#running);
  }

  #startControllers(signal: AbortSignal): void {
    const replicas = this.#replicas;
    const parts = { writer: this.#writer, meters: this.#meters, clock: this.#clock, random: this.#random };
    const manager = this.#client('controller-manager');
    this.#inform(manager, { kind: REPLICA_SETS, members: CONTROLLER_GROUP }, replicas.sets, signal);
    this.#inform(manager, { kind: PODS, members: CONTROLLER_POD }, replicas.pods, signal);
    this.#inform(manager, { kind: NODES, members: '' }, onlooker, signal);
    this.#inform(manager, { kind: LEASES, namespace: NODE_LEASE_NAMESPACE, members: '' }, onlooker, signal);
    this.#run(replicas.run(signal));

    const scheduler = new Scheduler({ ...parts, bindingsMax: defaultLimits.hollowBindingsMax });
    const client = this.#client('scheduler');
    this.#inform(client, { kind: NODES, members: SCHEDULER_NODE }, scheduler.nodes, signal);
    const members = 'spec{nodeName}';
    this.#inform(client, { kind: PODS, fieldSelector: 'spec.nodeName=', members }, scheduler.pending, signal);
    this.#inform(client, { kind: PODS, fieldSelector: 'spec.nodeName!=', members }, scheduler.bound, signal);

    const observed = { kind: PODS, labelSelector: `${TEST_LABEL}=true`, members: CONTROLLER_POD };
    this.#inform(this.#client('observer'), observed, this.#observer(), signal);
  }

  /** Pod start-up ends when this has seen it. */
  #observer(): InformerHandler {
    const { starts } = this.#meters;
    const put: InformerHandler['put'] = (pod) => {
      if (isReady(pod)) starts.see(nameOf(pod.metadata), this.#clock.monotonicMs());
    };
    return {
      replace(pods) {
        for (const pod of pods) put(pod);
      },
      put,
      remove() {},
    };
  }

  #client(name: string): ApiClient {
    const client = new ApiClient(
      { url: this.#url },
      {
        encoding: this.#options.encoding,
        meters: this.#meters,
        clock: this.#clock,
        requestTimeoutMs: defaultLimits.requestTimeoutMs,
      },
      name,
    );
    this.#clients.push(client);
    return client;
  }

  #inform(client: ApiClient, selected: Selected, handler: InformerHandler, signal: AbortSignal): void {
    const parts = { clock: this.#clock, random: this.#random, meters: this.#meters, ...defaultLimits };
    this.#informers++;
    this.#run(runInformer(client, selected, handler, parts, signal));
  }

  #run(part: Promise<void>): void {
    this.#running.push(part.catch((error: unknown) => this.#broken.abort(error)));
  }
}

/** What the twin engines have compared so far, from the server's own metrics. */
async function twinOf(url: string): Promise<HollowResult['twin']> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^listwatch_twin_${name}_total (\\d+)$`, 'm').exec(text)?.[1]);
  return { comparisons: value('comparisons'), differences: value('differences') };
}
