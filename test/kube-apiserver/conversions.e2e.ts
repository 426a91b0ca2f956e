import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { difference } from '../codec/golden.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';

/**
 * Objects that are stored as another type: Events of both groups, HorizontalPodAutoscalers of both versions, written through each
 * of them and read through each, beside kube-apiserver.
 */
let world: ControlPlane;
/** etcd's revision before the first object, and that of the last write. */
let beginning = '';
let last = '';

const NAMESPACE = 'conversions';
const autoscalers = (version: string) =>
  `/apis/autoscaling/${version}/namespaces/${NAMESPACE}/horizontalpodautoscalers`;
const events = (group: string) =>
  group === '' ? `/api/v1/namespaces/${NAMESPACE}/events` : `/apis/${group}/v1/namespaces/${NAMESPACE}/events`;

const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
const selector = { matchLabels: { '10': 'a', '2': 'b', x: 'y' }, matchExpressions: [{ key: 'k', operator: 'Exists' }] };
const resource = (name: string, target: object) => ({ type: 'Resource', resource: { name, target } });
const cpu = (averageUtilization: number) => resource('cpu', { type: 'Utilization', averageUtilization });
const metrics = {
  memory: resource('memory', { type: 'AverageValue', averageValue: '1500Mi' }),
  container: {
    type: 'ContainerResource',
    containerResource: { name: 'memory', container: 'c', target: { type: 'Utilization', averageUtilization: 70 } },
  },
  pods: {
    type: 'Pods',
    pods: { metric: { name: 'packets<&>\u2028', selector }, target: { type: 'AverageValue', averageValue: '1k' } },
  },
  object: {
    type: 'Object',
    object: { describedObject: scaleTargetRef, metric: { name: 'hits' }, target: { type: 'Value', value: '10k' } },
  },
  objectAverage: {
    type: 'Object',
    object: {
      describedObject: { kind: 'Service', name: 's' },
      metric: { name: 'hits', selector: {} },
      target: { type: 'AverageValue', averageValue: '500m' },
    },
  },
  external: {
    type: 'External',
    external: { metric: { name: 'queue', selector }, target: { type: 'Value', value: '30' } },
  },
  externalAverage: {
    type: 'External',
    external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '2.5' } },
  },
};
const current = [
  { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 61, averageValue: '305m' } } },
  { type: 'Resource', resource: { name: 'memory', current: { averageValue: '1Gi' } } },
  {
    type: 'ContainerResource',
    containerResource: { name: 'memory', container: 'c', current: { averageUtilization: 5, averageValue: '12' } },
  },
  { type: 'Pods', pods: { metric: { name: 'packets', selector }, current: { averageValue: '17' } } },
  {
    type: 'Object',
    object: { describedObject: scaleTargetRef, metric: { name: 'hits' }, current: { value: '1', averageValue: '2' } },
  },
  { type: 'External', external: { metric: { name: 'queue' }, current: { averageValue: '3' } } },
];
const conditions = [
  {
    type: 'AbleToScale',
    status: 'True',
    lastTransitionTime: '2026-01-02T03:04:05Z',
    reason: 'R',
    message: 'a "b" <c>',
  },
  { type: 'ScalingActive', status: 'Unknown' },
];
const rules = { stabilizationWindowSeconds: 30, policies: [{ type: 'Pods', value: 2, periodSeconds: 60 }] };

