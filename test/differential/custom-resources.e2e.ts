import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Apiextensions, CRDS, startApiextensions } from '../support/apiextensions.js';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { type Answer, send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';

// The same questions about custom resources to k8s.io/apiextensions-apiserver and to listwatch, on one etcd.

let etcd: Etcd;
let kv: EtcdKv;
let oracle: Apiextensions;
let ours: RunningServer;

const OLD = '2026-01-02T03:04:05Z';
const text = { type: 'string' };
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

function definition(plural: string, kind: string, versions: readonly object[], more: object = {}) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.ex.io` },
    spec: {
      group: 'ex.io',
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions,
      ...more,
    },
  };
}
const version = (name: string, schema: object, more: object = {}) => ({
  name,
  served: true,
  storage: name === 'v1',
  schema: { openAPIV3Schema: schema },
  ...more,
});

const definitions = [
  // Defaults, nullable, int-or-string, numbers, lists and maps, columns and selectable fields.
  definition('foos', 'Foo', [
    version(
      'v1',
      object({
        spec: object(
          {
            color: { type: 'string', default: 'green' },
            size: { type: 'integer', nullable: true, default: 3 },
            on: { type: 'boolean' },
            ratio: { type: 'number' },
            port: { 'x-kubernetes-int-or-string': true },
            at: { type: 'string', format: 'date-time' },
            list: { type: 'array', items: object({ a: { type: 'string', default: 'x' }, b: text }) },
            map: { type: 'object', additionalProperties: object({ c: { type: 'integer', default: 7 } }) },
            open: anything,
            part: object({ known: text }, { 'x-kubernetes-preserve-unknown-fields': true }),
          },
          { default: {} },
        ),
        status: object({
          replicas: { type: 'integer' },
          conditions: { type: 'array', items: object({ type: text, status: text }) },
        }),
      }),
      {
        subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.replicas' } },
        selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }, { jsonPath: '.spec.on' }],
        additionalPrinterColumns: [
          { name: 'Color', type: 'string', jsonPath: '.spec.color', description: 'of the foo' },
          { name: 'Size', type: 'integer', jsonPath: '.spec.size', priority: 1 },
          { name: 'Ratio', type: 'number', jsonPath: '.spec.ratio' },
          { name: 'RatioText', type: 'string', jsonPath: '.spec.ratio' },
          { name: 'RatioInt', type: 'integer', jsonPath: '.spec.ratio' },
          { name: 'On', type: 'boolean', jsonPath: '.spec.on' },
          { name: 'Port', type: 'string', jsonPath: '.spec.port' },
          { name: 'PortInt', type: 'integer', jsonPath: '.spec.port' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Types', type: 'string', jsonPath: '.status.conditions[*].type' },
          { name: 'Last', type: 'string', jsonPath: '.spec.list[-1].b' },
          { name: 'Second', type: 'string', jsonPath: '.spec.list[1].a' },
          { name: 'Open', type: 'string', jsonPath: '.spec.open' },
          { name: 'Anywhere', type: 'string', jsonPath: '.spec.map.l..c' },
          { name: 'At', type: 'date', jsonPath: '.spec.at' },
          { name: 'Label', type: 'string', jsonPath: '.metadata.labels.ex\\.io/team' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      },
    ),
  ]),
  // Several versions, one of them deprecated, one with less in it, and one that is not served.
  definition('bars', 'Bar', [
    version('v1', object({ spec: object({ a: text, b: { type: 'integer', default: 1 } }) })),
    version('v2', object({ spec: object({ a: text, c: { type: 'string', default: 'c' } }) }), {
      additionalPrinterColumns: [{ name: 'C', type: 'string', jsonPath: '.spec.c' }],
    }),
    version('v1beta1', object({ spec: object({ b: { type: 'integer' } }) }), { deprecated: true }),
    version('v1alpha1', anything, { served: false }),
  ]),
  // Cluster-scoped, keeps what it does not know.
  definition('bazes', 'Baz', [version('v1', anything)], { scope: 'Cluster' }),
  // Embedded resources.
  definition('quxes', 'Qux', [
    version(
      'v1',
      object({
        template: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: object({ a: text }) } },
        raw: {
          type: 'object',
          'x-kubernetes-embedded-resource': true,
          'x-kubernetes-preserve-unknown-fields': true,
        },
      }),
    ),
  ]),
];

/** Values as they may lie in etcd: written by servers and schemas of other days. */
const meta = (name: string, more = '') =>
  `"metadata":{"creationTimestamp":"${OLD}"${more},"name":"${name}","namespace":"d","uid":"u-${name}"}`;
const foo = (name: string, spec: string, more = '', status = '') =>
  [`foos/d/${name}`, `{"apiVersion":"ex.io/v1","kind":"Foo",${meta(name, more)}${spec}${status}}\n`] as const;
const bar = (name: string, version: string, spec: string) =>
  [`bars/d/${name}`, `{"apiVersion":"ex.io/${version}","kind":"Bar",${meta(name)},"spec":${spec}}\n`] as const;
const values: readonly (readonly [key: string, value: string])[] = [
  foo('a-plain', ',"spec":{"color":"red","size":1}', ',"generation":1'),
  foo('b-empty', ''),
  foo('c-null-spec', ',"spec":null'),
  foo('d-nulls', ',"spec":{"color":null,"size":null,"on":null,"list":null,"map":null,"open":null,"part":null}'),
  foo(
    'e-unknown',
    ',"spec":{"color":"blue","unknown":{"x":1},"part":{"known":"k","other":[1]},"open":{"z":1,"a":"q<"}},"top":1',
  ),
  foo('f-lists', ',"spec":{"list":[{},{"a":"1","b":"2","c":3},null],"map":{"k":{},"l":{"c":1,"d":2},"m":null}}'),
  foo('g-numbers', ',"spec":{"ratio":1.5,"port":80,"size":9007199254740993}'),
  foo('h-numbers', ',"spec":{"ratio":1e21,"port":"http","size":12}'),
  foo('i-numbers', ',"spec":{"ratio":1.0,"size":2}'),
  foo('j-negative', ',"spec":{"ratio":-2.75,"on":true,"port":1.25}'),
  foo('k-text', ',"spec":{"color":"\\u00e9\\u003c","at":"2026-01-02T03:04:05Z"}'),
  foo('l-at', ',"spec":{"at":"yesterday"}'),
  foo('m-at', ',"spec":{"at":""}'),
  foo(
    'n-status',
    ',"spec":{"on":false}',
    '',
    ',"status":{"replicas":2,"conditions":[{"type":"Up","status":"x"},{"type":"Ready","status":"True","why":1}]}',
  ),
  foo('o-labels', ',"spec":{}', ',"labels":{"app":"web","ex.io/team":"a"},"generation":0'),
  foo('p-labels', ',"spec":{}', ',"labels":{"app":"db"},"generation":5'),
  foo('q-bad-metadata', ',"spec":{}', ',"labels":{"app":1},"annotations":["x"],"finalizers":["f"]'),
  foo('r-more-metadata', ',"spec":{}', ',"unknown":1,"selfLink":"/x","resourceVersion":"77","ownerReferences":[]'),
  foo('s-wrong-types', ',"spec":{"color":7,"size":"big","on":"yes","list":{"a":1},"map":[1]}'),
  foo('t-spec-text', ',"spec":"text"'),
  bar('a', 'v1', '{"a":"1","b":2,"c":"3"}'),
  bar('b', 'v2', '{"a":"1","b":2,"c":"3"}'),
  bar('c', 'v1beta1', '{"a":"1","b":2,"c":"3"}'),
  bar('d', 'v1alpha1', '{"a":"1","b":2,"c":"3","d":4}'),
  bar('e', 'v1', '{}'),
  ['bazes/a', `{"apiVersion":"ex.io/v1","kind":"Baz","metadata":{"name":"a"},"b":{"c":[1,2.50,"x"]},"a":null}\n`],
  ['bazes/b', `{ "kind":"Baz", "apiVersion":"ex.io/v1", "metadata":{ "name":"b" }, "a":{"n":null} }`],
  [
    'quxes/d/a',
    `{"apiVersion":"ex.io/v1","kind":"Qux",${meta('a')},"raw":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","nope":1,"labels":{"a":2}},"x":1},"template":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"y","creationTimestamp":null},"spec":{"a":"1","b":2},"x":1}}\n`,
  ],
];

