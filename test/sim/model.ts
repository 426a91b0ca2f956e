/** What the sim wrote, kept independently of the store: the truth that clients' histories are judged by. */
export interface Item {
  readonly holder: string;
  readonly side: string;
  readonly revision: number;
}

export interface Change {
  readonly name: string;
  /** undefined: deleted. */
  readonly next: Item | undefined;
}

export interface ModelEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly name: string;
  readonly holder: string;
  readonly revision: number;
}

/** One store. After a replacement another model begins: its revisions have nothing to do with those of the first. */
export class Model {
  readonly epoch: number;
  /** By revision, without holes. */
  readonly #states: ReadonlyMap<string, Item>[] = [new Map(), new Map()];
  readonly #changes: (readonly Change[])[] = [[], []];

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  get revision(): number {
    return this.#states.length - 1;
  }

  commit(revision: number, changes: readonly Change[]): void {
    if (revision !== this.revision + 1) throw new Error(`the store took revision ${revision} after ${this.revision}`);
    const state = new Map(this.#states[this.revision]!);
    for (const { name, next } of changes) {
      if (next === undefined) state.delete(name);
      else state.set(name, next);
    }
    this.#states.push(state);
    this.#changes.push(changes);
  }

  at(revision: number): ReadonlyMap<string, Item> {
    return this.#states[revision]!;
  }

  /** `name=holder@revision`, in key order. */
  listing(revision: number, side: string | undefined): string[] {
    if (revision > this.revision) return [`revision ${revision} was never written`];
    return [...this.at(revision)]
      .filter(([, item]) => side === undefined || item.side === side)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, item]) => `${name}=${item.holder}@${item.revision}`);
  }

  /** What a watcher with this selector sees after one revision, up to another one (spec 3.4). */
  events(after: number, upTo: number, side: string | undefined): ModelEvent[] {
    const events: ModelEvent[] = [];
    for (let revision = after + 1; revision <= upTo; revision++) {
      for (const { name, next } of this.#changes[revision]!) {
        const old = this.at(revision - 1).get(name);
        const was = old !== undefined && (side === undefined || old.side === side);
        const is = next !== undefined && (side === undefined || next.side === side);
        if (is) events.push({ type: was ? 'MODIFIED' : 'ADDED', name, holder: next.holder, revision });
        else if (was) events.push({ type: 'DELETED', name, holder: old.holder, revision });
      }
    }
    return events;
  }
}
