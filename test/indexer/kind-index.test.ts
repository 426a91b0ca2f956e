import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectFilter } from '../../src/cache/cache.js';
import { engines } from '../../src/engine/engines.js';
import { describePlan } from '../../src/indexer/planner.js';
import { prefixEnd, rangeOf, utf8 } from '../../src/lib/bytes.js';
import type { Limits } from '../../src/lib/limits.js';
import { compileFilter } from '../../src/serve/filter.js';
import type { VersionId } from '../../src/versions/versions.js';
import { EVERYTHING, History, labelsOf, podCodec, podValue, scanned } from './history.js';

const never = () => false;

function filled(
  count: number,
  limits: Partial<Limits> = {},
  labelsFor = (index: number) => ({ app: `app-${index % 5}` }),
) {
  const history = new History(engines['cow-btree'], limits);
  const names = Array.from({ length: count }, (_, index) => `ns-${index % 10}/pod-${String(index).padStart(5, '0')}`);
  history.write(
    names.map((name, index) => [name, podValue(labelsFor(index), { nodeName: `node-${index % 100}` })] as const),
  );
  return { history, names };
}

function byLabels(text: string): ObjectFilter {
  return compileFilter(podCodec, labelsOf(text), [])!;
}

function onNode(value: string): ObjectFilter {
  return compileFilter(podCodec, [], [{ field: 'spec.nodeName', operator: '=', value }])!;
}

/** Selects, checks it against a scan, and says how it was done. */
function select(history: History, filter: ObjectFilter, bounds = EVERYTHING): string {
  using snapshot = history.cache.snapshot(undefined, 'test')!;
  const selection = snapshot.select({ ...bounds, filter, limit: 0 });
  const ids: VersionId[] = [];
  selection.advance((id) => ids.push(id) > 0, never);
  assert.deepEqual(ids, scanned(snapshot, filter, bounds.from, bounds.to));
  const { by, index } = selection.plan;
  return index === '' ? by : `${by} ${index}`;
}

test('an index comes up when a selector would have used it, and only that one', () => {
  const { history } = filled(1_200);
  assert.equal(history.cache.index.reservedBytes, 0);
  assert.equal(select(history, byLabels('app=app-1')), 'scan');
  history.settle();
  assert.deepEqual(
    history.cache.indexStats.indexes.map(({ name, ready }) => [name, ready]),
    [['l', true]],
  );
  assert.equal(select(history, byLabels('app=app-1')), 'columns l:app');
  assert.equal(select(history, byLabels('app=nowhere')), 'postings l:app');
  assert.equal(select(history, onNode('node-7')), 'scan');
  history.settle();
  assert.equal(select(history, onNode('node-7')), 'postings f:spec.nodeName');
  history.close();
});

test('kinds of few objects, and namespaces of few, are not worth an index', () => {
  const { history } = filled(1_200);
  const namespace = utf8('/registry/pods/ns-3/');
  const bounds = { from: rangeOf(namespace), to: rangeOf(prefixEnd(namespace)) };
  assert.equal(select(history, byLabels('app=app-1'), bounds), 'scan');
  assert.equal(history.cache.index.pending, false);
  history.close();
});

test('a range with fewer objects than the posting is walked', () => {
  const { history } = filled(1_200);
  history.cache.index.want(['l']);
  history.settle();
  const namespace = utf8('/registry/pods/ns-3/');
  const bounds = { from: rangeOf(namespace), to: rangeOf(prefixEnd(namespace)) };
  assert.equal(select(history, byLabels('app=app-3'), bounds), 'columns l:app');
  history.close();
});

test('the rarest requirement leads, and the others are tested on its objects', () => {
  const { history } = filled(3_000);
  history.cache.index.want(['l', 'f:spec.nodeName']);
  history.settle();
  const filter = compileFilter(podCodec, labelsOf('app=app-2'), [
    { field: 'spec.nodeName', operator: '=', value: 'node-7' },
  ])!;
  using snapshot = history.cache.snapshot(undefined, 'test')!;
  const { plan } = snapshot.select({ ...EVERYTHING, filter, limit: 0 });
  assert.equal(
    describePlan(plan),
    'postings f:spec.nodeName; estimated=30; range=3000; considered=f:spec.nodeName:30|l:app:600',
  );
  assert.equal(select(history, filter), 'postings f:spec.nodeName');
  snapshot[Symbol.dispose]();
  history.close();
});

test('of a page of a common term few objects are looked at', () => {
  const { history } = filled(5_000, {}, (index) => ({ app: `app-${Math.floor(index / 10) % 5}` }));
  history.cache.index.want(['l']);
  history.settle();
  using snapshot = history.cache.snapshot(undefined, 'test')!;
  const selection = snapshot.select({ ...EVERYTHING, filter: byLabels('app=app-1'), limit: 20 });
  assert.equal(selection.plan.by, 'columns');
  let left = 20;
  selection.advance(() => --left > 0, never);
  assert.ok(selection.fetched <= 100, `${selection.fetched} objects`);
  snapshot[Symbol.dispose]();
  history.close();
});

