import { suffix } from './names.js';
import { digest, endpointObjects } from './objects.js';
import { createPod, terminate } from './pod-life.js';
import {
  type AnyWorkload,
  type CronJob,
  countOf,
  type DaemonSet,
  type Deployment,
  isLive,
  isReady,
  type Job,
  type PodState,
  type ReplicaSet,
  type StatefulSet,
  type Template,
} from './state.js';
import { hasEnough, podsOf, workloadObject } from './workload-objects.js';
import { markDirty, put, recordWorkload, remove, type World } from './world.js';

const ROUNDS_MAX = 8;
const OLD_SETS_KEPT = 2;
const JOBS_KEPT = 3;
const JOB_TTL_MS = 120_000;

/** Lets the controllers look at every workload whose pods changed, and writes what they conclude. */
export function reconcile(world: World): void {
  const seen = new Set<AnyWorkload>();
  for (let round = 0; world.dirty.size > 0 && round < ROUNDS_MAX; round++) {
    const batch = [...world.dirty];
    world.dirty.clear();
    for (const workload of batch) {
      seen.add(workload);
      act(world, workload);
    }
  }
  for (const workload of seen) write(world, workload);
}

function act(world: World, workload: AnyWorkload): void {
  if (workload.kind === 'ReplicaSet') keepReplicas(world, workload);
  else if (workload.kind === 'StatefulSet') keepOrdinals(world, workload);
  else if (workload.kind === 'DaemonSet') keepOnEveryNode(world, workload);
  else if (workload.kind === 'Job') keepJob(world, workload);
  else if (workload.kind === 'Deployment') rollOut(world, workload);
  else trimJobs(world, workload);
}

/** Writes the object when it differs from the one written last. */
function write(world: World, workload: AnyWorkload): void {
  if (workload.kind === 'Job' && !world.jobs.has(workload)) return;
  if (workload.kind === 'ReplicaSet' && !workload.deployment.replicaSets.includes(workload)) return;
  if (workload.kind === 'Deployment') {
    const enough = hasEnough(workload);
    if (enough !== workload.available) Object.assign(workload, { available: enough, availableMs: world.nowMs });
  }
  let object = workloadObject(workload);
  if (digest(JSON.stringify(object)) !== workload.written) {
    if (workload.kind === 'Deployment') {
      workload.progressedMs = world.nowMs;
      object = workloadObject(workload);
    }
    workload.written = digest(JSON.stringify(object));
    put(world, object);
  }
  if (workload.kind === 'Deployment' || workload.kind === 'StatefulSet') writeEndpoints(world, workload);
}

export function writeEndpoints(world: World, target: Deployment | StatefulSet): void {
  const service = world.services.get(target);
  if (service === undefined) return;
  const pods = target.kind === 'Deployment' ? podsOf(target) : [...target.pods];
  const text = digest(
    JSON.stringify(
      pods
        .filter(isLive)
        .map((pod) => [pod.uid, pod.address, isReady(pod)])
        .sort(),
    ),
  );
  if (text === service.written) return;
  service.written = text;
  service.generation++;
  for (const object of endpointObjects(service, pods)) put(world, object);
}

export function scale(world: World, deployment: Deployment, replicas: number): void {
  const current = deployment.replicaSets.at(-1)!;
  const direction = replicas > deployment.replicas ? 'up' : 'down';
  const message = `Scaled ${direction} replica set ${current.name} from ${current.replicas} to ${replicas}`;
  deployment.replicas = replicas;
  deployment.generation++;
  recordWorkload(world, deployment, 'ScalingReplicaSet', message);
  resize(world, current, replicas);
}

/** A new template: a new ReplicaSet takes over step by step (rollOut), as its pods become ready. */
export function startRollOut(world: World, deployment: Deployment, template: Template): void {
  deployment.template = template;
  deployment.revision++;
  deployment.generation++;
  const hash = suffix(world.random, 10);
  const replicaSet: ReplicaSet = {
    kind: 'ReplicaSet',
    app: deployment.app,
    name: `${deployment.name}-${hash}`,
    uid: world.random.uuid(),
    createdMs: world.nowMs,
    generation: 1,
    written: '',
    deployment,
    template,
    hash,
    revision: deployment.revision,
    replicas: 0,
    pods: new Set(),
  };
  deployment.replicaSets.push(replicaSet);
  markDirty(world, replicaSet);
}

export function isRollingOut(deployment: Deployment): boolean {
  return deployment.replicaSets.some((set, index) => index < deployment.replicaSets.length - 1 && set.pods.size > 0);
}

