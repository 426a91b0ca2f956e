/** One container as a runtime lists it. */
export interface ContainerRecord {
  /** `<pod uid>/<container name>`. */
  readonly id: string;
  readonly pod: string;
  readonly state: 'created' | 'running' | 'exited';
}

export interface LifecycleEvent {
  readonly type: 'ContainerStarted' | 'ContainerDied' | 'ContainerRemoved';
  readonly pod: string;
}

interface Container {
  readonly id: string;
  readonly pod: string;
  readonly runsAtMs: number;
  exitsAtMs: number;
}

/** A container runtime that runs nothing: its containers are running and gone when their times have come. */
export class HollowRuntime {
  readonly #containers = new Map<string, Container>();

  /** Times are milliseconds of one clock. */
  start(pod: string, names: readonly string[], runsAtMs: number): void {
    for (const name of names) {
      const id = `${pod}/${name}`;
      if (!this.#containers.has(id)) {
        this.#containers.set(id, { id, pod, runsAtMs, exitsAtMs: Number.POSITIVE_INFINITY });
      }
    }
  }

  stop(pod: string, exitsAtMs: number): void {
    for (const container of this.#containers.values()) {
      if (container.pod === pod) container.exitsAtMs = Math.min(container.exitsAtMs, exitsAtMs);
    }
  }

  remove(pod: string): void {
    for (const { id, pod: of } of this.#containers.values()) if (of === pod) this.#containers.delete(id);
  }

  list(nowMs: number): ContainerRecord[] {
    return [...this.#containers.values()].map(({ id, pod, runsAtMs, exitsAtMs }) => ({
      id,
      pod,
      state: nowMs >= exitsAtMs ? 'exited' : nowMs >= runsAtMs ? 'running' : 'created',
    }));
  }
}

/**
 * The pod lifecycle event generator's step: all containers as they are, against how they were at the last look. Only what
 * has changed makes events, so a kubelet works for the pods that changed and for no others.
 */
export function diffContainers(
  before: ReadonlyMap<string, ContainerRecord>,
  now: readonly ContainerRecord[],
): { readonly events: LifecycleEvent[]; readonly seen: Map<string, ContainerRecord> } {
  const seen = new Map(now.map((record) => [record.id, record]));
  const events: LifecycleEvent[] = [];
  for (const { id, pod, state } of now) {
    const last = before.get(id)?.state;
    if (last === state) continue;
    if (state === 'running') events.push({ type: 'ContainerStarted', pod });
    if (state === 'exited') events.push({ type: 'ContainerDied', pod });
  }
  for (const { id, pod } of before.values()) if (!seen.has(id)) events.push({ type: 'ContainerRemoved', pod });
  return { events, seen };
}
