import { type Clock, sleep } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import { suffix } from '../app/sample/names.js';
import type { ReadObject } from './answers.js';
import type { InformerHandler } from './informer.js';
import { PODS, REPLICA_SETS } from './kinds.js';
import { nameOf } from './kubelet.js';
import type { Meters } from './meters.js';
import { GROUP_LABEL, POD_GRACE_SECONDS, podOf, TEST_LABEL } from './objects.js';
import { isRefused, type Writer } from './writer.js';

export interface ReplicaControllerParts {
  readonly writer: Writer;
  readonly meters: Meters;
  readonly clock: Clock;
  readonly random: Random;
  /** Pods created and deleted a second, together. */
  readonly writesPerSecond: number;
}

interface Group {
  /** Absent once the group is deleted: its pods follow. */
  object: ReadObject | undefined;
  readonly pods: Map<string, ReadObject>;
  /** Created, and not seen by the watch yet. */
  readonly expected: Set<string>;
  readonly deleting: Set<string>;
  statusText: string;
}

export const CONTROLLER_GROUP = 'metadata{uid labels} spec{replicas}';
export const CONTROLLER_POD = `metadata{uid labels deletionTimestamp} status{phase conditions{type status}}`;
const TICK_MS = 20;
const STATUS_EVERY_TICKS = 50;

/** Keeps as many pods of each ReplicaSet as it asks for, and deletes those of sets that are gone. */
export class ReplicaController {
  readonly #parts: ReplicaControllerParts;
  readonly #groups = new Map<string, Group>();
  #allowance = 0;

  constructor(parts: ReplicaControllerParts) {
    this.#parts = parts;
  }

  /** Works at its rate until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, writesPerSecond } = this.#parts;
    let lastMs = clock.monotonicMs();
    for (let tick = 1; !signal.aborted; tick++) {
      await sleep(clock, TICK_MS, signal);
      const nowMs = clock.monotonicMs();
      this.#allowance = Math.min(writesPerSecond, this.#allowance + ((nowMs - lastMs) * writesPerSecond) / 1000);
      lastMs = nowMs;
      this.#reconcile();
      if (tick % STATUS_EVERY_TICKS === 0) this.#writeStatuses();
    }
  }

  readonly sets: InformerHandler = {
    replace: (sets) => {
      for (const set of sets) this.sets.put(set);
    },
    put: (set) => {
      if (labelOf(set, TEST_LABEL) !== undefined) this.#group(nameOf(set.metadata)).object = set;
    },
    remove: (set) => {
      const group = this.#groups.get(nameOf(set.metadata));
      if (group !== undefined) group.object = undefined;
    },
  };

  readonly pods: InformerHandler = {
    replace: (pods) => {
      for (const pod of pods) this.pods.put(pod);
    },
    put: (pod) => {
      const group = this.#groupOf(pod);
      group?.expected.delete(pod.metadata.name);
      group?.pods.set(pod.metadata.name, pod);
    },
    remove: (pod) => {
      const group = this.#groupOf(pod);
      if (group === undefined) return;
      if (group.pods.delete(pod.metadata.name)) this.#parts.meters.starts.leave(nameOf(pod.metadata));
      group.deleting.delete(pod.metadata.name);
    },
  };

  /** Every group has the pods that it should have, as far as the watch has told. */
  get isSettled(): boolean {
    return [...this.#groups.values()].every(
      (group) => group.pods.size === replicasOf(group) && group.deleting.size === 0,
    );
  }

  #groupOf(pod: ReadObject): Group | undefined {
    const name = labelOf(pod, GROUP_LABEL);
    return name === undefined ? undefined : this.#group(nameOf({ namespace: pod.metadata.namespace, name }));
  }

  #group(name: string): Group {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { object: undefined, pods: new Map(), expected: new Set(), deleting: new Set(), statusText: '' };
      this.#groups.set(name, group);
    }
    return group;
  }

  #reconcile(): void {
    for (const [name, group] of this.#groups) {
      const there = group.pods.size + group.expected.size - group.deleting.size;
      const missing = replicasOf(group) - there;
      for (let count = missing; count > 0 && this.#take(); count--) void this.#create(group);
      const surplus = [...group.pods.keys()].filter((pod) => !group.deleting.has(pod)).reverse();
      for (let count = 0; count < -missing && count < surplus.length && this.#take(); count++) {
        void this.#delete(group, surplus[count]!);
      }
      if (group.object === undefined && group.pods.size + group.expected.size === 0) this.#groups.delete(name);
    }
  }

  #take(): boolean {
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }

  async #create(group: Group): Promise<void> {
    const { writer, meters, clock, random } = this.#parts;
    const { object } = group;
    if (object === undefined) return;
    const pod = podOf(object, `${object.metadata.name}-${suffix(random, 6)}`);
    const { name, namespace } = pod.metadata;
    group.expected.add(name);
    meters.starts.create(nameOf({ name, namespace }), clock.monotonicMs());
    try {
      await writer.create(pod);
    } catch (error) {
      group.expected.delete(name);
      meters.starts.drop(nameOf({ name, namespace }));
      this.#failed(error);
    }
  }

  async #delete(group: Group, name: string): Promise<void> {
    const { writer } = this.#parts;
    const { namespace } = group.pods.get(name)!.metadata;
    group.deleting.add(name);
    try {
      const ref = { kind: PODS, namespace, name };
      await writer.delete(ref, POD_GRACE_SECONDS);
    } catch (error) {
      group.deleting.delete(name);
      this.#failed(error);
    }
  }

  #writeStatuses(): void {
    for (const { object, pods, ...group } of this.#groups.values()) {
      if (object === undefined) continue;
      const ready = [...pods.values()].filter(isReady).length;
      const status = { replicas: pods.size, readyReplicas: ready, availableReplicas: ready, observedGeneration: 1 };
      const text = JSON.stringify(status);
      if (text === group.statusText) continue;
      this.#groups.get(nameOf(object.metadata))!.statusText = text;
      const { namespace, name } = object.metadata;
      this.#parts.writer
        .patch({ kind: REPLICA_SETS, namespace, name }, { status }, 'status')
        .catch((error: unknown) => this.#failed(error));
    }
  }

  #failed(error: unknown): void {
    if (isRefused(error)) return; // tried again at the next tick
    this.#parts.meters.problem(`replica controller: ${(error as Error).message}`);
  }
}

function replicasOf({ object }: Group): number {
  return object === undefined ? 0 : ((object['spec'] as { replicas?: number }).replicas ?? 0);
}

export function labelOf({ metadata }: ReadObject, label: string): string | undefined {
  return (metadata['labels'] as Readonly<Record<string, string>> | undefined)?.[label];
}

/** Running, and ready by its condition. */
export function isReady(pod: ReadObject): boolean {
  const { phase, conditions = [] } = pod['status'] as {
    phase?: string;
    conditions?: readonly { readonly type: string; readonly status: string }[];
  };
  return phase === 'Running' && conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}
