import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { kubectlFor } from '../kubectl/support.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { type Answer, send } from '../support/http-client.js';
import { plain } from '../support/openapi.js';

// What is said of built-in kinds in /openapi: of what is read, since listwatch describes nothing else.

type Json = Readonly<Record<string, unknown>>;

let world: ControlPlane;
/** By key of version 3, theirs and ours, of what both have. */
const documents = new Map<string, readonly [Json, Json]>();

before(async () => {
  world = await startControlPlane();
  const [theirs, ours] = await both('/openapi/v3');
  const keys = Object.keys(pathsOf(ours));
  for (const key of keys) assert.ok(key in pathsOf(theirs), key);
  for (const key of keys) documents.set(key, await both(`/openapi/v3/${key}`));
});
after(() => world?.stop());

const pathsOf = (document: Json) => document['paths'] as Readonly<Record<string, Json>>;
const schemasOf = (document: Json) =>
  ((document['components'] as Json | undefined)?.['schemas'] ?? {}) as Readonly<Record<string, Json>>;

async function both(path: string): Promise<readonly [Json, Json]> {
  const answers = await world.ask(path, { ...ADMIN, accept: 'application/json' });
  return answers.map(({ body }) => JSON.parse(body.toString()) as Json) as unknown as readonly [Json, Json];
}

/** The GET of a path; whether parameters stand at the path or at the operation is left out. Version 2 keeps shared ones apart. */
function readOf(document: Json, item: Json): unknown {
  const { parameters, ...get } = item['get'] as Json;
  const shared = (document['parameters'] ?? {}) as Json;
  const all = [item['parameters'], parameters]
    .flatMap((list) => (list ?? []) as Json[])
    .map((parameter) => {
      const ref = parameter['$ref'] as string | undefined;
      return ref === undefined ? parameter : (shared[ref.split('/').pop()!] as Json);
    });
  all.sort((a, b) => (String(a['name']) < String(b['name']) ? -1 : 1));
  return plain({ ...get, parameters: all });
}

function compareReads(want: Json, got: Json): void {
  for (const [path, item] of Object.entries(pathsOf(got))) {
    if (item['get'] === undefined) continue;
    assert.ok(pathsOf(want)[path] !== undefined, path);
    assert.deepEqual(readOf(got, item), readOf(want, pathsOf(want)[path]!), path);
  }
}

/** Readable paths that listwatch does not have: what nodes, pods and services answer themselves, and a kind that is computed. */
const NOT_HERE = /\/(attach|exec|log|portforward|proxy|proxy\/\{path\})$|\/componentstatuses/;

test('version 3: the root of each document', () => {
  for (const [key, [want, got]] of documents) {
    assert.deepEqual([got['openapi'], got['info']], [want['openapi'], want['info']], key);
    const securityOf = (document: Json) => plain((document['components'] as Json)['securitySchemes']);
    assert.deepEqual(securityOf(got), securityOf(want), key);
  }
});

test('version 3: every schema, but for descriptions', () => {
  let count = 0;
  for (const [key, [want, got]] of documents) {
    for (const [name, schema] of Object.entries(schemasOf(got))) {
      assert.deepEqual(plain(schema), plain(schemasOf(want)[name]), `${key} ${name}`);
      count++;
    }
  }
  assert.ok(count > 500, `${count} schemas`);
});

test('version 3: every read with its parameters', () => {
  for (const [key, [want, got]] of documents) {
    compareReads(want, got);
    const missing = Object.entries(pathsOf(want))
      .filter(([path, item]) => item['get'] !== undefined && pathsOf(got)[path] === undefined && !NOT_HERE.test(path))
      .map(([path]) => path);
    assert.deepEqual(missing, [], key);
  }
});

test('version 3: reviews, the only things that are posted', () => {
  let count = 0;
  for (const [key, [want, got]] of documents) {
    for (const [path, { post }] of Object.entries(pathsOf(got))) {
      if (post === undefined) continue;
      count++;
      // Parameters of writes mean nothing to what is kept nowhere, and the only answer is 201.
      const { responses: _theirs, ...wanted } = plain(pathsOf(want)[path]!['post']) as Json;
      const { responses: _ours, ...posted } = plain(post) as Json;
      assert.deepEqual(posted, wanted, `${key} ${path}`);
    }
  }
  assert.ok(count >= 3);
});

test('version 2: every definition, and every read', async () => {
  const [want, got] = await both('/openapi/v2');
  for (const member of ['swagger', 'info', 'security', 'securityDefinitions']) {
    assert.deepEqual(plain(got[member]), plain(want[member]), member);
  }
  const wanted = want['definitions'] as Json;
  const definitions = Object.entries(got['definitions'] as Json);
  assert.ok(definitions.length > 400);
  for (const [name, definition] of definitions) assert.deepEqual(plain(definition), plain(wanted[name]), name);
  compareReads(want, got);
});

// Not compared: Accept-Ranges, since listwatch sends no parts of documents.
const headersOf = ({ status, headers }: Answer) => ({
  status,
  ...Object.fromEntries(
    ['content-type', 'content-encoding', 'cache-control', 'location'].map((name) => [name, headers[name]]),
  ),
  hasTag: headers['etag'] !== undefined,
  variesBy: (headers['vary'] ?? '').split(/, */).sort(),
});

