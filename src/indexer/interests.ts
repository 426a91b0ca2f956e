import { isExact } from '../api/field-selector.js';
import type { KindCodec } from '../codec/codec.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { Selector } from './indexer.js';
import { labelsRange } from './label-bytes.js';

/** Above so many label keys, all labels of an object are read at once instead of one after the other. */
const KEYS_READ_SINGLY = 4;

/**
 * Who wants to know of a change: the postings turned round. A member is filed under one term that its selector
 * demands, or under none; a change finds its members by the terms that its object had and has. So a change costs
 * what its members cost, however many there are that it does not concern.
 */
export class Interests<T> {
  size = 0;
  /** Their selectors demand nothing: `!=`, `notin`, `!key`, or no selector at all. */
  readonly #always = new Set<T>();
  readonly #labels = new Map<string, Postings<T>>();
  readonly #fields = new Map<string, Postings<T>>();

  add(member: T, selector: Selector | undefined): void {
    this.size++;
    const anchor = anchorOf(selector);
    if (anchor === undefined) {
      this.#always.add(member);
      return;
    }
    const attributes = anchor.kind === 'label' ? this.#labels : this.#fields;
    let postings = attributes.get(anchor.name);
    if (postings === undefined) attributes.set(anchor.name, (postings = new Postings()));
    postings.add(member, anchor.values);
  }

  remove(member: T, selector: Selector | undefined): void {
    this.size--;
    const anchor = anchorOf(selector);
    if (anchor === undefined) {
      this.#always.delete(member);
      return;
    }
    const attributes = anchor.kind === 'label' ? this.#labels : this.#fields;
    const postings = attributes.get(anchor.name)!;
    postings.remove(member, anchor.values);
    if (postings.isEmpty) attributes.delete(anchor.name);
  }