test('changes between the steps of building are in the index', () => {
  for (const step of [1, 7, 100]) {
    const { history, names } = filled(300);
    const { index } = history.cache;
    index.want(['l', 'f:spec.nodeName']);
    let change = 0;
    const alter = () => {
      const name = names[(change++ * 37) % names.length]!;
      const value = change % 3 === 0 ? undefined : podValue({ app: `new-${change}` }, { nodeName: 'node-new' });
      history.write([
        [name, value],
        [`ns-${change % 10}/late-${change}`, podValue({ app: 'late' })],
      ]);
    };
    while (index.build(() => history.cache.snapshot(undefined, 'build'), step)) if (change < 400) alter();
    assert.ok(change > 4);
    history.cache.verify();
    for (const text of ['app=late', 'app=app-1', '!app', 'app=new-7']) select(history, byLabels(text));
    history.close();
  }
});

test('a label with a value for every object is left out when it takes too much; the rest goes on', () => {
  const own = (index: number) => ({ app: `app-${index % 5}`, 'example.com/id': `id-${index}-${'x'.repeat(40)}` });
  const { history } = filled(2_000, { indexBytesMin: 120_000, indexBytesFraction: 0 }, own);
  history.cache.index.want(['l']);
  history.settle();
  const { excludedKeys, dropped, bytes } = history.cache.indexStats;
  assert.deepEqual([excludedKeys, dropped], [1, 1]);
  assert.deepEqual(history.cache.index.excludedKeys, ['example.com/id']);
  assert.ok(bytes <= 120_000, `${bytes} bytes`);
  assert.equal(select(history, byLabels('app=app-1')), 'columns l:app');
  assert.equal(select(history, byLabels(`app=app-1,example.com/id=id-6-${'x'.repeat(40)}`)), 'columns l:app');
  assert.equal(select(history, byLabels(`example.com/id=id-6-${'x'.repeat(40)}`)), 'scan');
  history.cache.verify();
  history.close();
});

test('an index that does not fit is given up, and not tried again at once', () => {
  const { history, names } = filled(2_000, { indexBytesMin: 10_000, indexBytesFraction: 0 });
  assert.equal(select(history, onNode('node-7')), 'scan');
  history.settle();
  assert.equal(history.cache.indexStats.dropped, 1);
  assert.equal(history.cache.index.reservedBytes, 0);
  assert.equal(select(history, onNode('node-7')), 'scan');
  assert.equal(history.cache.index.pending, false);
  history.write(names.slice(0, 50).map((name) => [name, undefined]));
  history.clock.advance(3_600_001);
  select(history, onNode('node-7'));
  assert.equal(history.cache.index.pending, true, 'an hour later the objects may be others');
  history.close();
});

test('an index is given up as changes make it grow', () => {
  const { history, names } = filled(600, { indexBytesMin: 40_000, indexBytesFraction: 0 });
  history.cache.index.want(['f:spec.nodeName']);
  history.settle();
  assert.equal(history.cache.indexStats.dropped, 0);
  for (let round = 0; round < 4; round++) {
    history.write(
      names.map((name, index) => [name, podValue({}, { nodeName: `${round}-${index}-${'y'.repeat(200)}` })]),
    );
  }
  assert.equal(history.cache.indexStats.dropped, 1);
  select(history, onNode('node-1'));
  history.close();
});

test('an index that nobody asks for is let go', () => {
  const { history } = filled(1_000);
  history.cache.index.want(['l', 'f:spec.nodeName']);
  history.settle();
  history.clock.advance(2_000_000);
  select(history, onNode('node-1'));
  history.clock.advance(2_000_000);
  history.cache.tidy();
  assert.deepEqual(history.cache.index.names, ['f:spec.nodeName']);
  history.clock.advance(3_700_000);
  history.cache.tidy();
  assert.equal(history.cache.index.reservedBytes, 0);
  assert.equal(history.cache.indexStats.dropped, 0);
  history.close();
});

test('a selection goes on when its index is dropped, and when the objects are listed anew', () => {
  for (const disturb of ['drop', 'fresh', 'difference'] as const) {
    // More label sets than are looked at beforehand.
    const { history } = filled(1_500, {}, (index) => ({ app: `app-${index % 5}`, own: `${index}` }));
    history.cache.index.want(['l']);
    history.settle();
    const filter = byLabels('app in (app-1,app-2)');
    using snapshot = history.cache.snapshot(undefined, 'test')!;
    const want = scanned(snapshot, filter);
    const selection = snapshot.select({ ...EVERYTHING, filter, limit: 0 });
    assert.equal(selection.plan.by, 'columns');
    const got: VersionId[] = [];
    selection.advance((id) => got.push(id) < 100, never);
    if (disturb === 'drop') {
      history.clock.advance(4_000_000);
      history.cache.tidy();
      assert.deepEqual(history.cache.index.names, []);
    } else {
      history.relist(
        disturb,
        new Map([['ns/only', { value: podValue({ app: 'app-1' }), revision: history.revision }]]),
      );
    }
    selection.advance((id) => got.push(id) > 0, never);
    assert.deepEqual(got, want, disturb);
    snapshot[Symbol.dispose]();
    history.settle();
    history.cache.verify();
    history.close();
  }
});

