import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CRDS } from '../support/apiextensions.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { etcdKv } from '../support/etcd-kv.js';
import { as, disagreements, JSON_TYPE, PROTOBUF_TYPE, type Question } from './agreement.js';
import { definitions, GROUP } from './custom-definitions.js';
import { collectionOf, createCustomObjects, createDefinitions, objects } from './custom-objects.js';
import { stored } from './stored-objects.js';

// CustomResourceDefinitions and custom resources that kube-apiserver has written, or may find in etcd: each answer is its own, to the byte.

let world: ControlPlane;

before(async () => {
  world = await startControlPlane();
  await createDefinitions(world);
  await createCustomObjects(world);
  const kv = etcdKv(world.etcd.endpoint);
  for (const [key, value] of stored) await kv.put(`/registry/${GROUP}/${key}`, value);
});
after(() => world?.stop());

const TABLE = as(JSON_TYPE, 'Table');
const PARTIAL = 'PartialObjectMetadata';
const WIDGETS = `/apis/${GROUP}/v1/namespaces/default/widgets`;
const GADGETS = `/apis/${GROUP}/v1beta1/namespaces/default/gadgets`;
const BOLTS = `/apis/${GROUP}/v1/bolts`;

const agree = async (questions: readonly Question[]) => assert.deepEqual(await disagreements(world, questions), []);
const selecting = (path: string, parameter: string, selectors: readonly string[], status = 200) =>
  selectors.map((selector): Question => [`${path}?${parameter}=${encodeURIComponent(selector)}`, JSON_TYPE, status]);

const served = definitions.flatMap(({ spec: { names, versions } }) =>
  versions.filter((version) => version['served']).map(({ name }) => ({ resource: names.plural, version: name })),
);

for (const { resource, version } of served) {
  test(`${version} ${resource}: lists in every form`, async () => {
    const path = `/apis/${GROUP}/${version}/${resource}`;
    await agree([
      ...['', '?resourceVersion=0', '?pretty=1', '?limit=2'].map((query): Question => [`${path}${query}`]),
      ...['', '?includeObject=Object', '?includeObject=None', '?limit=1'].map(
        (query): Question => [`${path}${query}`, TABLE],
      ),
      ...[JSON_TYPE, PROTOBUF_TYPE].map((type): Question => [path, as(type, `${PARTIAL}List`)]),
    ]);
  });
}

test('objects alone, in every version', async () => {
  const names = [
    ...objects.map(([, resource, name]) => [resource, name]),
    ...stored.map(([key]) => [key.split('/')[0], key.split('/').at(-1)]),
  ];
  const questions = names.flatMap(([resource, name]) =>
    served
      .filter((one) => one.resource === resource)
      .flatMap(({ version }): Question[] => {
        const path = `${collectionOf(version, resource!)}/${name}`;
        return [[path], [path, TABLE], [path, as(PROTOBUF_TYPE, PARTIAL)]];
      }),
  );
  assert.ok(questions.length > 200);
  await agree(questions);
});

test('YAML: numbers, and members in their order', async () => {
  const names = ['d-numbers', 'e-numbers', 's-numbers', 's-numbers-too', 's-managed', 's-embedded', 's-prototype'];
  await agree([
    ...names.map((name): Question => [`${WIDGETS}/${name}`, 'application/yaml']),
    [`/apis/${GROUP}/v1/gadgets`, 'application/yaml'],
    [BOLTS, 'application/yaml'],
  ]);
});

