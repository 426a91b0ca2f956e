import type { Discovery } from '../discovery.js';
import { readGroups } from './group-discovery.js';
import { mergeDiscovery, type TargetGroups } from './merged-discovery.js';
import { Remembered } from './remembered.js';
import { readTargetDocument, type TargetDocuments } from './target-document.js';

export interface TargetDiscoveryContext extends TargetDocuments {
  readonly own: () => Discovery;
  /** Is told when the target's documents cannot be had, and when they can again. */
  readonly changed: (problem: string | undefined) => void;
}

const ACCEPT = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/**
 * Discovery of listwatch and of the target in one. What the target has said is kept for `forwardDiscoveryMs`, but for as long after kinds
 * have come or gone here: they come and go there at about the same time. While it does not answer, what it said last goes on to hold, or else
 * what listwatch has alone.
 */
export class TargetDiscovery {
  readonly #context: TargetDiscoveryContext;
  readonly #groups: Remembered<TargetGroups>;
  #problem: string | undefined;
  #own: Discovery | undefined;
  #ownChangedMs = Number.NEGATIVE_INFINITY;
  #merged: { readonly own: Discovery; readonly groups: TargetGroups; readonly both: Discovery } | undefined;

  constructor(context: TargetDiscoveryContext) {
    this.#context = context;
    this.#groups = new Remembered(() => this.#ask(), context.limits.forwardDiscoveryMs, context.clock);
  }

  /** Never rejects. */
  async current(): Promise<Discovery> {
    const groups = await (this.#isOwnNew() ? this.#groups.latest() : this.#groups.current());
    const own = this.#context.own();
    if (groups === undefined) return own;
    if (this.#merged?.own !== own || this.#merged.groups !== groups) {
      this.#merged = { own, groups, both: mergeDiscovery(own, groups) };
    }
    return this.#merged.both;
  }

  #isOwnNew(): boolean {
    const { own, clock, limits } = this.#context;
    const [before, now] = [this.#own, own()];
    this.#own = now;
    if (before !== undefined && before !== now) this.#ownChangedMs = clock.monotonicMs();
    return clock.monotonicMs() - this.#ownChangedMs < limits.forwardDiscoveryMs;
  }

  async #ask(): Promise<TargetGroups> {
    const read = (path: string) => readTargetDocument(this.#context, path, ACCEPT);
    try {
      const [core, others] = await Promise.all([read('/api'), read('/apis')]);
      const groups = { core: readGroups(core), others: readGroups(others) };
      this.#report(undefined);
      return groups;
    } catch (error) {
      this.#report(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  #report(problem: string | undefined): void {
    if (problem !== this.#problem) this.#context.changed(problem);
    this.#problem = problem;
  }
}
