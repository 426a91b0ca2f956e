import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.js';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import type { Failure, Result } from '../../src/serve/failure.js';
import { createEtcdSource } from '../../src/source/etcd/etcd-source.js';
import type { Source, WritableStore } from '../../src/source/source.js';
import { ETCD_MISSING, findEtcd, startEtcd } from '../support/etcd.js';
import { createWorld, get, keyOf, list, type Listed, pods, TestWatch, type World } from './world.js';

// A cache is an optimization: with the same store behind both, no client may tell by an answer
// whether it came from a cache or straight from the store. Replay a failure with SEED=<number>.

const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const NAMESPACES = ['a', 'a-b', 'b'];
const APPS = ['web', 'db', 'cache'];

const LABELS = [
  '',
  'app=web',
  'app!=web',
  'app in (web,db)',
  'app notin (db)',
  'tier',
  '!tier',
  'tier>3',
  'app=web,tier<5',
];
const FIELDS = [
  '',
  'metadata.name=p1',
  'metadata.name=p1,metadata.namespace=a',
  'metadata.namespace=a-b',
  'metadata.namespace!=b',
  'spec.nodeName=n1',
  'spec.nodeName!=n1,status.phase=',
  'spec.color=red',
];

interface OpenedStore extends AsyncDisposable {
  readonly store: (Source & WritableStore) | undefined;
}

const stores: [name: string, how: { skip: string | false; start(): Promise<OpenedStore> }][] = [
  [
    'the embedded store',
    { skip: false, start: async () => ({ store: undefined, [Symbol.asyncDispose]: async () => {} }) },
  ],
  [
    'etcd',
    {
      skip: findEtcd() === undefined && ETCD_MISSING,
      async start() {
        const etcd = await startEtcd();
        const dependencies = { clock: systemClock, random: systemRandom };
        return {
          store: createEtcdSource({ endpoints: [etcd.endpoint] }, dependencies),
          [Symbol.asyncDispose]: () => etcd.stop(),
        };
      },
    },
  ],
];

async function writeSomething(world: World, random: Random): Promise<void> {
  const namespace = random.pick(NAMESPACES);
  const name = `p${random.int(8)}`;
  if (random.chance(0.3)) return void (await world.remove(pods, namespace, name));
  const labels: Record<string, string> = { app: random.pick(APPS) };
  if (random.chance(0.5)) labels['tier'] = String(random.int(8));
  await world.put(pods, { metadata: { namespace, name, labels }, spec: { nodeName: `n${random.int(3)}` } });
}

function selectors(random: Random): string {
  const label = encodeURIComponent(random.pick(LABELS));
  const field = encodeURIComponent(random.pick(FIELDS));
  return `${random.chance(0.4) ? `labelSelector=${label}&` : ''}${random.chance(0.4) ? `fieldSelector=${field}&` : ''}`;
}

/** Versions up to the newest one; a cache waits for later ones, and says so, which a store does not. */
function version(random: Random, newest: number, oldest: number): string {
  const revision = oldest + random.int(newest - oldest + 1);
  return random.pick([
    '',
    '',
    'resourceVersion=0&',
    `resourceVersion=${revision}&`,
    `resourceVersion=${revision}&resourceVersionMatch=Exact&`,
    `resourceVersion=${revision}&resourceVersionMatch=NotOlderThan&`,
    'resourceVersion=x&',
    'resourceVersionMatch=Exact&',
    `continue=abc&resourceVersion=${revision}&`,
  ]);
}

/** What both ways must agree on. Tokens differ in one slash. */
function comparable(result: Result<Listed>): unknown {
  if (!result.ok) return withoutRetry(result.failure);
  const { continue: token, ...rest } = result.value;
  const decoded =
    token === undefined ? undefined : Buffer.from(token, 'base64url').toString().replace('"start":"/', '"start":"');
  return { ...rest, token: decoded };
}

/**
 * kube-apiserver's caches index pods by node, so they know that no further one is on it; from etcd the page after
 * is empty, and it takes this page to know. That one difference is its own, too.
 */
async function isEndKnownByIndex(
  cached: Result<Listed>,
  direct: Result<Listed>,
  filter: string,
  next: (query: string) => Promise<Result<Listed>>,
): Promise<boolean> {
  if (!decodeURIComponent(filter).includes('spec.nodeName=n1') || !cached.ok || !direct.ok) return false;
  if (cached.value.continue !== undefined || direct.value.continue === undefined) return false;
  assert.deepEqual(cached.value.names, direct.value.names);
  const empty = await next(`${filter}continue=${direct.value.continue}`);
  assert.deepEqual(empty.ok && empty.value.names, []);
  return true;
}

function withoutRetry(failure: Failure): unknown {
  if (!('retryAfterSeconds' in failure)) return failure;
  const { retryAfterSeconds: _, ...rest } = failure;
  return rest;
}

