import type { ListOptions } from '../api/list-options.js';
import type { ModRevision } from '../api/revision.js';
import type { Framer, WatchSink } from '../cache/cache.js';
import type { ByteWriter, KindCodec, WireObject } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import type { DeflatedRows } from './deflated-rows.js';
import type { Failure, Result } from './failure.js';
import type { RowEncoder, RowRange } from './leaf-rows.js';
import type { WireSink } from './wire-leaves.js';

/**
 * A Reader answers GET, LIST and WATCH of one kind, from its cache or directly from the source,
 * and knows no HTTP. Every failure is a value. Answers hold pins: dispose them on every path.
 */
export interface Reader {
  readonly kind: Kind;
  readonly codec: KindCodec;
  /** At once, where nothing has to be waited for. */
  get(request: GetRequest): Result<ObjectAnswer> | Promise<Result<ObjectAnswer>>;
  list(request: ListRequest): Promise<Result<ListAnswer>>;
  /**
   * Checks everything that is answered before the stream starts; `start` then begins to write.
   * Problems found later are written into the stream as one ERROR event (spec 3.2).
   */
  watch(request: WatchRequest): Promise<Result<WatchSession>>;
}

export interface GetRequest {
  readonly namespace: string | undefined;
  readonly name: string;
  /** As the client wrote it; '' when absent. */
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
}

export interface ListRequest {
  /** undefined: all namespaces, or a cluster-scoped kind. */
  readonly namespace: string | undefined;
  readonly options: ListOptions;
  readonly signal: AbortSignal;
}

export interface WatchRequest extends ListRequest {
  /** The deprecated `/watch/` path: other defaults (spec 3.1). */
  readonly legacyPath: boolean;
  readonly format: WatchFormat;
  /**
   * The server's own watch, which wants the state of the cache, whatever its revision: it may also be had when the source is not
   * trusted to report progress, where clients are told to LIST.
   */
  readonly ofServer?: true;
}

/** A Framer that can also say a Failure, as the Status object of an ERROR event. */
export interface WatchFormat extends Framer {
  error(failure: Failure, into: ByteWriter): void;
  /** Appends the ADDED event of an object whose JSON, as an item of a list has it, lies in `json`. Absent: not JSON of whole objects. */
  added?(json: Uint8Array, start: number, end: number, into: ByteWriter): void;
}

export interface ObjectAnswer extends Disposable {
  readonly wire: WireObject;
  readonly revision: ModRevision;
  readonly staleMs: number;
}

/** Items of a LIST that were compressed together: a raw deflate stream without an end, on a whole number of bytes. */
export interface DeflatedItems {
  readonly bytes: Uint8Array;
  /** Of what was compressed. */
  readonly size: number;
  readonly crc: number;
  /** `crcShift(size)`. */
  readonly shift: number;
}

/** The same as blocks of Zstandard that may stand anywhere in a frame: see `zstdBlocks`. */
export interface ZstdItems {
  readonly bytes: Uint8Array;
  /** Of what was compressed. */
  readonly size: number;
}

/** The items of a LIST in runs of neighbours, whose encoded form is shared with other LISTs and kept for later ones. */
export interface ListRuns {
  /** Every run holds at least one item. */
  readonly count: number;
  /** The run's items as they lie. */
  protobuf(run: number, into: WireSink): void;
  /** Writes the run's items as JSON, a comma between two. Runs are asked for in order. */
  json(run: number, into: WireSink): void | Promise<void>;
  /** Bytes of the run's items as JSON, without making it where they are known. */
  jsonSize(run: number): number | Promise<number>;
  /** The run's items as rows of a Table, kept for later LISTs: `encode` is the same for all of them. */
  rows(run: number, encode: RowEncoder): RowRange;
  /** What follows the last hole of these rows of the run, compressed and kept: see `deflateRows`. */
  deflatedRows(run: number, range: RowRange, gaps: Int32Array): DeflatedRows;
  /** The run's items as JSON, or as they lie, compressed: at once when that is kept. */
  deflated(run: number, format: 'json' | 'protobuf'): DeflatedItems | Promise<DeflatedItems>;
  zstd(run: number, format: 'json' | 'protobuf'): ZstdItems | Promise<ZstdItems>;
}

/** Objects in key order, ready for the wire, whoever holds their bytes. */
export interface ListAnswer extends Disposable {
  /** metadata.resourceVersion. */
  readonly resourceVersion: string;
  readonly continue: string | undefined;
  readonly remainingItemCount: number | undefined;
  /** Canonical text of the shard selector, when the answer is a shard of the collection. */
  readonly shard: string | undefined;
  readonly count: number;
  /** Sum of (end - headerStart) over all items. */
  readonly itemBytes: number;
  /** Age of the data when the source is out of reach; 0 when current. */
  readonly staleMs: number;
  /** How its objects were found, in one line; undefined: the source found them. */
  readonly plan: string | undefined;
  /** undefined: every item is encoded for this LIST alone. */
  readonly runs: ListRuns | undefined;
  /** Points `into` at item `index`. */
  at(index: number, into: WireObject): WireObject;
}

export interface WatchSession {
  /** How changes find this watch, for `explain`: `source`, or as describeDispatch of indexer/interests.ts has it. */
  readonly plan: string;
  /** Starts writing. Called once; the returned handle ends it. */
  start(sink: WatchSink): WatchRun;
  /** When never started. */
  cancel(): void;
}

export interface WatchRun {
  drained(): void;
  close(): void;
}
