import type { FieldRequirement } from '../../src/api/field-selector.js';
import { type LabelRequirement, parseLabelSelector } from '../../src/api/label-selector.js';
import type { ObjectFilter } from '../../src/cache/cache.js';
import { createKeyLayout } from '../../src/cache/layout.js';
import { WatchCache } from '../../src/cache/watch-cache.js';
import type { KindCodec } from '../../src/codec/codec.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import type { Engine } from '../../src/engine/engine.js';
import { prefixEnd, rangeOf, utf8 } from '../../src/lib/bytes.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import type { Random } from '../../src/lib/random.js';
import { compileFilter } from '../../src/serve/filter.js';
import { DELETE, PUT } from '../../src/source/source.js';
import { createVersions } from '../../src/versions/create-versions.js';
import type { VersionId, Versions } from '../../src/versions/versions.js';

export const PREFIX = utf8('/registry/pods/');
export const EVERYTHING = { from: rangeOf(PREFIX), to: rangeOf(prefixEnd(PREFIX)) };
export const podKind = findKind('', 'v1', 'pods')!;
export const podCodec: KindCodec = createKindCodec(podKind);

export type Labels = Readonly<Record<string, string>>;

/** A stored pod. Its name is the key's business. */
export function podValue(labels: Labels, spec: object = {}, status: object = {}): Uint8Array {
  return podCodec.toStored({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', labels }, spec, status });
}

/** Values that many objects share, some have, and one has; labels that come and go. */
export function randomPod(random: Random): Uint8Array {
  const labels: Record<string, string> = {};
  if (random.chance(0.9)) labels['app'] = `app-${random.int(4)}`;
  if (random.chance(0.5)) labels['tier'] = random.pick(['front', 'back', '']);
  if (random.chance(0.3)) labels['rank'] = random.pick(['1', '7', '42', '-3', 'x']);
  if (random.chance(0.2)) labels['example.com/own'] = `own-${random.int(1_000_000)}`;
  const node = random.int(8);
  const spec = { nodeName: node === 0 ? '' : `node-${node}`, hostNetwork: random.chance(0.2) };
  const status = random.chance(0.8) ? { phase: random.pick(['Running', 'Pending', 'Succeeded']) } : {};
  return podValue(labels, spec, status);
}

const labelTerms = [
  ...['app=app-1', 'app==app-2', 'app=none', 'app!=app-1', 'app in (app-1,app-3)', 'app notin (app-0,app-1)'],
  ...['app', '!app', 'tier=', 'tier!=', 'tier in (,front)', '!tier', 'rank>5', 'rank<5', 'rank', 'rank>100'],
  ...['example.com/own', '!example.com/own', 'nowhere', '!nowhere', 'nowhere=x', 'nowhere!=x'],
];
const exact = (field: string, operator: '=' | '!=', value: string): FieldRequirement => ({ field, operator, value });
const set = (field: string, operator: 'in' | 'notin', ...values: string[]): FieldRequirement => ({
  field,
  operator,
  value: '',
  values,
});
const fieldTerms: readonly FieldRequirement[] = [
  exact('spec.nodeName', '=', 'node-1'),
  exact('spec.nodeName', '=', ''),
  exact('spec.nodeName', '=', 'nowhere'),
  exact('spec.nodeName', '!=', 'node-1'),
  set('spec.nodeName', 'in', 'node-1', 'node-2', 'nowhere'),
  set('spec.nodeName', 'notin', '', 'node-3'),
  { field: 'spec.nodeName', operator: 'exists', value: '' },
  { field: 'spec.nodeName', operator: '!', value: '' },
  exact('spec.hostNetwork', '=', 'true'),
  exact('spec.hostNetwork', '!=', 'true'),
  exact('status.phase', '=', 'Running'),
  exact('status.phase', '=', ''),
  exact('status.phase', '!=', 'Running'),
  exact('status.podIPs', '=', ''),
  exact('status.podIPs', '=', 'x'),
];

export function randomFilter(random: Random): ObjectFilter {
  const labels = random.chance(0.75) ? labelsOf(pickSome(random, labelTerms).join(',')) : [];
  const fields = labels.length === 0 || random.chance(0.5) ? pickSome(random, fieldTerms) : [];
  const filter = compileFilter(podCodec, labels, fields)!;
  return random.chance(0.1) ? shardOf(filter) : filter;
}

/** A filter that demands more than its selector says, as a shard does. */
function shardOf({ id, selector, matches }: ObjectFilter): ObjectFilter {
  return {
    id: `${id} half`,
    selector: { ...selector!, partial: true },
    matches: (bytes, start, end) => (end - start) % 2 === 0 && matches(bytes, start, end),
  };
}

export function labelsOf(text: string): readonly LabelRequirement[] {
  const parsed = parseLabelSelector(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.value;
}

function pickSome<T>(random: Random, from: readonly T[]): T[] {
  return Array.from({ length: 1 + random.int(3) }, () => random.pick(from));
}

/** A watch cache of pods that is written to directly. */
export class History {
  readonly clock: FakeClock = createFakeClock();
  readonly cache: WatchCache;
  revision = 1;

  constructor(createEngine: (versions: Versions) => Engine, limits: Partial<Limits> = {}) {
    this.cache = new WatchCache({
      codec: podCodec,
      layout: createKeyLayout(PREFIX, true),
      createStorage: () => {
        const versions = createVersions({ poison: true, slabBytes: 2 ** 20 });
        return { versions, engine: createEngine(versions) };
      },
      clock: this.clock,
      limits: { ...defaultLimits, ...limits },
      historyBytes: undefined,
    });
    this.cache.install(this.cache.startFill('fresh'), this.revision);
  }

  /** One revision; undefined deletes. */
  write(changes: Iterable<readonly [name: string, value: Uint8Array | undefined]>): void {
    this.revision++;
    for (const [name, value] of changes) {
      const key = Buffer.from(`${Buffer.from(PREFIX)}${name}`);
      const both = value === undefined ? key : Buffer.concat([key, value]);
      const type = value === undefined ? DELETE : PUT;
      this.cache.change(type, both, 0, key.length, key.length, both.length, this.revision, this.revision);
    }
    this.cache.commit(this.revision);
  }

  /** Lists everything again, from a store that has these objects: into new storage, or as a difference. */
  relist(mode: 'fresh' | 'difference', objects: ReadonlyMap<string, { value: Uint8Array; revision: number }>): void {
    this.revision += 5;
    const fill = this.cache.startFill(mode);
    for (const [name, { value, revision }] of objects) {
      const key = Buffer.from(`${Buffer.from(PREFIX)}${name}`);
      const both = Buffer.concat([key, value]);
      fill.entry(both, 0, key.length, key.length, both.length, revision, revision);
    }
    this.cache.install(fill, this.revision);
  }

  /** Lets indexes that were asked for come up. */
  settle(): void {
    for (let turn = 0; turn < 1_000 && this.cache.index.pending; turn++) this.clock.advance(1);
  }

  close(): void {
    this.cache.dispose();
  }
}

/** What a selector selects, by looking at every object. */
export function scanned(
  snapshot: { range: WatchSnapshot['range']; versions: Versions },
  filter: ObjectFilter,
  from = EVERYTHING.from,
  to = EVERYTHING.to,
): VersionId[] {
  const ids: VersionId[] = [];
  const object = rangeOf(new Uint8Array(0));
  snapshot.range(from, to, (id) => {
    const { bytes, start, end } = snapshot.versions.object(id, object);
    if (filter.matches(bytes, start, end)) ids.push(id);
    return true;
  });
  return ids;
}

export type WatchSnapshot = NonNullable<ReturnType<WatchCache['snapshot']>>;
