import { digest, type KubeObject, time } from '../app/sample/objects.js';
import { templateSpec } from '../app/sample/pod-object.js';
import type { ReadObject } from './answers.js';

/** Pods of the tests have it; what else is in a cluster is not measured. */
export const TEST_LABEL = 'listwatch.example.com/hollow';
/** Of its nodes: by it a server's own are told from them. */
export const NODE_NAME_PREFIX = 'hollow-node-';
export const GROUP_LABEL = 'listwatch.example.com/group';

const IMAGE = 'registry.example.com/system/pause:3.10';
const GRACE_SECONDS = 1;

const spec = templateSpec({
  labels: {},
  serviceAccount: 'default',
  containers: [{ name: 'pause', image: IMAGE, port: undefined, cpuMilli: 5, memoryMi: 20 }],
  restartPolicy: 'Always',
  hostNetwork: false,
  graceSeconds: GRACE_SECONDS,
  tolerateAll: false,
});

export const POD_GRACE_SECONDS = GRACE_SECONDS;

export function namespaceOf(name: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

/** A group of pods that are all alike. */
export function groupOf(namespace: string, name: string, replicas: number): KubeObject {
  const labels = { [TEST_LABEL]: 'true', [GROUP_LABEL]: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace, labels },
    spec: {
      replicas,
      selector: { matchLabels: { [GROUP_LABEL]: name } },
      template: { metadata: { labels }, spec },
    },
    status: { replicas: 0 },
  };
}

/** A pod of a group, as its controller creates it and admission completes it. */
export function podOf(group: ReadObject, name: string): KubeObject {
  const { namespace = 'default', name: owner, uid, labels } = group.metadata;
  const wait = (key: string) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels,
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid, controller: true, blockOwnerDeletion: true },
      ],
    },
    spec: {
      ...spec,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
      priority: 0,
      tolerations: [wait('node.kubernetes.io/not-ready'), wait('node.kubernetes.io/unreachable')],
    },
    status: { phase: 'Pending', qosClass: 'Burstable' },
  };
}

export interface PodMoments {
  readonly uid: string;
  readonly hostIp: string;
  readonly podIp: string;
  readonly startMs: number;
  readonly runningMs: number | undefined;
}

/** What a kubelet reports of a pod: creating its containers, or running them. */
export function podStatusOf({ uid, hostIp, podIp, startMs, runningMs }: PodMoments): object {
  const running = runningMs !== undefined;
  const condition = (type: string, status: boolean, sinceMs: number) => ({
    type,
    status: status ? 'True' : 'False',
    lastProbeTime: null,
    lastTransitionTime: time(sinceMs),
    ...(status ? {} : { reason: 'ContainersNotReady', message: 'containers with unready status: [pause]' }),
  });
  const sinceMs = runningMs ?? startMs;
  return {
    phase: running ? 'Running' : 'Pending',
    conditions: [
      condition('Initialized', true, startMs),
      condition('Ready', running, sinceMs),
      condition('ContainersReady', running, sinceMs),
      condition('PodScheduled', true, startMs),
    ],
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    ...(running ? { podIP: podIp, podIPs: [{ ip: podIp }] } : {}),
    startTime: time(startMs),
    containerStatuses: [
      {
        name: 'pause',
        image: IMAGE,
        imageID: running ? `registry.example.com/system/pause@sha256:${digest(IMAGE)}` : '',
        ...(running ? { containerID: `containerd://${digest(uid)}` } : {}),
        ready: running,
        started: running,
        restartCount: 0,
        state: running ? { running: { startedAt: time(sinceMs) } } : { waiting: { reason: 'ContainerCreating' } },
        lastState: {},
      },
    ],
  };
}
