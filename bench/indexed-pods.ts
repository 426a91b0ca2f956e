import { parseLabelSelector } from '../src/api/label-selector.js';
import type { FieldRequirement } from '../src/api/field-selector.js';
import type { ObjectFilter } from '../src/cache/cache.js';
import { createKeyLayout } from '../src/cache/layout.js';
import { WatchCache } from '../src/cache/watch-cache.js';
import { createWriter } from '../src/codec/writer.js';
import { createKindCodec } from '../src/codec/kind-codec.js';
import { findKind } from '../src/codec/kinds.js';
import { createCowBtree } from '../src/engine/cow-btree.js';
import { prefixEnd, rangeOf, utf8 } from '../src/lib/bytes.js';
import { createFakeClock, type FakeClock } from '../src/lib/clock.js';
import { defaultLimits } from '../src/lib/limits.js';
import { compileFilter } from '../src/serve/filter.js';
import { PUT } from '../src/source/source.js';
import { createVersions } from '../src/versions/create-versions.js';
import { pods } from './corpus.js';

export const POD_PREFIX = utf8('/registry/pods/');
export const ALL_PODS = { from: rangeOf(POD_PREFIX), to: rangeOf(prefixEnd(POD_PREFIX)) };
export const podKind = findKind('', 'v1', 'pods')!;
export const podCodec = createKindCodec(podKind);

/** Distinct values: as many label sets as some thousand workloads have; keys differ beyond them. */
const VARIANTS = 2_000;

/**
 * Stored pods of the corpus (4 labels of their own) with a label for each share of all pods that a selector may
 * pick: `per-mille` is on 0.1% of them, `percent` on 1%, `tenth` on 10%, `half` on 50%.
 */
export const SHARES = ['per-mille', 'percent', 'tenth', 'half'] as const;
const EVERY = { 'per-mille': 1_000, percent: 100, tenth: 10, half: 2 } as const;

let variants: Buffer[] | undefined;

export function podVariants(): readonly Buffer[] {
  if (variants !== undefined) return variants;
  variants = pods(VARIANTS).map(({ value }, index) =>
    relabelled(value, Object.fromEntries(SHARES.map((share) => [share, index % EVERY[share] === 1 ? 'yes' : 'no']))),
  );
  return variants;
}

/** The same pod with more labels. */
export function relabelled(value: Buffer, labels: Readonly<Record<string, string>>): Buffer {
  const into = createWriter(64 * 2 ** 10);
  podCodec.toWire(value, 0, value.length, 1, into);
  const object = podCodec.read(into.bytes, into.start, into.position) as {
    metadata: { labels?: Record<string, string> };
  };
  object.metadata.labels = { ...object.metadata.labels, ...labels };
  return Buffer.from(podCodec.toStored(object));
}

export function labelFilter(text: string): ObjectFilter {
  const parsed = parseLabelSelector(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return compileFilter(podCodec, parsed.value, [])!;
}

export function fieldFilter(field: string, value: string): ObjectFilter {
  const requirement: FieldRequirement = { field, operator: '=', value };
  return compileFilter(podCodec, [], [requirement])!;
}

/** The same filter, of which no index can know anything: the baseline. */
export function opaque({ id, matches }: ObjectFilter): ObjectFilter {
  return { id: `${id}, by bytes`, matches };
}

/** A cache of pods that is written to as a source would, without network. */
export class PodCache {
  readonly clock: FakeClock = createFakeClock();
  readonly cache: WatchCache;
  readonly count: number;
  #revision = 1;
  #buffer = Buffer.alloc(64 * 2 ** 10);

  /** `historyBytes` undefined: as much as a cache keeps. */
  constructor(count: number, { historyBytes }: { historyBytes: number | undefined } = { historyBytes: 8 * 2 ** 20 }) {
    this.count = count;
    this.cache = new WatchCache({
      codec: podCodec,
      layout: createKeyLayout(POD_PREFIX, true),
      createStorage: () => {
        const versions = createVersions();
        return { versions, engine: createCowBtree(versions) };
      },
      clock: this.clock,
      limits: { ...defaultLimits, indexBytesMin: 2 ** 30 },
      historyBytes,
    });
    const fill = this.cache.startFill('fresh');
    const values = podVariants();
    for (let index = 0; index < count; index++) {
      const key = keyOf(index);
      const end = this.#place(key, values[index % values.length]!);
      fill.entry(this.#buffer, 0, key.length, key.length, end, 1, 1);
    }
    this.cache.install(fill, ++this.#revision);
  }

  /** Brings indexes up, whole. */
  index(...names: string[]): this {
    this.cache.index.want(names);
    while (this.cache.index.pending) this.clock.advance(1);
    return this;
  }

  update(index: number, value: Buffer): number {
    const key = keyOf(index);
    const end = this.#place(key, value);
    this.cache.change(PUT, this.#buffer, 0, key.length, key.length, end, 1, ++this.#revision);
    return this.cache.commit(this.#revision).bytes;
  }

  close(): void {
    this.cache.dispose();
  }

  #place(key: Buffer, value: Buffer): number {
    const end = key.length + value.length;
    if (end > this.#buffer.length) this.#buffer = Buffer.alloc(end * 2);
    this.#buffer.set(key, 0);
    this.#buffer.set(value, key.length);
    return end;
  }
}

function keyOf(index: number): Buffer {
  const scattered = (Math.imul(index, 0x9e3779b1) >>> 0).toString(36).padStart(7, '0');
  return Buffer.from(`/registry/pods/ns-${index % 200}/pod-${scattered}-${index}`, 'latin1');
}
