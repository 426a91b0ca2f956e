import type { ModRevision } from '../api/revision.js';
import { type ByteRange, compareRanges, rangeOf } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { ByteFilter, KeyBounds, Lookup, Ordered, Plan, Selection, SelectionRequest } from './indexer.js';
import { type KindIndex, wantedBy } from './kind-index.js';
import { columnTest, ListedSelection, matches, WalkSelection } from './selections.js';
import { sortByKey } from './sort-by-key.js';

/** What the planner knows about a snapshot besides what it holds. */
export interface Planned {
  readonly snapshot: Ordered;
  readonly index: KindIndex | undefined;
  /** `index.stamp` when the snapshot was taken: postings speak of the state now. */
  readonly stamp: number;
  /** Of an older state: versions that were current then and are not now, in key order. */
  readonly restored: Int32Array;
}

/** Nanoseconds; docs/adr/0006-indexes.md has the measurements. Only their proportions matter. */
const COST = {
  /** A key is walked past. */
  walk: 12,
  /** The terms of an object are looked at. */
  column: 25,
  /** A selector reads an object's bytes. */
  bytes: 450,
  /** An object is taken from a posting. */
  posting: 60,
  /** One comparison of keys. */
  compare: 45,
} as const;

/** Postings are read and sorted in one turn of the event loop, which they must not hold up. */
const POSTINGS_MAX = 16_384;
/** Where a scan looks at fewer objects, an index would not be noticed. */
const WORTH_INDEXING = 500;

/** Chooses how to find what a request asks for; the answer does not depend on the choice. */
export function planSelection(planned: Planned, request: SelectionRequest): Selection {
  const { snapshot, index } = planned;
  const { filter, limit } = request;
  const parts = partsOf(request);
  const inRange = parts.reduce((count, { from, to }) => count + snapshot.count(from, to), 0);
  const walked = limit > 0 ? Math.min(limit, inRange) : inRange;
  if (filter === undefined) return new WalkSelection(planOf('range', '', walked, inRange, [], 0), snapshot, parts);

  const { selector } = filter;
  const lookups = index === undefined || selector === undefined ? [] : index.lookups(selector);
  lookups.sort((a, b) => a.estimate - b.estimate);
  const requirements =
    selector === undefined ? 1 : selector.labels.length + selector.fields.length + (selector.partial === true ? 1 : 0);
  const undecided = requirements - lookups.reduce((sum, { decided }) => sum + decided, 0);
  const [lead] = lookups;
  if (index === undefined || lead === undefined) {
    if (index !== undefined && selector !== undefined && inRange >= WORTH_INDEXING) index.want(wantedBy(selector));
    const object = rangeOf(NO_BYTES);
    const test = (id: VersionId) => matches(filter, snapshot, id, object);
    return new WalkSelection(planOf('scan', '', inRange, inRange, [], requirements), snapshot, parts, test);
  }
  if (undecided > 0 && selector !== undefined && inRange >= WORTH_INDEXING) index.want(wantedBy(selector));

  // The share of all objects that the leading requirement lets pass is taken to be the share in the range, too.
  const share = Math.min(1, lead.estimate / Math.max(1, index.rows.size));
  const visited = limit > 0 ? Math.min(inRange, limit / Math.max(share, 1 / Math.max(1, inRange))) : inRange;
  const verified = undecided > 0 ? COST.bytes : 0;
  const byColumns = visited * (COST.walk + COST.column * lookups.length) + visited * share * verified;
  const found = Math.min(lead.estimate, inRange);
  const candidates = lead.estimate + planned.restored.length;
  const byPostings =
    lead.estimate * COST.posting +
    found * (Math.log2(found + 1) * COST.compare + verified) +
    planned.restored.length * COST.bytes;
  const considered = lookups.map(({ name, estimate }) => ({ index: name, estimate }));
  const current = planned.stamp === index.stamp && candidates <= POSTINGS_MAX;
  const decided = undecided === 0;
  if (!current || byColumns <= byPostings) {
    const { epoch } = index;
    const { test, refresh } = columnTest(snapshot, index.rows, lookups, filter, decided, () => index.epoch === epoch);
    const plan = planOf('columns', lead.name, Math.ceil(visited), inRange, considered, undecided);
    return new WalkSelection(plan, snapshot, parts, test, refresh);
  }
  const ids = collect(planned, index, lookups, parts, filter, decided);
  const plan = planOf('postings', lead.name, candidates, inRange, considered, undecided);
  return new ListedSelection(plan, snapshot, ids, decided ? undefined : filter);
}

