import { generated } from './names.js';
import { jobLabels } from './workload-objects.js';
import { isReady, newPod, type NodeState, type PodOwner, type PodState } from './state.js';
import { after, markDirty, putPod, recordPod, recordWorkload, remove, type World } from './world.js';

/**
 * One pod from creation to removal: what the owner's controller, the scheduler and a kubelet would
 * write, with delays like theirs. Each step checks first that the pod is still on its way.
 */
export function createPod(
  world: World,
  owner: PodOwner,
  place: { readonly ordinal?: number; readonly node?: NodeState } = {},
): void {
  const pod = newOwnedPod(world, owner, world.nowMs, place);
  owner.pods.add(pod);
  putPod(world, pod);
  recordWorkload(world, owner, 'SuccessfulCreate', createdMessage(owner, pod));
  markDirty(world, owner);
  after(world, 20, 200, () => bind(world, pod, false));
}

export function newOwnedPod(
  world: World,
  owner: PodOwner,
  createdMs: number,
  place: { readonly ordinal?: number; readonly node?: NodeState } = {},
): PodState {
  const prefix = `${owner.name}-`;
  const names =
    owner.kind === 'StatefulSet'
      ? { name: `${prefix}${place.ordinal ?? 0}` }
      : { name: generated(world.random, prefix), generateName: prefix };
  return newPod(world.random, owner, owner.template, names, podLabels(owner, names.name), createdMs, place.node);
}

/** Puts the pod onto a node, or leaves it when none has room. */
export function assign(world: World, pod: PodState): boolean {
  const node = pod.boundTo ?? roomiest(world);
  if (node === undefined) return false;
  pod.node = node;
  node.pods.add(pod);
  return true;
}

export function takeAddress(pod: PodState): void {
  const node = pod.node!;
  if (pod.template.hostNetwork) {
    pod.address = node.address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
    return;
  }
  // There are more addresses than podsMax, so the search ends.
  while (node.addressesInUse.has(node.nextAddress)) node.nextAddress = nextAddress(node);
  pod.address = node.nextAddress;
  node.addressesInUse.add(pod.address);
  node.nextAddress = nextAddress(node);
}

/** A pod's container dies and is started again after the kubelet's back-off. */
export function crash(world: World, pod: PodState): void {
  const container = pod.template.containers[0]!.name;
  pod.lastExit = {
    startedMs: pod.runningMs,
    finishedMs: world.nowMs,
    exitCode: world.random.chance(0.3) ? 137 : 1 + world.random.int(2),
    restart: pod.restarts,
  };
  pod.stage = 'crashed';
  pod.readyMs = world.nowMs;
  putPod(world, pod);
  markDirty(world, pod.owner);
  after(world, 600, 1_500, () => {
    if (pod.deletionMs !== undefined) return;
    if (pod.restarts === 0) {
      restart(world, pod); // the kubelet backs off from the second time on
      return;
    }
    pod.stage = 'backoff';
    putPod(world, pod);
    const message = `Back-off restarting failed container ${container} in pod ${pod.name}_${pod.namespace}(${pod.uid})`;
    recordPod(world, pod, 'BackOff', message, { type: 'Warning', container });
    after(world, 8_000, 12_000, () => restart(world, pod));
  });
}

function restart(world: World, pod: PodState): void {
  if (pod.deletionMs !== undefined) return;
  pod.restarts++;
  run(world, pod);
  if (pod.restarts > 1 || world.random.chance(0.4)) return;
  after(world, 5_000, 10_000, () => {
    if (isReady(pod)) crash(world, pod);
  });
}

/** Deletion as the API does it: marked first, removed when the containers have stopped. */
export function terminate(world: World, pod: PodState): void {
  if (pod.deletionMs !== undefined) return;
  pod.deletionMs = world.nowMs;
  if (pod.node === undefined || pod.stage === 'succeeded') {
    erase(world, pod);
    return;
  }
  putPod(world, pod);
  markDirty(world, pod.owner);
  const container = pod.template.containers[0]!.name;
  recordPod(world, pod, 'Killing', `Stopping container ${container}`, { container });
  after(world, 400, 2_000, () => erase(world, pod));
}

function erase(world: World, pod: PodState): void {
  world.podWrites++;
  remove(world, 'v1', 'Pod', pod.namespace, pod.name);
  pod.node?.pods.delete(pod);
  pod.node?.addressesInUse.delete(pod.address);
  pod.owner.pods.delete(pod);
  markDirty(world, pod.owner);
}

