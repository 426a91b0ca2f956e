import type { ModRevision } from '../api/revision.js';
import type { ByteRange } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { ChangeBatch, Engine, Snapshot, VisitLeaf } from './engine.js';

/** What the twins of a process were asked, and where they differed. */
export class TwinRecord {
  comparisons = 0;
  differences = 0;
  readonly #report: (message: string) => void;

  /** `report` is told of the first few differences only: one that is there is there again with each answer. */
  constructor(report: (message: string) => void) {
    this.#report = report;
  }

  differ(message: string): void {
    this.differences++;
    if (this.differences <= REPORTED_MAX) this.#report(message);
  }
}

const REPORTED_MAX = 20;

/**
 * Two engines over the same versions, on the same changes. The first one answers; the second one is asked the same, and
 * what it says otherwise goes into the record: nobody who reads notices. For trying a new engine on live traffic.
 */
export function createTwin(
  first: Engine,
  createSecond: (versions: Versions) => Engine,
  versions: Versions,
  record: TwinRecord,
): Engine {
  return new Twin(first, createSecond(versions), versions, record);
}

class Twin implements Engine {
  readonly name: string;
  readonly #first: Engine;
  readonly #second: Engine;
  readonly #comparison: Comparison;

  constructor(first: Engine, second: Engine, versions: Versions, record: TwinRecord) {
    this.name = `${first.name}, twin ${second.name}`;
    this.#first = first;
    this.#second = second;
    this.#comparison = new Comparison(`${first.name} and ${second.name}`, versions, record);
  }

  get size(): number {
    return this.#comparison.equal('size', this.#first.size, () => this.#second.size, this.#first.revision);
  }

  get revision(): ModRevision {
    return this.#first.revision;
  }

  get reservedBytes(): number {
    return reservedBytesOf(this.#first) + reservedBytesOf(this.#second);
  }

  apply(changes: ChangeBatch, modRevision: ModRevision): void {
    this.#first.apply(changes, modRevision);
    this.#comparison.try(`apply of revision ${modRevision}`, () => this.#second.apply(changes, modRevision));
  }

  get(key: ByteRange): VersionId {
    const id = this.#first.get(key);
    this.#comparison.try('get', () => {
      const other = this.#second.get(key);
      if (other !== id) {
        const text = `get of ${textOf(key)} at revision ${this.revision}`;
        this.#comparison.differ(text, this.#comparison.named(id), this.#comparison.named(other));
      }
    });
    return id;
  }

  snapshot(): Snapshot {
    const first = this.#first.snapshot();
    let second: Snapshot | undefined;
    this.#comparison.try('snapshot', () => {
      second = this.#second.snapshot();
    });
    return second === undefined ? first : new TwinSnapshot(first, second, this.#comparison);
  }

  verify(): void {
    this.#first.verify();
    this.#second.verify();
  }
}

class TwinSnapshot implements Snapshot {
  /** Absent where the first engine has none. */
  readonly leaves?: (from: ByteRange, to: ByteRange, visit: VisitLeaf) => void;
  readonly #first: Snapshot;
  readonly #second: Snapshot;
  readonly #comparison: Comparison;

  constructor(first: Snapshot, second: Snapshot, comparison: Comparison) {
    this.#first = first;
    this.#second = second;
    this.#comparison = comparison;
    if (first.leaves !== undefined) this.leaves = (from, to, visit) => this.#leaves(from, to, visit);
  }

  get revision(): ModRevision {
    return this.#first.revision;
  }

  get size(): number {
    return this.#comparison.equal('size', this.#first.size, () => this.#second.size, this.revision);
  }

  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    const walk = new Walk();
    this.#first.range(from, to, (id) => walk.visited(id, visit(id)));
    this.#compareWalk(from, to, walk);
  }

  byteSize(from: ByteRange, to: ByteRange): number {
    const size = this.#first.byteSize(from, to);
    const what = `bytes of ${rangeText(from, to)}`;
    return this.#comparison.equal(what, size, () => this.#second.byteSize(from, to), this.revision);
  }

  count(from: ByteRange, to: ByteRange): number {
    const count = this.#first.count(from, to);
    const what = `count of ${rangeText(from, to)}`;
    return this.#comparison.equal(what, count, () => this.#second.count(from, to), this.revision);
  }

  [Symbol.dispose](): void {
    this.#first[Symbol.dispose]();
    this.#second[Symbol.dispose]();
  }

  #leaves(from: ByteRange, to: ByteRange, visit: VisitLeaf): void {
    const walk = new Walk();
    this.#first.leaves!(from, to, (leaf, start, end) => {
      const { ids, offset } = leaf;
      for (let index = start; index < end; index++) walk.visited(ids[offset + index]!, true);
      if (visit(leaf, start, end)) return true;
      walk.stopped = true;
      return false;
    });
    this.#compareWalk(from, to, walk);
  }

  #compareWalk(from: ByteRange, to: ByteRange, walk: Walk): void {
    this.#comparison.try('range', () => {
      let position = 0;
      let different = false;
      const differ = (mine: VersionId, other: VersionId) => {
        different = true;
        const what = `number ${position} of ${rangeText(from, to)} at revision ${this.revision}`;
        this.#comparison.differ(what, this.#comparison.named(mine), this.#comparison.named(other));
      };
      this.#second.range(from, to, (id) => {
        if (position === walk.ids.length && walk.stopped) return false;
        const mine = walk.ids[position] ?? NONE;
        if (mine !== id) {
          differ(mine, id);
          return false;
        }
        position++;
        return true;
      });
      if (!different && position < walk.ids.length) differ(walk.ids[position]!, NONE);
    });
  }
}

/** What the first engine showed, and whether its reader had enough. */
class Walk {
  readonly ids: VersionId[] = [];
  stopped = false;

  visited(id: VersionId, goOn: boolean): boolean {
    this.ids.push(id);
    if (!goOn) this.stopped = true;
    return goOn;
  }
}

class Comparison {
  readonly #names: string;
  readonly #versions: Versions;
  readonly #record: TwinRecord;
  readonly #key: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(names: string, versions: Versions, record: TwinRecord) {
    this.#names = names;
    this.#versions = versions;
    this.#record = record;
  }

  /** Returns what the first engine says. */
  equal(what: string, first: number, second: () => number, revision: ModRevision): number {
    this.try(what, () => {
      const other = second();
      if (first !== other) this.differ(`${what} at revision ${revision}`, String(first), String(other));
    });
    return first;
  }

  /** The second engine may fail altogether: the first one's answer counts all the same. */
  try(what: string, run: () => void): void {
    this.#record.comparisons++;
    try {
      run();
    } catch (error) {
      this.#record.differ(`${this.#names}: ${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  differ(what: string, first: string, second: string): void {
    this.#record.differ(`${this.#names} differ in the ${what}: ${first}, and ${second}`);
  }

  named(id: VersionId): string {
    if (id === NONE) return 'nothing';
    try {
      return `${textOf(this.#versions.key(id, this.#key))} of revision ${this.#versions.modRevision(id)}`;
    } catch {
      return `version ${id}, which is gone`;
    }
  }
}

function reservedBytesOf(engine: Engine): number {
  return (engine as { readonly reservedBytes?: number }).reservedBytes ?? 0;
}

function rangeText(from: ByteRange, to: ByteRange): string {
  return `${textOf(from)} to ${textOf(to)}`;
}

function textOf({ bytes, start, end }: ByteRange): string {
  return JSON.stringify(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
}
