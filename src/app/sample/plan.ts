import type { Random } from '../../lib/random.js';
import { chores, generated, REGISTRY, roles, stores, suffix, systemAgents, teams, zones } from './names.js';
import { appLabels } from './objects.js';
import type { SampleSize } from './options.js';
import { assign, newOwnedPod, takeAddress } from './pod-life.js';
import type {
  App,
  ContainerTemplate,
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  NodeState,
  PodOwner,
  ReplicaSet,
  ServiceState,
  StatefulSet,
  Template,
} from './state.js';
import type { World } from './world.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const POD_CPU_MILLI = 150; // about what a pod of `containerFor` asks for, to size the nodes
const REPLICA_CHOICES = [1, 2, 2, 3, 3, 4, 6, 8, 12, 20];

/** Nodes sized so that the pods, and half as many again, fit. */
export function planNodes(random: Random, size: SampleSize, nowMs: number): NodeState[] {
  const controlPlane = size.nodes >= 6 ? 3 : size.nodes >= 3 ? 1 : 0;
  const density = Math.ceil(size.pods / (size.nodes - controlPlane));
  const podsMax = Math.max(110, Math.ceil(density * 1.5));
  const cpu = [4, 8, 16, 32, 64, 128].find((cores) => cores * 1_000 > density * POD_CPU_MILLI * 1.4) ?? 256;
  const podRangeBits = podsMax > 240 ? 22 : 24;
  const rangeSize = 2 ** (32 - podRangeBits);
  const digits = Math.max(3, String(size.nodes).length);
  return Array.from({ length: size.nodes }, (_, index): NodeState => {
    const isControlPlane = index < controlPlane;
    const ordinal = isControlPlane ? index + 1 : index - controlPlane + 1;
    const podRange = 10 * 2 ** 24 + (64 * 2 ** 16 + index * rangeSize); // 10.64.0.0 and up
    return {
      index,
      name: `${isControlPlane ? 'control' : 'worker'}-${String(ordinal).padStart(digits, '0')}`,
      uid: random.uuid(),
      leaseUid: random.uuid(),
      createdMs: nowMs - 40 * DAY_MS - random.int(20 * DAY_MS),
      zone: zones[index % zones.length]!,
      controlPlane: isControlPlane,
      cpu: isControlPlane ? 4 : cpu,
      memoryGi: (isControlPlane ? 4 : cpu) * 4,
      podsMax,
      podRange,
      podRangeBits,
      address: `192.168.${64 + Math.floor(index / 250)}.${(index % 250) + 2}`,
      machine: random.hex(32),
      pods: new Set(),
      addressesInUse: new Set(),
      nextAddress: podRange + 2,
      heartbeatMs: nowMs - random.int(5 * MINUTE_MS),
      renewedMs: nowMs - random.int(10_000),
    };
  });
}

/** Fills the world with workloads whose pods, all running or completed, are exactly `size.pods`. */
export function planWorkloads(world: World, size: SampleSize): App[] {
  const apps: App[] = [];
  let left = size.pods;
  const app = (namespace: string, name: string, team = namespace): App => {
    const created = { namespace, name, team, createdMs: world.nowMs - DAY_MS - world.random.int(30 * DAY_MS) };
    apps.push(created);
    return created;
  };
  const agents = Math.min(systemAgents.length, Math.floor((size.pods * 0.4) / size.nodes));
  for (const agent of systemAgents.slice(0, agents)) {
    planDaemonSet(world, app('kube-system', agent, 'system'));
    left -= size.nodes;
  }
  if (left >= 2) {
    planDeployment(world, app('kube-system', 'cluster-dns', 'system'), 2, 'api');
    left -= 2;
  }
  const teamNames = Object.keys(teams);
  for (let index = 0; left > 0; index++) {
    const team = teamNames[index % teamNames.length]!;
    const round = Math.floor(index / teamNames.length);
    const services = teams[team]!;
    const base = services[round % services.length]!;
    const lap = Math.floor(round / services.length);
    const numbered = (lapLength: number) => (lap >= lapLength ? `-${Math.floor(lap / lapLength) + 1}` : '');
    if (index % 6 === 4 && left >= 3) {
      planStatefulSet(world, app(team, `${base}-${stores[lap % stores.length]}${numbered(stores.length)}`), 3);
      left -= 3;
    } else if ((index + round) % 7 === 5) {
      const name = `${base}-${chores[lap % chores.length]}${numbered(chores.length)}`;
      left -= planCronJob(world, app(team, name), Math.min(left, 1 + world.random.int(3)), size.churn === 0);
    } else {
      const factor = Math.max(1, Math.min(5, size.pods / 3_000));
      const replicas = Math.min(left, Math.round(world.random.pick(REPLICA_CHOICES) * factor));
      const role = roles[lap % roles.length]!;
      planDeployment(world, app(team, `${base}-${role}${numbered(roles.length)}`), replicas, role);
      left -= replicas;
    }
  }
  return apps;
}

