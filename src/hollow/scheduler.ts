import type { Clock } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { InformerHandler } from './informer.js';
import { PODS } from './kinds.js';
import type { Meters } from './meters.js';
import { nameOf } from './kubelet.js';
import { isRefused, type Writer } from './writer.js';

export interface SchedulerParts {
  readonly writer: Writer;
  readonly meters: Meters;
  readonly clock: Clock;
  readonly random: Random;
  /** Bindings under way at once. */
  readonly bindingsMax: number;
}

/**
 * Binds each pod that has no node to the node with the fewest pods. It knows pods by two watches, `spec.nodeName=` and
 * `spec.nodeName!=`: a binding moves a pod from the first to the second.
 */
export class Scheduler {
  readonly #parts: SchedulerParts;
  /** Pods per node, with those that are being bound. */
  readonly #nodes = new Map<string, Set<string>>();
  readonly #capacity = new Map<string, number>();
  readonly #nodeOf = new Map<string, string>();
  readonly #queue = new Map<string, { readonly namespace: string | undefined; readonly name: string }>();
  #binding = 0;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  readonly pending: InformerHandler = {
    replace: (pods) => {
      for (const pod of pods) this.pending.put(pod);
    },
    put: ({ metadata: { namespace, name } }) => {
      const pod = nameOf({ namespace, name });
      if (this.#nodeOf.has(pod)) return; // its binding is on its way
      this.#queue.set(pod, { namespace, name });
      this.#schedule();
    },
    remove: ({ metadata }) => void this.#queue.delete(nameOf(metadata)),
  };

  readonly bound: InformerHandler = {
    replace: (pods) => {
      for (const pod of pods) this.bound.put(pod);
    },
    put: (pod) => {
      const { nodeName = '' } = pod['spec'] as { nodeName?: string };
      this.#assume(nameOf(pod.metadata), nodeName);
    },
    remove: ({ metadata }) => {
      this.#release(nameOf(metadata));
      this.#schedule();
    },
  };

  readonly nodes: InformerHandler = {
    replace: (nodes) => {
      for (const node of nodes) this.nodes.put(node);
    },
    put: ({ metadata: { name }, ...node }) => {
      const { allocatable } = node['status'] as { allocatable?: { pods?: string } };
      this.#capacity.set(name, Number(allocatable?.pods ?? 0));
      if (!this.#nodes.has(name)) this.#nodes.set(name, new Set());
      this.#schedule();
    },
    remove: ({ metadata: { name } }) => void this.#capacity.delete(name),
  };

  #schedule(): void {
    for (const [pod, place] of this.#queue) {
      if (this.#binding >= this.#parts.bindingsMax) return;
      const node = this.#choose();
      if (node === undefined) return; // tried again when a node or room comes
      this.#queue.delete(pod);
      this.#assume(pod, node);
      this.#binding++;
      void this.#bind(pod, place, node).finally(() => {
        this.#binding--;
        this.#schedule();
      });
    }
  }

  async #bind(pod: string, place: { namespace: string | undefined; name: string }, node: string): Promise<void> {
    const { writer, meters, clock } = this.#parts;
    try {
      meters.starts.bind(pod, clock.monotonicMs());
      await writer.bind({ kind: PODS, ...place }, node);
    } catch (error) {
      this.#release(pod);
      if (!isRefused(error)) meters.problem(`scheduler: ${(error as Error).message}`);
    }
  }

  /** The emptiest with room, ties at random. */
  #choose(): string | undefined {
    let best: string[] = [];
    let least = Number.POSITIVE_INFINITY;
    for (const [name, capacity] of this.#capacity) {
      const count = this.#nodes.get(name)!.size;
      if (count >= capacity || count > least) continue;
      if (count < least) best = [];
      least = count;
      best.push(name);
    }
    return best.length === 0 ? undefined : this.#parts.random.pick(best);
  }

  #assume(pod: string, node: string): void {
    if (this.#nodeOf.get(pod) === node) return;
    this.#release(pod);
    let pods = this.#nodes.get(node);
    if (pods === undefined) this.#nodes.set(node, (pods = new Set()));
    pods.add(pod);
    this.#nodeOf.set(pod, node);
  }

  #release(pod: string): void {
    const node = this.#nodeOf.get(pod);
    if (node === undefined) return;
    this.#nodes.get(node)?.delete(pod);
    this.#nodeOf.delete(pod);
  }
}

export const SCHEDULER_NODE = 'status{allocatable}';
