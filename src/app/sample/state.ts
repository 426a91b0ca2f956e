import type { Random } from '../../lib/random.js';
import { suffix } from './names.js';

/**
 * What the sample cluster remembers. Objects are functions of these records (objects.ts,
 * pod-object.ts, node-object.ts, workload-objects.ts), so the cluster keeps no copies of what it wrote.
 */
export interface NodeState {
  readonly index: number;
  readonly name: string;
  readonly uid: string;
  readonly leaseUid: string;
  readonly createdMs: number;
  readonly zone: string;
  readonly controlPlane: boolean;
  readonly cpu: number;
  readonly memoryGi: number;
  readonly podsMax: number;
  /** First address of its pod range, as a number. */
  readonly podRange: number;
  readonly podRangeBits: number;
  readonly address: string;
  readonly machine: string;
  readonly pods: Set<PodState>;
  readonly addressesInUse: Set<number>;
  nextAddress: number;
  heartbeatMs: number;
  renewedMs: number;
}

export interface ContainerTemplate {
  readonly name: string;
  readonly image: string;
  readonly port: number | undefined;
  readonly cpuMilli: number;
  readonly memoryMi: number;
  readonly command?: readonly string[];
}

export interface Template {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly containers: readonly ContainerTemplate[];
  readonly restartPolicy: 'Always' | 'OnFailure' | 'Never';
  readonly hostNetwork: boolean;
  readonly priorityClass?: string;
  readonly graceSeconds: number;
  /** Runs on every node, whatever its taints. */
  readonly tolerateAll: boolean;
}

/** What all of an application's objects share. */
export interface App {
  readonly namespace: string;
  readonly name: string;
  readonly team: string;
  readonly createdMs: number;
}

interface Workload {
  readonly app: App;
  readonly name: string;
  readonly uid: string;
  readonly createdMs: number;
  generation: number;
  /** Digest of the object as last written: an unchanged one is not written again. */
  written: string;
}

export interface Deployment extends Workload {
  readonly kind: 'Deployment';
  readonly base: number;
  replicas: number;
  revision: number;
  template: Template;
  /** Oldest first; the last is the current one. */
  readonly replicaSets: ReplicaSet[];
  progressedMs: number;
  /** Whether enough pods are ready, and since when this has been so. */
  available: boolean;
  availableMs: number;
}

export interface ReplicaSet extends Workload {
  readonly kind: 'ReplicaSet';
  readonly deployment: Deployment;
  readonly template: Template;
  readonly hash: string;
  revision: number;
  replicas: number;
  readonly pods: Set<PodState>;
}

export interface StatefulSet extends Workload {
  readonly kind: 'StatefulSet';
  readonly replicas: number;
  readonly template: Template;
  readonly revisionName: string;
  readonly pods: Set<PodState>;
}

export interface DaemonSet extends Workload {
  readonly kind: 'DaemonSet';
  readonly template: Template;
  readonly revisionHash: string;
  readonly pods: Set<PodState>;
}

export interface CronJob extends Workload {
  readonly kind: 'CronJob';
  readonly template: Template;
  readonly everyMinutes: number;
  readonly suspended: boolean;
  readonly jobs: Job[];
  lastScheduleMs: number;
  lastSuccessMs: number;
}

export interface Job extends Workload {
  readonly kind: 'Job';
  readonly cronJob: CronJob | undefined;
  readonly template: Template;
  readonly completions: number;
  readonly parallelism: number;
  readonly scheduledMs: number | undefined;
  readonly pods: Set<PodState>;
  succeeded: number;
  completedMs: number | undefined;
}

export type PodOwner = ReplicaSet | StatefulSet | DaemonSet | Job;
export type AnyWorkload = Deployment | PodOwner | CronJob;

export interface ServiceState {
  readonly app: App;
  readonly name: string;
  readonly uid: string;
  readonly sliceName: string;
  readonly sliceUid: string;
  readonly endpointsUid: string;
  readonly clusterIp: string;
  readonly port: number;
  readonly createdMs: number;
  readonly target: Deployment | StatefulSet;
  generation: number;
  written: string;
}

/**
 *     pending ─> scheduled ─> creating ─> running ─> ready ─> succeeded
 *                                           ^          │
 *                                           └─ backoff <┘ crash
 *
 * `deletionMs` is set at any stage; the pod is removed when its containers have stopped.
 */
export type Stage = 'pending' | 'scheduled' | 'creating' | 'running' | 'ready' | 'crashed' | 'backoff' | 'succeeded';

export interface PodState {
  readonly namespace: string;
  readonly name: string;
  readonly generateName: string | undefined;
  readonly uid: string;
  readonly owner: PodOwner;
  readonly template: Template;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdMs: number;
  /** For a DaemonSet's pod: where it must run. */
  readonly boundTo: NodeState | undefined;
  readonly volumeSuffix: string;
  node: NodeState | undefined;
  scheduledMs: number;
  startMs: number;
  address: number;
  stage: Stage;
  /** When the first container last started, and when the pod last became ready or stopped being so. */
  runningMs: number;
  readyMs: number;
  restarts: number;
  lastExit:
    | { readonly startedMs: number; readonly finishedMs: number; readonly exitCode: number; readonly restart: number }
    | undefined;
  finishedMs: number;
  deletionMs: number | undefined;
}

export function newPod(
  random: Random,
  owner: PodOwner,
  template: Template,
  names: { readonly name: string; readonly generateName?: string },
  labels: Readonly<Record<string, string>>,
  createdMs: number,
  boundTo?: NodeState,
): PodState {
  return {
    namespace: owner.app.namespace,
    name: names.name,
    generateName: names.generateName,
    uid: random.uuid(),
    owner,
    template,
    labels: { ...template.labels, ...labels },
    createdMs,
    boundTo,
    volumeSuffix: suffix(random, 5),
    node: undefined,
    scheduledMs: 0,
    startMs: 0,
    address: 0,
    stage: 'pending',
    runningMs: 0,
    readyMs: createdMs,
    restarts: 0,
    lastExit: undefined,
    finishedMs: 0,
    deletionMs: undefined,
  };
}

export function isReady(pod: PodState): boolean {
  return pod.stage === 'ready' && pod.deletionMs === undefined;
}

export function isLive(pod: PodState): boolean {
  return pod.deletionMs === undefined && pod.stage !== 'succeeded';
}

export function countOf(pods: ReadonlySet<PodState>, counts: (pod: PodState) => boolean): number {
  let count = 0;
  for (const pod of pods) if (counts(pod)) count++;
  return count;
}
