import { leaseObject, nodeObject } from '../app/sample/node-object.js';
import { ipText, microTime } from '../app/sample/objects.js';
import type { NodeState } from '../app/sample/state.js';
import { type Clock, sleep } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { ReadObject } from './answers.js';
import type { ApiClient } from './api-client.js';
import type { InformerHandler } from './informer.js';
import { LEASES, NODE_LEASE_NAMESPACE, NODES, PODS } from './kinds.js';
import type { Meters } from './meters.js';
import { podStatusOf } from './objects.js';
import { type ContainerRecord, diffContainers, HollowRuntime } from './runtime.js';
import { type Ref, refusable, type Writer } from './writer.js';

export interface KubeletTimes {
  readonly leaseEveryMs: number;
  readonly statusEveryMs: number;
  readonly relistEveryMs: number;
  /** What a container takes to start, on average: from half of it to one and a half. */
  readonly startMs: number;
}

export interface KubeletParts {
  readonly client: ApiClient;
  readonly writer: Writer;
  readonly meters: Meters;
  readonly clock: Clock;
  readonly random: Random;
  readonly times: KubeletTimes;
}

/** What of a pod its kubelet must know. */
export const KUBELET_POD = 'metadata{uid deletionTimestamp} spec{nodeName containers{name image}} status{phase}';

interface HeldPod {
  readonly uid: string;
  readonly ref: Ref;
  readonly podIp: string;
  readonly startMs: number;
  runningMs: number | undefined;
  stopping: boolean;
  /** Calls for one pod follow each other. */
  last: Promise<void>;
}

const STOP_MS = 50;

/**
 * A kubelet that runs nothing: it renews its Lease, reports its node and the pods that are bound to it, and learns of its
 * containers by listing all of them now and then. What it does for a pod is what a kubelet does: it reads the pod before
 * it writes a status, and deletes it when its containers have stopped.
 */
export class Kubelet {
  readonly #node: NodeState;
  readonly #parts: KubeletParts;
  readonly #runtime = new HollowRuntime();
  readonly #pods = new Map<string, HeldPod>();
  #seen: ReadonlyMap<string, ContainerRecord> = new Map();
  #lease: ReadObject | undefined;
  #addresses = 0;

  constructor(node: NodeState, parts: KubeletParts) {
    this.#node = node;
    this.#parts = parts;
  }

  get name(): string {
    return this.#node.name;
  }