const NO_BYTES = new Uint8Array(0);

function planOf(
  by: Plan['by'],
  index: string,
  estimated: number,
  inRange: number,
  considered: Plan['considered'],
  verified: number,
): Plan {
  return { by, index, estimated, inRange, considered, verified };
}

/** What the leading lookup's postings hold of the state that the snapshot shows, in key order. */
function collect(
  { snapshot, restored }: Planned,
  { rows }: KindIndex,
  [lead, ...others]: readonly Lookup[],
  parts: readonly KeyBounds[],
  filter: ByteFilter,
  decided: boolean,
): Int32Array {
  const { versions, revision } = snapshot;
  const within = rangeTest(versions, parts);
  let ids = new Int32Array(Math.min(lead!.estimate, 64));
  let count = 0;
  const take = (id: VersionId) => {
    if (count === ids.length) {
      const larger = new Int32Array(Math.max(64, count * 2));
      larger.set(ids);
      ids = larger;
    }
    ids[count++] = id;
  };
  lead!.visit((row) => {
    for (const lookup of others) if (!lookup.test(row)) return;
    const id = rows.versionOf(row);
    if (isOf(versions, id, revision) && within(id)) take(id);
  });
  const object = rangeOf(NO_BYTES);
  for (const id of restored) if (within(id) && (!decided || matches(filter, snapshot, id, object))) take(id);
  const found = ids.subarray(0, count);
  sortByKey(found, versions);
  return found;
}

/** The current version was written before the state that is read, so it is part of it. */
function isOf(versions: Versions, id: VersionId, revision: ModRevision): boolean {
  return versions.modRevision(id) <= revision;
}

function rangeTest(versions: Versions, parts: readonly KeyBounds[]): (id: VersionId) => boolean {
  const key = rangeOf(NO_BYTES);
  return (id) => {
    versions.key(id, key);
    return parts.some(({ from, to }) => compareRanges(key, from) >= 0 && (isOpen(to) || compareRanges(key, to) < 0));
  };
}

/** What of the parts lies behind the start of the range: a later page starts in the middle. */
function partsOf({ from, to, within }: SelectionRequest): readonly KeyBounds[] {
  if (within === undefined) return [{ from, to }];
  return within
    .filter((part) => isOpen(part.to) || compareRanges(part.to, from) > 0)
    .map((part) => (compareRanges(part.from, from) < 0 ? { from, to: part.to } : part));
}

/** `[0]` is no bound, as in etcd. */
function isOpen(to: ByteRange): boolean {
  return to.end - to.start === 1 && to.bytes[to.start] === 0;
}

/** One line for `explain`. Names are clients' text: what a header cannot carry is escaped. */
export function describePlan({ by, index, estimated, inRange, considered, verified }: Plan): string {
  const parts = [by + (index === '' ? '' : ` ${index}`), `estimated=${estimated}`, `range=${inRange}`];
  if (considered.length > 1) {
    parts.push(`considered=${considered.map((one) => `${one.index}:${one.estimate}`).join('|')}`);
  }
  if (verified > 0) parts.push(`verified=${verified}`);
  return parts.join('; ').replace(/[^\x20-\x7e]/g, (character) => encodeURIComponent(character));
}
