import type { ByteWriter } from '../../codec/codec.js';
import type { LeafRows, RowRange } from '../../serve/leaf-rows.js';
import type { ListRuns } from '../../serve/reader.js';
import { type BufferWriter, writeBytes } from './writer.js';

/**
 * A list as the JSON and YAML encoders see it: members that are known at once, then items that
 * are encoded one by one. PodList, PartialObjectMetadataList and Table all have this shape.
 */
export interface ListDocument {
  /** In the order of the JSON, all of them before the items but for those of `after`. */
  readonly members: Readonly<Record<string, unknown>>;
  /** Members behind the items: custom resources have all members of a list sorted. */
  readonly after?: Readonly<Record<string, unknown>>;
  /** `items`, or `rows` of a Table. */
  readonly itemsKey: string;
  readonly count: number;
  /** Go's encoder writes a slice that nothing was ever appended to as null: where upstream makes the list so. */
  readonly nullWhenEmpty?: true;
  /** The same items, where their JSON is kept. */
  readonly runs?: ListRuns | undefined;
  /** Or where they are kept with holes, as rows are. */
  readonly filled?: FilledRows | undefined;
  /** Appends item `index` as compact JSON. */
  item(index: number, into: ByteWriter): void;
}

/** The rows of a Table in runs, kept without what depends on the clock, and filled for the time at which they are written. */
export interface FilledRows {
  readonly count: number;
  rows(run: number): RowRange;
  /** Appends the rows of a run, a comma between two. */
  write(run: number, into: ByteWriter): void;
  /** Appends a row up to its last hole, with that. */
  fillFront(rows: LeafRows, row: number, into: ByteWriter): void;
}

/** Where a list goes: body.ts, or a plain buffer for small ones. */
export interface ListBody extends ByteWriter {
  due(): boolean;
  flush(): Promise<boolean>;
  /** Appends bytes that nobody changes while the transport holds them: large ones are not copied. */
  append(bytes: Uint8Array): void;
  copy(bytes: Uint8Array, start: number, end: number): void;
}

/** A list that is small enough to be made whole. */
export function wholeBody(into: BufferWriter): ListBody {
  const copy = (bytes: Uint8Array, start: number, end: number) => writeBytes(into, bytes, start, end);
  const append = (bytes: Uint8Array) => writeBytes(into, bytes);
  return Object.assign(into, { due: () => false, flush: () => Promise.resolve(true), append, copy });
}
