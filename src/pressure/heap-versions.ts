import type { ModRevision } from '../api/revision.js';
import { assert, InvariantError } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import type { Clock } from '../lib/clock.js';
import { Retention } from '../versions/retention.js';
import {
  NONE,
  type Pin,
  type PinInfo,
  type VersionId,
  type Versions,
  type VersionsStats,
} from '../versions/versions.js';

/** How a version's value is held on the JavaScript heap. */
export interface HeldForm<T> {
  /** Of wire bytes `start` to `end`, whose message starts `objectOffset` bytes in. They are valid during the call only. */
  hold(bytes: Uint8Array, start: number, end: number, objectOffset: number): T;
  /** Header and message again. */
  wire(value: T): Uint8Array;
}

interface Entry<T> {
  readonly key: Uint8Array;
  readonly value: T;
  readonly wireSize: number;
  readonly objectOffset: number;
  readonly createRevision: ModRevision;
  readonly modRevision: ModRevision;
  supersededAt: ModRevision;
}

/**
 * The baseline to compare slabs with: an entry, a key and a value a version, all of them objects of the collector's. What
 * a value is decides the form; bytes are made again each time when they are asked for, as a cache of decoded objects must.
 *
 * Invariants:
 *   H1  every id is exactly one of live, retired and free, and the counts say how many are what.
 *   H2  the retire queue holds the retired ids, each once, in the order of supersededAt.
 *   H3  byte totals are the sums over live and retired versions.
 */
export class HeapVersions<T> implements Versions {
  readonly stats: VersionsStats;
  readonly #form: HeldForm<T>;
  readonly #entries: (Entry<T> | undefined)[] = [];
  readonly #free: VersionId[] = [];
  readonly #retention: Retention;
  #live = 0;
  #liveBytes = 0;
  #retiredBytes = 0;

  constructor(form: HeldForm<T>, clock: Clock) {
    this.#form = form;
    this.#retention = new Retention(clock, () => {});
    const versions = this;
    this.stats = {
      get live() {
        return versions.#live;
      },
      get retired() {
        return versions.#retention.retired.length;
      },
      get pins() {
        return versions.#retention.pins.count;
      },
      get pinsLeaked() {
        return versions.#retention.pins.leaked;
      },
      get liveBytes() {
        return versions.#liveBytes;
      },
      get retiredBytes() {
        return versions.#retiredBytes;
      },
      /** What the heap holds is the collector's to know. */
      reservedBytes: 0,
      columnBytes: 0,
      slotBytes: 0,
      movedBytes: 0,
    };
  }

  add(
    key: ByteRange,
    wire: ByteRange,
    objectOffset: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): VersionId {
    const wireSize = wire.end - wire.start;
    if (objectOffset < 0 || objectOffset > wireSize) {
      throw new InvariantError(`versions: object offset ${objectOffset} in ${wireSize} wire bytes`);
    }
    if (!(createRevision > 0 && createRevision <= modRevision && modRevision <= Number.MAX_SAFE_INTEGER)) {
      throw new InvariantError(`versions: createRevision ${createRevision}, modRevision ${modRevision}`);
    }
    const entry: Entry<T> = {
      key: new Uint8Array(key.bytes.subarray(key.start, key.end)),
      value: this.#form.hold(wire.bytes, wire.start, wire.end, objectOffset),
      wireSize,
      objectOffset,
      createRevision,
      modRevision,
      supersededAt: 0,
    };
    const id = this.#free.pop() ?? this.#entries.length;
    this.#entries[id] = entry;
    this.#live++;
    this.#liveBytes += sizeOf(entry);
    return id;
  }

  retire(id: VersionId, supersededAt: ModRevision): void {
    const entry = this.#entries[id];
    if (entry === undefined || entry.supersededAt !== 0) {
      throw new InvariantError(`versions: ${id} is retired but not live`);
    }
    if (!(supersededAt > entry.modRevision)) {
      throw new InvariantError(`versions: ${id} of revision ${entry.modRevision} is superseded at ${supersededAt}`);
    }
    this.#retention.retired.push(id, supersededAt);
    entry.supersededAt = supersededAt;
    this.#live--;
    this.#liveBytes -= sizeOf(entry);
    this.#retiredBytes += sizeOf(entry);
  }

