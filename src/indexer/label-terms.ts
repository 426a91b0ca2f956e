import { textOf } from '../codec/wire.js';
import { assert } from '../lib/assert.js';
import { type ByteRange, rangeOf, utf8 } from '../lib/bytes.js';
import { Chains, grown } from './chains.js';
import { Dictionary, NO_VALUE, type TermBytes } from './dictionary.js';
import { eachLabel } from './label-bytes.js';

/** Between key and value of a term; in no UTF-8 text. */
const SEPARATOR = 0xff;
/** A key with fewer values is not what makes an index large. */
const WIDE_VALUES_MIN = 256;

/**
 * Which label sets contain a term `key=value`, and which terms a key has:
 *
 *     key `app` ──chain──> terms `app=web`, `app=db` ──chain──> entries ──> label sets
 *                                                                 ↑ by set: its entries, in a list
 *
 * Invariants:
 *   T1  a live set has one entry for each of its labels, in the chain of that term.
 *   T2  a term is live while it has entries, a key while it has terms.
 *   T3  row counts of terms and keys are the sums over their sets.
 */
export class LabelTerms {
  /** All rows, with labels or without. */
  rows = 0;
  readonly #terms: Dictionary;
  readonly #keys: Dictionary;
  /** By term: its entries. By key: its terms. */
  readonly #entriesOf = new Chains();
  readonly #termsOf = new Chains();
  #entryTerm = new Int32Array(0);
  #entrySet = new Int32Array(0);
  /** The next entry of the same set; of free entries, the next free one. */
  #entryNext = new Int32Array(0);
  #entries = 0;
  #freeEntry = NO_VALUE;
  #firstEntry = new Int32Array(0);
  #keyOfTerm = new Int32Array(0);
  #termRows = new Int32Array(0);
  #keyRows = new Int32Array(0);
  #scratch = Buffer.alloc(512);
  readonly #range: ByteRange = rangeOf(new Uint8Array(0));

  constructor(bytes: TermBytes, seed: number) {
    this.#terms = new Dictionary(bytes, seed);
    this.#keys = new Dictionary(bytes, seed);
  }

  get reservedBytes(): number {
    const columns = this.#entryTerm.length * 3 + this.#firstEntry.length + this.#termRows.length * 3;
    const chains = this.#entriesOf.reservedBytes + this.#termsOf.reservedBytes;
    return columns * 4 + chains + this.#terms.reservedBytes + this.#keys.reservedBytes;
  }