/** The next release of an application: the same template with another image and configuration. */
export function nextTemplate(world: World, template: Template): Template {
  const [first, ...rest] = template.containers;
  const image = first!.image.replace(/:.*$/, `:${version(world.random)}`);
  return { ...template, containers: [{ ...first!, image }, ...rest] };
}

export function jobTemplate(random: Random, app: App): Template {
  return { ...templateOf(random, app, 'job'), restartPolicy: 'OnFailure' };
}

export function newJob(
  world: World,
  app: App,
  name: string,
  details: {
    readonly cronJob?: CronJob;
    readonly template: Template;
    readonly completions: number;
    readonly parallelism: number;
  },
): Job {
  const { cronJob, template, completions, parallelism } = details;
  return {
    ...workload(world, app, name),
    kind: 'Job',
    createdMs: world.nowMs,
    cronJob,
    template,
    completions,
    parallelism,
    scheduledMs: cronJob === undefined ? undefined : world.nowMs,
    pods: new Set(),
    succeeded: 0,
    completedMs: undefined,
  };
}

function workload(world: World, app: App, name: string) {
  return { app, name, uid: world.random.uuid(), createdMs: app.createdMs, generation: 1, written: '' };
}

function planDeployment(world: World, app: App, replicas: number, role: string): void {
  const template = templateOf(world.random, app, role);
  const deployment: Deployment = {
    ...workload(world, app, app.name),
    kind: 'Deployment',
    base: replicas,
    replicas,
    revision: 1 + world.random.int(6),
    template,
    replicaSets: [],
    progressedMs: world.nowMs - world.random.int(DAY_MS),
    available: true,
    availableMs: app.createdMs + MINUTE_MS,
  };
  const older = Math.min(2, deployment.revision - 1);
  for (let age = older; age >= 0; age--) {
    const hash = suffix(world.random, 10);
    const current = age === 0;
    const replicaSet: ReplicaSet = {
      ...workload(world, app, `${app.name}-${hash}`),
      kind: 'ReplicaSet',
      createdMs: app.createdMs + (older - age) * 6 * 60 * MINUTE_MS,
      deployment,
      template: current ? template : nextTemplate(world, template),
      hash,
      revision: deployment.revision - age,
      replicas: current ? replicas : 0,
      pods: new Set(),
    };
    deployment.replicaSets.push(replicaSet);
  }
  for (let count = 0; count < replicas; count++) settle(world, deployment.replicaSets.at(-1)!, {});
  world.deployments.push(deployment);
  if (role !== 'worker') planService(world, app, deployment);
}

function planStatefulSet(world: World, app: App, replicas: number): void {
  const set: StatefulSet = {
    ...workload(world, app, app.name),
    kind: 'StatefulSet',
    replicas,
    template: templateOf(world.random, app, 'store'),
    revisionName: `${app.name}-${suffix(world.random, 10)}`,
    pods: new Set(),
  };
  for (let ordinal = 0; ordinal < replicas; ordinal++) settle(world, set, { ordinal });
  world.statefulSets.push(set);
  planService(world, app, set);
}

function planDaemonSet(world: World, app: App): void {
  const set: DaemonSet = {
    ...workload(world, app, app.name),
    kind: 'DaemonSet',
    template: {
      ...templateOf(world.random, app, 'agent'),
      hostNetwork: app.name === 'net-bridge',
      priorityClass: 'system-node-critical',
      tolerateAll: true,
    },
    revisionHash: suffix(world.random, 10),
    pods: new Set(),
  };
  for (const node of world.nodes) settle(world, set, { node });
  world.daemonSets.push(set);
}