/** Specs of v2. */
const specs: Readonly<Record<string, object>> = {
  nothing: {},
  cpu: { minReplicas: 2, metrics: [cpu(50)] },
  'cpu-value': { metrics: [resource('cpu', { type: 'AverageValue', averageValue: '100m' })] },
  mixed: { metrics: [metrics.memory, cpu(75), metrics.pods] },
  all: { metrics: [cpu(1), ...Object.values(metrics)], behavior: { scaleUp: rules } },
  'cpu-last': { metrics: [...Object.values(metrics), cpu(99)] },
  behavior: {
    metrics: [metrics.external],
    behavior: { scaleDown: { ...rules, selectPolicy: 'Disabled', tolerance: '0.05' }, scaleUp: {} },
  },
};
/** Annotations of v1. */
const annotation = (name: string, value: unknown) => ({
  [`autoscaling.alpha.kubernetes.io/${name}`]: typeof value === 'string' ? value : JSON.stringify(value),
});
const annotations: Readonly<Record<string, object>> = {
  none: {},
  own: { a: 'b', z: 'y' },
  'partial-behavior': annotation('behavior', { ScaleUp: { Policies: [{ Type: 'Pods', Value: 1, PeriodSeconds: 5 }] } }),
  'lower-case-behavior': annotation('behavior', {
    scaledown: { selectpolicy: 'Min', POLICIES: [{ type: 'Pods', value: 1, periodseconds: 5 }] },
  }),
  'empty-behavior': annotation('behavior', {}),
  'no-json': { ...annotation('behavior', '{'), ...annotation('metrics', 'x'), ...annotation('conditions', '{}') },
  metrics: annotation('metrics', [
    { type: 'Resource', resource: { name: 'memory', targetAverageValue: '1Gi' } },
    { type: 'Object', object: { target: scaleTargetRef, metricName: 'm', targetValue: '0', averageValue: '7' } },
    { type: 'Object', object: { target: scaleTargetRef, metricName: 'm', targetValue: '5' } },
    { type: 'Pods', pods: { metricName: 'p', targetAverageValue: '3', selector } },
    { type: 'External', external: { metricName: 'e', targetAverageValue: '3', metricSelector: selector } },
    { type: 'ContainerResource', containerResource: { name: 'cpu', container: 'c', targetAverageUtilization: 6 } },
  ]),
  tolerance: annotation('scale-down-tolerance', '0.1'),
};

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const table = (type: string) => `${type};as=Table;v=v1;g=meta.k8s.io`;
const partial = (type: string, list: boolean) =>
  `${type};as=PartialObjectMetadata${list ? 'List' : ''};v=v1;g=meta.k8s.io`;

before(async () => {
  world = await startControlPlane();
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } };
  beginning = (await world.write('POST', '/api/v1/namespaces', namespace)).metadata.resourceVersion;
  for (const { path } of kinds) await world.ask(path); // caches are filled when they are asked for, and know what comes later
  for (const [name, spec] of Object.entries(specs)) {
    const base = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' };
    const written = await world.write('POST', autoscalers('v2'), {
      ...base,
      metadata: { name: `v2-${name}`, annotations: { 'a.io/b': 'c' }, labels: { written: 'v2' } },
      spec: { scaleTargetRef, maxReplicas: 9, ...spec },
    });
    const status = {
      observedGeneration: 3,
      currentReplicas: 1,
      desiredReplicas: 2,
      currentMetrics: current,
      conditions,
    };
    const shown = name === 'nothing' ? { currentReplicas: 0, desiredReplicas: 0 } : status;
    last = (await world.write('PUT', `${autoscalers('v2')}/v2-${name}/status`, { ...written, status: shown })).metadata
      .resourceVersion;
  }
  for (const [name, given] of Object.entries(annotations)) {
    for (const percentage of [undefined, 42]) {
      const base = { apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler' };
      const spec = { scaleTargetRef, maxReplicas: 3, targetCPUUtilizationPercentage: percentage };
      const metadata = { name: `v1-${name}${percentage === undefined ? '' : '-cpu'}`, annotations: given };
      const written = await world.write('POST', autoscalers('v1'), { ...base, metadata, spec });
      if (name !== 'none') continue;
      const status = { currentReplicas: 2, desiredReplicas: 2, currentCPUUtilizationPercentage: 33 };
      await world.write('PUT', `${autoscalers('v1')}/${metadata.name}/status`, { ...written, status });
    }
  }
  const reference = { kind: 'Pod', namespace: NAMESPACE, name: 'p', uid: 'u', apiVersion: 'v1', fieldPath: 'spec.c' };
  const times = { firstTimestamp: '2026-01-02T03:04:05Z', lastTimestamp: '2026-01-02T03:05:05Z' };
  await world.write('POST', events(''), {
    metadata: { name: 'old', namespace: NAMESPACE },
    involvedObject: { ...reference, resourceVersion: '7' },
    reason: 'Pulled',
    message: ' text <of> an event ',
    source: { component: 'kubelet', host: 'node-1' },
    count: 4,
    type: 'Normal',
    ...times,
  });
  await world.write('POST', events(''), {
    metadata: { name: 'bare', namespace: NAMESPACE },
    involvedObject: { namespace: NAMESPACE },
  });
  last = (
    await world.write('POST', events('events.k8s.io'), {
      metadata: { name: 'new', namespace: NAMESPACE, labels: { written: 'new' } },
      eventTime: '2026-01-02T03:04:05.678901Z',
      series: { count: 2, lastObservedTime: '2026-01-02T03:04:06.500000Z' },
      reportingController: 'ex.io/controller',
      reportingInstance: 'one',
      action: 'Doing',
      reason: 'Because',
      regarding: reference,
      related: { kind: 'Node', name: 'n' },
      note: 'a note',
      type: 'Warning',
    })
  ).metadata.resourceVersion;
});
after(() => world?.stop());

