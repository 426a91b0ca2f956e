import type { FieldRequirement } from '../api/field-selector.js';
import type { LabelRequirement } from '../api/label-selector.js';
import type { ModRevision } from '../api/revision.js';
import type { ByteRange } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';

/**
 * An index knows a kind's objects by what they say, not by where they are:
 *
 *     object ──scanner──> term ──intern──> value id ──posting──> rows
 *       id   <───────────────── row: one per object, whatever its version ─┘
 *
 * A row stands for an object as long as it exists, so an update that leaves an object's terms alone moves one
 * number. Each indexer is a column: by row the id of its term, by term the chain of its rows. Both directions
 * are used: a LIST of few objects follows postings, a LIST of many walks the keys and looks at columns.
 *
 * Indexers hold the state now. A reader of an older state learns from `rowOf` that a version is not the
 * current one, and asks its bytes.
 */
export interface Indexer {
  /** As plans and metrics name it: `l` for all labels, `f:spec.nodeName`. */
  readonly name: string;
  /** The row's object is new or has changed. True when its terms did. */
  put(row: Row, object: ByteRange): boolean;
  remove(row: Row): void;
  has(row: Row): boolean;
  /** What it knows about a selector; undefined: nothing, its requirements are not about this indexer's terms. */
  lookup(selector: Selector): Lookup | undefined;
  /** Distinct terms. */
  readonly termCount: number;
  readonly reservedBytes: number;
  verify(): void;
}

/** A stable number of an object; reused after the object is gone. */
export type Row = number;

export interface Selector {
  readonly labels: readonly LabelRequirement[];
  readonly fields: readonly FieldRequirement[];
  /** More is asked for than these say (a shard), so that indexes alone never decide. */
  readonly partial?: boolean;
}

/** A selector, as one indexer sees it. Where it speaks at all, it is exact. */
export interface Lookup {
  /** E.g. `l:app`, `f:spec.nodeName`: the requirement with the fewest rows. */
  readonly name: string;
  /** At least as many rows as match. */
  readonly estimate: number;
  /** How many of the selector's requirements it decides. */
  readonly decided: number;
  /** Holds for rows that have not changed since the lookup was made; of others nothing is said. */
  test(row: Row): boolean;
  /** Every row that passes `test` now, once, in no order. */
  visit(visit: (row: Row) => void): void;
}

/** What can be walked in key order: snapshots. */
export interface Ordered {
  readonly versions: Versions;
  readonly revision: ModRevision;
  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void;
  count(from: ByteRange, to: ByteRange): number;
}

/** Decides from the wire bytes of an object. */
export interface ByteFilter {
  matches(bytes: Uint8Array, start: number, end: number): boolean;
  /** The same test, for indexes; absent: only the bytes can tell. */
  readonly selector?: Selector | undefined;
}

export interface KeyBounds {
  readonly from: ByteRange;
  readonly to: ByteRange;
}

export interface SelectionRequest {
  /** Keys with from <= key < to. */
  readonly from: ByteRange;
  readonly to: ByteRange;
  /** Parts of that range which hold everything that the filter can let pass, in order. */
  readonly within?: readonly KeyBounds[] | undefined;
  readonly filter: ByteFilter | undefined;
  /** 0: all. A plan for few objects may differ from one for all. */
  readonly limit: number;
}

/**
 *   range     the keys alone decide
 *   scan      the keys, and every object's bytes
 *   columns   the keys, and of every object its terms
 *   postings  the objects of a term, sorted by key
 */
export interface Plan {
  readonly by: 'range' | 'scan' | 'columns' | 'postings';
  /** The indexer's term that led; '' for range and scan. */
  readonly index: string;
  /** Objects that it was expected to look at. */
  readonly estimated: number;
  /** Objects in the range of keys. */
  readonly inRange: number;
  /** Every ready lookup and what it would have led to, for `explain`. */
  readonly considered: readonly { readonly index: string; readonly estimate: number }[];
  /** Requirements that no index decided: the bytes of what was found were asked. */
  readonly verified: number;
}

export type Advance = 'end' | 'stopped' | 'paused';

/** Matching ids in key order. The snapshot it was made from keeps them readable. */
export interface Selection {
  readonly plan: Plan;
  /** Objects looked at so far, matching or not. */
  readonly fetched: number;
  /**
   * Goes on where the last call ended. `visit` has taken its id even when it returns false, which ends the
   * call; `isTime` is asked now and then, and ends it, too.
   */
  advance(visit: (id: VersionId) => boolean, isTime: () => boolean): Advance;
}
