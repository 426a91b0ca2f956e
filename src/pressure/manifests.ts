import type { Random } from '../lib/random.js';

/**
 * Objects as kubelets and controllers write them, in JSON: the shape decides what a decoded cache allocates. Where an
 * object's name belongs stands NAME, where a number that changes with every write belongs stands TICK.
 */
export const NAME = 'zzzzzzz';
export const TICK = 'yyyyyyyy';
export const NAMESPACE = 'pressure';

const CREATED = '2026-01-01T00:00:00Z';
const TICK_ANNOTATION = 'listwatch.dev/tick';
const PAD_ANNOTATION = 'listwatch.dev/pad';

export interface Manifest {
  readonly group: string;
  readonly resource: string;
  /** `padding` bytes go into an annotation. */
  build(random: Random, padding: number): object;
}

export const manifests = {
  leases: { group: 'coordination.k8s.io', resource: 'leases', build: lease },
  pods: { group: '', resource: 'pods', build: pod },
  nodes: { group: '', resource: 'nodes', build: node },
  configmaps: { group: '', resource: 'configmaps', build: configMap },
} as const satisfies Record<string, Manifest>;

export type PressureKind = keyof typeof manifests;

function metadata(random: Random, padding: number, namespaced: boolean, rest: object = {}): object {
  return {
    name: NAME,
    ...(namespaced ? { namespace: NAMESPACE } : {}),
    uid: random.uuid(),
    creationTimestamp: CREATED,
    annotations: { [TICK_ANNOTATION]: TICK, ...(padding > 0 ? { [PAD_ANNOTATION]: 'x'.repeat(padding) } : {}) },
    ...rest,
  };
}

function managedFields(manager: string, apiVersion: string, fieldsV1: object, subresource?: string): object {
  return {
    manager,
    operation: 'Update',
    apiVersion,
    time: CREATED,
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function lease(random: Random, padding: number): object {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: metadata(random, padding, true),
    spec: { holderIdentity: NAME, leaseDurationSeconds: 40, renewTime: '2026-01-01T00:00:00.123456Z' },
  };
}

function configMap(random: Random, padding: number): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(random, padding, true),
    data: { 'config.yaml': `seed: ${random.hex(16)}\n` },
  };
}

function pod(random: Random, padding: number): object {
  const app = `svc-${random.int(500)}`;
  const image = `registry.example.com/team/${app}:v1.${random.int(40)}`;
  const address = `10.${random.int(256)}.${random.int(256)}.${random.int(256)}`;
  const conditions = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(random, padding, true, {
      generateName: `${app}-`,
      labels: { app, 'pod-template-hash': random.hex(8), tier: random.pick(['backend', 'batch', 'frontend']) },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-${random.hex(8)}`,
          uid: random.uuid(),
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [
        managedFields('kube-controller-manager', 'v1', {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {}, 'f:pod-template-hash': {}, 'f:tier': {} } },
          'f:spec': {
            'f:containers': {
              'k:{"name":"main"}': { '.': {}, 'f:env': {}, 'f:image': {}, 'f:name': {}, 'f:ports': {} },
            },
            'f:dnsPolicy': {},
            'f:restartPolicy': {},
            'f:schedulerName': {},
          },
        }),
        managedFields('kubelet', 'v1', { 'f:status': { 'f:conditions': {}, 'f:phase': {}, 'f:podIP': {} } }, 'status'),
      ],
    }),
    spec: {
      volumes: [{ name: 'config', configMap: { name: `${app}-config`, defaultMode: 420 } }],
      containers: [
        {
          name: 'main',
          image,
          args: ['--port=8080', '--log-level=info'],
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          env: Array.from({ length: 6 }, (_, index) => ({
            name: `BACKEND_${index}`,
            value: `http://backend-${index * 13}.prod.svc:8080/path`,
          })),
          resources: { limits: { cpu: '500m', memory: '512Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
          volumeMounts: [{ name: 'config', readOnly: true, mountPath: '/etc/config' }],
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'IfNotPresent',
        },
      ],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      nodeName: `node-${random.int(5_000)}`,
      schedulerName: 'default-scheduler',
      tolerations: ['not-ready', 'unreachable'].map((taint) => ({
        key: `node.kubernetes.io/${taint}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      })),
      priority: 0,
      enableServiceLinks: true,
    },
    status: {
      phase: 'Running',
      conditions: conditions.map((type) => ({ type, status: 'True', lastTransitionTime: CREATED })),
      hostIP: '10.0.3.4',
      podIP: address,
      podIPs: [{ ip: address }],
      startTime: CREATED,
      containerStatuses: [
        {
          name: 'main',
          state: { running: { startedAt: CREATED } },
          lastState: {},
          ready: true,
          restartCount: 0,
          image,
          imageID: `${image.split(':')[0]}@sha256:${random.hex(64)}`,
          containerID: `containerd://${random.hex(64)}`,
          started: true,
        },
      ],
      qosClass: 'Burstable',
    },
  };
}

/** Most of a Node is the list of its images: what made a heartbeat by node status 15 kB (before leases carried it). */
function node(random: Random, padding: number): object {
  const amounts = { cpu: '32', 'ephemeral-storage': '205374420Ki', memory: '131838620Ki', pods: '110' };
  const conditions = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'];
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: metadata(random, padding, false, {
      labels: {
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': NAME,
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/zone': random.pick(['a', 'b', 'c']),
      },
      managedFields: [managedFields('kubelet', 'v1', { 'f:status': { 'f:conditions': {}, 'f:images': {} } }, 'status')],
    }),
    spec: { podCIDR: `10.${random.int(256)}.${random.int(256)}.0/24` },
    status: {
      capacity: amounts,
      allocatable: amounts,
      conditions: conditions.map((type) => ({
        type,
        status: type === 'Ready' ? 'True' : 'False',
        lastHeartbeatTime: CREATED,
        lastTransitionTime: CREATED,
        reason: `Kubelet${type}`,
        message: `kubelet reports ${type}`,
      })),
      addresses: [
        { type: 'InternalIP', address: '10.0.3.4' },
        { type: 'Hostname', address: NAME },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
      nodeInfo: {
        machineID: random.hex(32),
        systemUUID: random.uuid(),
        bootID: random.uuid(),
        kernelVersion: '6.1.0',
        osImage: 'Linux',
        containerRuntimeVersion: 'containerd://2.0.0',
        kubeletVersion: 'v1.36.0',
        kubeProxyVersion: '',
        operatingSystem: 'linux',
        architecture: 'amd64',
      },
      images: Array.from({ length: 50 }, (_, index) => ({
        names: [
          `registry.example.com/team/service-${index}@sha256:${random.hex(64)}`,
          `registry.example.com/team/service-${index}:v1.${random.int(40)}`,
        ],
        sizeBytes: 50_000_000 + random.int(400_000_000),
      })),
    },
  };
}