function bind(world: World, pod: PodState, told: boolean): void {
  if (pod.deletionMs !== undefined) return;
  if (!assign(world, pod)) {
    const message = `0/${world.nodes.length} nodes are available: ${world.nodes.length} Too many pods.`;
    if (!told) recordPod(world, pod, 'FailedScheduling', message, { type: 'Warning', component: 'default-scheduler' });
    after(world, 4_000, 6_000, () => bind(world, pod, true));
    return;
  }
  pod.stage = 'scheduled';
  pod.scheduledMs = world.nowMs;
  putPod(world, pod);
  const message = `Successfully assigned ${pod.namespace}/${pod.name} to ${pod.node!.name}`;
  recordPod(world, pod, 'Scheduled', message, { component: 'default-scheduler' });
  after(world, 80, 400, () => pull(world, pod));
}

function pull(world: World, pod: PodState): void {
  if (pod.deletionMs !== undefined) return;
  pod.stage = 'creating';
  pod.startMs = world.nowMs;
  pod.readyMs = world.nowMs;
  putPod(world, pod);
  const { name: container, image } = pod.template.containers[0]!;
  if (world.random.chance(0.3)) {
    recordPod(world, pod, 'Pulling', `Pulling image "${image}"`, { container });
    after(world, 900, 4_000, () => {
      if (pod.deletionMs !== undefined) return;
      const tookMs = world.nowMs - pod.startMs;
      const took = tookMs < 1_000 ? `${tookMs}ms` : `${(tookMs / 1_000).toFixed(3)}s`;
      const message = `Successfully pulled image "${image}" in ${took} (${took} including waiting). Image size: 48117201 bytes.`;
      recordPod(world, pod, 'Pulled', message, { container });
      run(world, pod);
    });
  } else {
    recordPod(world, pod, 'Pulled', `Container image "${image}" already present on machine`, { container });
    after(world, 300, 900, () => {
      if (pod.deletionMs === undefined) run(world, pod);
    });
  }
}

function run(world: World, pod: PodState): void {
  const container = pod.template.containers[0]!.name;
  if (pod.address === 0) takeAddress(pod);
  pod.stage = 'running';
  pod.runningMs = world.nowMs;
  recordPod(world, pod, 'Created', `Created container: ${container}`, { container });
  recordPod(world, pod, 'Started', `Started container ${container}`, { container });
  if (pod.owner.kind !== 'Job') {
    putPod(world, pod);
    markDirty(world, pod.owner);
    after(world, 1_000, 3_000, () => becomeReady(world, pod));
    return;
  }
  // Without a readiness probe, a running container is ready at once.
  becomeReady(world, pod);
  after(world, 3_000, 20_000, () => succeed(world, pod));
}

function becomeReady(world: World, pod: PodState): void {
  if (pod.deletionMs !== undefined || pod.stage !== 'running') return;
  pod.stage = 'ready';
  pod.readyMs = world.nowMs;
  putPod(world, pod);
  markDirty(world, pod.owner);
}

function succeed(world: World, pod: PodState): void {
  if (pod.deletionMs !== undefined || pod.stage !== 'ready') return;
  pod.stage = 'succeeded';
  pod.finishedMs = world.nowMs;
  pod.readyMs = world.nowMs;
  pod.node!.addressesInUse.delete(pod.address);
  putPod(world, pod);
  if (pod.owner.kind === 'Job') pod.owner.succeeded++;
  markDirty(world, pod.owner);
}

/** The emptiest of a few: near to what the scheduler does, at a cost that does not grow with the nodes. */
function roomiest(world: World): NodeState | undefined {
  let best: NodeState | undefined;
  for (let attempt = 0; attempt < 4; attempt++) {
    const node = world.random.pick(world.workers);
    if (node.pods.size < node.podsMax && (best === undefined || node.pods.size < best.pods.size)) best = node;
  }
  return best ?? world.workers.find((node) => node.pods.size < node.podsMax);
}

function nextAddress(node: NodeState): number {
  const size = 2 ** (32 - node.podRangeBits);
  const offset = node.nextAddress - node.podRange + 1;
  return node.podRange + (offset >= size - 1 ? 2 : offset); // .0 is the range itself, .1 the node's bridge
}

function podLabels(owner: PodOwner, name: string): Record<string, string> {
  switch (owner.kind) {
    case 'ReplicaSet':
      return { 'pod-template-hash': owner.hash };
    case 'StatefulSet':
      return {
        'apps.kubernetes.io/pod-index': name.slice(owner.name.length + 1),
        'controller-revision-hash': owner.revisionName,
        'statefulset.kubernetes.io/pod-name': name,
      };
    case 'DaemonSet':
      return { 'controller-revision-hash': owner.revisionHash, 'pod-template-generation': String(owner.generation) };
    case 'Job':
      return jobLabels(owner);
  }
}

function createdMessage(owner: PodOwner, pod: PodState): string {
  return owner.kind === 'StatefulSet'
    ? `create Pod ${pod.name} in StatefulSet ${owner.name} successful`
    : `Created pod: ${pod.name}`;
}
