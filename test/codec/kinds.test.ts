import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { apiVersionOf, groupResourceOf } from '../../src/api/gvr.js';
import { storageResourceOf } from '../../src/codec/kind.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind, kindByDirectory, kindByObject, kinds } from '../../src/codec/kinds.js';
import { messageNameOf, messageType, sameLayout } from '../../src/codec/schema.js';
import { createWriter } from '../../src/codec/writer.js';

// Irregular rows of spec 1.1 and 1.2; everything else follows from the kind's name.
const rows: [group: string, version: string, resource: string, kind: string, directory: string, namespaced: boolean][] =
  [
    ['', 'v1', 'nodes', 'Node', 'minions', false],
    ['', 'v1', 'services', 'Service', 'services/specs', true],
    ['', 'v1', 'endpoints', 'Endpoints', 'services/endpoints', true],
    ['', 'v1', 'replicationcontrollers', 'ReplicationController', 'controllers', true],
    ['', 'v1', 'pods', 'Pod', 'pods', true],
    ['networking.k8s.io', 'v1', 'ingresses', 'Ingress', 'ingress', true],
    ['networking.k8s.io', 'v1', 'ingressclasses', 'IngressClass', 'ingressclasses', false],
    ['networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy', 'networkpolicies', true],
    ['scheduling.k8s.io', 'v1', 'priorityclasses', 'PriorityClass', 'priorityclasses', false],
    ['storage.k8s.io', 'v1', 'csistoragecapacities', 'CSIStorageCapacity', 'csistoragecapacities', true],
    [
      'apiextensions.k8s.io',
      'v1',
      'customresourcedefinitions',
      'CustomResourceDefinition',
      'apiextensions.k8s.io/customresourcedefinitions',
      false,
    ],
    ['apiregistration.k8s.io', 'v1', 'apiservices', 'APIService', 'apiregistration.k8s.io/apiservices', false],
    ['autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', true],
    ['rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole', 'clusterroles', false],
  ];
for (const [group, version, resource, name, directory, namespaced] of rows) {
  test(`${resource} lies in ${directory}`, () => {
    const kind = findKind(group, version, resource);
    assert.ok(kind);
    assert.deepEqual([kind.kind, kind.directory, kind.namespaced], [name, directory, namespaced]);
    assert.equal(kindByDirectory(directory), kind);
    assert.equal(kindByObject(apiVersionOf(group, version), name), kind);
  });
}

test('no two rows share a URL or a type', () => {
  assert.equal(new Set(kinds.map((kind) => `${kind.group}/${kind.version}/${kind.resource}`)).size, kinds.length);
  assert.equal(new Set(kinds.map((kind) => `${kind.group}/${kind.version}/${kind.kind}`)).size, kinds.length);
});

test('kinds that are stored as another lie where that one does, and keys are first of that one', () => {
  const rows = kinds.filter((kind) => kind.storedAs !== undefined);
  assert.deepEqual(
    rows.map(({ group, version, resource }) => `${group}/${version}/${resource}`),
    ['events.k8s.io/v1/events', 'autoscaling/v1/horizontalpodautoscalers'],
  );
  for (const { storedAs, resource, directory } of rows) {
    const stored = findKind(storedAs!.group, storedAs!.version, resource);
    assert.equal(stored?.directory, directory);
    assert.equal(kindByDirectory(directory), stored);
  }
  assert.equal(findKind('', 'v1', 'toString'), undefined);
});

test('flags about storage name what is stored, and selectors what is shown', () => {
  const names = kinds.filter((kind) => kind.storedAs !== undefined).map(storageResourceOf);
  assert.deepEqual(names, ['events', 'horizontalpodautoscalers.autoscaling']);
  const labels = findKind('events.k8s.io', 'v1', 'events')!.selectableFields.map(({ label }) => label);
  assert.deepEqual(labels, [
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
      (name) => `regarding.${name}`,
    ),
    ...['reason', 'reportingController', 'type'],
  ]);
});

test('every row has its messages, with metadata first, and selectable fields that exist', () => {
  for (const kind of kinds) {
    const apiVersion = apiVersionOf(kind.group, kind.version);
    assert.equal(messageNameOf(apiVersion, kind.kind), kind.message);
    assert.equal(messageNameOf(apiVersion, kind.listKind), kind.listMessage);
    const metadata = messageType(kind.message).byNumber[0]!;
    assert.deepEqual([metadata.json, metadata.number], ['metadata', 1], kind.message);
    const items = messageType(kind.listMessage).fields.find((field) => field.json === 'items')!;
    assert.deepEqual([items.number, items.messageName], [2, kind.message]);
    const codec = createKindCodec(kind);
    const wire = createWriter();
    const stored = codec.toStored({ apiVersion, kind: kind.kind, metadata: { name: 'x' } });
    codec.toWire(stored, 0, stored.length, 7, wire);
    for (const field of kind.selectableFields) {
      assert.equal(
        typeof codec.field(wire.bytes, wire.start, wire.position, field.label),
        'string',
        `${kind.kind} ${field.label}`,
      );
    }
  }
});

test('a version that is stored under another name has the same layout', () => {
  for (const kind of kinds) {
    if (kind.storageVersion === undefined) continue;
    const stored = messageNameOf(apiVersionOf(kind.group, kind.storageVersion), kind.kind)!;
    // CRDs are converted from JSON (custom-resource-definition.ts); all others are relabelled.
    if (kind.kind === 'CustomResourceDefinition') assert.ok(!sameLayout(stored, kind.message));
    else assert.ok(sameLayout(stored, kind.message), `${kind.message} and ${stored}`);
  }
});

// Observed values of real servers.
const hashes: [group: string, resource: string, hash: string][] = [
  ['', 'pods', 'xPOwRZ+Yhw8='],
  ['apiextensions.k8s.io', 'customresourcedefinitions', 'jfWCUB31mvA='],
];
for (const [group, resource, hash] of hashes) {
  test(`storageVersionHash of ${resource} follows from storageVersion`, () => {
    const kind = kinds.find((row) => row.group === group && row.resource === resource)!;
    const text = `${kind.group}/${kind.storageVersion ?? kind.version}/${kind.kind}`;
    assert.equal(createHash('sha256').update(text).digest().subarray(0, 8).toString('base64'), hash);
  });
}

test('events are the only kind that is not cached by default', () => {
  assert.deepEqual(
    kinds.filter((kind) => !kind.cachedByDefault).map((kind) => groupResourceOf(kind.group, kind.resource)),
    ['events', 'events.events.k8s.io'],
  );
});

test('deprecations read as kube-apiserver writes them', () => {
  assert.equal(
    findKind('', 'v1', 'endpoints')?.deprecation,
    'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  );
  assert.equal(
    findKind('storage.k8s.io', 'v1beta1', 'volumeattributesclasses')?.deprecation,
    'storage.k8s.io/v1beta1 VolumeAttributesClass is deprecated in v1.34+, unavailable in v1.37+; use storage.k8s.io/v1 VolumeAttributesClass',
  );
});