const PROTOBUF_2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const PROTOBUF_3 = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf';
const asked: readonly [path: string, headers: Readonly<Record<string, string>>][] = [
  ['/openapi/v2', {}],
  ['/openapi/v2', { accept: 'application/json' }],
  ['/openapi/v2', { accept: PROTOBUF_2 }],
  ['/openapi/v2', { accept: PROTOBUF_2.replace('.v1.0', '@v1.0') }],
  ['/openapi/v2', { accept: `text/plain,${PROTOBUF_2}` }],
  ['/openapi/v2', { accept: 'text/plain' }],
  ['/openapi/v2', { accept: 'application/yaml' }],
  ['/openapi/v2', { accept: 'application/json;q=0.1,*/*;q=0.9' }],
  ['/openapi/v2', { 'accept-encoding': 'gzip' }],
  ['/openapi/v2', { accept: PROTOBUF_2, 'accept-encoding': 'gzip' }],
  ['/openapi/v3/apis/apps/v1', {}],
  ['/openapi/v3/apis/apps/v1', { accept: PROTOBUF_3 }],
  ['/openapi/v3/apis/apps/v1', { accept: PROTOBUF_3.replace('.v1.0', '@v1.0') }],
  ['/openapi/v3/apis/apps/v1', { accept: 'text/plain' }],
  // Of version 3, no compressed one: upstream sends it as it is, listwatch compresses it.
];
for (const [path, headers] of asked) {
  test(`${path} with ${JSON.stringify(headers)}`, async () => {
    const [want, got] = await world.ask(path, { ...ADMIN, ...headers });
    assert.deepEqual(headersOf(got), headersOf(want));
  });
}

test('what has not changed is not sent again', async () => {
  for (const path of ['/openapi/v2', '/openapi/v3/apis/apps/v1']) {
    const tags = (await world.ask(path)).map(({ headers }) => headers['etag']!);
    const urls = [world.theirUrl, world.ourUrl];
    const answers = await Promise.all(
      urls.map((url, at) => send(url, { path, headers: { ...ADMIN, 'if-none-match': tags[at]! } })),
    );
    const [want, got] = answers.map(headersOf);
    assert.deepEqual(got, want, path);
    assert.equal(want!.status, 304, path);
  }
});

test('a hash that is right may be kept, an old one leads to the right one', async () => {
  const key = 'apis/apps/v1';
  for (const [at, url] of [world.theirUrl, world.ourUrl].entries()) {
    const index = (await both('/openapi/v3'))[at]!;
    const right = pathsOf(index)[key]!['serverRelativeURL'] as string;
    const kept = await send(url, { path: right, headers: ADMIN });
    assert.deepEqual([kept.status, kept.headers['cache-control']], [200, 'public, immutable']);
    assert.ok(Date.parse(kept.headers['expires']!) > Date.parse(kept.headers['date']!) + 300 * 24 * 3600 * 1000);
    const old = await send(url, { path: `/openapi/v3/${key}?hash=00`, headers: ADMIN });
    assert.deepEqual([old.status, old.headers['location']], [301, right]);
  }
});

/** The lines of `kubectl explain` that say what there is, without descriptions, which are in our own words. */
async function explain(beside: ControlPlane, ...args: string[]): Promise<readonly [string[], string[]]> {
  const said = [beside.theirUrl, beside.ourUrl].map((url, at) => {
    const flags = [
      '--token',
      't-admin',
      '--insecure-skip-tls-verify',
      '--cache-dir',
      join(beside.folder, `cache-${at}`),
    ];
    return kubectlFor(() => url).succeed('explain', ...args, ...flags);
  });
  const [theirs, ours] = (await Promise.all(said)).map((text) =>
    text
      .split('\n')
      .filter((line) => /^\S+:|^\s+\S+\s+<.+>( -required-)?$|^\s*enum:/.test(line) && !line.startsWith('DESCRIPTION'))
      .map((line) => line.trimEnd()),
  );
  return [theirs!, ours!];
}

test('kubectl explain: one field, everything below one, and a kind of each group', async () => {
  const kinds = new Map<string, string>();
  for (const [key] of documents) {
    if (!/^(api|apis\/[^/]+)\/v\d+$/.test(key)) continue;
    const [, { resources }] = await both(`/${key}`);
    const names = (resources as readonly Json[]).filter((one) => !String(one['name']).includes('/'));
    kinds.set(key.replace(/^apis?\//, ''), String(names[0]!['name']));
  }
  assert.ok(kinds.size >= 15);
  for (const args of [
    ['pod.spec.containers'],
    ['deployment.spec', '--recursive'],
    ...[...kinds].map(([version, resource]) => [resource, `--api-version=${version}`, '--recursive']),
  ]) {
    const [want, got] = await explain(world, ...args);
    assert.ok(want.length > 5, args.join(' '));
    assert.deepEqual(got, want, args.join(' '));
  }
});

test('with a target, kubectl explain finds what only the target has', async (t) => {
  const forwarding = await startControlPlane({ forward: true });
  t.after(() => forwarding.stop());
  const [want, got] = await forwarding.ask('/openapi/v3', { ...ADMIN, accept: 'application/json' });
  const keysOf = ({ body }: Answer) => Object.keys(pathsOf(JSON.parse(body.toString()) as Json)).sort();
  assert.deepEqual(keysOf(got), keysOf(want));
  for (const args of [['tokenreview', '--recursive'], ['subjectaccessreview.spec'], ['pod.spec.containers']]) {
    const [theirs, ours] = await explain(forwarding, ...args);
    assert.ok(theirs.length > 4, args.join(' '));
    assert.deepEqual(ours, theirs, args.join(' '));
  }
});
