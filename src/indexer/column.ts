import { assert } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import { Chains, grown } from './chains.js';
import { Dictionary, NO_VALUE, type TermBytes } from './dictionary.js';
import type { Lookup, Row } from './indexer.js';

/** What a column tells whoever keeps books on its values. */
export interface ColumnEvents {
  /** The first row is about to join a new value. */
  born(value: number): void;
  joined(value: number): void;
  left(value: number): void;
  /** The last row has left; the value's text is still there. */
  died(value: number): void;
}

/**
 * One text a row: by row its number in a dictionary, by number the chain of its rows.
 *
 * Invariants:
 *   C1  a row is in the chain of its value, and in no other.
 *   C2  a value is live exactly while it has rows.
 */
export class Column {
  readonly dictionary: Dictionary;
  readonly #chains = new Chains();
  readonly #events: ColumnEvents | undefined;
  #valueOf = new Int32Array(0);

  constructor(bytes: TermBytes, seed: number, events?: ColumnEvents) {
    this.dictionary = new Dictionary(bytes, seed);
    this.#events = events;
  }

  get reservedBytes(): number {
    return this.#valueOf.byteLength + this.#chains.reservedBytes + this.dictionary.reservedBytes;
  }

  /** NO_VALUE when the row has none. */
  valueOf(row: Row): number {
    return row < this.#valueOf.length ? this.#valueOf[row]! : NO_VALUE;
  }

  rowCount(value: number): number {
    return this.#chains.count(value);
  }

  /** True when the row's text changed. */
  put(row: Row, { bytes, start, end }: ByteRange): boolean {
    const before = this.valueOf(row);
    const { dictionary } = this;
    if (before !== NO_VALUE && dictionary.equals(before, bytes, start, end)) return false;
    const after = dictionary.intern(bytes, start, end);
    if (before !== NO_VALUE) this.#leave(before, row);
    if (row >= this.#valueOf.length) this.#valueOf = grown(this.#valueOf, row + 1, NO_VALUE);
    this.#valueOf[row] = after;
    if (this.#events !== undefined && this.#chains.count(after) === 0) this.#events.born(after);
    this.#chains.add(after, row);
    this.#events?.joined(after);
    return true;
  }

  remove(row: Row): void {
    const value = this.valueOf(row);
    if (value === NO_VALUE) return;
    this.#valueOf[row] = NO_VALUE;
    this.#leave(value, row);
  }

  visit(value: number, visit: (row: Row) => void): void {
    for (let row = this.#chains.head(value); row !== NO_VALUE; row = this.#chains.next(row)) visit(row);
  }

  verify(): void {
    this.dictionary.verify();
    let chained = 0;
    for (let value = 0; value < this.dictionary.touched; value++) {
      const live = this.dictionary.isLive(value);
      assert(live === this.#chains.count(value) > 0, `C2: value ${value} has ${this.#chains.count(value)} rows`);
      if (!live) continue;
      this.#chains.verify(value, (row) => {
        chained++;
        assert(this.#valueOf[row] === value, `C1: row ${row} is in the chain of ${value}, not its own`);
      });
    }
    const valued = this.#valueOf.reduce((count, value) => count + (value === NO_VALUE ? 0 : 1), 0);
    assert(chained === valued, `C1: ${valued} rows have a value, ${chained} are chained`);
  }

  #leave(value: number, row: Row): void {
    this.#events?.left(value);
    if (this.#chains.remove(value, row) > 0) return;
    this.#events?.died(value);
    this.dictionary.release(value);
  }
}

/** Where a column's part of a selector stands. */
export interface ColumnQuestion {
  readonly name: string;
  readonly estimate: number;
  readonly decided: number;
  /** Each value that may match, once, until `visit` returns false. */
  candidates(visit: (value: number) => boolean): void;
  matches(value: number): boolean;
}

/** Up to so many values are asked when a lookup is made, so that its estimate is exact. */
const EXACT_VALUES_MAX = 512;
const YES = 1;
const NO = 2;

/**
 * Asks each value once and remembers. A number that is released and given to another text meanwhile does no harm:
 * the value of a row that has not changed has been live, and the same, all the time.
 */
export class ColumnLookup implements Lookup {
  readonly name: string;
  readonly decided: number;
  readonly estimate: number;
  readonly #column: Column;
  readonly #question: ColumnQuestion;
  #answers = new Uint8Array(0);

  constructor(column: Column, question: ColumnQuestion) {
    this.name = question.name;
    this.decided = question.decided;
    this.#column = column;
    this.#question = question;
    this.estimate = this.#estimate();
  }

  test(row: Row): boolean {
    return this.#matches(this.#column.valueOf(row));
  }

  visit(visit: (row: Row) => void): void {
    this.#question.candidates((value) => {
      if (this.#matches(value)) this.#column.visit(value, visit);
      return true;
    });
  }

  #matches(value: number): boolean {
    if (value >= this.#answers.length) {
      const larger = new Uint8Array(Math.max(value + 1, this.#column.dictionary.touched));
      larger.set(this.#answers);
      this.#answers = larger;
    }
    const known = this.#answers[value]!;
    if (known !== 0) return known === YES;
    const matches = this.#question.matches(value);
    this.#answers[value] = matches ? YES : NO;
    return matches;
  }

  #estimate(): number {
    let values = 0;
    let rows = 0;
    this.#question.candidates((value) => {
      if (++values > EXACT_VALUES_MAX) return false;
      if (this.#matches(value)) rows += this.#column.rowCount(value);
      return true;
    });
    return values <= EXACT_VALUES_MAX ? rows : this.#question.estimate;
  }
}