  /** Makes the node known. */
  async register(): Promise<void> {
    const { writer, clock } = this.#parts;
    this.#node.heartbeatMs = this.#node.renewedMs = clock.nowMs();
    const { uid: _, creationTimestamp: __, ...metadata } = nodeObject(this.#node).metadata;
    const node = await writer.create({ ...nodeObject(this.#node), metadata });
    const lease = leaseObject(this.#node);
    const owner = { apiVersion: 'v1', kind: 'Node', name: this.name, uid: node.metadata['uid'] };
    const { name, namespace } = { name: this.name, namespace: NODE_LEASE_NAMESPACE };
    this.#lease = await writer.create({ ...lease, metadata: { name, namespace, ownerReferences: [owner] } });
  }

  /** Beats and looks at its runtime until the signal. The first of each comes at a random part of its interval. */
  async run(signal: AbortSignal): Promise<void> {
    const { leaseEveryMs, statusEveryMs, relistEveryMs } = this.#parts.times;
    await Promise.all([
      this.#every(leaseEveryMs, () => this.#renew(), signal),
      this.#every(statusEveryMs, () => this.#report(), signal),
      this.#every(relistEveryMs, () => this.#relist(), signal),
    ]);
  }

  /** For the watch of `spec.nodeName=<this node>`. */
  readonly handler: InformerHandler = {
    replace: (pods) => {
      const uids = new Set(pods.map(uidOf));
      for (const uid of this.#pods.keys()) if (!uids.has(uid)) this.#forget(uid);
      for (const pod of pods) this.#sync(pod);
    },
    put: (pod) => this.#sync(pod),
    remove: (pod) => this.#forget(uidOf(pod)),
  };

  async #every(everyMs: number, run: () => Promise<void> | void, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    for (let dueMs = clock.monotonicMs() + random.float() * everyMs; ; dueMs += everyMs) {
      await sleep(clock, dueMs - clock.monotonicMs(), signal);
      if (signal.aborted) return;
      await refusable(async () => run());
      dueMs = Math.max(dueMs, clock.monotonicMs() - everyMs); // what was missed is not made up for
    }
  }

  async #renew(): Promise<void> {
    const { writer, client, clock } = this.#parts;
    const lease = this.#lease ?? (await client.get(LEASES, NODE_LEASE_NAMESPACE, this.name, WHOLE_LEASE));
    if (lease === undefined) return;
    const spec = { ...(lease['spec'] as object), renewTime: microTime(clock.nowMs()) };
    this.#lease = undefined; // read anew when this fails
    await refusable(async () => {
      const typed = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...lease, spec };
      this.#lease = await writer.update(typed);
    });
  }

  async #report(): Promise<void> {
    const { writer, client, clock } = this.#parts;
    await client.get(NODES, undefined, this.name, 'status{conditions{type}}', '?resourceVersion=0');
    this.#node.heartbeatMs = clock.nowMs();
    const { conditions } = nodeObject(this.#node)['status'] as { conditions: unknown };
    await refusable(() => writer.patch({ kind: NODES, name: this.name }, { status: { conditions } }, 'status'));
  }

  #sync(pod: ReadObject): void {
    const { clock, random, times } = this.#parts;
    const uid = uidOf(pod);
    let held = this.#pods.get(uid);
    const deleted = pod.metadata['deletionTimestamp'] !== undefined;
    if (held === undefined) {
      const { namespace, name } = pod.metadata;
      held = {
        uid,
        ref: { kind: PODS, namespace, name },
        podIp: ipText(this.#node.podRange + 2 + (this.#addresses++ % ADDRESSES)),
        startMs: clock.nowMs(),
        runningMs: undefined,
        stopping: false,
        last: Promise.resolve(),
      };
      this.#pods.set(uid, held);
      const { containers = [] } = pod['spec'] as { containers?: { name: string }[] };
      const names = containers.map(({ name }) => name);
      this.#runtime.start(uid, names, clock.monotonicMs() + times.startMs * (0.5 + random.float()));
      if (!deleted) this.#write(held);
    }
    if (deleted && !held.stopping) {
      held.stopping = true;
      this.#runtime.stop(uid, clock.monotonicMs() + STOP_MS);
    }
  }

  #forget(uid: string): void {
    this.#pods.delete(uid);
    this.#runtime.remove(uid);
  }

  #relist(): void {
    const { clock } = this.#parts;
    const { events, seen } = diffContainers(this.#seen, this.#runtime.list(clock.monotonicMs()));
    this.#seen = seen;
    for (const { type, pod } of events) {
      const held = this.#pods.get(pod);
      if (held === undefined) continue;
      if (type === 'ContainerStarted' && !held.stopping && held.runningMs === undefined) {
        held.runningMs = clock.nowMs();
        this.#write(held);
      } else if (type === 'ContainerDied' && held.stopping) {
        this.#then(held, () => this.#parts.writer.delete(held.ref, 0));
      }
    }
  }

  /** The pod's status as it is when it is written. */
  #write(held: HeldPod): void {
    const { client, writer, meters, clock } = this.#parts;
    const runningMs = held.runningMs;
    this.#then(held, async () => {
      const { namespace, name } = held.ref;
      const pod = await client.get(PODS, namespace, name, 'metadata{uid}', '');
      if (pod === undefined || uidOf(pod) !== held.uid) return;
      if (runningMs !== undefined) meters.starts.run(nameOf(held.ref), clock.monotonicMs());
      const { uid, podIp, startMs } = held;
      const status = podStatusOf({ uid, podIp, hostIp: this.#node.address, startMs, runningMs });
      await writer.patch(held.ref, { status }, 'status');
    });
  }

  #then(held: HeldPod, run: () => Promise<void>): void {
    held.last = held.last
      .then(() => refusable(run))
      .catch((error: unknown) => this.#parts.meters.problem(`${this.name}: ${(error as Error).message}`));
  }
}

/** A node's range of addresses is at least so large. */
const ADDRESSES = 250;
const WHOLE_LEASE = 'metadata{uid} spec{holderIdentity leaseDurationSeconds renewTime}';

export function nameOf({ namespace, name }: Pick<Ref, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function uidOf(pod: ReadObject): string {
  return String(pod.metadata['uid']);
}