function rollOut(world: World, deployment: Deployment): void {
  const current = deployment.replicaSets.at(-1)!;
  const old = deployment.replicaSets.slice(0, -1);
  const wanted = deployment.replicas;
  const surge = Math.max(1, Math.ceil(wanted / 4));
  const oldReplicas = old.reduce((sum, set) => sum + set.replicas, 0);
  const settled = countOf(current.pods, isReady) === current.replicas;
  if (current.replicas < wanted && (settled || current.replicas === 0)) {
    const next = Math.min(
      wanted,
      current.replicas + Math.max(1, Math.min(surge, wanted + surge - oldReplicas - current.replicas)),
    );
    recordWorkload(
      world,
      deployment,
      'ScalingReplicaSet',
      `Scaled up replica set ${current.name} from ${current.replicas} to ${next}`,
    );
    resize(world, current, next);
  }
  const ready = countOf(current.pods, isReady);
  let excess = Math.max(0, oldReplicas - Math.max(0, wanted - ready));
  for (const set of old) {
    const less = Math.min(excess, set.replicas);
    if (less === 0) continue;
    excess -= less;
    const next = set.replicas - less;
    recordWorkload(
      world,
      deployment,
      'ScalingReplicaSet',
      `Scaled down replica set ${set.name} from ${set.replicas} to ${next}`,
    );
    resize(world, set, next);
  }
  const retired = old.filter((set) => set.replicas === 0 && set.pods.size === 0);
  for (const set of retired.slice(0, Math.max(0, retired.length - OLD_SETS_KEPT))) {
    deployment.replicaSets.splice(deployment.replicaSets.indexOf(set), 1);
    remove(world, 'apps/v1', 'ReplicaSet', set.app.namespace, set.name);
  }
}

function resize(world: World, replicaSet: ReplicaSet, replicas: number): void {
  replicaSet.replicas = replicas;
  replicaSet.generation++;
  markDirty(world, replicaSet);
}

function keepReplicas(world: World, replicaSet: ReplicaSet): void {
  const live = [...replicaSet.pods].filter(isLive);
  for (let missing = replicaSet.replicas - live.length; missing > 0; missing--) createPod(world, replicaSet);
  if (live.length <= replicaSet.replicas) return;
  // Pods that are not ready go first, then the youngest, as in the real controller.
  const victims = live.sort((a, b) => Number(isReady(a)) - Number(isReady(b)) || b.createdMs - a.createdMs);
  for (const pod of victims.slice(0, live.length - replicaSet.replicas)) {
    recordWorkload(world, replicaSet, 'SuccessfulDelete', `Deleted pod: ${pod.name}`);
    terminate(world, pod);
  }
}

/** OrderedReady: one missing ordinal at a time, and only when those before it are ready. */
function keepOrdinals(world: World, set: StatefulSet): void {
  const byName = new Map<string, PodState>([...set.pods].map((pod) => [pod.name, pod]));
  for (let ordinal = 0; ordinal < set.replicas; ordinal++) {
    const pod = byName.get(`${set.name}-${ordinal}`);
    if (pod === undefined) createPod(world, set, { ordinal });
    if (pod === undefined || !isReady(pod)) return;
  }
}

function keepOnEveryNode(world: World, set: DaemonSet): void {
  const covered = new Set([...set.pods].map((pod) => pod.boundTo));
  for (const node of world.nodes) if (!covered.has(node)) createPod(world, set, { node });
}

function keepJob(world: World, job: Job): void {
  if (job.completedMs !== undefined) return;
  const active = countOf(job.pods, isLive);
  const wanted = Math.min(job.parallelism, job.completions - job.succeeded);
  for (let missing = wanted - active; missing > 0; missing--) createPod(world, job);
  if (job.succeeded < job.completions) return;
  job.completedMs = world.nowMs;
  recordWorkload(world, job, 'Completed', 'Job completed');
  if (job.cronJob === undefined) {
    world.timeline.add(world.nowMs + JOB_TTL_MS, () => eraseJob(world, job));
    return;
  }
  job.cronJob.lastSuccessMs = world.nowMs;
  recordWorkload(world, job.cronJob, 'SawCompletedJob', `Saw completed job: ${job.name}, condition: Complete`);
  markDirty(world, job.cronJob);
}

function trimJobs(world: World, cronJob: CronJob): void {
  const finished = cronJob.jobs.filter((job) => job.completedMs !== undefined);
  for (const job of finished.slice(0, Math.max(0, finished.length - JOBS_KEPT))) {
    cronJob.jobs.splice(cronJob.jobs.indexOf(job), 1);
    recordWorkload(world, cronJob, 'SuccessfulDelete', `Deleted job ${job.name}`);
    eraseJob(world, job);
  }
}

function eraseJob(world: World, job: Job): void {
  world.jobs.delete(job);
  for (const pod of [...job.pods]) terminate(world, pod);
  remove(world, 'batch/v1', 'Job', job.app.namespace, job.name);
}