for (const [name, open] of stores)
  test(`LIST and GET: a cache answers as ${name} does (SEED=${SEED})`, { skip: open.skip }, async () => {
    await using opened = await open.start();
    const random = seededRandom(SEED);
    await using world = createWorld({ random, ...(opened.store === undefined ? {} : { store: opened.store }) });
    const cached = world.cached.reader(pods);
    const direct = world.direct.reader(pods);
    await list(cached);
    const oldest = await world.store.currentRevision();
    for (let step = 0; step < 300; step++) {
      for (let writes = random.int(4); writes > 0; writes--) await writeSomething(world, random);
      const newest = await world.store.currentRevision();
      assert.ok(await world.cacheOf(pods).waitFor(newest, 5_000));
      const namespace = random.chance(0.4) ? random.pick(NAMESPACES) : undefined;
      const chosen = version(random, newest, oldest);
      // With resourceVersion=0 a cache ignores the limit: that one difference is kube-apiserver's own.
      const limit = random.chance(0.5) && chosen !== 'resourceVersion=0&' ? `limit=${1 + random.int(6)}&` : '';
      const filter = selectors(random);
      let query = `${chosen}${limit}${filter}`;
      for (let page = 0; page < 40; page++) {
        const [left, right] = await Promise.all([list(cached, query, namespace), list(direct, query, namespace)]);
        if (await isEndKnownByIndex(left, right, filter, (query) => list(direct, query, namespace))) break;
        assert.deepEqual(comparable(left), comparable(right), `?${query} in ${namespace}`);
        if (!left.ok || !right.ok || left.value.continue === undefined) break;
        // The token of either is good for the other.
        const token = random.pick([left.value.continue, right.value.continue]);
        query = `limit=${1 + random.int(6)}&${filter}continue=${token}`;
        if (random.chance(0.3)) await writeSomething(world, random);
      }
      if (namespace === undefined) continue;
      const at = random.pick(['', '0', String(newest), 'x']);
      const name = `p${random.int(8)}`;
      await world.cacheOf(pods).waitFor(await world.store.currentRevision(), 5_000);
      const [left, right] = await Promise.all([get(cached, name, namespace, at), get(direct, name, namespace, at)]);
      if (at === 'x')
        assert.equal(left.ok || right.ok, false); // 500 from a cache, 400 from the store
      else assert.deepEqual(left, right, `GET ${namespace}/${name} at '${at}'`);
    }
  });

for (const [name, open] of stores)
  test(`WATCH: a cache streams what ${name} streams (SEED=${SEED})`, { skip: open.skip }, async () => {
    await using opened = await open.start();
    const random = seededRandom(SEED + 1);
    await using world = createWorld({ random, ...(opened.store === undefined ? {} : { store: opened.store }) });
    const cached = world.cached.reader(pods);
    const direct = world.direct.reader(pods);
    for (let writes = 0; writes < 30; writes++) await writeSomething(world, random);
    await list(cached);
    const start = await world.store.currentRevision();
    const pairs: { query: string; left: TestWatch; right: TestWatch }[] = [];
    for (let count = 0; count < 12; count++) {
      const filter = selectors(random).replace(encodeURIComponent('spec.color=red'), '');
      const from = random.pick([
        `resourceVersion=${start}`,
        'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1',
        'resourceVersion=0',
      ]);
      const query = `watch=1&${filter}${from}`;
      const namespace = random.chance(0.4) ? random.pick(NAMESPACES) : undefined;
      const left = await TestWatch.open(cached, query, namespace);
      const right = await TestWatch.open(direct, query, namespace);
      pairs.push({ query, left, right });
    }
    // Every stream has its state before the first change, so that both have the same state.
    await quiet(pairs);
    for (let writes = 0; writes < 200; writes++) await writeSomething(world, random);
    // A last change that every selector lets through in one form or another would be hard to find.
    await quiet(pairs);
    for (const { query, left, right } of pairs) {
      assert.deepEqual(left.events, right.events, `?${query}`);
      left.close();
      right.close();
    }
    assert.ok(
      pairs.some(({ left }) => left.events.length > 50),
      'something was streamed',
    );
  });

/** Until no stream has brought anything for a while: on a busy machine that takes its time. */
async function quiet(pairs: readonly { readonly left: TestWatch; readonly right: TestWatch }[]): Promise<void> {
  const count = () => pairs.reduce((sum, { left, right }) => sum + left.events.length + right.events.length, 0);
  for (let [before, rounds] = [-1, 0]; rounds < 3; rounds = count() === before ? rounds + 1 : 0) {
    before = count();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a key with a longer neighbour is not mistaken for it', async () => {
  await using world = createWorld();
  await world.put(pods, { metadata: { namespace: 'a', name: 'p1' } });
  await world.put(pods, { metadata: { namespace: 'a', name: 'p10' } });
  assert.equal(keyOf(pods, { namespace: 'a', name: 'p1' }), '/registry/pods/a/p1');
  for (const service of [world.cached, world.direct]) {
    assert.deepEqual(await get(service.reader(pods), 'p1', 'a'), { ok: true, value: 'a/p1@2' });
  }
});