  reclaim(historyTail: ModRevision, countMax = Number.POSITIVE_INFINITY): number {
    let count = 0;
    for (; count < countMax; count++) {
      const id = this.#retention.next(historyTail);
      if (id === NONE) break;
      this.#retiredBytes -= sizeOf(this.#entry(id));
      this.#entries[id] = undefined;
      this.#free.push(id);
    }
    return count;
  }

  pin(revision: ModRevision, owner: string): Pin {
    return this.#retention.pin(revision, owner);
  }

  pinList(): readonly PinInfo[] {
    return this.#retention.pins.list();
  }

  /** There are no slots to lie in. */
  gather(): undefined {
    return undefined;
  }

  pieceOf(): undefined {
    return undefined;
  }

  modRevision(id: VersionId): ModRevision {
    return this.#entry(id).modRevision;
  }

  createRevision(id: VersionId): ModRevision {
    return this.#entry(id).createRevision;
  }

  key(id: VersionId, into: ByteRange): ByteRange {
    const { key } = this.#entry(id);
    into.bytes = key;
    into.start = 0;
    into.end = key.length;
    return into;
  }

  hasKey(id: VersionId, words: Int32Array, length: number): boolean {
    const { key } = this.#entry(id);
    if (key.length !== length) return false;
    for (let at = 0; at < length; at++) {
      if (key[at] !== ((words[at >> 2]! >>> ((at & 3) << 3)) & 0xff)) return false;
    }
    return true;
  }

  wire(id: VersionId, into: ByteRange): ByteRange {
    into.bytes = this.#form.wire(this.#entry(id).value);
    into.start = 0;
    into.end = into.bytes.length;
    return into;
  }

  object(id: VersionId, into: ByteRange): ByteRange {
    this.wire(id, into);
    into.start = this.#entry(id).objectOffset;
    return into;
  }

  wireSize(id: VersionId): number {
    return this.#entry(id).wireSize;
  }

  verify(): void {
    let [live, liveBytes, retired, retiredBytes] = [0, 0, 0, 0];
    for (const entry of this.#entries) {
      if (entry === undefined) continue;
      if (entry.supersededAt === 0) {
        live++;
        liveBytes += sizeOf(entry);
      } else {
        retired++;
        retiredBytes += sizeOf(entry);
      }
    }
    assert(live === this.#live, `H1: ${live} versions are live, counted ${this.#live}`);
    assert(
      retired === this.#retention.retired.length,
      `H1: ${retired} versions are retired, ${this.#retention.retired.length} queued`,
    );
    const free = this.#entries.length - live - retired;
    assert(free === new Set(this.#free).size && free === this.#free.length, `H1: ${free} ids are free`);
    assert(liveBytes === this.#liveBytes, `H3: live versions hold ${liveBytes} bytes, counted ${this.#liveBytes}`);
    assert(retiredBytes === this.#retiredBytes, `H3: retired versions hold ${retiredBytes} bytes`);
    const seen = new Set<VersionId>();
    let last: ModRevision = 0;
    this.#retention.retired.forEach((id, supersededAt) => {
      assert(
        !seen.has(id) && this.#entry(id).supersededAt === supersededAt,
        `H2: version ${id} is queued but not retired`,
      );
      assert(supersededAt >= last, `H2: ${supersededAt} follows ${last} in the retire queue`);
      seen.add(id);
      last = supersededAt;
    });
    this.#retention.pins.verify();
  }

  dispose(): void {
    this.#retention.assertUnpinned();
    this.#entries.length = 0;
    this.#free.length = 0;
  }

  #entry(id: VersionId): Entry<T> {
    const entry = this.#entries[id];
    if (entry === undefined) throw new InvariantError(`versions: ${id} is read after it was freed`);
    return entry;
  }
}

function sizeOf({ key, wireSize }: Entry<unknown>): number {
  return key.length + wireSize;
}
