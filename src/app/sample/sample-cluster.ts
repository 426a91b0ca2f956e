import type { Random } from '../../lib/random.js';
import { reconcile, writeEndpoints } from './controllers.js';
import { leaseObject, nodeObject } from './node-object.js';
import {
  configMapObject,
  digest,
  type KubeObject,
  namespaceObject,
  rootCertificateObject,
  secretObject,
  serviceAccountObject,
  serviceObject,
} from './objects.js';
import type { SampleSize } from './options.js';
import { planNodes, planWorkloads } from './plan.js';
import type { AnyWorkload, App, NodeState, PodState } from './state.js';
import { followSchedule, tellStory } from './stories.js';
import { createTimeline } from './timeline.js';
import { workloadObject } from './workload-objects.js';
import { after, put, putPod, type SampleChange, type World } from './world.js';

/**
 * An invented cluster that lives: its controllers, scheduler and kubelets are functions over a small
 * state, and every write that they would make goes to `emit`, in order. Nothing here knows the
 * store or the clock: the same size, seed and times give the same writes.
 */
export interface SampleCluster {
  /** Emits everything there is at the start. */
  fill(): void;
  /** Lives up to this time, and emits what happened. After a gap, what was missed happens once, late. */
  advance(nowMs: number): void;
  readonly podWrites: number;
}

const RENEW_EVERY_MS = 10_000;
const HEARTBEAT_EVERY_MS = 300_000;
const STORY_EVERY_MS = 100;
const STORIES_A_TICK_MAX = 1_000;
/** A machine that slept does not replay the hours: everything overdue happens within this long. */
const LAG_MAX_MS = 1_000;

export function createSampleCluster(
  size: SampleSize,
  random: Random,
  startMs: number,
  emit: (change: SampleChange) => void,
): SampleCluster {
  const nodes = planNodes(random, size, startMs);
  const world: World = {
    random,
    emit,
    timeline: createTimeline(),
    nodes,
    workers: nodes.filter((node) => !node.controlPlane),
    deployments: [],
    statefulSets: [],
    daemonSets: [],
    cronJobs: [],
    jobs: new Set(),
    services: new Map(),
    dirty: new Set(),
    nowMs: startMs,
    podWrites: 0,
  };
  const apps = planWorkloads(world, size);
  startBeats(world);
  if (size.churn > 0) {
    for (const cronJob of world.cronJobs) followSchedule(world, cronJob);
    startStories(world, size.churn);
  }
  return {
    fill: () => fill(world, apps),
    advance(nowMs) {
      for (let due = world.timeline.next(nowMs); due !== undefined; due = world.timeline.next(nowMs)) {
        world.nowMs = Math.max(world.nowMs, due.atMs, nowMs - LAG_MAX_MS);
        due.run();
      }
      world.nowMs = Math.max(world.nowMs, nowMs);
      reconcile(world);
    },
    get podWrites() {
      return world.podWrites;
    },
  };
}

/** Lease renewals and status heartbeats, spread evenly over the nodes as the kubelets' starts are. */
function startBeats(world: World): void {
  const { nodes } = world;
  const beat = (node: NodeState, everyMs: number, run: () => void) => {
    const again = () => {
      run();
      world.timeline.add(world.nowMs + everyMs, again);
    };
    world.timeline.add(world.nowMs + Math.ceil(((node.index + 1) / nodes.length) * everyMs), again);
  };
  for (const node of nodes) {
    beat(node, RENEW_EVERY_MS, () => {
      node.renewedMs = world.nowMs;
      put(world, leaseObject(node));
    });
    beat(node, HEARTBEAT_EVERY_MS, () => {
      node.heartbeatMs = world.nowMs;
      put(world, nodeObject(node));
    });
  }
}

/** `churn` writes to pods a second: stories are paid from a budget that time fills. */
function startStories(world: World, churn: number): void {
  let budget = 0;
  const tick = () => {
    budget = Math.min(budget + (churn * STORY_EVERY_MS) / 1_000, churn);
    for (let attempts = 0; budget > 0 && attempts < STORIES_A_TICK_MAX; attempts++) budget -= tellStory(world);
    after(world, STORY_EVERY_MS, STORY_EVERY_MS + 1, tick);
  };
  after(world, STORY_EVERY_MS, STORY_EVERY_MS + 1, tick);
}

/** In the order in which a real cluster would have come to be: nothing is named before it exists. */
function fill(world: World, apps: readonly App[]): void {
  const { random, nodes, nowMs } = world;
  const firstMs = nodes.reduce((min, node) => Math.min(min, node.createdMs), nowMs) - 60_000;
  const teamOf = new Map<string, string | undefined>();
  for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system']) teamOf.set(name, undefined);
  for (const app of apps) if (!teamOf.has(app.namespace)) teamOf.set(app.namespace, app.team);
  for (const [name, team] of teamOf) {
    put(world, namespaceObject(name, random.uuid(), firstMs, team));
    put(world, serviceAccountObject({ namespace: name, createdMs: firstMs }, 'default', random.uuid()));
    put(world, rootCertificateObject(name, random.uuid(), firstMs));
  }
  for (const node of nodes) {
    put(world, nodeObject(node));
    put(world, leaseObject(node));
  }
  put(world, apiService(random.uuid(), firstMs));
  for (const app of apps) {
    put(world, serviceAccountObject(app, app.name, random.uuid()));
    put(world, configMapObject(app, random.uuid()));
    put(world, secretObject(app, random.uuid()));
  }
  const workload = (item: AnyWorkload, pods: Iterable<PodState> = []) => {
    const object = workloadObject(item);
    item.written = digest(JSON.stringify(object));
    put(world, object);
    for (const pod of pods) putPod(world, pod);
  };
  for (const set of world.daemonSets) workload(set, set.pods);
  for (const deployment of world.deployments) {
    workload(deployment);
    for (const replicaSet of deployment.replicaSets) workload(replicaSet, replicaSet.pods);
  }
  for (const set of world.statefulSets) workload(set, set.pods);
  for (const cronJob of world.cronJobs) {
    workload(cronJob);
    for (const job of cronJob.jobs) workload(job, job.pods);
  }
  for (const service of world.services.values()) {
    put(world, serviceObject(service));
    writeEndpoints(world, service.target);
  }
}

/** `kubernetes` in `default`, which every cluster has. */
function apiService(uid: string, createdMs: number): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      uid,
      creationTimestamp: `${new Date(createdMs).toISOString().slice(0, 19)}Z`,
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.32.0.1',
      clusterIPs: ['10.32.0.1'],
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      sessionAffinity: 'None',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }],
    },
    status: { loadBalancer: {} },
  };
}
