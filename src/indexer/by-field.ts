import { type FieldRequirement, matchesField } from '../api/field-selector.js';
import { type Condition, fieldConditions, isLong } from '../api/long-selector.js';
import { textOf } from '../codec/wire.js';
import { type ByteRange, rangeOf, utf8 } from '../lib/bytes.js';
import { Column, ColumnLookup, type ColumnQuestion } from './column.js';
import { type Dictionary, NO_VALUE, type TermBytes } from './dictionary.js';
import type { LocateField } from './field-bytes.js';
import type { Indexer, Lookup, Row, Selector } from './indexer.js';

/** Where a field's bytes are not UTF-8, different bytes have one text: only the text can tell. */
const REPLACEMENT = '\ufffd';

/** Objects by the text of one selectable field, or of a field that was declared by its path. */
export class FieldIndexer implements Indexer {
  readonly name: string;
  readonly field: string;
  readonly #column: Column;
  readonly #locate: LocateField;
  readonly #text: ByteRange = rangeOf(new Uint8Array(0));

  constructor(field: string, locate: LocateField, bytes: TermBytes, seed: number) {
    this.name = `f:${field}`;
    this.field = field;
    this.#locate = locate;
    this.#column = new Column(bytes, seed);
  }

  get termCount(): number {
    return this.#column.dictionary.size;
  }

  get reservedBytes(): number {
    return this.#column.reservedBytes;
  }

  put(row: Row, object: ByteRange): boolean {
    this.#locate(object, this.#text);
    return this.#column.put(row, this.#text);
  }

  remove(row: Row): void {
    this.#column.remove(row);
  }

  has(row: Row): boolean {
    return this.#column.valueOf(row) !== NO_VALUE;
  }

  lookup({ fields }: Selector): Lookup | undefined {
    const own = fields.filter(({ field }) => field === this.field);
    if (own.length === 0) return undefined;
    return new ColumnLookup(this.#column, new FieldQuestion(this.name, this.#column, own));
  }

  clear(): void {
    this.#column.dictionary.clear();
  }

  verify(): void {
    this.#column.verify();
  }
}

class FieldQuestion implements ColumnQuestion {
  readonly name: string;
  readonly decided: number;
  readonly #column: Column;
  readonly #dictionary: Dictionary;
  readonly #requirements: readonly FieldRequirement[];
  readonly #range: ByteRange = rangeOf(new Uint8Array(0));
  /** All of them, if they are many. */
  readonly #condition: Condition | undefined;
  /** Values that one of the requirements demands; undefined: none demands any. */
  readonly #demanded: readonly string[] | undefined;

  constructor(name: string, column: Column, requirements: readonly FieldRequirement[]) {
    this.name = name;
    this.decided = requirements.length;
    this.#column = column;
    this.#dictionary = column.dictionary;
    this.#requirements = requirements;
    this.#condition = isLong(requirements) ? [...fieldConditions(requirements).values()][0] : undefined;
    this.#demanded = demandedBy(requirements);
  }

  get estimate(): number {
    let rows = 0;
    this.candidates((value) => {
      rows += this.#column.rowCount(value);
      return true;
    });
    return rows;
  }

  candidates(visit: (value: number) => boolean): void {
    if (this.#demanded !== undefined) {
      for (const text of this.#demanded) {
        const bytes = utf8(text);
        const value = this.#dictionary.find(bytes, 0, bytes.length);
        if (value !== NO_VALUE && !visit(value)) return;
      }
      return;
    }
    for (let value = 0; value < this.#dictionary.touched; value++) {
      if (this.#dictionary.isLive(value) && !visit(value)) return;
    }
  }

  matches(value: number): boolean {
    const { bytes, start, end } = this.#dictionary.bytesOf(value, this.#range);
    const text = textOf(bytes, start, end);
    if (this.#condition !== undefined) return this.#condition.holds(text);
    return this.#requirements.every((requirement) => matchesField(requirement, text));
  }
}

function demandedBy(requirements: readonly FieldRequirement[]): readonly string[] | undefined {
  let demanded: readonly string[] | undefined;
  for (const { operator, value, values } of requirements) {
    const texts = operator === '=' || operator === '==' ? [value] : operator === 'in' ? values : undefined;
    if (texts === undefined || texts.some((text) => text.includes(REPLACEMENT))) continue;
    if (demanded === undefined || texts.length < demanded.length) demanded = [...new Set(texts)];
  }
  return demanded;
}
