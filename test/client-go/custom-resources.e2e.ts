import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Apiextensions, CRDS, startApiextensions } from '../support/apiextensions.js';
import { eventually, type RunningCommand, run, start } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';
import { parseLines } from './programs.js';

// client-go's discovery, REST mapper, OpenAPI clients and dynamic informers, while CRDs appear, change and go away. Informers run
// side by side at k8s.io/apiextensions-apiserver and at listwatch, on one etcd, and must be told the same.

let bin: string;
let etcd: Etcd;
let theirs: Apiextensions;
let ours: RunningServer;

before(async () => {
  bin = await buildGoPrograms('client-go');
  etcd = await startEtcd();
  theirs = await startApiextensions(etcd.endpoint);
  ours = await startServer(['--etcd-servers', etcd.endpoint]);
});
after(async () => {
  await ours?.stop();
  await theirs?.stop();
  await etcd?.stop();
});

const spec = (more: object = {}) => ({
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      default: {},
      properties: { color: { type: 'string' }, size: { type: 'integer', ...more } },
    },
  },
});
const version = (name: string, served: boolean, more: object = {}, schema: object = spec()) => ({
  name,
  served,
  storage: name === 'v1',
  schema: { openAPIV3Schema: schema },
  ...more,
});
const crd = (plural: string, kind: string, versions: readonly object[]) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.ex.io` },
  spec: {
    group: 'ex.io',
    scope: 'Namespaced',
    names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
    versions,
  },
});
const foo = (name: string, color: string) => ({
  apiVersion: 'ex.io/v1',
  kind: 'Foo',
  metadata: { name, namespace: 'd' },
  spec: { color },
});
const FOOS = '/apis/ex.io/v1/namespaces/d/foos';

const statusOf = async (url: string, path: string) => (await send(url, { path })).status;
/** Both have taken notice of a change of a CRD. */
const both = (what: string, path: string, status: number) =>
  eventually(what, async () => {
    const found = [await statusOf(theirs.url, path), await statusOf(ours.secureUrl, path)];
    return found.every((one) => one === status);
  });
const setVersions = (...versions: readonly object[]) =>
  theirs.write('PATCH', `${CRDS}/foos.ex.io`, { spec: { versions } });

interface Line {
  readonly type: string;
  readonly key?: string;
  readonly resourceVersion?: string;
  readonly oldResourceVersion?: string;
  readonly status?: number;
  readonly watch?: boolean;
  readonly error?: string;
  readonly object?: object;
}

/** One informer at each of the servers. */
class Pair implements AsyncDisposable {
  readonly #commands: readonly RunningCommand[];

  constructor(resource: string, args: readonly string[] = []) {
    this.#commands = [theirs.url, ours.secureUrl].map((url) =>
      start(join(bin, 'informer'), [
        ...['-server', url, '-insecure', '-accept', 'json', '-client', 'dynamic', '-objects', '-resource', resource],
        ...args,
      ]),
    );
  }

  lines(side: 0 | 1): Line[] {
    const text = this.#commands[side]!.stdout();
    return parseLines<Line>(text.slice(0, text.lastIndexOf('\n') + 1));
  }

  /**
   * What the handlers were told, with the objects, in the order of changes. A list that is read anew has no order, and says that an
   * object is what it was.
   */
  events(side: 0 | 1): object[] {
    return this.lines(side)
      .filter(({ type }) => ['add', 'update', 'delete'].includes(type))
      .filter(({ resourceVersion, oldResourceVersion }) => resourceVersion !== oldResourceVersion)
      .sort((a, b) => Number(a.resourceVersion) - Number(b.resourceVersion))
      .map(({ type, key, resourceVersion, object }) => ({ type, key, resourceVersion, object }));
  }

  /** Waits until both were told `count` events in all, which must be the same. */
  async told(count: number, what: string): Promise<Line[]> {
    await eventually(what, () => this.events(0).length >= count && this.events(1).length >= count, 60_000).catch(
      (error) => {
        throw new Error(
          `${error.message}: ${this.events(0).length} and ${this.events(1).length} of ${count}: ${JSON.stringify(this.events(1).at(-1))}`,
        );
      },
    );
    assert.deepEqual(this.events(1), this.events(0), what);
    const told = this.events(1) as Line[];
    assert.equal(
      told.length,
      count,
      `${what}: ${told.map(({ type, key, resourceVersion }) => `${type} ${key} ${resourceVersion}`)}`,
    );
    return told;
  }

  /** Waits until both got a 404 after `from` requests. */
  async refused(what: string, from: readonly [number, number] = [0, 0]): Promise<void> {
    const refused = (side: 0 | 1) =>
      this.#requests(side)
        .slice(from[side])
        .some(({ status }) => status === 404);
    await eventually(what, () => refused(0) && refused(1), 60_000);
  }

  /** The resourceVersions of what is there now, as far as the handlers were told. */
  store(side: 0 | 1): Record<string, string> {
    const found = new Map<string, string>();
    for (const { type, key, resourceVersion } of this.lines(side)) {
      if (type === 'add' || type === 'update') found.set(key!, resourceVersion!);
      else if (type === 'delete') found.delete(key!);
    }
    return Object.fromEntries(found);
  }

  #requests(side: 0 | 1): Line[] {
    return this.lines(side).filter(({ type }) => type === 'request');
  }
  get requests(): [number, number] {
    return [this.#requests(0).length, this.#requests(1).length];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#commands.map((command) => command.stop()));
  }
}

test('dynamic informers on a CRD that appears, changes, goes away and comes back', async () => {
  await using v1 = new Pair('ex.io/v1/foos');
  await v1.refused('the kind does not exist');

  await theirs.write('POST', CRDS, crd('foos', 'Foo', [version('v1', true)]));
  await both('v1 is served', '/apis/ex.io/v1/foos', 200);
  await theirs.write('POST', FOOS, foo('a', 'red'));
  await theirs.write('POST', FOOS, foo('b', 'blue'));
  await v1.told(2, 'the kind appears');
  await theirs.write('PATCH', `${FOOS}/a`, { spec: { color: 'green' } });
  await theirs.write('DELETE', `${FOOS}/b`);
  await v1.told(4, 'changes');

  // Another version, a default, and a selectable field: the watches end and are begun again, and nothing is lost.
  const defaulted = spec({ default: 3 });
  const v2Version = version('v2', true, {}, { ...defaulted, description: 'The second version.' });
  const selectable = { selectableFields: [{ jsonPath: '.spec.color' }] };
  await setVersions(version('v1', true, selectable, defaulted), v2Version);
  await both('v2 is served', '/apis/ex.io/v2/foos', 200);
  await both('a field is selectable', '/apis/ex.io/v1/foos?fieldSelector=spec.color%3Dred', 200);
  await using v2 = new Pair('ex.io/v2/foos');
  await using red = new Pair('ex.io/v1/foos', ['-field-selector', 'spec.color=red']);
  const [first] = await v2.told(1, 'the other version');
  assert.deepEqual((first!.object as { spec: object }).spec, { color: 'green', size: 3 }, 'with the default');
  await theirs.write('PATCH', `${FOOS}/a`, { spec: { color: 'red' } });
  await theirs.write('POST', FOOS, foo('c', 'blue'));
  await v1.told(6, 'goes on after the change of the CRD');
  await v2.told(3, 'follows as well');
  await red.told(1, 'selects');
  await theirs.write('PATCH', `${FOOS}/a`, { spec: { color: 'black' } });
  await red.told(2, 'is selected no more');
  // Upstream begins anew after a change of a CRD and may leave out what happened shortly before.
  await v1.told(7, 'before the change');
  await v2.told(4, 'before the change');

  // A version that is not served any more is gone for those who watch it, and for nobody else.
  const requests = v1.requests;
  await setVersions(version('v1', false, selectable, defaulted), v2Version);
  await both('v1 is not served', '/apis/ex.io/v1/foos', 404);
  await v1.refused('v1 is not served', requests);
  const other = { ...foo('d', 'red'), apiVersion: 'ex.io/v2' };
  await theirs.write('POST', '/apis/ex.io/v2/namespaces/d/foos', other);
  await v2.told(5, 'the other version goes on');
  await setVersions(version('v1', true, selectable, defaulted), v2Version);
  await both('v1 is served again', '/apis/ex.io/v1/foos', 200);
  await v1.told(8, 'fills again');

  // With the CRD go the objects; a new one begins empty.
  const before = v2.requests;
  await theirs.write('DELETE', `${CRDS}/foos.ex.io`);
  await both('the kind is gone', '/apis/ex.io/v2/foos', 404);
  await v2.refused('the kind is gone', before);
  await theirs.write('POST', CRDS, crd('foos', 'Foo', [version('v1', true), version('v2', true)]));
  await both('the kind is back', '/apis/ex.io/v2/foos', 200);
  const made = (await theirs.write('POST', FOOS, foo('e', 'white'))) as { metadata: { resourceVersion: string } };
  const want = { 'd/e': made.metadata.resourceVersion };
  // Whether deletions came before the kind was gone, or were found by the next list, is chance.
  await eventually('the kind is back', () => 'd/e' in v2.store(0) && 'd/e' in v2.store(1), 60_000);
  assert.deepEqual([v2.store(0), v2.store(1)], [want, want]);
});

interface Seen {
  readonly type: 'request' | 'resources' | 'openapi' | 'mapping';
  readonly how: string;
  readonly path: string;
  readonly status: number;
  readonly contentType: string;
  readonly ifNoneMatch: string;
  readonly groupVersions: readonly string[];
  readonly resources: readonly string[];
  readonly schemas: readonly string[];
  readonly paths: number;
  readonly protobuf: number;
  readonly resource?: string;
  readonly error?: string;
}
async function discover(...args: string[]): Promise<Seen[]> {
  const finished = await run(
    join(bin, 'discover'),
    ['-server', ours.secureUrl, '-insecure', '-accept', 'json', ...args],
    {
      timeoutMs: 120_000,
    },
  );
  assert.equal(finished.code, 0, finished.stderr);
  return parseLines<Seen>(finished.stdout);
}

test('discovery: legacy and aggregated documents say the same', async () => {
  await theirs.write('POST', CRDS, crd('bars', 'Bar', [version('v1', true), version('v2beta1', true)]));
  await both('bars are served', '/apis/ex.io/v2beta1/bars', 200);
  const lines = await discover('-openapi');
  const [aggregated, legacy] = lines.filter(({ type }) => type === 'resources');
  assert.ok(aggregated!.resources.length > 60);
  assert.ok(aggregated!.resources.some((text) => text.startsWith('ex.io/v2beta1 {"name":"bars"')));
  assert.deepEqual(legacy!.groupVersions, aggregated!.groupVersions);
  assert.deepEqual(legacy!.resources, aggregated!.resources);
  const requests = lines.filter(({ type }) => type === 'request').slice(0, 2);
  assert.deepEqual(new Set(requests.map(({ path }) => path)), new Set(['/api', '/apis']), 'two requests are enough');
  for (const { contentType } of requests) {
    assert.equal(contentType, 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
  }

  // OpenAPI: v2 through gnostic, and each path of v3 in both forms.
  const documents = new Map(lines.filter(({ type }) => type === 'openapi').map((one) => [one.path, one]));
  const v2 = documents.get('v2')!;
  assert.ok(v2.schemas.includes('io.k8s.api.core.v1.Pod') && v2.schemas.includes('io.ex.v1.Bar'));
  for (const groupVersion of aggregated!.groupVersions) {
    const [name] = groupVersion.split(' ');
    const document = documents.get(name === 'v1' ? 'api/v1' : `apis/${name}`);
    assert.ok(document !== undefined && document.paths > 0 && document.schemas.length > 0, `v3 of ${name}`);
  }
  for (const [path, { protobuf }] of documents) {
    if (path !== 'v2') assert.ok(protobuf > 0, `v3 of ${path} as protobuf`);
  }
  assert.ok(documents.get('apis/ex.io/v2beta1')!.schemas.includes('io.ex.v2beta1.Bar'));
});

test("discovery: client-go's cache on disk is confirmed with 304 until a kind appears", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'discover-'));
  try {
    const requests = async () =>
      (await discover('-disk-cache', folder)).filter(({ type, path }) => type === 'request' && /^\/apis?$/.test(path));
    assert.deepEqual(new Set((await requests()).slice(0, 2).map(({ status }) => status)), new Set([200]));
    const confirmed = (await requests()).slice(0, 2);
    assert.deepEqual(confirmed.map(({ path, status }) => [path, status]).sort(), [
      ['/api', 304],
      ['/apis', 304],
    ]);
    for (const { ifNoneMatch } of confirmed) assert.match(ifNoneMatch, /^"[0-9A-F]{128}"$/);
    await theirs.write('POST', CRDS, crd('bazes', 'Baz', [version('v1', true)]));
    await both('bazes are served', '/apis/ex.io/v1/bazes', 200);
    const changed = (await requests()).slice(0, 2);
    assert.deepEqual(changed.map(({ path, status }) => [path, status]).sort(), [
      ['/api', 304],
      ['/apis', 200],
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a deferred REST mapper finds a kind that appears, once it is reset', async () => {
  const mapper = start(
    join(bin, 'discover'),
    ['-server', ours.secureUrl, '-insecure', '-accept', 'json', '-map'],
    {},
    'pipe',
  );
  const mappings = () => {
    const text = mapper.stdout();
    return parseLines<Seen>(text.slice(0, text.lastIndexOf('\n') + 1)).filter(({ type }) => type === 'mapping');
  };
  const ask = async (...lines: string[]) => {
    const known = mappings().length;
    mapper.child.stdin!.write(`${lines.join('\n')}\n`);
    return eventually('an answer of the mapper', () => mappings()[known]);
  };
  try {
    assert.match((await ask('ex.io Late')).error ?? '', /no matches for kind "Late" in group "ex.io"/);
    await theirs.write('POST', CRDS, crd('lates', 'Late', [version('v1', true)]));
    await both('lates are served', '/apis/ex.io/v1/lates', 200);
    assert.equal((await ask('reset', 'ex.io Late')).resource, 'ex.io/v1, Resource=lates');
    await theirs.write('DELETE', `${CRDS}/lates.ex.io`);
    await both('lates are gone', '/apis/ex.io/v1/lates', 404);
    assert.match((await ask('reset', 'ex.io Late')).error ?? '', /no matches for kind "Late"/);
  } finally {
    await mapper.stop();
  }
});
