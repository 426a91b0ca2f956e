import { type LabelRequirement, matchesLabel } from '../api/label-selector.js';
import { isLong, labelTest } from '../api/long-selector.js';
import { type ByteRange, rangeOf, utf8 } from '../lib/bytes.js';
import { Column, ColumnLookup, type ColumnQuestion } from './column.js';
import { type Dictionary, NO_VALUE, type TermBytes } from './dictionary.js';
import type { Indexer, Lookup, Row, Selector } from './indexer.js';
import { eachLabel, holds, labelIn, labelsIn, labelsRange } from './label-bytes.js';
import { LabelTerms } from './label-terms.js';

/**
 * Objects by their labels. Objects that a controller makes from one template have the same labels, byte for byte,
 * so the column's values are whole label sets, and requirements are decided once a set:
 *
 *     row ──> label set `app=web,tier=front` <── terms `app` = `web`, `tier` = `front`
 *
 * An object costs what one number costs, however many labels it has; and what no posting can answer (`!=`,
 * `notin`, `!key`, `>`) costs one look at each set.
 */
export class LabelIndexer implements Indexer {
  readonly name = 'l';
  /** Left out because they took too much: nearly every object has a value of its own. */
  readonly excludedKeys: readonly string[];
  readonly #excluded: readonly Uint8Array[];
  readonly #terms: LabelTerms;
  readonly #sets: Column;
  readonly #labels: ByteRange = rangeOf(new Uint8Array(0));
  readonly #text: ByteRange = rangeOf(new Uint8Array(0));
  #kept = Buffer.alloc(0);

  constructor(bytes: TermBytes, seed: number, excludedKeys: readonly string[] = []) {
    this.excludedKeys = excludedKeys;
    this.#excluded = excludedKeys.map(utf8);
    this.#terms = new LabelTerms(bytes, seed);
    const terms = this.#terms;
    this.#sets = new Column(bytes, seed, {
      born: (set) => terms.add(set, this.#sets.dictionary.bytesOf(set, this.#text)),
      joined: (set) => terms.count(set, 1),
      left: (set) => terms.count(set, -1),
      died: (set) => terms.remove(set),
    });
  }

  /** Label sets. */
  get termCount(): number {
    return this.#sets.dictionary.size;
  }

  get reservedBytes(): number {
    return this.#sets.reservedBytes + this.#terms.reservedBytes;
  }

  /** The key with the most values, which makes for the most sets; undefined: no key has more than a few. */
  widestKey(): string | undefined {
    return this.#terms.widestKey();
  }

  put(row: Row, object: ByteRange): boolean {
    labelsRange(object, this.#labels);
    if (this.#excluded.length > 0) this.#exclude();
    return this.#sets.put(row, this.#labels);
  }

  remove(row: Row): void {
    this.#sets.remove(row);
  }

  has(row: Row): boolean {
    return this.#sets.valueOf(row) !== NO_VALUE;
  }

  lookup({ labels }: Selector): Lookup | undefined {
    const known = labels.filter(({ key }) => !this.excludedKeys.includes(key));
    if (known.length === 0) return undefined;
    return new ColumnLookup(this.#sets, new LabelQuestion(this.#sets.dictionary, this.#terms, known));
  }

  clear(): void {
    this.#sets.dictionary.clear();
    this.#terms.clear();
  }

  verify(): void {
    this.#sets.verify();
    this.#terms.verify((set) => (this.#sets.dictionary.isLive(set) ? this.#sets.rowCount(set) : -1));
  }

  /** Puts together the entries of the other keys. */
  #exclude(): void {
    const { bytes, start, end } = this.#labels;
    if (this.#kept.length < end - start) this.#kept = Buffer.alloc((end - start) * 2);
    let size = 0;
    let entry = start;
    eachLabel(this.#labels, (keyStart, keyEnd, _valueStart, valueEnd) => {
      const entryEnd = Math.max(keyEnd, valueEnd);
      if (!this.#excluded.some((key) => holds(bytes, keyStart, keyEnd, key))) {
        for (let at = entry; at < entryEnd; at++) this.#kept[size++] = bytes[at]!;
      }
      entry = entryEnd;
      return true;
    });
    this.#labels.bytes = this.#kept;
    this.#labels.start = 0;
    this.#labels.end = size;
  }
}

class LabelQuestion implements ColumnQuestion {
  readonly name: string;
  readonly estimate: number;
  readonly decided: number;
  readonly #dictionary: Dictionary;
  readonly #terms: LabelTerms;
  readonly #requirements: readonly (LabelRequirement & { readonly keyBytes: Uint8Array })[];
  readonly #lead: LabelRequirement | undefined;
  /** Of all of them, if they are many. */
  readonly #test: ReturnType<typeof labelTest> | undefined;
  readonly #labels: ByteRange = rangeOf(new Uint8Array(0));

  constructor(dictionary: Dictionary, terms: LabelTerms, requirements: readonly LabelRequirement[]) {
    this.#dictionary = dictionary;
    this.#terms = terms;
    this.#requirements = requirements.map((requirement) => ({ ...requirement, keyBytes: utf8(requirement.key) }));
    this.#test = isLong(requirements) ? labelTest(requirements) : undefined;
    this.decided = requirements.length;
    let estimate = Number.POSITIVE_INFINITY;
    for (const requirement of requirements) {
      const rows = rowsOf(terms, requirement);
      if (rows === undefined || rows >= estimate) continue;
      estimate = rows;
      this.#lead = requirement;
    }
    this.estimate = this.#lead === undefined ? terms.rows : estimate;
    this.name = `l:${(this.#lead ?? requirements[0]!).key}`;
  }

  candidates(visit: (set: number) => boolean): void {
    const lead = this.#lead;
    if (lead === undefined) {
      for (let set = 0; set < this.#dictionary.touched; set++) {
        if (this.#dictionary.isLive(set) && !visit(set)) return;
      }
      return;
    }
    if (lead.operator === 'exists' || lead.operator === 'gt' || lead.operator === 'lt') {
      this.#terms.eachSetOfKey(lead.key, visit);
      return;
    }
    for (const value of lead.values) if (!this.#terms.eachSet(lead.key, value, visit)) return;
  }

  matches(set: number): boolean {
    const labels = this.#dictionary.bytesOf(set, this.#labels);
    if (this.#test !== undefined) return this.#test(labelsIn(labels));
    return this.#requirements.every((requirement) => matchesLabel(requirement, labelIn(labels, requirement.keyBytes)));
  }
}

/** Rows at most; undefined: objects without the label match, too. */
function rowsOf(terms: LabelTerms, { key, operator, values }: LabelRequirement): number | undefined {
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return values.reduce((rows, value) => rows + terms.rowCount(key, value), 0);
    case 'exists':
    case 'gt':
    case 'lt':
      return terms.keyRowCount(key);
    case '!=':
    case 'notin':
    case '!':
      return undefined;
  }
}
