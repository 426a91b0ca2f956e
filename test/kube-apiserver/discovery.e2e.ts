import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../support/command.js';
import { kubectlFor } from '../kubectl/support.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { type Answer, documentHeaders, send } from '../support/http-client.js';

// Discovery of built-in groups, of CRDs, and of APIServices, in both forms. Different by design, and taken out of theirs before the comparison:
// - verbs that write, and what can only be written: listwatch reads;
// - what nodes, pods and services answer themselves, and component statuses, which are computed: listwatch has none of it;
// - groups that only an APIService names: listwatch does not ask other servers, so it does not list what they serve.

type Json = Readonly<Record<string, unknown>>;
interface Resource extends Json {
  readonly name: string;
  readonly verbs: readonly string[];
}

const V2 = 'g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const READS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
const NOT_HERE = /^componentstatuses$|^(nodes|pods|services)\/(attach|exec|log|portforward|proxy)$/;
/** Reviews that listwatch answers: what is posted, and not written. */
const REVIEW = /reviews$/;

let world: ControlPlane;

const crd = (group: string, plural: string, kind: string, versions: readonly string[], more: object = {}) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural, kind, ...more },
    versions: versions.map((name, at) => ({
      name,
      served: true,
      storage: at === 0,
      schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      subresources: { status: {}, scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' } },
    })),
  },
});
const apiService = (group: string, version: string, priorities: readonly [number, number], more: object = {}) => ({
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name: `${version}.${group}` },
  spec: { group, version, groupPriorityMinimum: priorities[0], versionPriority: priorities[1], ...more },
});
const ABSENT = { insecureSkipTLSVerify: true, service: { namespace: 'default', name: 'absent' } };

before(async () => {
  world = await startControlPlane();
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  await world.write('POST', crds, crd('zebra.ex.io', 'foos', 'Foo', ['v1', 'v2', 'v1beta1', 'v10', 'other']));
  await world.write(
    'POST',
    crds,
    crd('apple.ex.io', 'bars', 'Bar', ['v1'], { shortNames: ['b'], categories: ['all'] }),
  );
  const services = '/apis/apiregistration.k8s.io/v1/apiservices';
  await world.write('POST', services, apiService('absent.ex.io', 'v1', [2000, 5], ABSENT));
  await eventually('both know the groups', async () => {
    const forms = [`application/json;${V2}`, 'application/json'];
    const answers = await Promise.all(forms.map((accept) => world.ask('/apis', { ...ADMIN, accept })));
    return answers.every((pair) =>
      pair.every(({ body }, at) =>
        ['zebra.ex.io', 'apple.ex.io', ...(at === 0 ? ['absent.ex.io'] : [])].every((name) => body.includes(name)),
      ),
    );
  });
});
after(() => world?.stop());

const parse = ({ body }: Answer) => JSON.parse(body.toString()) as Json;
const list = (of: Json, name: string) => (of[name] ?? []) as readonly Json[];

async function both(path: string, accept = 'application/json'): Promise<readonly [Json, Json]> {
  const [theirs, ours] = await world.ask(path, { ...ADMIN, accept });
  assert.deepEqual([ours.status, theirs.status], [200, 200], path);
  return [parse(theirs), parse(ours)];
}

/** Without the group of a server that is away; `nameOf`: of a group in either form. */
function known(theirs: readonly Json[], nameOf: (group: Json) => unknown): readonly Json[] {
  return theirs.filter((group) => nameOf(group) !== 'absent.ex.io');
}

/** The verbs that listwatch has: undefined for what it does not have. */
function readVerbs(name: string, verbs: readonly string[]): readonly string[] | undefined {
  if (NOT_HERE.test(name)) return undefined;
  if (REVIEW.test(name)) return verbs;
  const reads = verbs.filter((verb) => READS.has(verb));
  return reads.length === 0 ? undefined : reads;
}

function readable(document: Json): Json {
  const resources = list(document, 'resources') as readonly Resource[];
  return {
    ...document,
    resources: resources.flatMap((one) => {
      const verbs = readVerbs(one.name, one.verbs);
      return verbs === undefined ? [] : [{ ...one, verbs }];
    }),
  };
}

test('/apis lists groups and versions in the same order', async () => {
  const [want, got] = await both('/apis');
  assert.deepEqual(got, { ...want, groups: known(list(want, 'groups'), ({ name }) => name) });
});

test('every group and every version, in the classic form', async () => {
  const [, { groups }] = await both('/apis');
  const paths = (groups as readonly Json[]).flatMap((group) => [
    `/apis/${String(group['name'])}`,
    ...list(group, 'versions').map(({ groupVersion }) => `/apis/${String(groupVersion)}`),
  ]);
  assert.ok(paths.length > 40);
  for (const path of ['/api/v1', ...paths]) {
    const [want, got] = await both(path);
    const isVersion = want['kind'] === 'APIResourceList';
    // Of CRDs upstream sorts verbs in a way of its own; those that read come in the same order.
    const expected = isVersion ? readable(want) : want;
    assert.equal(JSON.stringify(got), JSON.stringify(expected), path);
  }
});

for (const path of ['/api', '/apis']) {
  test(`${path}, aggregated`, async () => {
    const [want, got] = await both(path, `application/json;${V2}`);
    const items = known(list(want, 'items'), ({ metadata }) => (metadata as Json)['name']);
    const expected = {
      ...want,
      items: items.map((item) => ({
        ...item,
        versions: list(item, 'versions').map((version) => ({
          ...version,
          resources: list(version, 'resources').flatMap((one) => {
            const name = String(one['resource']);
            const verbs = readVerbs(name, one['verbs'] as string[]);
            if (verbs === undefined) return [];
            const subresources = list(one, 'subresources').flatMap((below) => {
              const can = readVerbs(`${name}/${String(below['subresource'])}`, below['verbs'] as string[]);
              return can === undefined ? [] : [{ ...below, verbs: can }];
            });
            const { subresources: _all, ...own } = one;
            return [{ ...own, verbs, ...(subresources.length === 0 ? {} : { subresources }) }];
          }),
        })),
      })),
    };
    assert.equal(JSON.stringify(got), JSON.stringify(expected));
  });
}

