import type { ByteWriter, KindCodec, WireObject } from '../../codec/codec.js';
import type { Kind } from '../../codec/kind.js';
import { type Projector, projectorOf } from '../../codec/projector.js';
import type { ListAnswer } from '../../serve/reader.js';
import type { ListDocument } from './document.js';
import { listMetaJson } from './envelope.js';
import { goJson } from './go-json.js';
import type { LeafRows, RowEncoder, RowRange } from '../../serve/leaf-rows.js';
import { type MetaVersion, writePartialJson } from './partial.js';
import { emptyWire } from './protobuf.js';
import { humanDuration, isElapsed } from './table/human-duration.js';
import { COMMON, tableFor } from './table/index.js';
import { writeBytes, writeText } from './writer.js';

/** What a row carries beside its cells (spec 4.3). */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export function parseIncludeObject(text: string | undefined): IncludeObject | undefined {
  if (text === undefined || text === '') return 'Metadata';
  return text === 'None' || text === 'Metadata' || text === 'Object' ? text : undefined;
}

/** How objects of one kind become rows, for one request. `nowMs` is asked per row: ages count from the time of the answer. */
export interface TableEncoder {
  readonly columns: readonly unknown[];
  row(wire: WireObject, into: ByteWriter): void;
  /** The row without what depends on the clock, when rows of this form are kept between requests. */
  readonly holed: RowEncoder | undefined;
  /** Appends rows that `holed` has made, with the durations of now; a comma between two. */
  fill(range: RowRange, into: ByteWriter): void;
  /** Appends such a row up to its last hole, with that. */
  fillFront(rows: LeafRows, row: number, into: ByteWriter): void;
}

/** Reads of a wire object what the kind's table shows. */
export function tableProjector(kind: Kind): Projector {
  return projectorOf(kind.message, `${COMMON} ${tableFor(kind).reads}`);
}

export function createTableEncoder(
  codec: KindCodec,
  version: MetaVersion,
  includeObject: IncludeObject,
  nowMs: () => number,
): TableEncoder {
  const table = tableFor(codec.kind);
  // Cells of custom resources are JSONPaths, which may lead anywhere.
  const project: Projector =
    codec.kind.custom === undefined
      ? tableProjector(codec.kind)
      : (bytes, start, end) => codec.read(bytes, start, end) as ReturnType<Projector>;
  const encode: RowEncoder = (wire, into, hole) => {
    const { bytes, start, end } = wire;
    const { cells, conditions } = table.row(project(bytes, start, end));
    const shown = conditions === undefined || conditions.length === 0 ? '' : `,"conditions":${goJson(conditions)}`;
    writeCells(cells, into, hole, '{"cells":', `${shown},"object":`);
    if (includeObject === 'Object') codec.toJson(bytes, start, end, true, into);
    else if (includeObject === 'Metadata') writePartialJson(codec, version, wire, into);
    else writeText(into, 'null');
    writeText(into, '}');
  };
  return {
    columns: table.columns,
    row(wire, into) {
      const now = nowMs();
      encode(wire, into, (fromMs) => writeText(into, durationJson(now - fromMs)));
    },
    // What kubectl asks for; the other forms are rare, and each would be kept beside it.
    holed: version === 'v1' && includeObject === 'Metadata' && table.compare === undefined ? encode : undefined,
    fill({ rows, start, end }, into) {
      const last = fillHoles(rows, start, end, nowMs(), into);
      writeBytes(into, rows.bytes, last, rows.starts[end]! - 1);
    },
    fillFront: (rows, row, into) => void fillHoles(rows, row, row + 1, nowMs(), into),
  };
}

/** Rows up to the last hole in them, with that; returns where it is. */
function fillHoles(rows: LeafRows, start: number, end: number, nowMs: number, into: ByteWriter): number {
  const { bytes, starts, firstHole, holes, fromMs } = rows;
  let from = starts[start]!;
  for (let hole = firstHole[start]!; hole < firstHole[end]!; hole++) {
    writeBytes(into, bytes, from, holes[hole]!);
    writeText(into, durationJson(nowMs - fromMs[hole]!));
    from = holes[hole]!;
  }
  return from;
}

