import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { KubeObject } from '../../src/app/sample/objects.js';
import { createSampleCluster, type SampleCluster } from '../../src/app/sample/sample-cluster.js';
import type { SampleSize } from '../../src/app/sample/options.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';

interface Lived {
  readonly cluster: SampleCluster;
  readonly objects: Map<string, KubeObject>;
  readonly writes: Map<string, number>;
  readonly hash: () => string;
  live(seconds: number, check?: () => void): void;
}

function lived(size: SampleSize, seed: number): Lived {
  const clock = createFakeClock();
  const objects = new Map<string, KubeObject>();
  const writes = new Map<string, number>();
  const digest = createHash('sha256');
  const cluster = createSampleCluster(size, seededRandom(seed), clock.nowMs(), (change) => {
    digest.update(JSON.stringify(change));
    const kind = change.type === 'put' ? change.object.kind : change.kind;
    writes.set(kind, (writes.get(kind) ?? 0) + 1);
    if (change.type === 'put') {
      const { name, namespace } = change.object.metadata;
      objects.set(`${kind}/${namespace ?? ''}/${name}`, change.object);
    } else assert.ok(objects.delete(`${kind}/${change.namespace}/${change.name}`), `${kind} ${change.name} was there`);
  });
  cluster.fill();
  return {
    cluster,
    objects,
    writes,
    hash: () => digest.copy().digest('hex'),
    live(seconds, check) {
      for (let tick = 0; tick < seconds * 10; tick++) {
        clock.advance(100);
        cluster.advance(clock.nowMs());
        if (tick % 50 === 0) check?.();
      }
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind, as JSON has them.
type Loose = any; // test objects are read by path
const all = (objects: Map<string, KubeObject>, kind: string): Loose[] =>
  [...objects.values()].filter((object) => object.kind === kind);

/** Numbered as in what it checks, for every object that there is now. */
function checkConsistent(objects: Map<string, KubeObject>): void {
  const nodes = new Map(all(objects, 'Node').map((node) => [node.metadata.name, node]));
  const namespaces = new Set(all(objects, 'Namespace').map((namespace) => namespace.metadata.name));
  const addresses = new Set<string>();
  const perNode = new Map<string, number>();
  const live = new Map<string, { all: number; ready: number }>();
  const uids = new Set<string>();
  for (const object of objects.values() as Iterable<Loose>) {
    assert.ok(!uids.has(object.metadata.uid), `uid of ${object.kind} ${object.metadata.name} is its own`);
    uids.add(object.metadata.uid);
    // 1: namespaces and owners exist.
    if (object.metadata.namespace !== undefined) assert.ok(namespaces.has(object.metadata.namespace));
    for (const owner of object.metadata.ownerReferences ?? []) {
      const place = owner.kind === 'Node' ? '' : object.metadata.namespace;
      const found = objects.get(`${owner.kind}/${place}/${owner.name}`);
      assert.equal(
        found?.metadata['uid'],
        owner.uid,
        `${owner.kind} ${owner.name}, owner of ${object.kind} ${object.metadata.name}`,
      );
    }
  }
  for (const pod of all(objects, 'Pod')) {
    // 2: a pod is on a node that exists, within the node's capacity, with an address of its own.
    const node = pod.spec.nodeName;
    if (node === undefined) assert.equal(pod.status.phase, 'Pending');
    else {
      assert.ok(nodes.has(node));
      perNode.set(node, (perNode.get(node) ?? 0) + 1);
    }
    const running = pod.status.phase === 'Running';
    if (running && pod.spec.hostNetwork !== true) {
      assert.ok(!addresses.has(pod.status.podIP), `address ${pod.status.podIP} is used once`);
      addresses.add(pod.status.podIP);
    }
    // 3: it has the service account, the containers' statuses and the labels that its owner selects.
    assert.ok(objects.has(`ServiceAccount/${pod.metadata.namespace}/${pod.spec.serviceAccountName}`));
    if (running) assert.equal(pod.status.containerStatuses.length, pod.spec.containers.length);
    const [reference] = pod.metadata.ownerReferences;
    const owner: Loose = objects.get(`${reference.kind}/${pod.metadata.namespace}/${reference.name}`);
    for (const [label, value] of Object.entries(owner.spec.selector.matchLabels))
      assert.equal(pod.metadata.labels[label], value);
    const isReady = pod.status.conditions?.find((condition: Loose) => condition.type === 'Ready')?.status === 'True';
    const isLive = pod.metadata.deletionTimestamp === undefined && pod.status.phase !== 'Succeeded';
    const count = live.get(reference.uid) ?? { all: 0, ready: 0 };
    live.set(reference.uid, { all: count.all + Number(isLive), ready: count.ready + Number(isLive && isReady) });
  }
  for (const [name, count] of perNode) assert.ok(count <= Number(nodes.get(name).status.capacity.pods));
  // 4: the counts in every status are the pods that there are.
  for (const kind of ['ReplicaSet', 'StatefulSet'] as const) {
    for (const set of all(objects, kind)) {
      const count = live.get(set.metadata.uid) ?? { all: 0, ready: 0 };
      assert.deepEqual(
        [set.status.replicas, set.status.readyReplicas ?? 0],
        [count.all, count.ready],
        `${kind} ${set.metadata.name}`,
      );
    }
  }
  for (const deployment of all(objects, 'Deployment')) {
    const sets = all(objects, 'ReplicaSet').filter(
      (set) => set.metadata.ownerReferences[0].uid === deployment.metadata.uid,
    );
    const ready = sets.reduce((sum, set) => sum + (set.status.readyReplicas ?? 0), 0);
    assert.equal(deployment.status.readyReplicas ?? 0, ready, `Deployment ${deployment.metadata.name}`);
    assert.ok(sets.length >= 1 && sets.length <= 4);
  }
  // 5: controllers have made what the specs ask for; outside of a roll-out that is the newest set's business alone.
  for (const set of all(objects, 'ReplicaSet')) assert.equal(set.status.replicas, set.spec.replicas);
  for (const deployment of all(objects, 'Deployment')) {
    const active = all(objects, 'ReplicaSet').filter(
      (set) => set.metadata.ownerReferences[0].uid === deployment.metadata.uid && set.spec.replicas > 0,
    );
    if (active.length === 1) assert.equal(active[0].spec.replicas, deployment.spec.replicas, deployment.metadata.name);
  }
  // 6: an EndpointSlice has exactly the ready pods that its service selects.
  for (const slice of all(objects, 'EndpointSlice')) {
    const service: Loose = objects.get(
      `Service/${slice.metadata.namespace}/${slice.metadata.labels['kubernetes.io/service-name']}`,
    );
    const selected = all(objects, 'Pod').filter(
      (pod) =>
        pod.metadata.namespace === slice.metadata.namespace &&
        pod.metadata.labels.app === service.spec.selector.app &&
        pod.metadata.ownerReferences[0].kind !== 'Job' &&
        pod.metadata.deletionTimestamp === undefined &&
        pod.status.conditions?.some((condition: Loose) => condition.type === 'Ready' && condition.status === 'True'),
    );
    const ready = slice.endpoints
      .filter((endpoint: Loose) => endpoint.conditions.ready)
      .map((endpoint: Loose) => endpoint.targetRef.name);
    assert.deepEqual(
      ready.sort(),
      selected.map((pod) => pod.metadata.name).sort(),
      `EndpointSlice ${slice.metadata.name}`,
    );
  }
  // 7: every node has its lease.
  for (const name of nodes.keys()) assert.ok(objects.has(`Lease/kube-node-lease/${name}`));
}

for (const [nodes, pods] of [
  [1, 0],
  [1, 1],
  [2, 9],
  [5, 100],
  [7, 200],
  [20, 600],
] as const) {
  test(`a cluster of ${nodes} nodes and ${pods} pods is consistent, at the start and while it lives`, () => {
    const { objects, live } = lived({ nodes, pods, churn: 20 }, 7);
    assert.equal(all(objects, 'Node').length, nodes);
    assert.equal(all(objects, 'Pod').length, pods);
    checkConsistent(objects);
    live(60, () => checkConsistent(objects));
    checkConsistent(objects);
  });
}

test('the same seed and times give the same writes, another seed others', () => {
  const run = (seed: number) => {
    const life = lived({ nodes: 8, pods: 120, churn: 30 }, seed);
    life.live(30);
    return life.hash();
  };
  const first = run(3);
  assert.equal(run(3), first);
  assert.notEqual(run(4), first);
});

test('churn is the rate of writes to pods', () => {
  const { cluster, live } = lived({ nodes: 20, pods: 400, churn: 40 }, 11);
  live(60);
  const before = cluster.podWrites;
  live(120);
  const rate = (cluster.podWrites - before) / 120;
  assert.ok(rate > 32 && rate < 48, `${rate} writes a second, asked for 40`);
});

test('without churn only leases and heartbeats are written', () => {
  const { writes, live } = lived({ nodes: 10, pods: 100, churn: 0 }, 5);
  const pods = writes.get('Pod');
  writes.delete('Lease');
  live(100);
  assert.equal(writes.get('Pod'), pods);
  assert.equal(writes.get('Lease'), 100, 'ten nodes, ten renewals each');
  assert.equal(writes.get('Event'), undefined);
});

test('whatever happens to a workload, it is whole again within a minute and a half', () => {
  const { objects, live } = lived({ nodes: 6, pods: 150, churn: 6 }, 13);
  const brokenFor = new Map<string, number>();
  let broken = 0;
  live(600, () => {
    for (const kind of ['Deployment', 'StatefulSet', 'DaemonSet']) {
      for (const workload of all(objects, kind)) {
        const { spec, status } = workload;
        const wanted = kind === 'DaemonSet' ? 6 : spec.replicas;
        const ready = status.readyReplicas ?? status.numberReady ?? 0;
        const checks = ready >= wanted - Math.floor(wanted / 4) ? 0 : (brokenFor.get(workload.metadata.uid) ?? 0) + 1;
        brokenFor.set(workload.metadata.uid, checks);
        broken += Number(checks > 0);
        assert.ok(checks < 18, `${kind} ${workload.metadata.name} has ${ready} of ${wanted} pods for ${checks * 5} s`);
      }
    }
  });
  assert.ok(broken > 0, 'and something did happen');
});

test('everything that the sample promises happens within minutes', () => {
  const { objects, writes, live } = lived({ nodes: 10, pods: 200, churn: 40 }, 2);
  const seen = new Set<string>();
  live(300, () => {
    for (const pod of all(objects, 'Pod')) {
      seen.add(pod.status.phase);
      if (pod.metadata.deletionTimestamp !== undefined) seen.add('Terminating');
      for (const status of pod.status.containerStatuses ?? []) {
        if (status.state.waiting !== undefined) seen.add(status.state.waiting.reason);
        if (status.restartCount > 0) seen.add('restarted');
      }
    }
    for (const event of all(objects, 'Event')) seen.add(event.reason);
  });
  for (const sign of [
    'Pending',
    'Running',
    'Succeeded',
    'Terminating',
    'ContainerCreating',
    'CrashLoopBackOff',
    'restarted',
    'Scheduled',
    'Pulled',
    'Started',
    'Killing',
    'BackOff',
    'ScalingReplicaSet',
    'Completed',
  ]) {
    assert.ok(seen.has(sign), `${sign} was seen`);
  }
  assert.ok((writes.get('EndpointSlice') ?? 0) > 0);
});

test('after hours of sleep the cluster goes on, without replaying them', () => {
  const { cluster, objects, writes, live } = lived({ nodes: 10, pods: 100, churn: 20 }, 6);
  live(10);
  const leases = writes.get('Lease') ?? 0;
  cluster.advance(createFakeClock().nowMs() + 8 * 3_600_000);
  assert.ok((writes.get('Lease') ?? 0) - leases <= 20);
  checkConsistent(objects);
});
