import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersionOf } from '../../src/api/gvr.js';
import { encodeMessage } from '../../src/codec/encode.js';
import { envelope } from '../../src/codec/envelope.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { messageNameOf } from '../../src/codec/schema.js';
import { createWriter } from '../../src/codec/writer.js';
import { readPairs } from './golden.js';

const REVISION = 7;
const codecOf = (group: string, resource: string, version = 'v1') =>
  createKindCodec(findKind(group, version, resource)!);
const events = codecOf('', 'events');
const namedEvents = codecOf('events.k8s.io', 'events');
const [v1, v2] = ['v1', 'v2'].map((version) => codecOf('autoscaling', 'horizontalpodautoscalers', version)) as [
  typeof events,
  typeof events,
];

/** What is served of a stored value. */
function served(codec: typeof events, value: Uint8Array): Record<string, unknown> {
  const wire = createWriter();
  codec.toWire(value, 0, value.length, REVISION, wire);
  const json = createWriter();
  codec.toJson(wire.bytes, wire.start, wire.position, true, json);
  return JSON.parse(json.bytes.toString('utf8', 0, json.position)) as Record<string, unknown>;
}

/** A value as a server of that version alone would have stored it. */
function storedAs(apiVersion: string, kind: string, object: object): Uint8Array {
  return envelope(apiVersion, kind, encodeMessage(messageNameOf(apiVersion, kind)!, object));
}

const event = {
  metadata: { name: 'e', namespace: 'a', creationTimestamp: '2026-01-02T03:04:05Z' },
  involvedObject: { kind: 'Pod', name: 'p' },
  reason: 'r',
  message: 'm',
  source: { component: 'c', host: 'h' },
  firstTimestamp: '2026-01-02T03:04:05Z',
  lastTimestamp: '2026-01-02T03:04:06Z',
  count: 3,
  type: 'Normal',
  eventTime: '2026-01-02T03:04:05.000001Z',
  series: { count: 2, lastObservedTime: '2026-01-02T03:04:05.000001Z' },
  action: 'a',
  related: { name: 'x' },
  reportingComponent: 'rc',
  reportingInstance: 'ri',
};
const namedEvent = {
  metadata: event.metadata,
  eventTime: event.eventTime,
  series: event.series,
  reportingController: 'rc',
  reportingInstance: 'ri',
  action: 'a',
  reason: 'r',
  regarding: event.involvedObject,
  related: event.related,
  note: 'm',
  type: 'Normal',
  deprecatedSource: event.source,
  deprecatedFirstTimestamp: event.firstTimestamp,
  deprecatedLastTimestamp: event.lastTimestamp,
  deprecatedCount: 3,
};
const withRevision = (object: { readonly metadata: object }, apiVersion: string, kind: string) => ({
  ...object,
  apiVersion,
  kind,
  metadata: { ...object.metadata, resourceVersion: String(REVISION) },
});

test('an Event is the same object in both groups, whichever it is stored as', () => {
  for (const value of [storedAs('v1', 'Event', event), storedAs('events.k8s.io/v1', 'Event', namedEvent)]) {
    assert.deepEqual(served(events, value), withRevision(event, 'v1', 'Event'));
    assert.deepEqual(served(namedEvents, value), withRevision(namedEvent, 'events.k8s.io/v1', 'Event'));
  }
});

test('what is written through events.k8s.io is stored as a server stores it', () => {
  const written = { apiVersion: 'events.k8s.io/v1', kind: 'Event', ...namedEvent };
  const unknownFields: string[] = [];
  const value = namedEvents.toStored({ ...written, message: 'x' }, unknownFields);
  assert.deepEqual(unknownFields, ['message']);
  assert.deepEqual(Buffer.from(namedEvents.toStored(written)), Buffer.from(storedAs('v1', 'Event', withBlanks(event))));
  assert.deepEqual(served(namedEvents, value)['note'], 'x');
});

function withBlanks<T extends { readonly metadata: object }>(object: T): T {
  return { ...object, metadata: { ...object.metadata, resourceVersion: '', selfLink: '' } };
}

test('golden Events of the core group have all their members in the other', () => {
  let compared = 0;
  for (const pair of [...readPairs('pairs.ndjson'), ...readPairs('one-way.ndjson')]) {
    if (`${pair.apiVersion} ${pair.kind}` !== 'v1 Event') continue;
    const [core, named] = [served(events, pair.stored), served(namedEvents, pair.stored)];
    const renamed: Record<string, string> = {
      involvedObject: 'regarding',
      message: 'note',
      source: 'deprecatedSource',
      firstTimestamp: 'deprecatedFirstTimestamp',
      lastTimestamp: 'deprecatedLastTimestamp',
      count: 'deprecatedCount',
      reportingComponent: 'reportingController',
    };
    for (const [name, value] of Object.entries(core)) {
      if (name === 'apiVersion' || value === '') continue;
      assert.deepEqual(named[renamed[name] ?? name], value, name);
    }
    compared++;
  }
  assert.ok(compared > 1);
});

const scaleTargetRef = { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' };
const autoscaler = (spec: object, status: object = {}, annotations?: object) => ({
  metadata: { name: 'h', ...(annotations === undefined ? {} : { annotations }) },
  spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 3, ...spec },
  status: { currentReplicas: 1, desiredReplicas: 1, ...status },
});
const cpu = (averageUtilization: number) => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
});
const memory = {
  type: 'Resource',
  resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
};
const OWN = 'autoscaling.alpha.kubernetes.io';