  /** A label set came up; its rows are counted by `count`. */
  add(set: number, labels: ByteRange): void {
    this.#firstEntry = grown(this.#firstEntry, set + 1, NO_VALUE);
    this.#firstEntry[set] = NO_VALUE;
    const { bytes } = labels;
    eachLabel(labels, (keyStart, keyEnd, valueStart, valueEnd) => {
      const size = this.#compose(bytes, keyStart, keyEnd, valueStart, valueEnd);
      const term = this.#terms.intern(this.#scratch, 0, size);
      if (this.#entriesOf.count(term) === 0) this.#bear(term, bytes, keyStart, keyEnd);
      const entry = this.#takeEntry();
      this.#entryTerm[entry] = term;
      this.#entrySet[entry] = set;
      this.#entryNext[entry] = this.#firstEntry[set]!;
      this.#firstEntry[set] = entry;
      this.#entriesOf.add(term, entry);
      return true;
    });
  }

  /** The set's last row has left. */
  remove(set: number): void {
    for (let entry = this.#firstEntry[set]!; entry !== NO_VALUE; ) {
      const next = this.#entryNext[entry]!;
      const term = this.#entryTerm[entry]!;
      if (this.#entriesOf.remove(term, entry) === 0) {
        const key = this.#keyOfTerm[term]!;
        if (this.#termsOf.remove(key, term) === 0) this.#keys.release(key);
        this.#terms.release(term);
      }
      this.#entryNext[entry] = this.#freeEntry;
      this.#freeEntry = entry;
      entry = next;
    }
    this.#firstEntry[set] = NO_VALUE;
  }

  /** A row joined the set (1) or left it (-1). */
  count(set: number, change: 1 | -1): void {
    this.rows += change;
    for (let entry = this.#firstEntry[set]!; entry !== NO_VALUE; entry = this.#entryNext[entry]!) {
      const term = this.#entryTerm[entry]!;
      this.#termRows[term]! += change;
      this.#keyRows[this.#keyOfTerm[term]!]! += change;
    }
  }

  rowCount(key: string, value: string): number {
    const term = this.#find(key, value);
    return term === NO_VALUE ? 0 : this.#termRows[term]!;
  }

  keyRowCount(key: string): number {
    const found = this.#findKey(key);
    return found === NO_VALUE ? 0 : this.#keyRows[found]!;
  }

  /** False when `visit` stopped it. */
  eachSet(key: string, value: string, visit: (set: number) => boolean): boolean {
    const term = this.#find(key, value);
    return term === NO_VALUE || this.#eachSetOfTerm(term, visit);
  }

  eachSetOfKey(key: string, visit: (set: number) => boolean): void {
    const found = this.#findKey(key);
    if (found === NO_VALUE) return;
    for (let term = this.#termsOf.head(found); term !== NO_VALUE; term = this.#termsOf.next(term)) {
      if (!this.#eachSetOfTerm(term, visit)) return;
    }
  }

  widestKey(): string | undefined {
    let widest = NO_VALUE;
    let most = WIDE_VALUES_MIN;
    for (let key = 0; key < this.#keys.touched; key++) {
      if (!this.#keys.isLive(key) || this.#termsOf.count(key) <= most) continue;
      most = this.#termsOf.count(key);
      widest = key;
    }
    if (widest === NO_VALUE) return undefined;
    const { bytes, start, end } = this.#keys.bytesOf(widest, this.#range);
    return textOf(bytes, start, end);
  }

  clear(): void {
    this.#terms.clear();
    this.#keys.clear();
  }

  /** `rowsOf`: rows of a set, -1 when it is not live. */
  verify(rowsOf: (set: number) => number): void {
    this.#terms.verify();
    this.#keys.verify();
    const termRows = new Map<number, number>();
    const keyRows = new Map<number, number>();
    let entries = 0;
    let rows = 0;
    for (let set = 0; set < this.#firstEntry.length; set++) {
      const count = rowsOf(set);
      assert(count >= 0 || this.#firstEntry[set] === NO_VALUE, `T1: set ${set} has entries, but is not live`);
      rows += Math.max(0, count);
      for (let entry = this.#firstEntry[set]!; entry !== NO_VALUE; entry = this.#entryNext[entry]!) {
        entries++;
        const term = this.#entryTerm[entry]!;
        const key = this.#keyOfTerm[term]!;
        assert(this.#entrySet[entry] === set && this.#terms.isLive(term), `T1: entry ${entry} of set ${set}`);
        assert(this.#keys.isLive(key), `T2: term ${term} has no key`);
        termRows.set(term, (termRows.get(term) ?? 0) + count);
        keyRows.set(key, (keyRows.get(key) ?? 0) + count);
      }
    }
    assert(rows === this.rows, `T3: ${rows} rows, counted ${this.rows}`);
    let chained = 0;
    for (let term = 0; term < this.#terms.touched; term++) {
      if (!this.#terms.isLive(term)) continue;
      assert(this.#entriesOf.count(term) > 0, `T2: term ${term} has no entries`);
      this.#entriesOf.verify(term, (entry) => {
        chained++;
        assert(this.#entryTerm[entry] === term, `T1: entry ${entry} is in the chain of another term`);
      });
      assert(termRows.get(term) === this.#termRows[term], `T3: term ${term} counts ${this.#termRows[term]} rows`);
    }
    assert(chained === entries, `T1: ${entries} entries, ${chained} in chains`);
    for (let key = 0; key < this.#keys.touched; key++) {
      if (!this.#keys.isLive(key)) continue;
      assert(this.#termsOf.count(key) > 0, `T2: key ${key} has no terms`);
      assert(keyRows.get(key) === this.#keyRows[key], `T3: key ${key} counts ${this.#keyRows[key]} rows`);
    }
  }

  #eachSetOfTerm(term: number, visit: (set: number) => boolean): boolean {
    for (let entry = this.#entriesOf.head(term); entry !== NO_VALUE; entry = this.#entriesOf.next(entry)) {
      if (!visit(this.#entrySet[entry]!)) return false;
    }
    return true;
  }

  #bear(term: number, bytes: Uint8Array, keyStart: number, keyEnd: number): void {
    const key = this.#keys.intern(bytes, keyStart, keyEnd);
    if (key >= this.#keyRows.length) this.#keyRows = grown(this.#keyRows, key + 1, 0);
    if (this.#termsOf.count(key) === 0) this.#keyRows[key] = 0;
    if (term >= this.#termRows.length) {
      this.#termRows = grown(this.#termRows, term + 1, 0);
      this.#keyOfTerm = grown(this.#keyOfTerm, term + 1, NO_VALUE);
    }
    this.#termRows[term] = 0;
    this.#keyOfTerm[term] = key;
    this.#termsOf.add(key, term);
  }

  #takeEntry(): number {
    if (this.#freeEntry !== NO_VALUE) {
      const entry = this.#freeEntry;
      this.#freeEntry = this.#entryNext[entry]!;
      return entry;
    }
    const entry = this.#entries++;
    this.#entryTerm = grown(this.#entryTerm, this.#entries, NO_VALUE);
    this.#entrySet = grown(this.#entrySet, this.#entries, NO_VALUE);
    this.#entryNext = grown(this.#entryNext, this.#entries, NO_VALUE);
    return entry;
  }

  #find(key: string, value: string): number {
    const keyBytes = utf8(key);
    const valueBytes = utf8(value);
    const both = Buffer.concat([keyBytes, Uint8Array.of(SEPARATOR), valueBytes]);
    return this.#terms.find(both, 0, both.length);
  }

  #findKey(key: string): number {
    const bytes = utf8(key);
    return this.#keys.find(bytes, 0, bytes.length);
  }

  #compose(bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): number {
    const size = keyEnd - keyStart + 1 + valueEnd - valueStart;
    if (size > this.#scratch.length) this.#scratch = Buffer.alloc(size * 2);
    let at = 0;
    for (let from = keyStart; from < keyEnd; from++) this.#scratch[at++] = bytes[from]!;
    this.#scratch[at++] = SEPARATOR;
    for (let from = valueStart; from < valueEnd; from++) this.#scratch[at++] = bytes[from]!;
    return at;
  }
}