test('postings of the state now find what an older state held', () => {
  const { history, names } = filled(2_000);
  history.cache.index.want(['f:spec.nodeName']);
  history.settle();
  const before = history.cache.revision;
  const moved = (nodeName: string) => podValue({ app: 'moved' }, { nodeName });
  history.write([
    [names[7]!, moved('node-8')], // was on node-7
    [names[8]!, moved('node-7')],
    [names[107]!, undefined], // was on node-7
    [names[207]!, moved('node-7')], // stays there
    ['ns-0/new', moved('node-7')],
  ]);
  history.write([
    [names[8]!, undefined],
    ['ns-0/new', undefined],
    ['ns-1/newer', moved('node-7')],
    [names[307]!, moved('node-9')],
  ]);
  for (const at of [before, before + 1, before + 2]) {
    using snapshot = history.cache.snapshot(at, 'test')!;
    const selection = snapshot.select({ ...EVERYTHING, filter: onNode('node-7'), limit: 0 });
    assert.equal(selection.plan.by, 'postings');
    const got: VersionId[] = [];
    selection.advance((id) => got.push(id) > 0, never);
    assert.deepEqual(got, scanned(snapshot, onNode('node-7')), `at ${at - before}`);
    assert.equal(got.length, [20, 20, 18][at - before], `at ${at - before}`);
    snapshot[Symbol.dispose]();
  }
  history.close();
});

test('what was in use before the objects were listed anew is built again', () => {
  const { history } = filled(1_000);
  history.cache.index.want(['l', 'f:status.phase']);
  history.settle();
  history.relist('fresh', new Map([['ns/only', { value: podValue({ app: 'x' }), revision: history.revision }]]));
  history.settle();
  assert.deepEqual(
    history.cache.index.list().map(({ name, ready }) => [name, ready]),
    [
      ['l', true],
      ['f:status.phase', true],
    ],
  );
  assert.equal(history.cache.indexStats.built, 4);
  select(history, byLabels('app=x'));
  history.close();
});

test('several namespaces are walked one after the other, pages start in the middle', () => {
  const { history } = filled(1_000);
  using snapshot = history.cache.snapshot(undefined, 'test')!;
  const within = ['ns-2', 'ns-5', 'ns-9'].map((namespace) => {
    const from = utf8(`/registry/pods/${namespace}/`);
    return { from: rangeOf(from), to: rangeOf(prefixEnd(from)) };
  });
  const filter = compileFilter(
    podCodec,
    [],
    [{ field: 'metadata.namespace', operator: 'notin', value: '', values: ['other'] }],
  )!;
  for (const start of ['/registry/pods/', '/registry/pods/ns-5/pod-00500', '/registry/pods/ns-9/z']) {
    const from = rangeOf(utf8(start));
    const want: VersionId[] = [];
    for (const part of within) {
      const later = Buffer.compare(utf8(start), part.from.bytes) > 0 ? from : part.from;
      if (Buffer.compare(later.bytes, part.to.bytes) < 0) snapshot.range(later, part.to, (id) => want.push(id) > 0);
    }
    const selection = snapshot.select({ from, to: EVERYTHING.to, within, filter, limit: 0 });
    assert.equal(selection.plan.inRange, want.length);
    const got: VersionId[] = [];
    let turn = 0;
    while (selection.advance((id) => got.push(id) % 17 !== 0, never) !== 'end') assert.ok(++turn < 100);
    assert.deepEqual(got, want);
  }
  snapshot[Symbol.dispose]();
  history.close();
});

test('LISTs are counted by what found them', () => {
  const { history } = filled(1_200);
  const { lists } = history.cache;
  const plan = { estimated: 0, inRange: 0, considered: [], verified: 0 };
  lists.count({ ...plan, by: 'range', index: '' }, 100, 100);
  lists.count({ ...plan, by: 'scan', index: '' }, 1_200, 3);
  lists.count({ ...plan, by: 'postings', index: 'l:app' }, 3, 3);
  const { hits, misses, objectsReturned, lists: byIndex } = history.cache.indexStats;
  assert.deepEqual([hits, misses, objectsReturned], [1, 1, 106]);
  assert.deepEqual(Object.fromEntries(byIndex), {
    '': { lists: 2, fetched: 1_300 },
    'l:app': { lists: 1, fetched: 3 },
  });
  for (let index = 0; index < 200; index++) lists.count({ ...plan, by: 'columns', index: `l:${index}` }, 1, 1);
  assert.ok(byIndex.size <= 65, 'clients choose label keys');
  assert.ok(byIndex.get('other')!.lists > 100);
  history.close();
});

test('a sample of the changes is timed', () => {
  const { history, names } = filled(1_000);
  history.cache.index.want(['l']);
  history.settle();
  for (let round = 0; round < 130; round++) history.write([[names[round]!, podValue({ app: 'other' })]]);
  const { updates, sampledChanges, termChanges } = history.cache.indexStats;
  assert.equal(updates, 130);
  assert.ok(sampledChanges >= 2 && sampledChanges <= 3);
  assert.equal(termChanges, 130);
  history.close();
});
