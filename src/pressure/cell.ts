import type { EngineName } from '../engine/engines.js';
import type { Limit } from './limit.js';
import type { PressureKind } from './manifests.js';
import type { Measured } from './meter.js';
import type { RepresentationName } from './representations.js';

/** One experiment of the harness: what is held, how, and what is done to it. It runs in a process of its own. */
export interface Cell {
  readonly kind: PressureKind;
  /** Of a stored value; undefined: what such objects take by nature. */
  readonly objectBytes: number | undefined;
  readonly objects: number;
  readonly representation: RepresentationName;
  readonly engine: EngineName;
  readonly load: Load;
  /** Watchers of all objects, protobuf. */
  readonly watchers: number;
  /** Readers that each list all objects, protobuf, one LIST every `listEveryMs`. */
  readonly readers: number;
  readonly listEveryMs: number;
  /** Of one trial; parts of a second will do. */
  readonly seconds: number;
  /** The age that 99 of 100 events may reach. */
  readonly ageBoundMs: number;
  readonly seed: number;
  /** V8's: a half of the young generation, and the whole heap; undefined: as V8 decides. */
  readonly semiSpaceMib: number | undefined;
  readonly heapMib: number | undefined;
}

export type Load =
  /** Finds the limit. */
  | { readonly kind: 'search'; readonly resolution: number; readonly repeats: number }
  /** Events a second, one trial each. */
  | { readonly kind: 'rates'; readonly rates: readonly number[] };

/** `ageMs`: from when an event was due to the end of the turn in which it was applied. */
export interface TrialResult extends Omit<Measured, 'allocatedBytes'> {
  /** Events a second that were asked for; undefined: as many as it takes. */
  readonly rate: number | undefined;
  readonly eventsPerSecond: number;
  readonly allocatedBytesPerEvent: number | undefined;
  readonly lists: number;
  /** That all watchers together were given. */
  readonly watchBytes: number;
  /** The ages were out of hand, and the trial was ended before its time. */
  readonly cutShort: boolean;
  readonly passed: boolean;
}

export interface CellResult {
  readonly storedBytesPerObject: number;
  readonly loadSeconds: number;
  readonly loadLongestPauseMs: number;
  /** After a full collection; beyond what the process took before it held anything. */
  readonly held: { readonly heapUsed: number; readonly external: number; readonly rss: number };
  /** Counted one by one, in a run apart. */
  readonly allocations: { readonly objectsPerEvent: number; readonly bytesPerEvent: number } | undefined;
  readonly ceilingPerSecond: number;
  readonly trials: readonly TrialResult[];
  readonly limit: Limit | undefined;
}

/** What is known of a cell that did not get to its end. */
export type PartialCellResult = Partial<CellResult> & { readonly trials: readonly TrialResult[] };

export function cellName({ kind, objects, representation, engine, objectBytes, semiSpaceMib, heapMib }: Cell): string {
  return [
    `${kind}${objectBytes === undefined ? '' : `:${objectBytes}B`}`,
    representation,
    engine,
    String(objects),
    ...(semiSpaceMib === undefined ? [] : [`semi-space:${semiSpaceMib}MiB`]),
    ...(heapMib === undefined ? [] : [`heap:${heapMib}MiB`]),
  ].join('/');
}
