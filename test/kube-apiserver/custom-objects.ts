import { CRDS } from '../support/apiextensions.js';
import { eventually } from '../support/command.js';
import type { ControlPlane } from '../support/control-plane.js';

import { definitions, GROUP } from './custom-definitions.js';

/** Objects of the kinds of custom-definitions.ts. */

const pathsSpec = `{"color":"red","null":null,"port":80,"list":["one","two","three"],"empty":[],"emptyMap":{},"a.b":"dotted",
"lists":[[1,2],[3,4]],"items":[{"type":"a","n":1,"w":1.5,"ok":true,"l":[1,2],"t":"a)b"},
{"type":"b","n":2,"w":2.5,"ok":false,"l":[1],"t":"x\\"y","only":"yes"},{"type":"c","n":3,"w":0.5,"ok":false,"l":[1,2,3],"t":"it's","nil":null}],
"o":{"one":1},"int":7,"float":1.25,"small":0.00001,"huge":1e21,"long":9007199254740993,"on":true,"unicode":"é\\u2028😀","é":"accent",
"html":"<a&b>","date":"2026-01-02T03:04:05Z"}`;

/** What is created through kube-apiserver: version, resource, name, the members behind metadata, those of metadata. */
type Created = readonly [version: string, resource: string, name: string, members: string, metadata?: string];
export const objects: readonly Created[] = [
  ['v1', 'widgets', 'a-empty', ''],
  [
    'v1',
    'widgets',
    'b-red',
    '"spec":{"color":"red","size":1,"on":true,"port":80,"either":"50%"}',
    '"labels":{"app":"web","ex.io/team":"a"}',
  ],
  [
    'v1',
    'widgets',
    'c-null',
    '"spec":{"atomic":[1,null,2]}',
    '"labels":{"app":"db"},"annotations":{"a":"","b":"<&>\\u2028"}',
  ],
  [
    'v1',
    'widgets',
    'd-numbers',
    '"spec":{"size":2,"large":9007199254740993,"ratio":0.00001,"double":1e300,"port":"http"}',
  ],
  [
    'v1',
    'widgets',
    'e-numbers',
    '"spec":{"size":2147483647,"large":-9223372036854775808,"ratio":1e21,"double":-1.5e-7,"either":0}',
  ],
  ['v1', 'widgets', 'f-numbers', '"spec":{"ratio":1e6,"double":-0.0,"large":9223372036854775807}'],
  [
    'v1',
    'widgets',
    'g-lists',
    '"spec":{"set":["b","a"],"keyed":[{"name":"x"},{"name":"y","value":"z"}],"defaulted":[],"lists":[[1],[],[2,3]]}',
  ],
  [
    'v1',
    'widgets',
    'h-maps',
    '"spec":{"map":{"k":{},"l":{"c":1},"":{}},"words":{"b":"2","a":"1","a10":"x","a2":"y","B":"z","é":"w"},"granular":{"b":"1"}}',
  ],
  [
    'v1',
    'widgets',
    'i-kept',
    '"spec":{"unknown":1,"open":{"z":[1,{"y":null}],"a":"q<","n":null},"part":{"known":"k","other":[1],"strict":{"a":"1","b":"2"}}}',
  ],
  [
    'v1',
    'widgets',
    'j-times',
    '"spec":{"at":"2026-01-02T03:04:05.678+01:00","day":"2026-01-02","bytes":"aGVsbG8=","selector":"s"}',
  ],
  [
    'v1',
    'widgets',
    'k-embedded',
    '"spec":{"template":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"y","unknown":1,"labels":{"b":"1","a":"2"}},"spec":{"a":"1","b":2},"x":1},"raw":{"apiVersion":"apps/v1","kind":"X","metadata":{"creationTimestamp":null},"anything":{"n":null}},"templates":[{"apiVersion":"v1","kind":"Z"},{"apiVersion":"v1","kind":"Z","metadata":{"creationTimestamp":"2026-01-02T03:04:05Z","generation":0}}]}',
  ],
  [
    'v1',
    'widgets',
    'l-metadata',
    '"spec":{}',
    '"finalizers":["ex.io/f"],"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"c","uid":"1","controller":false}],"labels":{"":""}'.replace(
      ',"labels":{"":""}',
      '',
    ),
  ],
  ['v1', 'widgets', 'm-text', '"spec":{"selector":"é\\u003c\\u2028\\u0000\\ud83d\\ude00\\"\\\\/"}'],
  ['v1', 'gadgets', 'a', '"spec":{"a":"1","b":2,"c":"3"}', '"labels":{"app":"web"}'],
  ['v1beta1', 'gadgets', 'b', '"spec":{"a":"2"}'],
  ['v2alpha1', 'gadgets', 'c', '"spec":{"a":"3","n":null}'],
  ['v1', 'gadgets', 'd', ''],
  ['v1', 'bolts', 'a', '"b":{"c":[1,2.50,"x"]},"a":null,"replicas":1'],
  ['v1', 'bolts', 'b.c', '"spec":{"replicas":3},"status":{"replicas":2}'],
  ['v1', 'broken', 'a', '"a":"x"'],
  ...['string', 'integer', 'number', 'boolean', 'date'].flatMap((type): Created[] => [
    ['v1', `${type}paths`, 'a', `"spec":${pathsSpec}`],
    ['v1', `${type}paths`, 'b', ''],
  ]),
];

const clusterScoped = new Set(
  definitions.filter(({ spec }) => spec.scope === 'Cluster').map(({ spec: { names } }) => names.plural),
);
const kindOf = new Map(definitions.map(({ spec: { names } }) => [names.plural, names.kind]));

export function collectionOf(version: string, resource: string): string {
  return `/apis/${GROUP}/${version}${clusterScoped.has(resource) ? '' : '/namespaces/default'}/${resource}`;
}

/** Resolves when kube-apiserver serves them. */
export async function createDefinitions(world: Pick<ControlPlane, 'write' | 'ask'>): Promise<void> {
  for (const one of definitions) await world.write('POST', CRDS, one);
  for (const { spec } of definitions) {
    for (const { name } of spec.versions.filter((version) => version['served'])) {
      const path = `/apis/${spec.group}/${name}/${spec.names.plural}`;
      await eventually(
        `${path} is served`,
        async () => (await world.ask(path)).every(({ status }) => status === 200),
        60_000,
      );
    }
  }
}

export async function createCustomObjects(world: Pick<ControlPlane, 'write'>): Promise<void> {
  for (const [version, resource, name, members, metadata] of objects) {
    const type = `"apiVersion":"${GROUP}/${version}","kind":"${kindOf.get(resource)}"`;
    const parts = [type, `"metadata":{"name":"${name}"${metadata === undefined ? '' : `,${metadata}`}}`];
    const text = `{${[...parts, ...(members === '' ? [] : [members])].join(',')}}`;
    await world.write('POST', collectionOf(version, resource), text);
  }
}
