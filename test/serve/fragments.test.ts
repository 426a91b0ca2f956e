import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { createWriter } from '../../src/codec/writer.js';
import { wholeBody } from '../../src/http/encode/document.js';
import { BufferWriter } from '../../src/http/encode/writer.js';
import { createCowBtree } from '../../src/engine/cow-btree.js';
import { rangeOf, utf8 } from '../../src/lib/bytes.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { FragmentCache } from '../../src/serve/fragment-cache.js';
import { type FragmentEncoder, InThreadEncoder, type ItemsToEncode } from '../../src/serve/fragment-encoder.js';
import { KindFragments, type LeafItems } from '../../src/serve/fragments.js';
import { joinJson } from '../../src/serve/json-leaf.js';
import { collectLeaves, LeafRuns } from '../../src/serve/runs.js';
import { createVersions } from '../../src/versions/create-versions.js';
import { NONE, type VersionId } from '../../src/versions/versions.js';
import { configMaps } from './world.js';

/** Another thread, as the encoder's users see it: answers later, and counts what it was asked. */
class LaterEncoder implements FragmentEncoder {
  readonly ahead = 3;
  readonly items: number[] = [];
  open = 0;
  readonly #inner = new InThreadEncoder();

  start(items: ItemsToEncode) {
    this.items.push(items.count);
    this.open++;
    const held = items.hold();
    const close = () => {
      this.open--;
      held[Symbol.dispose]();
    };
    const encoded = new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#inner.start(items).take());
    return { take: () => encoded.finally(close), cancel: close };
  }
}

/** A kind's versions and tree, without a cache around them. Freed bytes are overwritten. */
class Store {
  readonly versions = createVersions({ poison: true });
  readonly engine = createCowBtree(this.versions);
  readonly codec = createKindCodec(configMaps);
  readonly cache: FragmentCache;
  readonly fragments: KindFragments;
  revision = 0;

  constructor(encoder: FragmentEncoder = new InThreadEncoder()) {
    this.cache = new FragmentCache({ ...defaultLimits, fragmentCacheBytes: 1e8 }, createFakeClock());
    this.fragments = new KindFragments(this.codec, this.cache, encoder, defaultLimits);
  }

  /** `text` of undefined deletes. Nothing is history: what nobody holds is freed at once, and its id used again. */
  write(name: string, text: string | undefined): void {
    const key = rangeOf(utf8(`/registry/configmaps/a/${name}`));
    const previous = this.engine.get(key);
    this.revision++;
    let next: VersionId = NONE;
    if (text !== undefined) {
      const stored = this.codec.toStored({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: 'a' },
        data: { text },
      });
      const into = createWriter();
      this.codec.toWire(stored, 0, stored.length, this.revision, into);
      const wire = { bytes: into.bytes, start: into.headerStart, end: into.position };
      next = this.versions.add(key, wire, into.start - into.headerStart, this.revision, this.revision);
    }
    if (previous === NONE && next === NONE) return;
    this.engine.apply({ count: 1, previous: Int32Array.of(previous), next: Int32Array.of(next) }, this.revision);
    if (previous !== NONE) this.versions.retire(previous, this.revision);
    this.versions.reclaim(this.revision);
  }

  list(limit = 0) {
    const pin = this.versions.pin(this.revision, 'test');
    const snapshot = this.engine.snapshot();
    const page = collectLeaves(
      snapshot.leaves!.bind(snapshot),
      this.versions,
      rangeOf(utf8('/')),
      rangeOf(Uint8Array.of(0)),
      limit,
      16,
    );
    const source = { versions: this.versions, hold: () => this.versions.pin(this.revision, 'encode') };
    const runs = new LeafRuns(page, source, this.fragments, () => {});
    const want = [...page.ids].map((id) => {
      const { bytes, start, end } = this.versions.object(id, rangeOf(new Uint8Array(0)));
      const into = createWriter();
      this.codec.toJson(bytes, start, end, false, into);
      return into.bytes.toString('utf8', 0, into.position);
    });
    return {
      runs,
      want: want.join(','),
      async json() {
        const texts: string[] = [];
        for (let run = 0; run < runs.count; run++) texts.push(await jsonOf(runs, run));
        return texts.join(',');
      },
      dispose() {
        runs[Symbol.dispose]();
        snapshot[Symbol.dispose]();
        pin[Symbol.dispose]();
      },
    };
  }
}

async function jsonOf(runs: LeafRuns, run: number): Promise<string> {
  const into = wholeBody(new BufferWriter(256));
  await runs.json(run, into);
  return into.bytes.toString('utf8', 0, into.position);
}