test('selectors', async () => {
  await agree([
    ...selecting(WIDGETS, 'fieldSelector', [
      ...['spec.color=red', 'spec.color!=red', 'spec.color=', 'spec.color==green', 'spec.color=7', 'spec.color='],
      ...['spec.size=3', 'spec.size=', 'spec.size=100', 'spec.size!=3', 'spec.on=true', 'spec.on=false', 'spec.on='],
      ...['spec.large=9007199254740993', 'spec.large=1.8446744073709552e+19', 'spec.large=18446744073709551615'],
      ...['spec.at=2026-01-02T03:04:05.678+01:00', 'status.phase=Up', 'metadata.name=a-empty', 'metadata.namespace=x'],
      ...['metadata.name=a-empty,spec.color=green', 'spec.color=red,spec.size=1', 'spec.size=big', '='],
    ]),
    ...selecting(
      WIDGETS,
      'fieldSelector',
      ['spec.other=1', '.spec.color=red', 'spec=1', 'metadata.labels.app=web', 'spec.port=80', 'a', 'spec.color=a=b'],
      400,
    ),
    ...selecting(GADGETS, 'fieldSelector', ['spec.a=1', 'spec.a=', 'metadata.name=a']),
    ...selecting(GADGETS, 'fieldSelector', ['spec.b=1'], 400),
    ...selecting(`/apis/${GROUP}/v1/gadgets`, 'fieldSelector', ['spec.b=2', 'spec.b=']),
    ...selecting(`/apis/${GROUP}/v2alpha1/gadgets`, 'fieldSelector', ['spec.a=1'], 400),
    ...selecting(BOLTS, 'fieldSelector', ['metadata.name=a']),
    ...selecting(BOLTS, 'fieldSelector', ['metadata.namespace=default', 'metadata.namespace='], 400),
    ...selecting(WIDGETS, 'labelSelector', [
      ...['app=web', 'app!=web', '!app', 'app', 'app in (web,db)', 'app notin (web)', 'app=', 'ex.io/team=a', 'app>1'],
    ]),
    ...selecting(WIDGETS, 'labelSelector', ['a b', 'app in'], 400),
  ]);
});

test('status and scale, and what cannot be scaled', async () => {
  const forms = [JSON_TYPE, TABLE, as(JSON_TYPE, PARTIAL), as(PROTOBUF_TYPE, PARTIAL)];
  const scaled = ['a-empty', 'b-red', 's-null-spec', 's-status', 'e-numbers'];
  const unscaled = ['s-nulls', 's-wrong-types', 's-spec-text'];
  await agree([
    ...[...scaled, ...unscaled].flatMap((name) => forms.map((form): Question => [`${WIDGETS}/${name}/status`, form])),
    ...scaled.flatMap((name) => forms.map((form): Question => [`${WIDGETS}/${name}/scale`, form])),
    ...unscaled.map((name): Question => [`${WIDGETS}/${name}/scale`, JSON_TYPE, 500]),
    [`${WIDGETS}/a-empty/scale`, PROTOBUF_TYPE, 406],
    ...['b.c', 's-large'].map((name): Question => [`${BOLTS}/${name}/scale`]),
    ...['a', 's-text', 's-fraction', 's-no-map', 's-list', 's-null'].map(
      (name): Question => [`${BOLTS}/${name}/scale`, JSON_TYPE, 500],
    ),
    [`${GADGETS}/a/status`],
  ]);
});

test('what is not there, and what cannot be had', async () => {
  const missing = [
    ...[`${WIDGETS}/missing`, `${WIDGETS}/missing/status`, `${WIDGETS}/missing/scale`, `${WIDGETS}/a-empty/log`],
    // Warnings of deprecated versions come with these, too.
    ...[`${GADGETS}/missing`, `${GADGETS}/a/scale`, `${GADGETS}/a/exec`],
    ...[`${collectionOf('v2alpha1', 'gadgets')}/a/status`, `${collectionOf('v2alpha1', 'gadgets')}/missing`],
    ...[`${BOLTS}/a/status`, `/apis/${GROUP}/v1alpha1/gadgets`, `/apis/${GROUP}/v9/gadgets`, `/apis/${GROUP}/v1/none`],
    ...[`/apis/${GROUP}/v1/namespaces/default/bolts`, `/apis/${GROUP}/v1/namespaces/default/bolts/a`],
    ...[`/apis/${GROUP}/v1/widgets/a-empty`, `/apis/${GROUP}/v1/widgets/a-empty/status`, '/apis/none.io/v1/x'],
  ];
  const inVersion = (form: string, version: string) => as(JSON_TYPE, form).replace('v=v1', `v=${version}`);
  await agree([
    ...missing.map((path): Question => [path, JSON_TYPE, 404]),
    ...[PROTOBUF_TYPE, 'application/cbor', 'text/plain', inVersion('Table', 'v2'), as(JSON_TYPE, 'Nothing')].map(
      (accept): Question => [WIDGETS, accept, 406],
    ),
    [WIDGETS, as(JSON_TYPE, PARTIAL), 406],
    [`${WIDGETS}/a-empty`, as(PROTOBUF_TYPE, 'Table'), 406],
    [`${WIDGETS}/a-empty`, as(JSON_TYPE, `${PARTIAL}List`), 500],
    [WIDGETS, `${PROTOBUF_TYPE},${JSON_TYPE}`],
    [WIDGETS, inVersion('Table', 'v1beta1')],
    [WIDGETS, inVersion(`${PARTIAL}List`, 'v1beta1')],
    ...['limit=x', 'resourceVersion=x', 'continue=x'].map((query): Question => [`${WIDGETS}?${query}`, JSON_TYPE, 400]),
    [`${WIDGETS}?resourceVersionMatch=Exact`, JSON_TYPE, 422],
    [`${WIDGETS}?includeObject=x`, TABLE, 400],
  ]);
});