/** With `history` completed runs, each with its completed pod. Returns how many there are. */
function planCronJob(world: World, app: App, history: number, suspended: boolean): number {
  const everyMinutes = world.random.pick([2, 5, 10, 15, 30, 60]);
  const everyMs = everyMinutes * MINUTE_MS;
  const lastMs = Math.floor(world.nowMs / everyMs) * everyMs;
  const cronJob: CronJob = {
    ...workload(world, app, app.name),
    kind: 'CronJob',
    template: jobTemplate(world.random, app),
    everyMinutes,
    suspended,
    jobs: [],
    lastScheduleMs: lastMs,
    lastSuccessMs: 0,
  };
  for (let ago = history - 1; ago >= 0; ago--) {
    const scheduledMs = lastMs - ago * everyMs;
    const job: Job = {
      ...newJob(world, app, `${app.name}-${scheduledMs / MINUTE_MS}`, {
        cronJob,
        template: cronJob.template,
        completions: 1,
        parallelism: 1,
      }),
      createdMs: scheduledMs,
      scheduledMs,
      succeeded: 1,
    };
    const pod = newOwnedPod(world, job, scheduledMs);
    assign(world, pod);
    takeAddress(pod);
    pod.node!.addressesInUse.delete(pod.address);
    const tookMs = 5_000 + world.random.int(20_000);
    Object.assign(pod, { scheduledMs, startMs: scheduledMs, runningMs: scheduledMs + 2_000, stage: 'succeeded' });
    pod.finishedMs = pod.readyMs = Math.min(world.nowMs, scheduledMs + tookMs);
    job.completedMs = cronJob.lastSuccessMs = pod.finishedMs;
    job.pods.add(pod);
    cronJob.jobs.push(job);
    world.jobs.add(job);
  }
  world.cronJobs.push(cronJob);
  return history;
}

/** A pod that has been running for a while; one in forty has crashed before. */
function settle(world: World, owner: PodOwner, place: { readonly ordinal?: number; readonly node?: NodeState }): void {
  const { random, nowMs } = world;
  const bornMs = Math.max(owner.createdMs, nowMs - 9 * DAY_MS);
  const createdMs = bornMs + random.int(Math.max(1, nowMs - 5 * MINUTE_MS - bornMs));
  const pod = newOwnedPod(world, owner, createdMs, place);
  if (!assign(world, pod)) throw new Error(`sample: no node has room for ${pod.name}`);
  takeAddress(pod);
  pod.stage = 'ready';
  pod.scheduledMs = createdMs + 200;
  pod.startMs = createdMs + 500;
  pod.runningMs = createdMs + 2_000;
  pod.readyMs = createdMs + 5_000;
  if (random.chance(1 / 40)) {
    const startedMs = pod.runningMs;
    const finishedMs = startedMs + random.int(Math.max(1, nowMs - MINUTE_MS - startedMs));
    pod.restarts = 1 + random.int(4);
    pod.lastExit = { startedMs, finishedMs, exitCode: random.chance(0.3) ? 137 : 1, restart: pod.restarts - 1 };
    pod.runningMs = finishedMs + 10_000;
    pod.readyMs = pod.runningMs + 3_000;
  }
  owner.pods.add(pod);
}

function planService(world: World, app: App, target: Deployment | StatefulSet): void {
  const ordinal = world.services.size + 10;
  const service: ServiceState = {
    app,
    name: app.name,
    uid: world.random.uuid(),
    sliceName: generated(world.random, `${app.name}-`),
    sliceUid: world.random.uuid(),
    endpointsUid: world.random.uuid(),
    clusterIp: `10.${32 + (ordinal >> 16)}.${(ordinal >> 8) & 255}.${ordinal & 255}`,
    port: target.kind === 'StatefulSet' ? target.template.containers[0]!.port! : 80,
    createdMs: app.createdMs,
    target,
    generation: 0,
    written: '',
  };
  world.services.set(target, service);
}

function templateOf(random: Random, app: App, role: string): Template {
  const container = containerFor(random, app, role);
  const sidecar: ContainerTemplate = {
    name: 'relay',
    image: `${REGISTRY}/platform/relay:1.8.2`,
    port: undefined,
    cpuMilli: 10,
    memoryMi: 32,
  };
  const withSidecar = role === 'api' && app.team !== 'system' && random.chance(0.3);
  return {
    labels: { app: app.name, ...appLabels(app), 'app.kubernetes.io/component': role },
    ...(container.port === undefined
      ? {}
      : { annotations: { 'example.com/scrape': 'true', 'example.com/scrape-port': String(container.port) } }),
    serviceAccount: app.name,
    containers: withSidecar ? [container, sidecar] : [container],
    restartPolicy: 'Always',
    hostNetwork: false,
    graceSeconds: 30,
    tolerateAll: false,
  };
}

function containerFor(random: Random, app: App, role: string): ContainerTemplate {
  const image = `${REGISTRY}/${app.team}/${app.name}:${version(random)}`;
  const cpuMilli = random.pick(role === 'agent' ? [20, 50] : [50, 100, 100, 200, 250]);
  const memoryMi = random.pick(role === 'agent' ? [48, 64] : [64, 128, 256, 512]);
  const port = role === 'worker' || role === 'job' ? undefined : role === 'store' ? 9_400 : 8_080;
  const name = role === 'job' ? 'task' : app.name;
  return { name, image, port, cpuMilli, memoryMi, ...(role === 'job' ? { command: ['/usr/bin/task', '--once'] } : {}) };
}

function version(random: Random): string {
  return `${1 + random.int(4)}.${random.int(20)}.${random.int(10)}`;
}
