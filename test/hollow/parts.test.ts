import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lags } from '../../src/hollow/lags.js';
import { Latencies } from '../../src/hollow/latencies.js';
import { resolveHollow } from '../../src/hollow/options.js';
import { PodStarts } from '../../src/hollow/pod-starts.js';
import { diffContainers, HollowRuntime } from '../../src/hollow/runtime.js';
import { merged } from '../../src/hollow/store-writer.js';
import { planTest } from '../../src/hollow/workload.js';
import { seededRandom } from '../../src/lib/random.js';

test('percentiles are those of the sorted times, to 1.6 percent', () => {
  const random = seededRandom(7);
  const latencies = new Latencies();
  const times = Array.from({ length: 5_000 }, () => 10 ** (random.float() * 5 - 1.5));
  for (const ms of times) latencies.add(ms);
  times.sort((a, b) => a - b);
  for (const share of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = times[Math.ceil(times.length * share) - 1]!;
    const ms = latencies.percentile(share)!;
    assert.ok(ms >= exact * 0.999_999 && ms <= exact * 1.016, `${share}: ${ms} for ${exact}`);
  }
  const three = new Latencies();
  for (const ms of [1, 10, 100]) three.add(ms);
  assert.ok(three.percentile(0.5)! >= 10, 'never the one below');
  assert.equal(new Latencies().percentile(0.5), undefined);
});

test('what failed ranks above all that came back', () => {
  const latencies = new Latencies();
  for (let call = 0; call < 98; call++) latencies.add(1);
  latencies.addFailed();
  latencies.addFailed();
  assert.equal(latencies.percentile(0.98), 1);
  assert.equal(latencies.percentile(0.99), Number.POSITIVE_INFINITY);
  assert.deepEqual(latencies.summary(), { count: 100, failed: 2, p50: 1, p90: 1, p99: null, max: 1 });
});

test('a lag is found whether the answer or the event comes first, for every watcher', () => {
  const seen: number[] = [];
  const lags = new Lags(2, (ms) => seen.push(ms));
  lags.observed('5', 107);
  lags.observed('5', 109);
  lags.wrote('5', 'pods', 100);
  lags.observed('5', 111);
  assert.deepEqual(seen, [7, 9, 11]);
  lags.wrote('6', 'pods', 100);
  lags.wrote('7', 'pods', 100);
  lags.observed('5', 113);
  assert.deepEqual(seen, [7, 9, 11], 'the oldest write is forgotten');
  assert.equal(lags.byResource.get('pods')?.count, 3);
});

test('a pod that does not start is not left out', () => {
  const starts = new PodStarts();
  starts.create('a/one', 0);
  starts.create('a/two', 1_000);
  starts.bind('a/one', 10);
  starts.run('a/one', 50);
  assert.equal(starts.see('a/one', 60), true);
  assert.equal(starts.see('a/one', 70), false);
  assert.deepEqual(
    Object.entries(starts.stages).map(([stage, { maxMs }]) => [stage, maxMs]),
    [
      ['whole', 60],
      ['scheduling', 10],
      ['kubelet', 40],
      ['watch', 10],
    ],
  );
  assert.deepEqual(starts.unstartedAges(4_000), [3_000]);
});

test('a relist makes events of what changed, and of nothing else', () => {
  const runtime = new HollowRuntime();
  runtime.start('p', ['c'], 100);
  runtime.start('q', ['c'], 300);
  let { events, seen } = diffContainers(new Map(), runtime.list(0));
  assert.deepEqual(events, [], 'created, not started');
  const look = (nowMs: number) => {
    ({ events, seen } = diffContainers(seen, runtime.list(nowMs)));
    return events;
  };
  assert.deepEqual(look(150), [{ type: 'ContainerStarted', pod: 'p' }]);
  assert.deepEqual(look(200), []);
  runtime.stop('p', 250);
  assert.deepEqual(look(310), [
    { type: 'ContainerDied', pod: 'p' },
    { type: 'ContainerStarted', pod: 'q' },
  ]);
  runtime.remove('p');
  assert.deepEqual(look(320), [{ type: 'ContainerRemoved', pod: 'p' }]);
});

test('a merge patch changes what it names and neither of the two objects', () => {
  const target = { a: { b: 1, c: [1, 2] }, d: 'x' };
  assert.deepEqual(merged(target, { a: { b: null, c: [3] }, e: { f: null, g: 1 } }), {
    a: { c: [3] },
    d: 'x',
    e: { g: 1 },
  });
  assert.deepEqual(target, { a: { b: 1, c: [1, 2] }, d: 'x' });
});

test('density: one group fills the nodes, then pods come one by one and go', () => {
  const steps = planTest(
    resolveHollow({ nodes: '10', 'controller-rate': '100', duration: '10s', 'pod-interval': '500ms' }),
    ['a'],
    seededRandom(1),
  );
  assert.deepEqual(steps[0], {
    atMs: 0,
    type: 'create',
    group: { namespace: 'a', name: 'density', replicas: 300 },
  });
  const single = steps.filter(({ type, group }) => type === 'create' && group.replicas === 1);
  assert.deepEqual(
    single.map(({ atMs }) => atMs),
    Array.from({ length: 10 }, (_, index) => 3_900 + index * 500),
  );
  assert.equal(steps.filter(({ type }) => type === 'delete').length, single.length);
});

test('load: about three groups a node, of 5, 30 and 250, and as many pods as were asked for', () => {
  const options = resolveHollow({ nodes: '100', test: 'load', duration: '100s' });
  const steps = planTest(options, ['a', 'b'], seededRandom(1));
  const created = steps.filter(({ type }) => type === 'create').map(({ group }) => group);
  assert.equal(
    created.reduce((sum, { replicas }) => sum + replicas, 0),
    3_000,
  );
  assert.deepEqual(new Set(created.map(({ replicas }) => replicas)), new Set([5, 30, 250]));
  assert.ok(created.length > 300 && created.length < 360, `${created.length} groups`);
  for (const { name } of created) {
    const [create, scale, remove] = steps.filter(({ group }) => group.name === name);
    assert.deepEqual([create?.type, scale?.type, remove?.type], ['create', 'scale', 'delete']);
    assert.ok(remove!.atMs <= 95_000);
  }
  assert.deepEqual(planTest(options, ['a', 'b'], seededRandom(1)), steps, 'the seed decides');
});
