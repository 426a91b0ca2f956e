import { planNodes } from '../app/sample/plan.js';
import { type Clock, sleep } from '../lib/clock.js';
import { defaultLimits } from '../lib/limits.js';
import { type Random, seededRandom } from '../lib/random.js';
import { ApiClient, type ApiServer } from './api-client.js';
import { type InformerHandler, onlooker, runInformer, type Selected } from './informer.js';
import { LEASES, NAMESPACES, NODE_LEASE_NAMESPACE, NODES, PODS, REPLICA_SETS } from './kinds.js';
import { Kubelet, nameOf } from './kubelet.js';
import type { Meters } from './meters.js';
import { nodeWatches } from './node-watches.js';
import { namespaceOf, NODE_NAME_PREFIX, TEST_LABEL } from './objects.js';
import type { HollowOptions } from './options.js';
import { CONTROLLER_GROUP, CONTROLLER_POD, isReady, ReplicaController } from './replica-controller.js';
import { Scheduler, SCHEDULER_NODE } from './scheduler.js';
import type { Subject } from './subject.js';
import { runUser } from './user.js';
import { planTest, runWorkload } from './workload.js';
import { type Ref, WriteRefused, type Writer } from './writer.js';

export interface HollowProgress {
  readonly phase: 'starting' | 'nodes' | 'test';
  /** 0 to 1, of the test. */
  readonly share: number;
  readonly pods: number;
}

/** A namespace for so many nodes, as the load test has it. */
const NODES_A_NAMESPACE = 100;
const PROGRESS_EVERY_MS = 250;
const READY_EVERY_MS = 20;
/** Nodes that come up at once. */
const REGISTERING = 16;

/**
 * Everything that reads and writes: nodes, controllers, a user and an observer. `start` brings the nodes up, `test` runs
 * the workload, `stop` ends what runs once their signal is aborted, and `remove` takes away what was made.
 */
export class HollowCluster {
  readonly #options: HollowOptions;
  readonly #server: ApiServer;
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

  constructor(options: HollowOptions, subject: Subject, meters: Meters, clock: Clock) {
    this.#options = options;
    this.#server = subject.server;
    this.#meters = meters;
    this.#clock = clock;
    this.#random = seededRandom(options.seed);
    const random = this.#random;
    this.#writer = subject.writer({ meters, clock, random });
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
      name: `${NODE_NAME_PREFIX}${index + 1}`,
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
      await this.#writer.create(namespaceOf(name)).catch(unlessRefused); // a cluster has some of them
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

  /** For clusters that stay: its groups, pods, nodes and namespaces. */
  async remove(): Promise<void> {
    const client = this.#client('cleaner');
    const waiting: Ref[] = [];
    for (const namespace of this.#namespaces) {
      for (const kind of [REPLICA_SETS, PODS]) {
        const { items } = await client.list(kind, { namespace }, '');
        for (const { metadata } of items) waiting.push({ kind, namespace, name: metadata.name });
      }
      waiting.push({ kind: NAMESPACES, name: namespace });
    }
    for (const { kubelet } of this.#kubelets) {
      waiting.push({ kind: LEASES, namespace: NODE_LEASE_NAMESPACE, name: kubelet.name });
      waiting.push({ kind: NODES, name: kubelet.name });
    }
    waiting.reverse(); // so that they go in this order
    const removeNext = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        await this.#writer.delete(next, 0).catch(unlessRefused);
      }
    };
    await Promise.all(Array.from({ length: REGISTERING }, removeNext));
    client.close();
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
      this.#server,
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

function unlessRefused(error: unknown): void {
  if (!(error instanceof WriteRefused)) throw error;
}
