import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { protobufType } from '../../src/codec/proto-text.js';
import { createWriter } from '../../src/codec/writer.js';
import type { BenchCases } from '../bench.js';

/** A pod as a Deployment makes it, about 2.8 KB of protobuf. */
function samplePod(index: number): unknown {
  const app = `svc-${index % 500}`;
  const hash = (index * 2_654_435_761).toString(16).slice(0, 8);
  const time = new Date(1_760_000_000_000 + (index % 1_000_000) * 1000).toISOString().replace('.000', '');
  const spec = {
    'f:metadata': {
      'f:generateName': {},
      'f:labels': { '.': {}, 'f:app': {}, 'f:pod-template-hash': {}, 'f:tier': {} },
    },
    'f:spec': {
      'f:containers': {
        'k:{"name":"main"}': {
          '.': {},
          'f:args': {},
          'f:env': { '.': {}, 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
          'f:image': {},
          'f:imagePullPolicy': {},
          'f:name': {},
          'f:ports': { '.': {}, 'k:{"containerPort":8080,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
          'f:resources': { '.': {}, 'f:limits': { '.': {}, 'f:cpu': {}, 'f:memory': {} } },
        },
      },
      'f:dnsPolicy': {},
      'f:enableServiceLinks': {},
      'f:restartPolicy': {},
      'f:schedulerName': {},
      'f:terminationGracePeriodSeconds': {},
    },
  };
  const status = {
    'f:status': {
      'f:conditions': {
        'k:{"type":"Ready"}': { '.': {}, 'f:lastProbeTime': {}, 'f:lastTransitionTime': {}, 'f:status': {} },
      },
      'f:containerStatuses': {},
      'f:hostIP': {},
      'f:phase': {},
      'f:podIPs': {},
    },
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${app}-${hash}-${index}`,
      generateName: `${app}-${hash}-`,
      namespace: `ns-${index % 200}`,
      uid: `${hash}-1111-4222-8333-444455556666`,
      creationTimestamp: time,
      labels: { app, 'pod-template-hash': hash, release: 'stable', tier: 'backend' },
      annotations: { 'checksum/config': hash.repeat(8), note: 'x<y> & "z"', 'prometheus.io/scrape': 'true' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-${hash}`,
          uid: `${hash}-2`,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [
        {
          manager: 'kube-controller-manager',
          operation: 'Update',
          apiVersion: 'v1',
          time,
          fieldsType: 'FieldsV1',
          fieldsV1: spec,
        },
        {
          manager: 'kubelet',
          operation: 'Update',
          apiVersion: 'v1',
          time,
          fieldsType: 'FieldsV1',
          fieldsV1: status,
          subresource: 'status',
        },
      ],
    },
    spec: {
      volumes: [{ name: 'cfg', configMap: { name: `${app}-cfg`, defaultMode: 420 } }],
      containers: [
        {
          name: 'main',
          image: `registry.example.com/team/${app}:v1.${index % 40}`,
          args: ['--port=8080', '--log-level=info'],
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          env: [0, 1, 2, 3, 4, 5].map((k) => ({
            name: `ENV_VAR_${k}`,
            value: `http://backend-${(index + k) % 97}.prod.svc:8080/path`,
          })),
          resources: { limits: { cpu: '500m', memory: '512Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
          volumeMounts: [{ name: 'cfg', readOnly: true, mountPath: '/etc/cfg' }],
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'IfNotPresent',
        },
      ],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      serviceAccount: 'default',
      nodeName: `node-${index % 5000}`,
      securityContext: {},
      schedulerName: 'default-scheduler',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
    status: {
      phase: 'Running',
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
        type,
        status: 'True',
        lastProbeTime: null,
        lastTransitionTime: time,
      })),
      hostIP: '10.0.3.4',
      podIP: `10.2.${(index >> 8) & 255}.${index & 255}`,
      podIPs: [{ ip: `10.2.${(index >> 8) & 255}.${index & 255}` }],
      startTime: time,
      containerStatuses: [
        {
          name: 'main',
          state: { running: { startedAt: time } },
          lastState: {},
          ready: true,
          restartCount: 0,
          image: `registry.example.com/team/${app}:v1.${index % 40}`,
          imageID: `registry.example.com/team/${app}@sha256:${hash.repeat(8)}`,
          containerID: `containerd://${hash.repeat(8)}`,
          started: true,
        },
      ],
      qosClass: 'Burstable',
    },
  };
}

function sampleLease(index: number): unknown {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: `node-${index}`,
      namespace: 'kube-node-lease',
      uid: `11111111-2222-4333-8444-${String(index).padStart(12, '0')}`,
      creationTimestamp: '2026-01-02T03:04:05Z',
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: `node-${index}`, uid: `u-${index}` }],
    },
    spec: { holderIdentity: `node-${index}`, leaseDurationSeconds: 40, renewTime: '2026-01-02T03:04:05.678900Z' },
  };
}

