import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/command.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { etcdKv } from '../support/etcd-kv.js';
import { as, bytesDiffer, JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE } from './agreement.js';
import { shownWatch } from './table-differences.js';
import { type Watcher, type Watching, watcherOf } from './watching.js';

// Where watches begin, what they say before the first change and when they are over, and how they are refused.

let world: ControlPlane;
let theirs: Watcher;
let ours: Watcher;
/** etcd's revision after the first object, and of the last. */
let first = '';
let last = '';

const CONFIG_MAPS = '/api/v1/namespaces/starts/configmaps';
const EVENTS = '/api/v1/namespaces/starts/events';

before(async () => {
  world = await startControlPlane();
  theirs = watcherOf(world.theirUrl);
  ours = watcherOf(world.ourUrl);
  await world.write('POST', '/api/v1/namespaces', { metadata: { name: 'starts' } });
  for (const path of [CONFIG_MAPS, EVENTS]) await world.ask(path); // filled when they are asked for
  const involvedObject = { kind: 'Pod', namespace: 'starts', name: 'p' };
  for (const [index, name] of ['b', 'a', 'c'].entries()) {
    const metadata = { name, namespace: 'starts', labels: { odd: `${index % 2}` } };
    await world.write('POST', EVENTS, { metadata, involvedObject });
    const written = await world.write('POST', CONFIG_MAPS, { metadata, data: { name } });
    first ||= written.metadata.resourceVersion;
  }
  last = (await world.write('PATCH', `${CONFIG_MAPS}/b`, { data: { more: '1' } })).metadata.resourceVersion;
  await world.write('PATCH', `${EVENTS}/b`, { message: 'more' });
});
after(async () => {
  theirs?.close();
  ours?.close();
  await world?.stop();
});

const MODES = 'resourceVersionMatch=NotOlderThan';
const starts = () => [
  ...['', 'resourceVersion=', 'resourceVersion=0', `resourceVersion=${first}`, `resourceVersion=${last}`],
  ...[
    'resourceVersion=0&labelSelector=odd%3D1',
    'fieldSelector=metadata.name%3Db',
    'resourceVersion=0&limit=1&continue=x',
  ],
  ...['', 'resourceVersion=0&', `resourceVersion=${first}&`, `resourceVersion=${last}&`].flatMap((version) => [
    `${version}sendInitialEvents=true&${MODES}`,
    `${version}sendInitialEvents=false&${MODES}`,
  ]),
];
/** Far longer than the first events take. */
const SECONDS = 6;
const FORMS = [
  ...[JSON_TYPE, PROTOBUF_TYPE],
  ...[JSON_TYPE, PROTOBUF_TYPE].map((type) => as(type, 'PartialObjectMetadata')),
  as(JSON_TYPE, 'Table'),
];

