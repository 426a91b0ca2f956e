import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind, kindByObject } from '../../src/codec/kinds.js';
import { compareLabel, objectName, objectNamespace, objectUid } from '../../src/codec/scan.js';
import { createWriter } from '../../src/codec/writer.js';
import { readPairs } from './golden.js';

function wired(group: string, version: string, resource: string, object: Record<string, unknown>) {
  const kind = findKind(group, version, resource)!;
  const codec = createKindCodec(kind);
  const apiVersion = group === '' ? version : `${group}/${version}`;
  const stored = codec.toStored({ apiVersion, kind: kind.kind, ...object });
  // In shared memory, as the cache keeps it.
  const wire = createWriter();
  codec.toWire(stored, 0, stored.length, 12, wire);
  const shared = new Uint8Array(new SharedArrayBuffer(wire.position));
  shared.set(wire.bytes.subarray(0, wire.position));
  return { codec, bytes: shared, start: wire.start, end: wire.position };
}

const longName = 'a-name-that-is-longer-than-what-is-read-byte-by-byte-é';
const pod = {
  metadata: { name: 'web', namespace: 'prod', uid: 'u-1', labels: { app: 'web', empty: '', é: 'ü' } },
  spec: { nodeName: 'n1', containers: [{ name: 'c' }], restartPolicy: 'Always', hostNetwork: true },
  status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.2' }, { ip: 'fd00::2' }] },
};

// One row per rule of spec 6.2.
const rows: [
  group: string,
  version: string,
  resource: string,
  object: Record<string, unknown>,
  label: string,
  value: string,
][] = [
  ['', 'v1', 'pods', pod, 'metadata.name', 'web'],
  ['', 'v1', 'pods', pod, 'metadata.namespace', 'prod'],
  ['', 'v1', 'pods', pod, 'spec.nodeName', 'n1'],
  ['', 'v1', 'pods', pod, 'spec.host', 'n1'],
  ['', 'v1', 'pods', pod, 'spec.hostNetwork', 'true'],
  ['', 'v1', 'pods', { metadata: {} }, 'spec.hostNetwork', 'false'],
  ['', 'v1', 'pods', pod, 'status.phase', 'Running'],
  ['', 'v1', 'pods', pod, 'status.podIP', '10.0.0.2'],
  ['', 'v1', 'pods', { status: { podIP: '10.0.0.1' } }, 'status.podIP', ''],
  ['', 'v1', 'pods', pod, 'status.podIPs', ''],
  ['', 'v1', 'pods', { spec: { nodeName: longName } }, 'spec.nodeName', longName],
  ['', 'v1', 'nodes', { spec: { unschedulable: true } }, 'spec.unschedulable', 'true'],
  ['', 'v1', 'nodes', {}, 'spec.unschedulable', 'false'],
  ['', 'v1', 'secrets', { type: 'Opaque' }, 'type', 'Opaque'],
  ['', 'v1', 'services', { spec: { clusterIP: '10.0.0.1', type: 'ClusterIP' } }, 'spec.clusterIP', '10.0.0.1'],
  ['', 'v1', 'replicationcontrollers', { status: { replicas: 300 } }, 'status.replicas', '300'],
  ['', 'v1', 'replicationcontrollers', {}, 'status.replicas', '0'],
  ['batch', 'v1', 'jobs', { status: { succeeded: 3 } }, 'status.successful', '3'],
  ['batch', 'v1', 'jobs', {}, 'status.successful', '0'],
  ['', 'v1', 'events', { source: { component: 'kubelet' }, reportingComponent: 'x' }, 'source', 'kubelet'],
  ['', 'v1', 'events', { source: {}, reportingComponent: 'x' }, 'source', 'x'],
  ['', 'v1', 'events', { involvedObject: { kind: 'Pod', uid: 'u' } }, 'involvedObject.kind', 'Pod'],
  ['resource.k8s.io', 'v1', 'resourceslices', { spec: { nodeName: 'n', driver: 'd' } }, 'spec.nodeName', 'n'],
  ['resource.k8s.io', 'v1', 'resourceslices', { spec: { driver: 'd' } }, 'spec.nodeName', ''],
];
for (const [group, version, resource, object, label, value] of rows) {
  test(`${resource} ${label} of ${JSON.stringify(object).slice(0, 60)} is ${JSON.stringify(value)}`, () => {
    const { codec, bytes, start, end } = wired(group, version, resource, object);
    assert.equal(codec.field(bytes, start, end, label), value);
  });
}

test('labels the kind does not have are refused', () => {
  const { codec, bytes, start, end } = wired('', 'v1', 'nodes', {});
  assert.throws(
    () => codec.field(bytes, start, end, 'metadata.namespace'),
    /field label not supported: metadata.namespace/,
  );
  assert.throws(() => codec.field(bytes, start, end, 'spec.nodeName'), /field label not supported/);
});

test('metadata and labels are read from shared memory', () => {
  const { codec, bytes, start, end } = wired('', 'v1', 'pods', pod);
  assert.equal(objectName(bytes, start, end), 'web');
  assert.equal(objectNamespace(bytes, start, end), 'prod');
  assert.equal(objectUid(bytes, start, end), 'u-1');
  assert.deepEqual(
    codec.labels(bytes, start, end),
    new Map([
      ['app', 'web'],
      ['empty', ''],
      ['é', 'ü'],
    ]),
  );
  assert.equal(codec.label(bytes, start, end, 'app'), 'web');
  assert.equal(codec.label(bytes, start, end, 'empty'), '');
  assert.equal(codec.label(bytes, start, end, 'ap'), undefined);
  const compare = (key: string, value: string) => compareLabel(bytes, start, end, Buffer.from(key), Buffer.from(value));
  assert.deepEqual([compare('app', 'web'), compare('app', 'we'), compare('ap', ''), compare('é', 'ü')], [1, 0, -1, 1]);
  const json = createWriter();
  codec.metadataToJson(bytes, start, end, json);
  assert.deepEqual(JSON.parse(json.bytes.toString('utf8', 0, json.position)), {
    ...pod.metadata,
    resourceVersion: '12',
  });
});

test('scanners agree with the decoded object, on every golden pair', () => {
  for (const pair of readPairs('pairs.ndjson')) {
    const kind = kindByObject(pair.apiVersion, pair.kind);
    if (kind === undefined) continue;
    const codec = createKindCodec(kind, { readDefaults: false });
    const wire = createWriter();
    codec.toWire(pair.stored, 0, pair.stored.length, 3, wire);
    const { bytes, start, position: end } = wire;
    const object = codec.read(bytes, start, end) as Record<string, unknown> & {
      metadata: { name?: string; labels?: Record<string, string> };
    };
    assert.equal(codec.field(bytes, start, end, 'metadata.name'), object.metadata.name ?? '');
    assert.deepEqual(Object.fromEntries(codec.labels(bytes, start, end)), object.metadata.labels ?? {});
    for (const { label, path, absent, fallbackPath } of kind.selectableFields) {
      const text = (at: string) =>
        String(
          at
            .split(/[.[\]]+/)
            .reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], object) ?? absent,
        );
      const want = path === '' ? '' : text(path) === '' && fallbackPath !== undefined ? text(fallbackPath) : text(path);
      assert.equal(codec.field(bytes, start, end, label), want, `${pair.kind} ${label}`);
    }
  }
});