for (const [name, create] of [
  ['in this thread', () => new InThreadEncoder()],
  ['in another', () => new LaterEncoder()],
] as const) {
  test(`an id that is used again is not taken for what it was, encoded ${name}`, async () => {
    const store = new Store(create());
    const random = seededRandom(9);
    const ids = new Set<VersionId>();
    let reused = 0;
    for (let step = 0; step < 400; step++) {
      for (let count = random.int(4); count > 0; count--) {
        const object = `c${random.int(90)}`;
        store.write(object, random.chance(0.3) ? undefined : `${step}`.repeat(random.int(50)));
        const id = store.engine.get(rangeOf(utf8(`/registry/configmaps/a/${object}`)));
        if (id !== NONE && ids.has(id)) reused++;
        ids.add(id);
      }
      const list = store.list(random.chance(0.3) ? 1 + random.int(60) : 0);
      assert.equal(await list.json(), list.want, `step ${step}`);
      list.dispose();
    }
    assert.ok(reused > 100, `${reused} ids were used again`);
    assert.equal(store.versions.stats.pins, 0);
    store.cache.stop();
  });
}

test('a change costs the encoding of one object', async () => {
  const encoder = new LaterEncoder();
  const store = new Store(encoder);
  for (let index = 0; index < 500; index++) store.write(`c${1_000 + index}`, 'x');
  const first = store.list();
  await first.json();
  first.dispose();
  assert.equal(
    encoder.items.reduce((sum, count) => sum + count, 0),
    500,
  );
  encoder.items.length = 0;
  store.write('c1100', 'y');
  store.write('c1101', undefined);
  store.write('c1499', 'y');
  const second = store.list();
  assert.equal(await second.json(), second.want);
  second.dispose();
  assert.deepEqual(encoder.items, [1, 1]);
  store.cache.stop();
});

test('a leaf that a page cuts exactly in half is made once, as JSON and as rows', async () => {
  const encoder = new LaterEncoder();
  const store = new Store(encoder);
  const { versions, engine, fragments, cache } = store;
  for (let index = 0; index < 20; index++) store.write(`c${index + 10}`, 'x');
  const all = store.list();
  const snapshot = engine.snapshot();
  const leaves: LeafItems[] = [];
  snapshot.leaves!(rangeOf(utf8('/')), rangeOf(Uint8Array.of(0)), ({ edition, place, ids, offset, count }) => {
    leaves.push({ edition, place, ids: ids.slice(offset, offset + count) });
    return true;
  });
  const [leaf] = leaves as [LeafItems];
  assert.equal(leaf.ids.length, 20);
  const scope = fragments.scopeOf(versions);
  const source = { versions, hold: () => versions.pin(store.revision, 'encode') };
  let encoded = 0;
  const rows = (start: number, end: number) =>
    fragments.rows(scope, versions, leaf, start, end, (_, into) => {
      into.reserve(1);
      into.bytes[into.position++] = 0x30 + encoded++;
    });
  const texts: string[] = [];
  for (const [start, end] of [
    [0, 10],
    [10, 20],
  ] as const) {
    texts.push(joinJson(await fragments.json(scope, source, leaf, start, end, true).take()).toString());
    const range = rows(start, end);
    assert.equal(encoded, 20, 'the second half is made with the first');
    assert.deepEqual([range.start, range.end, range.rows.ids.length], [start, end, 20]);
  }
  assert.equal(texts.join(','), all.want);
  assert.deepEqual(encoder.items, [20], 'encoded once');
  assert.equal(rows(3, 8).rows.ids.length, 20, 'of what is kept');
  assert.equal(encoded, 20);
  all.dispose();
  snapshot[Symbol.dispose]();
  cache.stop();
});

test('LISTs at once share what is being encoded, and one that leaves takes nothing from the other', async () => {
  const encoder = new LaterEncoder();
  const store = new Store(encoder);
  for (let index = 0; index < 500; index++) store.write(`c${1_000 + index}`, 'x');
  const [staying, leaving] = [store.list(), store.list()];
  const begun = jsonOf(leaving.runs, 0);
  const all = staying.json();
  leaving.dispose();
  store.write('c1200', 'z'); // what the one that left had held may be freed now
  assert.equal(await all, staying.want);
  await begun;
  staying.dispose();
  assert.equal(
    encoder.items.reduce((sum, count) => sum + count, 0),
    500,
  );
  assert.equal(encoder.open, 0);
  assert.equal(store.versions.stats.pins, 0);
  store.cache.stop();
});

test('what a LIST had started and nobody takes is released with it', async () => {
  const encoder = new LaterEncoder();
  const store = new Store(encoder);
  for (let index = 0; index < 500; index++) store.write(`c${1_000 + index}`, 'x');
  const list = store.list();
  await jsonOf(list.runs, 0);
  assert.equal(encoder.open, encoder.ahead);
  list.dispose();
  assert.equal(encoder.open, 0);
  assert.equal(store.versions.stats.pins, 0);
  store.cache.stop();
});

test('a storage that replaces another one finds nothing of the old one', async () => {
  const store = new Store();
  for (let index = 0; index < 100; index++) store.write(`c${1_000 + index}`, 'x');
  const list = store.list();
  await list.json();
  list.dispose();
  assert.ok(store.cache.stats.bytes > 0);
  store.fragments.scopeOf(createVersions());
  assert.equal(store.cache.stats.bytes, 0);
  store.cache.stop();
});
