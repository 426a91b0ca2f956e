import { Latencies } from './latencies.js';

interface Start {
  readonly createdMs: number;
  boundMs?: number;
  runningMs?: number;
}

export type Stage = 'whole' | 'scheduling' | 'kubelet' | 'watch';

/**
 * How long pods take to start, by the density test's definition: from the moment when its creation is sent to the moment
 * when a watcher has seen it running and ready, and what of that each part took.
 *
 *     created ──scheduling──> bound ──kubelet──> running (status sent) ──watch──> seen
 */
export class PodStarts {
  readonly stages: Readonly<Record<Stage, Latencies>> = {
    whole: new Latencies(),
    scheduling: new Latencies(),
    kubelet: new Latencies(),
    watch: new Latencies(),
  };
  created = 0;
  gone = 0;
  running = 0;
  readonly #under = new Map<string, Start>();

  /** Pods are named by `namespace/name`; times are milliseconds of one monotonic clock. */
  create(pod: string, atMs: number): void {
    this.created++;
    this.#under.set(pod, { createdMs: atMs });
  }

  /** It could not be created; another will be. */
  drop(pod: string): void {
    if (this.#under.delete(pod)) this.created--;
  }

  bind(pod: string, atMs: number): void {
    const start = this.#under.get(pod);
    if (start !== undefined) start.boundMs = atMs;
  }

  run(pod: string, atMs: number): void {
    const start = this.#under.get(pod);
    if (start !== undefined) start.runningMs ??= atMs;
  }

  /** Returns false when it was seen before, or is not ours. */
  see(pod: string, atMs: number): boolean {
    const start = this.#under.get(pod);
    if (start === undefined) return false;
    this.#under.delete(pod);
    this.running++;
    const { createdMs, boundMs, runningMs } = start;
    this.stages.whole.add(atMs - createdMs);
    if (boundMs !== undefined) this.stages.scheduling.add(boundMs - createdMs);
    if (boundMs !== undefined && runningMs !== undefined) this.stages.kubelet.add(runningMs - boundMs);
    if (runningMs !== undefined) this.stages.watch.add(atMs - runningMs);
    return true;
  }

  leave(pod: string): void {
    this.gone++;
    if (!this.#under.delete(pod)) this.running--;
  }

  get isSettled(): boolean {
    return this.#under.size === 0;
  }

  /** Created and neither seen running nor gone: with their ages, for a report that must not leave them out. */
  unstartedAges(nowMs: number): number[] {
    return [...this.#under.values()].map(({ createdMs }) => nowMs - createdMs);
  }
}