// Both directions. v1's annotations are to the byte what kube-apiserver writes (test/kube-apiserver/conversions.e2e.ts).
const rows: readonly [name: string, v2: ReturnType<typeof autoscaler>, v1: ReturnType<typeof autoscaler>][] = [
  ['a CPU target', autoscaler({ metrics: [cpu(50)] }), autoscaler({ targetCPUUtilizationPercentage: 50 })],
  [
    'a further metric goes first',
    autoscaler({ metrics: [memory, cpu(50)] }, {}, { z: 'y' }),
    autoscaler(
      { targetCPUUtilizationPercentage: 50 },
      {},
      {
        [`${OWN}/metrics`]: '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]',
        z: 'y',
      },
    ),
  ],
  [
    'what was measured, and conditions',
    autoscaler(
      { metrics: [memory] },
      {
        currentMetrics: [
          { type: 'Resource', resource: { name: 'cpu', current: { averageValue: '5m', averageUtilization: 9 } } },
        ],
        conditions: [{ type: 'A<', status: 'True', lastTransitionTime: null }],
      },
    ),
    autoscaler(
      {},
      { currentCPUUtilizationPercentage: 9 },
      {
        [`${OWN}/conditions`]: '[{"type":"A\\u003c","status":"True","lastTransitionTime":null}]',
        [`${OWN}/current-metrics`]:
          '[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":9,"currentAverageValue":"5m"}}]',
        [`${OWN}/metrics`]: '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]',
      },
    ),
  ],
  [
    'behavior',
    autoscaler({
      metrics: [cpu(1)],
      behavior: {
        scaleUp: {
          stabilizationWindowSeconds: 0,
          selectPolicy: 'Max',
          policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }],
          tolerance: '50m',
        },
        scaleDown: { selectPolicy: 'Min', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
      },
    }),
    autoscaler(
      { targetCPUUtilizationPercentage: 1 },
      {},
      {
        [`${OWN}/behavior`]:
          '{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max",' +
          '"Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":"50m"},' +
          '"ScaleDown":{"StabilizationWindowSeconds":null,"SelectPolicy":"Min",' +
          '"Policies":[{"Type":"Percent","Value":100,"PeriodSeconds":15}],"Tolerance":null}}',
      },
    ),
  ],
];
for (const [name, two, one] of rows) {
  test(`autoscalers: ${name}`, () => {
    const kind = 'HorizontalPodAutoscaler';
    for (const value of [storedAs('autoscaling/v2', kind, two), storedAs('autoscaling/v1', kind, one)]) {
      assert.deepEqual(served(v1, value), withRevision(one, 'autoscaling/v1', kind));
      assert.deepEqual(withoutNull(served(v2, value)), withoutNull(withRevision(two, 'autoscaling/v2', kind)));
    }
  });
}

/** v2 has a list of what was measured even if nothing was. */
function withoutNull<T>(value: T): T {
  return JSON.parse(JSON.stringify(value, (_, member: unknown) => member ?? undefined)) as T;
}

test('what an autoscaler lacks is filled in, as v2 does when it reads', () => {
  const stored = storedAs('autoscaling/v2', 'HorizontalPodAutoscaler', {
    metadata: { name: 'h', annotations: { [`${OWN}/metrics`]: '[]' } },
    spec: { scaleTargetRef, maxReplicas: 3, behavior: { scaleUp: { selectPolicy: 'Min' } } },
  });
  const { spec, metadata } = served(v2, stored) as { spec: Record<string, unknown>; metadata: object };
  assert.deepEqual(metadata, { name: 'h', resourceVersion: String(REVISION) });
  assert.deepEqual(spec['metrics'], [cpu(80)]);
  assert.equal(spec['minReplicas'], 1);
  const policy = (type: string, value: number) => ({ type, value, periodSeconds: 15 });
  assert.deepEqual(spec['behavior'], {
    scaleUp: {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Min',
      policies: [policy('Pods', 4), policy('Percent', 100)],
    },
    scaleDown: { selectPolicy: 'Max', policies: [policy('Percent', 100)] },
  });
});

test('annotations that do not say what they should say nothing', () => {
  const kind = 'HorizontalPodAutoscaler';
  for (const text of ['{', '"x"', '[{"type":7}]', '[{"resource":{"targetAverageValue":"x"}}]']) {
    const annotations = { [`${OWN}/metrics`]: text, [`${OWN}/behavior`]: text, [`${OWN}/conditions`]: text };
    const stored = storedAs('autoscaling/v1', kind, autoscaler({}, {}, annotations));
    const { spec } = served(v2, stored) as { spec: object };
    assert.deepEqual(withoutNull(spec), { scaleTargetRef, minReplicas: 1, maxReplicas: 3, metrics: [cpu(80)] }, text);
  }
});

test('selectable fields have their own names in each group', () => {
  const value = storedAs('v1', 'Event', event);
  for (const [codec, label, want] of [
    [events, 'involvedObject.kind', 'Pod'],
    [namedEvents, 'regarding.kind', 'Pod'],
    [namedEvents, 'reportingController', 'rc'],
  ] as const) {
    const wire = createWriter();
    codec.toWire(value, 0, value.length, REVISION, wire);
    assert.equal(
      codec.field(wire.bytes, wire.start, wire.position, label),
      want,
      apiVersionOf(codec.kind.group, label),
    );
  }
  assert.throws(() => namedEvents.field(new Uint8Array(), 0, 0, 'source'), /not supported/);
});