  /** Each member whose selector may match the object before or after, once. Without a change: everybody. */
  visit(change: ObjectChange | undefined, found: (member: T) => void): void {
    for (const member of this.#always) found(member);
    if (change === undefined) {
      for (const postings of this.#labels.values()) postings.all(found);
      for (const postings of this.#fields.values()) postings.all(found);
      return;
    }
    for (const [field, postings] of this.#fields) {
      postings.visit(change.fieldBefore(field), change.fieldAfter(field), found);
    }
    if (this.#labels.size === 0) return;
    if (this.#labels.size > KEYS_READ_SINGLY) change.readLabels();
    for (const [key, postings] of this.#labels.size > KEYS_READ_SINGLY ? this.#relevant(change) : this.#labels) {
      postings.visit(change.labelBefore(key), change.labelAfter(key), found);
    }
  }

  *#relevant(change: ObjectChange): Iterable<[string, Postings<T>]> {
    for (const key of change.labelKeys()) {
      const postings = this.#labels.get(key);
      if (postings !== undefined) yield [key, postings];
    }
  }
}

class Postings<T> {
  readonly #byValue = new Map<string, Set<T>>();
  /** Whatever the value is. */
  readonly #any = new Set<T>();

  get isEmpty(): boolean {
    return this.#any.size === 0 && this.#byValue.size === 0;
  }

  add(member: T, values: readonly string[] | undefined): void {
    if (values === undefined) this.#any.add(member);
    for (const value of values ?? []) {
      const members = this.#byValue.get(value);
      if (members === undefined) this.#byValue.set(value, new Set([member]));
      else members.add(member);
    }
  }

  remove(member: T, values: readonly string[] | undefined): void {
    if (values === undefined) this.#any.delete(member);
    for (const value of values ?? []) {
      const members = this.#byValue.get(value);
      members?.delete(member);
      if (members?.size === 0) this.#byValue.delete(value);
    }
  }

  /** undefined: there was no object, or it had no such term. */
  visit(before: string | undefined, after: string | undefined, found: (member: T) => void): void {
    if (before === undefined && after === undefined) return;
    for (const member of this.#any) found(member);
    const members = before === undefined ? undefined : this.#byValue.get(before);
    if (members !== undefined) for (const member of members) found(member);
    if (after === undefined || after === before) return;
    const others = this.#byValue.get(after);
    if (others === undefined) return;
    for (const member of others) if (members === undefined || !members.has(member)) found(member);
  }

  all(found: (member: T) => void): void {
    const members = new Set(this.#any);
    for (const set of this.#byValue.values()) for (const member of set) members.add(member);
    for (const member of members) found(member);
  }
}

interface Anchor {
  readonly kind: 'label' | 'field';
  readonly name: string;
  /** undefined: any value will do. */
  readonly values: readonly string[] | undefined;
}

/**
 * The requirement that is likely to be the rarest: of those with the fewest values the one with the longest
 * text, since names and hashes are longer than `true` and `Running`. Only cost depends on the choice.
 */
function anchorOf(selector: Selector | undefined): Anchor | undefined {
  if (selector === undefined) return undefined;
  let best: Anchor | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  const consider = (anchor: Anchor) => {
    const { values } = anchor;
    const score = values === undefined ? 1e9 : values.length * 1_000 - Math.min(999, shortest(values));
    if (score >= bestScore) return;
    best = anchor;
    bestScore = score;
  };
  for (const requirement of selector.fields) {
    const { field, operator, value, values } = requirement;
    if (isExact(requirement)) consider({ kind: 'field', name: field, values: [value] });
    else if (operator === 'in' && values !== undefined) consider({ kind: 'field', name: field, values });
  }
  for (const { key, operator, values } of selector.labels) {
    if (operator === '=' || operator === '==' || operator === 'in') consider({ kind: 'label', name: key, values });
    else if (operator === 'exists' || operator === 'gt' || operator === 'lt') {
      consider({ kind: 'label', name: key, values: undefined });
    }
  }
  return best;
}

/**
 * How a change finds a watch with this selector, for `explain`; one line that a header can carry:
 *
 *     term f:spec.nodeName=node-7     filed under the term: changes of objects without it cost the watch nothing
 *     key l:app                       filed under the key, whatever its value
 *     every change                    its selector demands no term, so it is asked about each change of its range
 */
export function describeDispatch(selector: Selector | undefined): string {
  const anchor = anchorOf(selector);
  if (anchor === undefined) return 'every change';
  const name = `${anchor.kind === 'label' ? 'l' : 'f'}:${anchor.name}`;
  const text = anchor.values === undefined ? `key ${name}` : `term ${name}=${anchor.values.join('|')}`;
  return text.replace(/[^\x20-\x7e]/g, (character) => encodeURIComponent(character));
}

function shortest(values: readonly string[]): number {
  return values.reduce((length, value) => Math.min(length, value.length), 999);
}

/** The terms of one changed object before and after, read when somebody asks, once. Reused for every change. */
export class ObjectChange {
  readonly #codec: KindCodec;
  readonly #before: ByteRange = rangeOf(new Uint8Array(0));
  readonly #after: ByteRange = rangeOf(new Uint8Array(0));
  readonly #scratch: ByteRange = rangeOf(new Uint8Array(0));
  readonly #fields = new Map<string, readonly [before: string | undefined, after: string | undefined]>();
  #labelsBefore: LabelReader;
  #labelsAfter: LabelReader;
  #hasBefore = false;
  #hasAfter = false;
  #sameLabels: boolean | undefined;

  constructor(codec: KindCodec) {
    this.#codec = codec;
    this.#labelsBefore = new LabelReader(codec, this.#before);
    this.#labelsAfter = new LabelReader(codec, this.#after);
  }

  /** NONE: there was, or is, no object. */
  set(versions: Versions, previous: VersionId, next: VersionId): this {
    this.#hasBefore = previous !== NONE;
    this.#hasAfter = next !== NONE;
    if (this.#hasBefore) versions.object(previous, this.#before);
    if (this.#hasAfter) versions.object(next, this.#after);
    if (this.#fields.size > 0) this.#fields.clear();
    this.#labelsBefore.forget();
    this.#labelsAfter.forget();
    this.#sameLabels = undefined;
    return this;
  }

  fieldBefore(field: string): string | undefined {
    return this.#field(field)[0];
  }

  fieldAfter(field: string): string | undefined {
    return this.#field(field)[1];
  }

  labelBefore(key: string): string | undefined {
    return this.#hasBefore ? this.#labelsBefore.get(key) : undefined;
  }

  labelAfter(key: string): string | undefined {
    if (!this.#hasAfter) return undefined;
    return this.#labelsUnchanged() ? this.#labelsBefore.get(key) : this.#labelsAfter.get(key);
  }

  /** All at once: cheaper than many one by one. */
  readLabels(): void {
    if (this.#hasBefore) this.#labelsBefore.readAll();
    if (this.#hasAfter && !this.#labelsUnchanged()) this.#labelsAfter.readAll();
  }

  /** After `readLabels`: keys that the object had or has, each once. */
  *labelKeys(): Iterable<string> {
    if (this.#hasBefore) yield* this.#labelsBefore.keys();
    if (!this.#hasAfter || this.#labelsUnchanged()) return;
    for (const key of this.#labelsAfter.keys()) {
      if (!this.#hasBefore || this.#labelsBefore.get(key) === undefined) yield key;
    }
  }

  #labelsUnchanged(): boolean {
    this.#sameLabels ??= this.#hasBefore && this.#hasAfter && this.#haveEqualLabels();
    return this.#sameLabels;
  }

  #haveEqualLabels(): boolean {
    const { bytes, start, end } = labelsRange(this.#before, this.#scratch);
    const after = labelsRange(this.#after, rangeOf(NO_BYTES));
    if (end - start !== after.end - after.start) return false;
    for (let offset = 0; offset < end - start; offset++) {
      if (bytes[start + offset] !== after.bytes[after.start + offset]) return false;
    }
    return true;
  }

  #field(field: string): readonly [string | undefined, string | undefined] {
    let texts = this.#fields.get(field);
    if (texts === undefined) {
      const read = ({ bytes, start, end }: ByteRange) => this.#codec.field(bytes, start, end, field);
      texts = [this.#hasBefore ? read(this.#before) : undefined, this.#hasAfter ? read(this.#after) : undefined];
      this.#fields.set(field, texts);
    }
    return texts;
  }
}

const NO_BYTES = new Uint8Array(0);

class LabelReader {
  readonly #codec: KindCodec;
  readonly #object: ByteRange;
  readonly #single = new Map<string, string | undefined>();
  #all: Map<string, string> | undefined;

  constructor(codec: KindCodec, object: ByteRange) {
    this.#codec = codec;
    this.#object = object;
  }

  forget(): void {
    if (this.#single.size > 0) this.#single.clear();
    this.#all = undefined;
  }

  get(key: string): string | undefined {
    if (this.#all !== undefined) return this.#all.get(key);
    if (this.#single.has(key)) return this.#single.get(key);
    const { bytes, start, end } = this.#object;
    const value = this.#codec.label(bytes, start, end, key);
    this.#single.set(key, value);
    return value;
  }

  readAll(): void {
    const { bytes, start, end } = this.#object;
    this.#all ??= this.#codec.labels(bytes, start, end);
  }

  keys(): Iterable<string> {
    this.readAll();
    return this.#all!.keys();
  }
}