const COMPARED = ['content-type', 'cache-control', 'vary', 'x-content-type-options'];
const headersOf = (answer: Answer) => documentHeaders(answer, COMPARED);
const accepts = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'text/plain',
  '*/*',
  'application/*',
  `application/json;${V2}`,
  `application/yaml;${V2}`,
  `application/vnd.kubernetes.protobuf;${V2}`,
  `application/cbor;${V2}`,
  `application/json;${V2};profile=nopeer`,
  `application/json;${V2.replace('v2', 'v2beta1')}`,
  `application/json;${V2.replace('v2', 'v2beta1')},application/json`,
  `application/json;${V2.replace('v2', 'v3')},application/json;${V2}`,
  `application/json,application/json;${V2}`,
  `application/json;${V2},application/json`,
  `text/plain,application/json;${V2}`,
  `application/json;${V2.replace('APIGroupDiscoveryList', 'Table')}`,
  'application/json;as=APIGroupDiscoveryList',
  `application/*;${V2}`,
  `*/*;${V2}`,
  `application/yaml,application/json;${V2};q=0.1`,
  `application/json;q=0.1,application/json;${V2};q=0.9`,
];
const paths = [
  ...['/api', '/api/', '/apis', '/apis/', '/api/v1', '/api/v1/', '/apis/apps', '/apis/apps/', '/apis/apps/v1'],
  ...['/apis/authorization.k8s.io', '/apis/authorization.k8s.io/v1', '/apis/apple.ex.io', '/apis/apple.ex.io/v1'],
];
for (const path of paths) {
  test(`${path} in every form`, async () => {
    for (const accept of accepts) {
      const [want, got] = await world.ask(path, { ...ADMIN, accept });
      assert.deepEqual(headersOf(got), headersOf(want), accept);
      if (want.status >= 400) assert.equal(got.body.toString(), want.body.toString(), accept);
    }
  });
}

test('what has not changed is not sent again', async () => {
  for (const path of ['/api', '/apis']) {
    const headers = { ...ADMIN, accept: `application/json;${V2}` };
    const tags = (await world.ask(path, headers)).map((answer) => answer.headers['etag']!);
    const again = [world.theirUrl, world.ourUrl].map((url, at) =>
      send(url, { path, headers: { ...headers, 'if-none-match': tags[at]! } }),
    );
    const [want, got] = await Promise.all(again);
    assert.equal(want!.status, 304);
    assert.deepEqual([headersOf(got!), got!.body.length], [headersOf(want!), want!.body.length]);
  }
});

/** What kubectl prints beside each of them. */
async function kubectl(...args: string[]): Promise<readonly [string[], string[]]> {
  const printed = [world.theirUrl, world.ourUrl].map((url, at) => {
    const flags = [
      '--token',
      't-admin',
      '--insecure-skip-tls-verify',
      '--cache-dir',
      join(world.folder, `cache-${at}`),
    ];
    return kubectlFor(() => url).succeed(...args, ...flags);
  });
  const [theirs, ours] = await Promise.all(printed);
  return [theirs!.trimEnd().split('\n').sort(), ours!.trimEnd().split('\n').sort()];
}

test('kubectl api-versions, and api-resources that can be listed', async () => {
  const [versions, ourVersions] = await kubectl('api-versions');
  assert.deepEqual(
    ourVersions,
    versions.filter((version) => version !== 'absent.ex.io/v1'),
  );
  // Sorted by name, since kubectl prints groups in the order of discovery, and theirs has one that ours has not.
  const [resources, ourResources] = await kubectl('api-resources', '--verbs=list,get', '--no-headers');
  const notHere = /^componentstatuses /;
  const fields = (line: string) => line.split(/ +/).join(' ');
  assert.deepEqual(
    ourResources.map(fields).filter((line) => !notHere.test(line)),
    resources.map(fields).filter((line) => !notHere.test(line)),
  );
});

test('documents without verbs are the same to the byte, in every encoding and indented', async () => {
  const forms: readonly Readonly<Record<string, string>>[] = [
    { accept: 'application/json' },
    { accept: 'application/yaml' },
    { accept: 'application/vnd.kubernetes.protobuf' },
    { accept: 'application/json;pretty=1' },
    { accept: 'application/json', 'user-agent': 'curl/8.0' },
    { accept: 'application/json', 'user-agent': 'kubectl/v1.36' },
    { accept: 'text/html,*/*', 'user-agent': 'Mozilla/5.0' },
    { 'accept-encoding': 'gzip' },
  ];
  const groups = ['/apis/apps', '/apis/authorization.k8s.io', '/apis/zebra.ex.io', '/apis/zebra.ex.io?pretty=1'];
  for (const path of [...groups, '/apis/zebra.ex.io?pretty=0', '/apis/apps?pretty=x', '/apis/apps/v9?pretty=1']) {
    for (const headers of forms) {
      const [want, got] = await world.ask(path, { ...ADMIN, ...headers });
      const where = `${path} ${JSON.stringify(headers)}`;
      assert.deepEqual(headersOf(got), headersOf(want), where);
      assert.equal(got.body.toString('latin1'), want.body.toString('latin1'), where);
    }
  }
});