/** How far a bookmark is depends on when it was sent, and what is too old or too new on what the cache has. */
function shown(frame: Buffer): Buffer {
  const text = frame.toString('latin1');
  if (!/BOOKMARK|ERROR/.test(text)) return frame;
  return Buffer.from(
    text
      .replace(/("resourceVersion":")\d+/g, '$1')
      .replace(/(2[\x01-\x09])\d+/g, '$1')
      .replace(/(too old resource version: \d+ )\(\d+\)/g, '$1')
      .replace(/(current: )\d+/g, '$1'),
    'latin1',
  );
}

/** Bookmarks after the first are sent as there is time for them. */
function isCertain(frame: Buffer): boolean {
  return !frame.includes('BOOKMARK') || frame.includes('k8s.io/initial-events-end');
}

function difference([want, got]: readonly Watching[], accept: string, path: string): readonly string[] {
  const heads = [want, got].map((one) => `${one!.status()} ${one!.contentType()}`);
  if (heads[0] !== heads[1]) return [`${path} (${accept}): want ${heads[0]}, got ${heads[1]}`];
  const frames = [want, got].map((one) => (one!.status() === 200 ? one!.frames().filter(isCertain) : [one!.body()]));
  const amend = shownWatch('configmaps', accept);
  return Array.from({ length: Math.max(...frames.map(({ length }) => length)) }, (_, index) => {
    const [left, right] = amend(
      ...(frames.map((all) => shown(all[index] ?? Buffer.alloc(0))) as [Buffer, Buffer]),
      index,
    );
    return bytesDiffer(left, right);
  }).flatMap((found, index) => (found === undefined ? [] : [`${path} (${accept}), event ${index}: ${found}`]));
}

/** Of watches that end by themselves, with so many events in all at least. */
async function compare(questions: readonly (readonly [path: string, accept: string])[], count: number) {
  const opened = questions.map(([path, accept]) => ({
    path,
    accept,
    pair: [theirs.open(path, accept), ours.open(path, accept)],
  }));
  await eventually('all are over', () => opened.every(({ pair }) => pair.every((one) => one.hasEnded())), 60_000);
  assert.deepEqual(
    opened.flatMap(({ path, accept, pair }) => difference(pair, accept, path)),
    [],
  );
  const events = opened.reduce((sum, { pair }) => sum + pair[0]!.frames().length, 0);
  assert.ok(events >= count, `${events} events`);
}

test('where they begin', async () => {
  const queries = starts().flatMap((query) => [query, `${query}&allowWatchBookmarks=true`]);
  const paths = queries.map((query) => `${CONFIG_MAPS}?watch=1&timeoutSeconds=${SECONDS}&${query}`);
  await compare(
    paths.flatMap((path) => FORMS.map((accept) => [path, accept] as const)),
    200,
  );
});

test('where they begin, of a kind that is not cached', async () => {
  const queries = starts().flatMap((query) => [query, `${query}&allowWatchBookmarks=true`]);
  const paths = queries.map((query) => `${EVENTS}?watch=1&timeoutSeconds=${SECONDS}&${query}`);
  await compare(
    paths.flatMap((path) => [JSON_TYPE, PROTOBUF_TYPE].map((accept) => [path, accept] as const)),
    80,
  );
});

test('versions that are to come', async () => {
  const future = 'resourceVersion=999999';
  const queries = [future, `${future}&sendInitialEvents=true&${MODES}`, `${future}&sendInitialEvents=false&${MODES}`];
  const paths = queries.map((query) => `${CONFIG_MAPS}?watch=1&timeoutSeconds=${SECONDS}&${query}`);
  await compare(
    paths.flatMap((path) => FORMS.map((accept) => [path, accept] as const)),
    FORMS.length,
  );
});

test('what is refused', async () => {
  const queries = [
    ...['resourceVersion=abc', 'resourceVersion=-1', 'sendInitialEvents=true', 'sendInitialEvents=false', MODES],
    ...['resourceVersionMatch=Exact&resourceVersion=1', `sendInitialEvents=true&resourceVersionMatch=Exact`],
    ...[`sendInitialEvents=true&${MODES}&resourceVersion=abc`, `sendInitialEvents=true&${MODES}&continue=x`],
    ...['timeoutSeconds=x', 'labelSelector=a(', 'fieldSelector=data%3Dx', 'limit=x', 'includeObject=None'],
    ...['sendInitialEvents=true&resourceVersionMatch=Bogus', `${MODES}&continue=x`],
    ...['resourceVersionMatch=Exact&sendInitialEvents=0', 'includeObject=x'],
  ];
  const paths = queries.map((query) => `${CONFIG_MAPS}?watch=1&timeoutSeconds=2&${query}`);
  const forms = [JSON_TYPE, PROTOBUF_TYPE, as(JSON_TYPE, 'Table'), as(YAML_TYPE, 'Table'), 'text/plain'];
  await compare(
    paths.flatMap((path) => forms.map((accept) => [path, accept] as const)),
    0,
  );
});

test('a version that etcd has let go of, of a kind that is not cached', async () => {
  const kv = etcdKv(world.etcd.endpoint);
  await kv.compact(await kv.revision());
  const paths = [`${EVENTS}?watch=1&timeoutSeconds=2&resourceVersion=1`, `${EVENTS}?watch=1&resourceVersion=2`];
  await compare(
    paths.flatMap((path) => FORMS.map((accept) => [path, accept] as const)),
    paths.length * FORMS.length,
  );
});