export function tableMembers(
  version: MetaVersion,
  metadata: Record<string, unknown>,
  columnDefinitions: readonly unknown[] | null,
) {
  return { kind: 'Table', apiVersion: `meta.k8s.io/${version}`, metadata, columnDefinitions };
}

export function tableListDocument(
  codec: KindCodec,
  version: MetaVersion,
  encoder: TableEncoder,
  answer: ListAnswer,
): ListDocument {
  const wire = emptyWire();
  const order = rowOrder(codec, answer);
  const { runs } = answer;
  const { holed } = encoder;
  return {
    members: tableMembers(version, listMetaJson(answer), encoder.columns),
    itemsKey: 'rows',
    count: answer.count,
    filled:
      runs === undefined || holed === undefined
        ? undefined
        : {
            count: runs.count,
            rows: (run) => runs.rows(run, holed),
            write: (run, into) => encoder.fill(runs.rows(run, holed), into),
            fillFront: encoder.fillFront,
          },
    item: (index, into) => encoder.row(answer.at(order?.[index] ?? index, wire), into),
  };
}

/** A single object: a Table of one row, under the object's own resourceVersion. */
export function tableObjectDocument(
  version: MetaVersion,
  encoder: TableEncoder,
  wire: WireObject,
  resourceVersion: string,
): ListDocument {
  return {
    members: tableMembers(version, { resourceVersion }, encoder.columns),
    itemsKey: 'rows',
    count: 1,
    item: (_index, into) => encoder.row(wire, into),
  };
}

/** Only FlowSchemas are shown in another order than that of the LIST; there are few of them. */
function rowOrder(codec: KindCodec, answer: ListAnswer): readonly number[] | undefined {
  const { compare } = tableFor(codec.kind);
  if (compare === undefined) return undefined;
  const project = tableProjector(codec.kind);
  const wire = emptyWire();
  const objects = Array.from({ length: answer.count }, (_, index) => {
    const { bytes, start, end } = answer.at(index, wire);
    return { index, object: project(bytes, start, end) };
  });
  return objects.sort((a, b) => compare(a.object, b.object)).map(({ index }) => index);
}

/** Text whose JSON is itself between quotes, in Go's encoding as in ours: nearly every cell. */
const PLAIN = /^[ !#-%'-;=?-[\]-~]*$/;

/** What many cells say, and what would be escaped each time. */
const NONE = '<none>';
const NONE_JSON = goJson(NONE);

const INVALID = '<invalid>';
const INVALID_JSON = goJson(INVALID).slice(1, -1);

/** A duration as the inside of a JSON string. */
function durationJson(durationMs: number): string {
  const text = humanDuration(durationMs);
  return text === INVALID ? INVALID_JSON : text;
}

/** Appends cells as Go's encoder has them, between two pieces of text. What depends on the clock is left to `hole`. */
export function writeCells(
  cells: readonly unknown[],
  into: ByteWriter,
  hole: (fromMs: number) => void,
  before = '',
  after = '',
): void {
  let json = `${before}[`;
  for (let index = 0; index < cells.length; index++) {
    if (index > 0) json += ',';
    const cell = cells[index];
    if (cell === NONE) json += NONE_JSON;
    else if (typeof cell === 'string') json += PLAIN.test(cell) ? `"${cell}"` : goJson(cell);
    else if (isElapsed(cell)) {
      writeText(into, `${json}"${cell.before}`);
      hole(cell.fromMs);
      json = `${cell.after}"`;
    }
    // 64-bit integers may be bigints, which JSON.stringify refuses, and it knows no negative zero.
    else if (typeof cell === 'bigint') json += String(cell);
    else json += Object.is(cell, -0) ? '-0' : goJson(cell ?? null);
  }
  writeText(into, `${json}]${after}`);
}
