import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Kind } from '../../src/codec/kind.js';
import { eventually } from '../support/command.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { etcdKv } from '../support/etcd-kv.js';
import { as, disagreement, JSON_TYPE, KUBECTL_TABLE, PROTOBUF_TYPE, type Shown } from './agreement.js';
import { ALL_KINDS, collectionOf, createObjects, manifests, nameOf, readKinds } from './objects.js';
import { shownTables } from './table-differences.js';

// LISTs in pages: items, tokens, what remains and the version are kube-apiserver's, to the byte, and so is what is refused.

let world: ControlPlane;
/** etcd's revision when all objects were there. */
let settled = '';
/** Tokens of then, by collection. */
const tokens = new Map<string, string>();

const ODD = 'labelSelector=side%3Dodd';
const NAMESPACES = ['north', 'south'];

before(async () => {
  world = await startControlPlane({ apiserver: ALL_KINDS });
  await createObjects(world, manifests());
  // Caches are filled when they are asked for, and know what comes later.
  await Promise.all(readKinds.map((kind) => world.ask(collectionOf(kind))));
  const kv = etcdKv(world.etcd.endpoint);
  // Copies, as kube-apiserver shows the object: more than one page of each kind, in two namespaces.
  for (const kind of readKinds.filter(({ storedAs }) => storedAs === undefined)) {
    const [theirs] = await world.ask(collectionOf(kind));
    const { items, kind: list, apiVersion } = JSON.parse(theirs.body.toString()) as List;
    const { resourceVersion: _, ...metadata } = items[0]!.metadata;
    await kv.putAll(
      Array.from({ length: 7 }, (_unused, index) => {
        const name = kind.kind === 'IPAddress' ? `10.97.0.${index}` : `copy-${index}`;
        const namespace = kind.namespaced ? { namespace: NAMESPACES[index % 2]! } : {};
        const labels = {
          side: index % 3 === 0 ? 'even' : 'odd',
          ...(kind.kind === 'Namespace' ? { 'kubernetes.io/metadata.name': name } : {}),
        };
        const copy = {
          ...items[0],
          apiVersion,
          kind: list.replace(/List$/, ''),
          metadata: { ...metadata, name, labels, ...namespace },
        };
        const path = [kind.directory, ...(kind.namespaced ? [NAMESPACES[index % 2]] : []), name].join('/');
        return [`/registry/${path}`, JSON.stringify(copy)] as const;
      }),
    );
  }
  settled = String(await kv.revision());
});
after(() => world?.stop());

interface List {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly continue?: string; readonly resourceVersion: string };
  readonly items: readonly {
    readonly metadata: { readonly resourceVersion: string; readonly [member: string]: unknown };
  }[];
}

/** How far a cache has come is its own affair, where any version will do. */
const shownAtAnyVersion: Shown = (theirs, ours) => [withoutVersion(theirs), withoutVersion(ours)];