/** Bytes in to bytes out, beside what one would write first: decode with protobufjs and print. */
export function setup(smoke: boolean): BenchCases {
  const ops = smoke ? 20 : 500;
  const pods = createKindCodec(findKind('', 'v1', 'pods')!);
  const leases = createKindCodec(findKind('coordination.k8s.io', 'v1', 'leases')!);
  const podType = protobufType('k8s.io.api.core.v1.Pod');
  const storedPods = Array.from({ length: ops }, (_, index) => pods.toStored(samplePod(index)));
  const storedLeases = Array.from({ length: ops }, (_, index) => leases.toStored(sampleLease(index)));
  const wire = createWriter(4 * 2 ** 20);
  const leaseType = protobufType('k8s.io.api.coordination.v1.Lease');
  const rangesOf = (codec: typeof pods, stored: readonly Uint8Array[]) =>
    stored.map((value, index) => {
      codec.toWire(value, 0, value.length, 1_000_000 + index, wire);
      return { start: wire.start, end: wire.position };
    });
  const ranges = rangesOf(pods, storedPods);
  const leaseRanges = rangesOf(leases, storedLeases);
  const output = createWriter(2 ** 16);
  /** `work` returns how many bytes it made. */
  const each = <T>(items: readonly T[], work: (item: T) => number) => ({
    ops,
    run: () => {
      let checksum = 0;
      for (const item of items) checksum += work(item);
      return checksum;
    },
  });
  const ingest = (codec: typeof pods) => (value: Uint8Array) => {
    output.position = 0;
    codec.toWire(value, 0, value.length, 1_234_567, output);
    return output.position;
  };
  type Decoded = { metadata: { resourceVersion: string; labels: Record<string, string> }; spec: { nodeName: string } };
  const decoded = (type: typeof podType, { start, end }: { start: number; end: number }) =>
    type.decode(wire.bytes.subarray(start, end)) as unknown as Decoded;
  const decodeAndEncode = (type: typeof podType) => (range: { start: number; end: number }) => {
    const object = decoded(type, range);
    object.metadata.resourceVersion = '1234567';
    return type.encode(object as never).finish().length;
  };
  return {
    'codec/pod-to-json/generated': each(ranges, ({ start, end }) => {
      output.position = 0;
      pods.toJson(wire.bytes, start, end, false, output);
      return output.position;
    }),
    'codec/pod-to-json/protobufjs-stringify': each(ranges, ({ start, end }) => {
      const message = podType.decode(wire.bytes.subarray(start, end));
      return Buffer.byteLength(JSON.stringify(podType.toObject(message, { longs: Number, bytes: String })));
    }),
    'codec/pod-to-wire/check-and-splice': each(storedPods, ingest(pods)),
    'codec/pod-to-wire/protobufjs-decode-encode': each(ranges, decodeAndEncode(podType)),
    'codec/lease-to-wire/check-and-splice': each(storedLeases, ingest(leases)),
    'codec/lease-to-wire/protobufjs-decode-encode': each(leaseRanges, decodeAndEncode(leaseType)),
    'codec/pod-label/scan': each(
      ranges,
      ({ start, end }) => pods.label(wire.bytes, start, end, 'release')?.length ?? 0,
    ),
    'codec/pod-label/protobufjs-decode': each(
      ranges,
      (range) => decoded(podType, range).metadata.labels['release']?.length ?? 0,
    ),
    'codec/pod-field/scan': each(
      ranges,
      ({ start, end }) => pods.field(wire.bytes, start, end, 'spec.nodeName').length,
    ),
    'codec/pod-field/protobufjs-decode': each(ranges, (range) => decoded(podType, range).spec.nodeName.length),
  };
}
