import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseListOptions } from '../../src/api/list-options.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import type { Reader } from '../../src/serve/reader.js';
import { createWorld, listed, okOf, pods, staying, TestWatch, type World } from '../serve/world.js';

/** Enough objects that indexes come up, read through the cache and, for comparison, straight from the store. */
const COUNT = 900;
const NAMESPACES = ['a', 'a-b', 'b', 'c'];
let world: World;
let cached: Reader;
let direct: Reader;

before(async () => {
  world = createWorld();
  cached = world.cached.reader(pods);
  direct = world.direct.reader(pods);
  const codec = createKindCodec(pods);
  await world.store.write(
    Array.from({ length: COUNT }, (_, index) => {
      const namespace = NAMESPACES[index % 4]!;
      const name = `pod-${String(index).padStart(4, '0')}`;
      const labels = { app: `app-${index % 30}`, tier: index % 3 === 0 ? 'front' : 'back' };
      const object = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace, labels },
        spec: { nodeName: index % 50 === 0 ? '' : `node-${index % 50}` },
        status: { phase: index % 7 === 0 ? 'Pending' : 'Running' },
      };
      return {
        type: 'put' as const,
        key: Buffer.from(`/registry/pods/${namespace}/${name}`),
        value: codec.toStored(object),
      };
    }),
  );
});

after(() => world[Symbol.asyncDispose]());

async function read(reader: Reader, query: string, namespace?: string) {
  const options = parseListOptions(query, { extendedFieldSelectors: true });
  assert.ok(options.ok, query);
  const result = await reader.list({ namespace, options: options.value, signal: staying() });
  using answer = okOf(result);
  return { ...listed(reader, answer), plan: answer.plan };
}

async function ready(query: string): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const { plan } = await read(cached, query);
    if (!plan!.startsWith('scan')) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`no index for ${query}`);
}

const queries = [
  'labelSelector=app=app-7',
  'labelSelector=app=app-7,tier=front',
  'labelSelector=app in (app-1,app-2),tier!=front',
  'labelSelector=!app',
  'labelSelector=app notin (app-1),tier',
  'fieldSelector=spec.nodeName=node-7',
  'fieldSelector=spec.nodeName=',
  'fieldSelector=spec.nodeName!=node-7,status.phase=Pending',
  'fieldSelector=spec.nodeName=node-21&labelSelector=tier=front',
  'fieldSelector=metadata.namespace=a-b&labelSelector=app=app-1',
  'fieldSelector=metadata.name=pod-0007',
  'fieldSelector=spec.nodeName in (node-1,node-2)',
  'fieldSelector=spec.nodeName notin (node-1),!spec.nodeName',
  'fieldSelector=spec.nodeName,status.phase=Pending',
  'fieldSelector=metadata.namespace in (c,a)',
  'fieldSelector=metadata.namespace in (c,a,nowhere,UPPER)&labelSelector=app=app-2',
  'fieldSelector=metadata.namespace notin (a,b)',
];

test('whatever finds them, the objects are those that a read of the store finds, in its order', async () => {
  await ready('labelSelector=app=app-7');
  await ready('fieldSelector=spec.nodeName=node-7');
  const plans = new Set<string>();
  for (const query of queries) {
    for (const namespace of [undefined, 'a-b']) {
      const left = await read(cached, query, namespace);
      const right = await read(direct, query, namespace);
      assert.deepEqual([left.names, left.bytes], [right.names, right.bytes], query);
      assert.equal(right.plan, undefined);
      plans.add(left.plan!.split(' ')[0]!.replace(';', ''));
    }
  }
  assert.deepEqual([...plans].sort(), ['columns', 'postings', 'scan']);
});

test('pages put together are the whole list, of one revision', async () => {
  for (const query of queries) {
    const whole = await read(cached, query);
    for (const limit of [3, 40]) {
      const names: string[] = [];
      let page = await read(cached, `${query}&limit=${limit}`);
      names.push(...page.names);
      for (let turn = 0; page.continue !== undefined; turn++) {
        assert.ok(turn < COUNT);
        page = await read(cached, `${query}&limit=${limit}&continue=${page.continue}`);
        names.push(...page.names);
      }
      assert.deepEqual(names, whole.names, `${query} by ${limit}`);
    }
  }
});

test('the end of a list is where kube-apiserver sees it: its caches know it for one node, from etcd nobody does', async () => {
  const { names } = await read(direct, 'fieldSelector=spec.nodeName=node-7');
  const limit = `limit=${names.length}`;
  assert.equal((await read(cached, `fieldSelector=spec.nodeName=node-7&${limit}`)).continue, undefined);
  assert.equal((await read(cached, `fieldSelector=spec.host=node-7&${limit}`)).continue, undefined);
  assert.notEqual((await read(cached, `fieldSelector=status.phase=Pending&limit=1`)).continue, undefined);
  assert.notEqual((await read(direct, `fieldSelector=spec.nodeName=node-7&${limit}`)).continue, undefined);
  // Candidates are those on the node, whatever else is selected; and a state of the past has no index there.
  const both = 'fieldSelector=spec.nodeName=node-7&labelSelector=tier=back'; // the last one is at the front
  const back = (await read(direct, both)).names.length;
  assert.ok(back < names.length);
  assert.notEqual((await read(cached, `${both}&limit=${back}`)).continue, undefined);
  const exact = `resourceVersion=${await world.store.currentRevision()}&resourceVersionMatch=Exact`;
  assert.notEqual((await read(cached, `fieldSelector=spec.nodeName=node-7&${limit}&${exact}`)).continue, undefined);
});

test('explain says what was looked at and why', async () => {
  await ready('labelSelector=app=app-7');
  await ready('fieldSelector=spec.nodeName=node-7');
  const plan = async (query: string, namespace?: string) => (await read(cached, query, namespace)).plan;
  assert.equal(await plan(''), 'range; estimated=900; range=900; fetched=900; returned=900');
  assert.equal(
    await plan('fieldSelector=spec.nodeName=node-7'),
    'postings f:spec.nodeName; estimated=18; range=900; fetched=18; returned=18',
  );
  assert.equal(
    await plan('fieldSelector=spec.nodeName=node-7&labelSelector=tier=back'),
    'postings f:spec.nodeName; estimated=18; range=900; considered=f:spec.nodeName:18|l:tier:600; fetched=12; returned=12',
  );
  assert.equal(
    await plan('labelSelector=tier=back'),
    'columns l:tier; estimated=900; range=900; fetched=900; returned=600',
  );
  assert.equal(
    await plan('labelSelector=tier=back', 'a'),
    'columns l:tier; estimated=225; range=225; fetched=225; returned=150',
  );
  assert.match((await plan('fieldSelector=status.podIP=10.0.0.1'))!, /^scan; estimated=900; range=900; verified=1; /);
});

test('a watch with a selector begins with the same objects by an index as from the store', async () => {
  for (const query of ['labelSelector=app=app-7', 'fieldSelector=spec.nodeName=node-7', 'labelSelector=!app']) {
    const watches = await Promise.all([cached, direct].map((reader) => TestWatch.open(reader, `watch=1&${query}`)));
    const { names } = await read(direct, query);
    const [left, right] = await Promise.all(
      watches.map((watch) => watch.until((events) => events.length >= names.length)),
    );
    assert.equal(left!.length, names.length);
    assert.deepEqual([...left!].sort(), [...right!].sort(), query);
    for (const watch of watches) watch.close();
  }
});