test('watches, from the state on', async () => {
  const forms = [JSON_TYPE, TABLE, as(JSON_TYPE, PARTIAL), as(PROTOBUF_TYPE, PARTIAL)];
  const initial = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const paths = [WIDGETS, GADGETS, BOLTS, `/apis/${GROUP}/v1/stringpaths`];
  const path = (of: string, query: string) => `${of}?watch=1&timeoutSeconds=1&${query}`;
  const legacy = `/apis/${GROUP}/v1/watch/namespaces/default/widgets`;
  await agree([
    ...paths.flatMap((of) =>
      forms.flatMap((form): Question[] => [
        [path(of, 'resourceVersion=0'), form],
        [path(of, initial), form],
      ]),
    ),
    ...['fieldSelector=spec.color%3Dred', 'labelSelector=app'].map(
      (selector): Question => [path(WIDGETS, `resourceVersion=0&${selector}`)],
    ),
    ...['', '/a-empty'].map((name): Question => [`${legacy}${name}?timeoutSeconds=1&resourceVersion=0`]),
    [path(WIDGETS, 'resourceVersion=0'), PROTOBUF_TYPE, 406],
    // No object of an event is a list.
    ...[WIDGETS, '/api/v1/namespaces'].flatMap((of) =>
      [JSON_TYPE, PROTOBUF_TYPE].map(
        (type): Question => [`${of}?watch=1&resourceVersion=0&timeoutSeconds=600`, as(type, `${PARTIAL}List`)],
      ),
    ),
  ]);
});

test('CustomResourceDefinitions and APIServices themselves', async () => {
  const types = [JSON_TYPE, PROTOBUF_TYPE];
  const questionsOf = (path: string, names: readonly string[]): Question[] => [
    ...types.flatMap((type): Question[] => [
      ...['', '?limit=2', '?watch=1&resourceVersion=0&timeoutSeconds=1'].map(
        (query): Question => [`${path}${query}`, type],
      ),
      [path, as(type, `${PARTIAL}List`)],
    ]),
    ...names.flatMap((name) =>
      types.flatMap((type): Question[] => [
        [`${path}/${name}`, type],
        [`${path}/${name}/status`, type],
        [`${path}/${name}`, as(type, PARTIAL)],
      ]),
    ),
    [`${path}/missing`, JSON_TYPE, 404],
    [`${path}?fieldSelector=metadata.name%3D${names[0]}`],
    [`${path}?fieldSelector=spec.group%3Dex.io`, JSON_TYPE, 400],
    [`${path}?labelSelector=a`],
  ];
  const crds = definitions.map(({ metadata: { name } }) => name);
  await agree([
    ...questionsOf(CRDS, crds),
    ...['', '?limit=2', `/${crds[0]}`].map((rest): Question => [`${CRDS}${rest}`, TABLE]),
    ...questionsOf('/apis/apiregistration.k8s.io/v1/apiservices', ['v1.ex.io', 'v1beta1.ex.io', 'v1.', 'v1.apps']),
  ]);
});
