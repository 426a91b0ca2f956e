import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Indexer, Row, Selector } from '../../src/indexer/indexer.js';
import { type ByteRange, rangeOf } from '../../src/lib/bytes.js';
import { type Random, seededRandom } from '../../src/lib/random.js';

/** How one implementation is tried: objects of several terms, and selectors with what they mean. */
export interface IndexerSubject {
  create(): Indexer;
  /** The wire bytes of an object whose terms differ from those of other variants. */
  object(variant: number): Uint8Array;
  readonly variants: number;
  /** Selectors about this indexer's terms, by text, and which variants they select. */
  readonly selectors: readonly (readonly [text: string, selector: Selector, variants: readonly number[]])[];
  /** Says nothing about them. */
  readonly foreign: Selector;
}

/** What every Indexer promises. Each implementation runs it. */
export function indexerSuite(name: string, subject: IndexerSubject): void {
  const objectOf = (variant: number): ByteRange => rangeOf(subject.object(variant));
  const all = Array.from({ length: subject.variants }, (_, variant) => variant);
  const visited = (indexer: Indexer, selector: Selector): Row[] => {
    const rows: Row[] = [];
    indexer.lookup(selector)!.visit((row) => rows.push(row));
    return rows.sort((a, b) => a - b);
  };

  describe(`indexer ${name}`, () => {
    test('an empty indexer finds nothing', () => {
      const indexer = subject.create();
      for (const [, selector] of subject.selectors) {
        assert.deepEqual(visited(indexer, selector), []);
        assert.equal(indexer.lookup(selector)!.estimate, 0);
      }
      assert.equal(indexer.has(0), false);
      indexer.verify();
    });

    test('a selector about something else is none of its business', () => {
      assert.equal(subject.create().lookup(subject.foreign), undefined);
    });

    for (const [text, selector, variants] of subject.selectors) {
      test(`${text} selects ${variants.length} of ${subject.variants} variants`, () => {
        const indexer = subject.create();
        for (const variant of all) {
          indexer.put(variant * 2, objectOf(variant));
          indexer.put(variant * 2 + 1, objectOf(variant));
        }
        const want = variants.flatMap((variant) => [variant * 2, variant * 2 + 1]);
        assert.deepEqual(visited(indexer, selector), want);
        const lookup = indexer.lookup(selector)!;
        assert.equal(lookup.estimate, want.length, 'few terms are counted exactly');
        for (const variant of all) assert.equal(lookup.test(variant * 2), variants.includes(variant));
        indexer.verify();
      });
    }

    test('put says whether the terms changed', () => {
      const indexer = subject.create();
      assert.equal(indexer.put(3, objectOf(0)), true);
      assert.equal(indexer.put(3, objectOf(0)), false);
      assert.equal(indexer.put(3, objectOf(1)), true);
      indexer.remove(3);
      indexer.remove(3);
      assert.equal(indexer.has(3), false);
      assert.equal(indexer.termCount, 0);
      indexer.verify();
    });

    test('terms without objects are let go: years of changing terms take no more room', () => {
      const indexer = subject.create();
      const cycle = (rounds: number) => {
        for (let round = 0; round < rounds; round++) {
          for (const variant of all) indexer.put(variant, objectOf((variant + round) % subject.variants));
        }
      };
      cycle(3);
      const before = indexer.reservedBytes;
      cycle(200);
      assert.equal(indexer.reservedBytes, before);
      for (const variant of all) indexer.remove(variant);
      assert.equal(indexer.termCount, 0);
      indexer.verify();
    });

    test('random puts and removes agree with a Map', () => {
      const random = seededRandom(7);
      const indexer = subject.create();
      const model = new Map<Row, number>();
      for (let step = 0; step < 3_000; step++) {
        change(indexer, model, random);
        if (step % 100 !== 0) continue;
        indexer.verify();
        for (const [text, selector, variants] of subject.selectors) {
          const want = [...model].filter(([, variant]) => variants.includes(variant)).map(([row]) => row);
          assert.deepEqual(
            visited(indexer, selector),
            want.sort((a, b) => a - b),
            text,
          );
        }
      }
    });

    function change(indexer: Indexer, model: Map<Row, number>, random: Random): void {
      const row = random.int(200);
      if (random.chance(0.3)) {
        indexer.remove(row);
        model.delete(row);
        return;
      }
      const variant = random.int(subject.variants);
      assert.equal(indexer.put(row, objectOf(variant)), model.get(row) !== variant);
      model.set(row, variant);
    }
  });
}
