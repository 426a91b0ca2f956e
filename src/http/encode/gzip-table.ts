import { ALONE } from '../../lib/piece-deflate.js';
import { restOf } from '../../serve/deflated-rows.js';
import type { ListRuns } from '../../serve/reader.js';
import { COMPRESS_ABOVE_BYTES } from './body.js';
import type { FilledRows, ListBody } from './document.js';
import type { ListFrame } from './joined-list.js';
import { GzipMember } from './gzip-member.js';
import { BufferWriter, writeBytes } from './writer.js';

/** Whether a Table is larger than what is sent uncompressed (spec 4.6). */
export function isTableCompressed({ head, tail }: ListFrame, filled: FilledRows): boolean {
  const around = head.length + tail.length + filled.count - 1;
  // With every hole left empty, at first: mostly that is enough to know.
  let least = around;
  for (let run = 0; run < filled.count; run++) {
    const { rows, start, end } = filled.rows(run);
    least += rows.starts[end]! - 1 - rows.starts[start]!;
    if (least > COMPRESS_ABOVE_BYTES) return true;
  }
  const piece = new BufferWriter(least);
  let size = around;
  for (let run = 0; run < filled.count; run++) {
    piece.position = 0;
    filled.write(run, piece);
    size += piece.position;
  }
  return size > COMPRESS_ABOVE_BYTES;
}

/**
 * A Table as one gzip member, from rows whose greater part is kept compressed (serve/deflated-rows.ts). Resolves to
 * false when the client is gone.
 */
export class GzipTable {
  readonly #member = new GzipMember();
  readonly #frame: ListFrame;
  readonly #filled: FilledRows;
  readonly #runs: ListRuns;
  /** By row of a run: where its front ends in what was filled, and the gap that it makes. */
  #ends = new Uint32Array(64);
  #gaps = new Int32Array(64);

  constructor(frame: ListFrame, filled: FilledRows, runs: ListRuns) {
    this.#frame = frame;
    this.#filled = filled;
    this.#runs = runs;
  }

  /** Of the body before compression. */
  get size(): number {
    return this.#member.size;
  }

  async write(body: ListBody): Promise<boolean> {
    const member = this.#member;
    member.begin(body);
    member.store(this.#frame.head, body);
    const fronts = new BufferWriter(16 * 2 ** 10);
    for (let run = 0; run < this.#filled.count; run++) {
      this.#writeRun(run, fronts, body);
      if (!(await body.flush())) return false;
    }
    member.store(this.#frame.tail, body);
    member.end(body);
    return true;
  }

  #writeRun(run: number, fronts: BufferWriter, body: ListBody): void {
    const range = this.#filled.rows(run);
    const { rows, start, end } = range;
    if (end - start > this.#ends.length) {
      this.#ends = new Uint32Array(end - start);
      this.#gaps = new Int32Array(end - start);
    }
    const ends = this.#ends;
    const gaps = this.#gaps;
    fronts.position = 0;
    for (let row = start; row < end; row++) {
      const from = fronts.position;
      if (run > 0 || row > start) writeBytes(fronts, this.#frame.separator);
      this.#filled.fillFront(rows, row, fronts);
      ends[row - start] = fronts.position;
      gaps[row - start] = row === start ? ALONE : fronts.position - from;
    }
    const { bytes, offsets, crcs, shifts } = this.#runs.deflatedRows(run, range, gaps);
    for (let row = start, from = 0; row < end; row++) {
      this.#member.store(fronts.bytes.subarray(from, ends[row - start]!), body);
      from = ends[row - start]!;
      const rest = restOf(rows, row);
      this.#member.count(rest.to - rest.from, crcs[row]!, shifts[row]!);
      writeBytes(body, bytes, offsets[row]!, offsets[row + 1]!);
    }
  }
}