/** Bodies to the byte; where they have ages, they are asked again until both fell into one second. */
async function same(path: string, accept: string): Promise<Buffer> {
  const TRIES = 5;
  for (let attempt = 1; ; attempt++) {
    const [theirs, ours] = await world.ask(path, { ...ADMIN, accept });
    const shown = ({ body }: typeof theirs) => {
      const text = body.toString('latin1');
      // Descriptions of columns are our own, and how far a bookmark is depends on when it was sent.
      return accept.includes('json')
        ? text.replace(/"description":"(\\.|[^"\\])*"/g, '').replace(/(BOOKMARK.*"resourceVersion":")\d+/g, '$1')
        : text;
    };
    const isSame = ours.status === theirs.status && shown(ours) === shown(theirs);
    if (isSame || attempt === TRIES || !accept.includes('Table')) {
      assert.equal(ours.status, theirs.status, `${path} as ${accept}`);
      assert.ok(isSame, `${path} as ${accept}: ${difference(shown(theirs), shown(ours))}`);
      assert.equal(ours.headers['content-type'], theirs.headers['content-type'], `${path} as ${accept}`);
      return ours.body;
    }
  }
}

const kinds = [
  { path: autoscalers('v1'), all: '/apis/autoscaling/v1/horizontalpodautoscalers' },
  { path: autoscalers('v2'), all: '/apis/autoscaling/v2/horizontalpodautoscalers' },
  { path: events(''), all: '/api/v1/events' },
  { path: events('events.k8s.io'), all: '/apis/events.k8s.io/v1/events' },
];
const types = ['application/json', PROTOBUF];

