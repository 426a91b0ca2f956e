import { assert } from '../lib/assert.js';
import { NONE, type VersionId } from '../versions/versions.js';
import { grown } from './chains.js';
import type { Row } from './indexer.js';

/** No row: the version is not known yet, or not any more. */
export const UNKNOWN = -1;
export const SUPERSEDED = -2;

/**
 * Which row an object has, from the id of its current version and back.
 *
 * Invariants:
 *   R1  rowOf(versionOf(row)) === row for every row in use: a version with a row is the current one.
 */
export class Rows {
  /** Rows in use. */
  size = 0;
  /** Rows below this have been in use at least once. */
  touched = 0;
  #rowOf = new Int32Array(0);
  /** NONE, or NONE - 1 - next free row: see `free`. */
  #versionOf = new Int32Array(0);
  #freeHead: Row = UNKNOWN;

  get reservedBytes(): number {
    return this.#rowOf.byteLength + this.#versionOf.byteLength;
  }

  /** At least 0 exactly when the version is the current one of an object that is known here. */
  rowOf(id: VersionId): Row {
    return id < this.#rowOf.length ? this.#rowOf[id]! : UNKNOWN;
  }

  /** Less than 0: the row is free. */
  versionOf(row: Row): VersionId {
    return this.#versionOf[row]!;
  }

  add(id: VersionId): Row {
    let row = this.#freeHead;
    if (row === UNKNOWN) {
      row = this.touched++;
      this.#versionOf = grown(this.#versionOf, this.touched, NONE);
    } else {
      this.#freeHead = -2 - this.#versionOf[row]!;
    }
    this.size++;
    this.#place(row, id);
    return row;
  }

  /** The object has a new version. */
  move(row: Row, previous: VersionId, next: VersionId): void {
    this.#rowOf[previous] = SUPERSEDED;
    this.#place(row, next);
  }

  remove(row: Row): void {
    this.#rowOf[this.#versionOf[row]!] = SUPERSEDED;
    this.#versionOf[row] = -2 - this.#freeHead;
    this.#freeHead = row;
    this.size--;
  }

  /** A version without a row was superseded; whoever walks an older snapshot must not take it for current. */
  supersede(id: VersionId): void {
    this.#rowOf = grown(this.#rowOf, id + 1, UNKNOWN);
    this.#rowOf[id] = SUPERSEDED;
  }

  verify(): void {
    let size = 0;
    for (let row = 0; row < this.touched; row++) {
      const id = this.#versionOf[row]!;
      if (id < 0) continue;
      size++;
      assert(this.rowOf(id) === row, `R1: row ${row} has version ${id}, which has row ${this.rowOf(id)}`);
    }
    assert(size === this.size, `R1: ${size} rows are in use, counted ${this.size}`);
  }

  #place(row: Row, id: VersionId): void {
    if (id >= this.#rowOf.length) this.#rowOf = grown(this.#rowOf, id + 1, UNKNOWN);
    this.#rowOf[id] = row;
    this.#versionOf[row] = id;
  }
}
