import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferWriter } from '../../src/http/encode/writer.js';
import { wholeBody } from '../../src/http/encode/document.js';
import { seededRandom } from '../../src/lib/random.js';
import type { EncodedItems } from '../../src/serve/fragment-encoder.js';
import { encodedLeaf, type JsonLeaf, joinJson, jsonSize, patchedLeaf, writeJson } from '../../src/serve/json-leaf.js';

interface Item {
  readonly id: number;
  readonly revision: number;
  readonly text: string;
}

function encoded(items: readonly Item[]): EncodedItems {
  const starts = new Uint32Array(items.length + 1);
  for (const [index, { text }] of items.entries()) starts[index + 1] = starts[index]! + text.length + 1;
  return { bytes: Buffer.from(items.map(({ text }) => text).join(',')), starts };
}

function versionsOf(edition: number, items: readonly Item[]) {
  return {
    edition,
    ids: Int32Array.from(items, ({ id }) => id),
    revisions: Float64Array.from(items, ({ revision }) => revision),
  };
}

/** The next edition: what the leaf has is used again, the rest encoded. */
function next(leaf: JsonLeaf, edition: number, items: readonly Item[]): JsonLeaf {
  const found = Int32Array.from(items, ({ id, revision }) => {
    const at = leaf.ids.indexOf(id);
    return at !== -1 && leaf.revisions[at] === revision ? at : -1;
  });
  const missing = items.filter((_, index) => found[index] === -1);
  return patchedLeaf(versionsOf(edition, items), leaf, found, encoded(missing));
}

function item(id: number, revision: number, size: number): Item {
  return { id, revision, text: `{${id}@${revision}${'x'.repeat(size)}}` };
}

function written(leaf: JsonLeaf, start: number, end: number): { readonly text: string; readonly pieces: number } {
  const into = wholeBody(new BufferWriter(256));
  const append = into.append.bind(into);
  let pieces = 0;
  into.append = (bytes) => {
    pieces++;
    append(bytes);
  };
  writeJson({ leaf, start, end }, into);
  return { text: into.bytes.toString('utf8', 0, into.position), pieces };
}

/** Leaves of the size of pods': 64 items of 2 to 4 kB. */
function leafOfPods(): Item[] {
  return Array.from({ length: 64 }, (_, id) => item(id, 1, 2_000 + id * 30));
}

test('whatever is written, added and removed, every edition is its items, in the order of the leaf', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const size = () => (seed % 2 === 0 ? 50 : 1_500) + random.int(2_000);
    let items = Array.from({ length: 1 + random.int(64) }, (_, id) => item(id, 1, size()));
    let leaf = encodedLeaf(versionsOf(1, items), encoded(items));
    for (let edition = 2; edition < 120; edition++) {
      items = items.filter(() => items.length < 2 || !random.chance(0.01));
      for (let writes = random.int(4); writes > 0; writes--) {
        const at = random.int(items.length);
        items[at] = item(items[at]!.id, edition, size());
      }
      if (random.chance(0.3)) items.splice(random.int(items.length + 1), 0, item(edition * 100, edition, size()));
      leaf = next(leaf, edition, items);
      const start = random.int(items.length + 1);
      const end = start + random.int(items.length - start + 1);
      for (const [from, to] of [
        [0, items.length],
        [start, end],
      ] as const) {
        const want = items
          .slice(from, to)
          .map(({ text }) => text)
          .join(',');
        const range = { leaf, start: from, end: to };
        assert.equal(written(leaf, from, to).text, want, `seed ${seed}, edition ${edition}`);
        assert.equal(joinJson(range).toString(), want);
        assert.equal(jsonSize(range), want.length);
      }
      const bytes = leaf.pieces.reduce((sum, { length }) => sum + length, 0);
      assert.ok(leaf.pieces.length <= 16, `${leaf.pieces.length} pieces`);
      assert.ok(bytes <= jsonSize({ leaf, start: 0, end: items.length }) * 1.25, 'a quarter of no use');
      assert.ok(leaf.cost >= bytes);
    }
  }
});

test('one write costs one piece, and three writes of a LIST', () => {
  const items = leafOfPods();
  const before = encodedLeaf(versionsOf(1, items), encoded(items));
  items[20] = item(20, 2, 3_000);
  const after = next(before, 2, items);
  assert.equal(after.pieces.length, 2);
  assert.equal(after.pieces[0], before.pieces[0], 'nothing was copied');
  assert.equal(written(after, 0, 64).pieces, 3);
  assert.equal(written(before, 0, 64).pieces, 1);
});

test('a piece that nothing of the leaf lies in is let go', () => {
  const items = leafOfPods();
  let leaf = encodedLeaf(versionsOf(1, items), encoded(items));
  for (let edition = 2; edition < 40; edition++) {
    items[7] = item(7, edition, 3_000);
    leaf = next(leaf, edition, items);
    assert.equal(leaf.pieces.length, 2, `edition ${edition}`);
  }
});

test('a small leaf is one piece', () => {
  const items = Array.from({ length: 64 }, (_, id) => item(id, 1, 500));
  const before = encodedLeaf(versionsOf(1, items), encoded(items));
  items[20] = item(20, 2, 500);
  assert.equal(next(before, 2, items).pieces.length, 1);
});

test('an item is not taken for the next in a piece because it begins where that would', () => {
  const items = leafOfPods();
  const before = encodedLeaf(versionsOf(1, items), encoded(items));
  // As long as the first two were: so the third one begins, in the new piece, right behind where the second one ends in the old piece.
  const first = item(0, 2, 0);
  items[0] = item(0, 2, before.ends[1]! - first.text.length);
  items[2] = item(2, 2, 2_500);
  const after = next(before, 2, items);
  assert.equal(after.pieces.length, 2);
  assert.equal(after.starts[2], after.ends[1]! + 1);
  assert.equal(written(after, 0, 64).text, items.map(({ text }) => text).join(','));
});