for (const { path, all } of kinds) {
  const exact = () => `resourceVersion=${last}&resourceVersionMatch=Exact`;

  test(`${all}: LIST`, async () => {
    for (const accept of [...types, ...types.map((type) => partial(type, true))]) {
      await same(`${path}?${exact()}`, accept);
      await same(`${all}?${exact()}`, accept);
    }
    for (const include of ['', '&includeObject=Object', '&includeObject=None'])
      await same(`${path}?${exact()}${include}`, table('application/json'));
    await same(`${path}?${exact()}&labelSelector=written`, 'application/json');
  });

  test(`${all}: pages`, async () => {
    let token = '';
    do {
      const query = token === '' ? exact() : `continue=${encodeURIComponent(token)}`;
      const body = await same(`${path}?${query}&limit=2`, 'application/json');
      await same(`${path}?${query}&limit=2`, PROTOBUF);
      await same(`${path}?${query}&limit=2`, table('application/json'));
      token = (JSON.parse(body.toString()) as { metadata: { continue?: string } }).metadata.continue ?? '';
    } while (token !== '');
  });

  test(`${all}: GET`, async () => {
    const list = JSON.parse((await same(`${path}?${exact()}`, 'application/json')).toString()) as {
      items: { metadata: { name: string } }[];
    };
    assert.ok(list.items.length > 2);
    for (const { metadata } of list.items) {
      const one = `${path}/${metadata.name}`;
      for (const accept of [...types, table('application/json')]) await same(one, accept);
      for (const type of types) await same(one, partial(type, false));
      await same(`${one}?includeObject=Object`, table('application/json'));
      if (all.includes('autoscaler')) await same(`${one}/status`, 'application/json');
    }
    await same(`${path}/absent`, 'application/json');
    await same(path, partial('application/json', false));
  });

  test(`${all}: WATCH`, async () => {
    const query = `watch=true&resourceVersion=${beginning}&timeoutSeconds=2`;
    const initial =
      'watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=2';
    await Promise.all([
      ...[...types, partial('application/json', false), table('application/json')].map((accept) =>
        same(`${path}?${query}`, accept),
      ),
      same(`${path}?${query}&includeObject=Object`, table('application/json')),
      ...['application/json', partial('application/json', false), table('application/json')].map((accept) =>
        same(`${path}?${initial}`, accept),
      ),
    ]);
  });
}

test('selectors on fields', async () => {
  const selectors: Readonly<Record<string, readonly string[]>> = {
    [events('')]: [
      'involvedObject.kind=Pod',
      'source=kubelet',
      'reportingComponent=ex.io/controller',
      'regarding.kind=Pod',
    ],
    [events('events.k8s.io')]: [
      ...[
        'kind=Pod',
        'namespace=conversions',
        'name=p',
        'uid=u',
        'apiVersion=v1',
        'resourceVersion=7',
        'fieldPath=spec.c',
      ].map((field) => `regarding.${field}`),
      ...['reason=Because', 'reportingController=ex.io/controller', 'type!=Normal', 'metadata.name=old'],
      ...[
        'metadata.namespace=conversions',
        'source=kubelet',
        'involvedObject.kind=Pod',
        'reportingComponent=x',
        'note=x',
      ],
    ],
    [autoscalers('v1')]: ['metadata.name=v2-cpu', 'spec.maxReplicas=3'],
    [autoscalers('v2')]: ['metadata.name=v2-cpu', 'spec.maxReplicas=3'],
  };
  for (const [path, list] of Object.entries(selectors)) {
    for (const selector of list) {
      const query = `fieldSelector=${encodeURIComponent(selector)}&resourceVersion=${last}&resourceVersionMatch=Exact`;
      await same(`${path}?${query}`, 'application/json');
      await same(`${path}?${query}`, table('application/json'));
    }
  }
});

test('a token of one version goes on in the other', async () => {
  const first = await world.ask(`${autoscalers('v1')}?limit=3&resourceVersion=${last}&resourceVersionMatch=Exact`);
  const [theirs, ours] = first.map(
    ({ body }) => (JSON.parse(body.toString()) as { metadata: { continue: string } }).metadata.continue,
  );
  assert.equal(ours, theirs);
  await same(`${autoscalers('v2')}?limit=3&continue=${encodeURIComponent(ours!)}`, 'application/json');
});

test('discovery', async () => {
  interface Resource {
    readonly name: string;
    readonly verbs: readonly string[];
    readonly subresources?: readonly { readonly verbs: readonly string[] }[];
  }
  // listwatch reads only: verbs differ, and what can be written differs in nothing else.
  const withoutVerbs = (key: string, value: unknown) => (key === 'verbs' ? undefined : value);
  for (const path of [
    '/apis/autoscaling',
    '/apis/autoscaling/v1',
    '/apis/autoscaling/v2',
    '/apis/events.k8s.io',
    '/apis/events.k8s.io/v1',
  ]) {
    const [theirs, ours] = await world.ask(path);
    const shown = ({ body }: typeof ours) => JSON.stringify(JSON.parse(body.toString()) as Resource, withoutVerbs);
    assert.equal(shown(ours), shown(theirs), path);
  }
});