function withoutVersion(list: Buffer): Buffer {
  return Buffer.from(list.toString().replace(/("metadata":\{"resourceVersion":")\d+/, '$1'));
}

/** Follows a LIST to its end, by kube-apiserver's tokens; what differs. Returns how many pages there were. */
async function follow(path: string, query: string, accept: string, kind: Kind, found: string[]): Promise<number> {
  let options: { readonly shown?: Shown } = {};
  if (accept.includes('Table')) {
    options = { shown: shownTables(kind.group === '' ? kind.resource : `${kind.resource}.${kind.group}`) };
  } else if (query.includes('resourceVersion=0')) options = { shown: shownAtAnyVersion };
  let token: string | undefined = '';
  let pages = 0;
  while (token !== undefined) {
    // Where a page goes on is in its token, and a version beside it is refused.
    const page: string =
      token === ''
        ? query
        : `${query.replace(/resourceVersion(Match)?=\w+&?/g, '')}&continue=${encodeURIComponent(token)}`;
    const difference = await disagreement(world, `${path}?${page}`, { accept }, options);
    if (difference !== undefined) found.push(difference);
    const [theirs] = await world.ask(`${path}?${page}`);
    token = (JSON.parse(theirs.body.toString()) as List).metadata.continue;
    pages++;
  }
  return pages;
}

for (const kind of readKinds) {
  test(nameOf(kind), async () => {
    const found: string[] = [];
    const all = collectionOf(kind);
    const exact = `resourceVersion=${settled}&resourceVersionMatch=Exact`;
    const notOlder = `resourceVersion=${settled}&resourceVersionMatch=NotOlderThan`;
    const partial = as(PROTOBUF_TYPE, 'PartialObjectMetadataList');
    const pages = await Promise.all([
      follow(all, 'limit=3', JSON_TYPE, kind, found),
      follow(all, 'limit=4', PROTOBUF_TYPE, kind, found),
      follow(all, `limit=2&${ODD}`, partial, kind, found),
      follow(all, `limit=5&${exact}`, JSON_TYPE, kind, found),
      follow(all, `limit=5&${notOlder}`, KUBECTL_TABLE, kind, found),
      follow(all, `limit=3&resourceVersion=${settled}`, JSON_TYPE, kind, found),
      follow(all, 'limit=3&fieldSelector=metadata.name%21%3Dcopy-1', JSON_TYPE, kind, found),
      ...(kind.namespaced ? [follow(collectionOf(kind, 'north'), 'limit=2', JSON_TYPE, kind, found)] : []),
      // A limit means nothing to what the cache has.
      follow(all, 'limit=1&resourceVersion=0', JSON_TYPE, kind, found),
    ]);
    assert.deepEqual(found, []);
    assert.ok(pages[0]! > 1 && pages[2]! > 1, `${pages} pages`);
    const [theirs] = await world.ask(`${all}?limit=2`);
    tokens.set(all, (JSON.parse(theirs.body.toString()) as List).metadata.continue!);
  });
}

const token = (value: object | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const V1 = 'meta.k8s.io/v1';
const REFUSED = [
  ...[
    'x',
    '!',
    '====',
    token('x'),
    token('{}'),
    token('[]'),
    token('null'),
    token('{"v":1}'),
    token({ v: 'meta.k8s.io/v2' }),
  ],
  ...[
    { v: V1 },
    { v: V1, rv: 5 },
    { v: V1, rv: 0, start: 'a' },
    { v: V1, rv: 5, start: '' },
    { v: V1, rv: 5, start: '../a' },
  ].map(token),
  ...[
    { v: V1, rv: 5, start: '/../a\u0000' },
    { v: V1, rv: 5, start: 'a//b' },
    { v: V1, rv: 'x', start: 'a' },
  ].map(token),
];

for (const path of ['/api/v1/configmaps', '/api/v1/namespaces/north/configmaps', '/api/v1/events', '/api/v1/nodes']) {
  test(`${path}: what is refused`, async () => {
    const found: (string | undefined)[] = [];
    const refused = (query: string, status: number) =>
      disagreement(world, `${path}?${query}`, { accept: JSON_TYPE }, { status });
    for (const value of REFUSED) found.push(await refused(`limit=2&continue=${encodeURIComponent(value)}`, 400));
    const valid = encodeURIComponent(tokens.get(path) ?? tokens.get('/api/v1/nodes')!);
    found.push(await refused(`continue=${valid}&resourceVersion=${settled}`, 400));
    for (const match of ['Exact', 'NotOlderThan', 'Other']) {
      found.push(await refused(`continue=${valid}&resourceVersion=0&resourceVersionMatch=${match}`, 422));
    }
    for (const query of ['limit=x', 'limit=99999999999999999999', 'limit=1&resourceVersion=x'])
      found.push(await refused(query, 400));
    assert.deepEqual(
      found.filter((difference) => difference !== undefined),
      [],
    );
  });
}

test('tokens of a revision that etcd has let go of', async () => {
  const kv = etcdKv(world.etcd.endpoint);
  await kv.compact(await kv.revision());
  const COMPACTED_TIMEOUT_MS = 60_000;
  for (const path of ['/api/v1/events', '/apis/events.k8s.io/v1/events']) {
    const query = `limit=2&continue=${encodeURIComponent(tokens.get(path)!)}`;
    await eventually(
      `${path}: both have let go of it`,
      async () => (await world.ask(`${path}?${query}`)).every(({ status }) => status === 410),
      COMPACTED_TIMEOUT_MS,
    );
    for (const accept of [JSON_TYPE, PROTOBUF_TYPE, KUBECTL_TABLE]) {
      assert.equal(await disagreement(world, `${path}?${query}`, { accept }, { status: 410 }), undefined);
    }
    const [theirs] = await world.ask(`${path}?${query}`);
    const rest = (JSON.parse(theirs.body.toString()) as List).metadata.continue!;
    const further = `${path}?limit=2&continue=${encodeURIComponent(rest)}`;
    assert.equal(await disagreement(world, further, { accept: JSON_TYPE }), undefined);
    const gone = `${path}?limit=2&resourceVersion=1&resourceVersionMatch=Exact`;
    assert.equal(await disagreement(world, gone, { accept: JSON_TYPE }, { status: 410 }), undefined);
  }
});