before(async () => {
  etcd = await startEtcd();
  kv = etcdKv(etcd.endpoint);
  oracle = await startApiextensions(etcd.endpoint);
  for (const one of definitions) await oracle.write('POST', CRDS, one);
  for (const [key, value] of values) await kv.put(`/registry/ex.io/${key}`, value);
  for (const path of ['v1/foos', 'v1/bars', 'v2/bars', 'v1/bazes', 'v1/quxes']) {
    const served = async () => (await send(oracle.url, { path: `/apis/ex.io/${path}` })).status === 200;
    await eventually(`${path} is served`, served, 30_000);
  }
  ours = await startServer(['--etcd-servers', etcd.endpoint]);
});
after(async () => {
  await ours?.stop();
  await oracle?.stop();
  await etcd?.stop();
});

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const PARTIAL = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const PARTIAL_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const FOOS = '/apis/ex.io/v1/namespaces/d/foos';

type Question = readonly [path: string, accept?: string, method?: string];
const foosNames = values.flatMap(([key]) => (key.startsWith('foos/') ? [key.split('/')[2]!] : []));
const lists = ['v1/foos', 'v1/bars', 'v2/bars', 'v1beta1/bars', 'v1/bazes', 'v1/quxes'];
const questions: readonly Question[] = [
  ...foosNames.flatMap((name): Question[] => [
    [`${FOOS}/${name}`],
    [`${FOOS}/${name}`, 'application/yaml'],
    [`${FOOS}/${name}/status`],
    [`${FOOS}/${name}/scale`],
    [`${FOOS}/${name}`, TABLE],
    [`${FOOS}/${name}`, PARTIAL],
  ]),
  ...lists.flatMap((list): Question[] => [
    [`/apis/ex.io/${list}`],
    [`/apis/ex.io/${list}/`],
    [`/apis/ex.io/${list}?resourceVersion=0`],
    [`/apis/ex.io/${list}?pretty=1`],
    [`/apis/ex.io/${list}`, 'application/yaml'],
    [`/apis/ex.io/${list}`, TABLE],
    [`/apis/ex.io/${list}?includeObject=Object`, TABLE],
    [`/apis/ex.io/${list}?includeObject=None`, TABLE],
    [`/apis/ex.io/${list}`, PARTIAL_LIST],
    [`/apis/ex.io/${list}`, `${PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io`],
    [`/apis/ex.io/${list}?limit=2`],
    [`/apis/ex.io/${list}?limit=2`, TABLE],
    [`/apis/ex.io/${list}`, 'application/json', 'HEAD'],
    [`/apis/ex.io/${list}`, 'application/json', 'OPTIONS'],
  ]),
  ...['v1', 'v2', 'v1beta1', 'v1alpha1'].map((name): Question => [`/apis/ex.io/${name}/namespaces/d/bars/a`]),
  ...['app=web', 'app!=web', '!app', 'app', 'app in (web,db)', 'app=', 'a b'].map(
    (selector): Question => [`${FOOS}?labelSelector=${encodeURIComponent(selector)}`],
  ),
  ...[
    ...[
      'spec.color=red',
      'spec.color!=red',
      'spec.color=green',
      'spec.color=',
      'spec.size=3',
      'spec.size=',
      'spec.on=true',
    ],
    ...[
      'spec.on=',
      'spec.on!=',
      'spec.other=1',
      'metadata.name=a-plain',
      'metadata.namespace=d',
      'spec.color=red,spec.size=1',
    ],
    ...['spec.size=9007199254740993', 'status.phase=x', 'a', '='],
  ].map((selector): Question => [`${FOOS}?fieldSelector=${encodeURIComponent(selector)}`]),
  ['/apis/ex.io/v1/bazes?fieldSelector=metadata.namespace%3Dd'],
  ['/apis/ex.io/v1/bazes?fieldSelector=metadata.name%3Da'],
  // Errors.
  [`${FOOS}/missing`],
  [`${FOOS}/missing`, TABLE],
  [`${FOOS}/a-plain/log`],
  [`${FOOS}/a-plain/status/more`],
  ['/apis/ex.io/v1/namespaces/d/bars/a/status'],
  ['/apis/ex.io/v1/namespaces/d/bars/a/scale'],
  ['/apis/ex.io/v1/foos/a-plain'],
  ['/apis/ex.io/v1/namespaces/d/bazes'],
  ['/apis/ex.io/v1/namespaces/d/bazes/a'],
  ['/apis/ex.io/v1/nothing'],
  ['/apis/ex.io/v3/foos'],
  ['/apis/ex.io/v1alpha1/bars'],
  ['/apis/none.ex.io/v1/foos'],
  [FOOS, PROTOBUF],
  [FOOS, 'application/cbor'],
  [FOOS, 'text/plain'],
  [FOOS, `${PROTOBUF},application/json`],
  [FOOS, PARTIAL],
  [`${FOOS}/a-plain`, PARTIAL_LIST],
  [`${FOOS}?limit=x`],
  [`${FOOS}?resourceVersion=x`],
  [`${FOOS}?resourceVersion=99999`],
  [`${FOOS}?resourceVersionMatch=Exact`],
  [`${FOOS}?continue=x`],
  [`${FOOS}?includeObject=x`, TABLE],
  [`${FOOS}/a-plain`, 'application/json', 'HEAD'],
  [`${FOOS}/missing`, 'application/json', 'HEAD'],
  // Discovery.
  ['/apis/ex.io'],
  ['/apis/ex.io/v1'],
  ['/apis/ex.io/v1/'],
  ['/apis/ex.io/v2'],
  ['/apis/ex.io/v1beta1'],
  ['/apis/ex.io/v1alpha1'],
  ['/apis/nothing.io'],
  ['/apis/ex.io/v1', PROTOBUF],
  ['/apis/ex.io', PROTOBUF],
];

