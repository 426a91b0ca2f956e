import type { Random } from '../../lib/random.js';
import { type EventDetails, eventObject, type Involved } from './events.js';
import type { KubeObject } from './objects.js';
import { podObject } from './pod-object.js';
import type {
  AnyWorkload,
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  NodeState,
  PodState,
  ServiceState,
  StatefulSet,
} from './state.js';
import type { Timeline } from './timeline.js';

/** What the sample cluster does to the store, in order. */
export type SampleChange =
  /** `expires`: kept only for the time of --event-ttl. */
  | { readonly type: 'put'; readonly object: KubeObject; readonly expires: boolean }
  | {
      readonly type: 'delete';
      readonly apiVersion: string;
      readonly kind: string;
      readonly namespace: string;
      readonly name: string;
    };

/** The whole state of the sample cluster; the other files are functions over it. */
export interface World {
  readonly random: Random;
  readonly timeline: Timeline;
  readonly emit: (change: SampleChange) => void;
  readonly nodes: readonly NodeState[];
  /** Nodes that ordinary pods may run on. */
  readonly workers: readonly NodeState[];
  readonly deployments: Deployment[];
  readonly statefulSets: StatefulSet[];
  readonly daemonSets: DaemonSet[];
  readonly cronJobs: CronJob[];
  readonly jobs: Set<Job>;
  readonly services: Map<Deployment | StatefulSet, ServiceState>;
  /** Workloads whose pods changed since their controllers last looked. */
  readonly dirty: Set<AnyWorkload>;
  nowMs: number;
  podWrites: number;
}

export function after(world: World, fromMs: number, toMs: number, run: () => void): void {
  world.timeline.add(world.nowMs + fromMs + world.random.int(toMs - fromMs), run);
}

export function put(world: World, object: KubeObject): void {
  world.emit({ type: 'put', object, expires: false });
}

export function remove(world: World, apiVersion: string, kind: string, namespace: string, name: string): void {
  world.emit({ type: 'delete', apiVersion, kind, namespace, name });
}

export function putPod(world: World, pod: PodState): void {
  world.podWrites++;
  put(world, podObject(pod));
}

export function record(world: World, details: Omit<EventDetails, 'atMs'>): void {
  const atMs = world.nowMs;
  const ordinal = (BigInt(Math.floor(atMs)) * 1_000_000n + BigInt(world.random.int(1_000_000))).toString(16);
  world.emit({ type: 'put', object: eventObject({ ...details, atMs }, world.random.uuid(), ordinal), expires: true });
}

export function recordWorkload(world: World, workload: AnyWorkload, reason: string, message: string): void {
  const component: Readonly<Record<AnyWorkload['kind'], string>> = {
    Deployment: 'deployment-controller',
    ReplicaSet: 'replicaset-controller',
    StatefulSet: 'statefulset-controller',
    DaemonSet: 'daemonset-controller',
    CronJob: 'cronjob-controller',
    Job: 'job-controller',
  };
  record(world, {
    involved: involvedWorkload(workload),
    type: 'Normal',
    reason,
    message,
    component: component[workload.kind],
  });
}

export function recordPod(
  world: World,
  pod: PodState,
  reason: string,
  message: string,
  more: { readonly type?: 'Warning'; readonly container?: string; readonly component?: string } = {},
): void {
  const host = more.component === undefined ? pod.node?.name : undefined;
  record(world, {
    involved: {
      apiVersion: 'v1',
      kind: 'Pod',
      name: pod.name,
      namespace: pod.namespace,
      uid: pod.uid,
      ...(more.container === undefined ? {} : { fieldPath: `spec.containers{${more.container}}` }),
    },
    type: more.type ?? 'Normal',
    reason,
    message,
    component: more.component ?? 'kubelet',
    ...(host === undefined ? {} : { host }),
  });
}

export function markDirty(world: World, workload: AnyWorkload): void {
  world.dirty.add(workload);
  if (workload.kind === 'ReplicaSet') world.dirty.add(workload.deployment);
}

function involvedWorkload(workload: AnyWorkload): Involved {
  return {
    apiVersion: workload.kind === 'Job' || workload.kind === 'CronJob' ? 'batch/v1' : 'apps/v1',
    kind: workload.kind,
    name: workload.name,
    namespace: workload.app.namespace,
    uid: workload.uid,
  };
}