const asked = (url: string, [path, accept = 'application/json', method = 'GET']: Question) =>
  send(url, { method, path, headers: { accept } });

/** What of an answer is compared. */
function shown({ status, headers, body }: Answer, [path]: Question): object {
  const named = Object.fromEntries(
    ['content-type', 'content-length', 'warning', 'cache-control', 'retry-after'].map((name) => [name, headers[name]]),
  );
  const isDiscovery = /^\/apis\/[^/]+(\/[^/]+)?\/?$/.test(path);
  // A list is streamed by one and not by the other, by its size.
  const shownBody = isDiscovery ? readOnly(body) : body.toString('latin1').replace(DESCRIPTION, '$1');
  return { status, ...named, 'content-length': undefined, body: shownBody };
}

/** Descriptions of names and ages are in our own words. */
const DESCRIPTION =
  /("name":"(?:Name|Age|Created At)","type":"[a-z]+","format":"[a-z]*","description":)"(?:[^"\\]|\\.)*"/g;

/** listwatch names the verbs that it serves, and resources by name. */
function readOnly(body: Buffer): unknown {
  try {
    const document = JSON.parse(body.toString()) as { resources?: { name: string; verbs: string[] }[] };
    const { resources } = document;
    if (resources === undefined) return document;
    const read = resources.map((one) => ({
      ...one,
      verbs: one.verbs.filter((verb) => ['get', 'list', 'watch'].includes(verb)),
    }));
    return { ...document, resources: read.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  } catch {
    return undefined;
  }
}

/** What differs on purpose, or by what neither side promises. */
const allowed: readonly (readonly [is: (question: Question) => boolean, why: string])[] = [
  [([path]) => path.endsWith('/status/more'), 'upstream overlooks segments behind a subresource'],
];

/** Where two answers part. */
function differing(got: object, want: object): string[] {
  const [ours, theirs] = [JSON.stringify(got), JSON.stringify(want)];
  let at = 0;
  while (ours[at] === theirs[at]) at++;
  const around = (text: string) => text.slice(Math.max(0, at - 80), at + 160);
  return [`ours   ${around(ours)}`, `theirs ${around(theirs)}`];
}

test('the same answers about custom resources', async (context) => {
  const differences: string[] = [];
  const used = new Set<string>();
  for (const question of questions) {
    const [want, got] = await Promise.all([asked(oracle.url, question), asked(ours.url, question)]);
    try {
      assert.deepEqual(shown(got, question), shown(want, question));
    } catch {
      const reason = allowed.find(([is]) => is(question))?.[1];
      if (reason !== undefined) used.add(reason);
      else {
        differences.push([question.join(' '), ...differing(shown(got, question), shown(want, question))].join('\n  '));
      }
    }
  }
  context.diagnostic(`${questions.length} questions; differs on purpose: ${[...used].join('; ') || 'nothing'}`);
  assert.equal(differences.join('\n'), '', `${differences.length} differences`);
});

test('pages by the tokens of either side', async () => {
  interface Page {
    readonly metadata: { readonly continue?: string; readonly remainingItemCount?: number };
    readonly items: readonly { readonly metadata: { readonly name: string } }[];
  }
  for (const [first, second] of [
    [oracle.url, ours.url],
    [ours.url, oracle.url],
  ] as const) {
    const names: string[] = [];
    let token = '';
    for (let page = 0; page === 0 || token !== ''; page++) {
      const path = `${FOOS}?limit=3${token === '' ? '' : `&continue=${encodeURIComponent(token)}`}`;
      const [want, got] = [await send(oracle.url, { path }), await send(ours.url, { path })];
      assert.equal(got.body.toString(), want.body.toString(), path);
      const { metadata, items } = JSON.parse(
        (page % 2 === 0 ? await send(first, { path }) : await send(second, { path })).body.toString(),
      ) as Page;
      names.push(...items.map((item) => item.metadata.name));
      token = metadata.continue ?? '';
    }
    assert.deepEqual(names, foosNames);
  }
});
