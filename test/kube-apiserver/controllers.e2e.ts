import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, type RunningCommand, start } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { send } from '../support/http-client.js';

// The real kube-controller-manager and kube-scheduler know listwatch alone: they read from it, and write through it. The test plays
// the kubelets of five nodes. Whom kube-apiserver has heard of, and with what, is in its audit log.

let world: ControlPlane;
let folder: string;
let manager: RunningCommand;
let scheduler: RunningCommand;
let ours: RunningCommand;
let theirs: RunningCommand;
let kubelets: NodeJS.Timeout;
let isPlaying = false;

const NODES = 5;
const CONVERGE_MS = 90_000;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listwatch-controllers-'));
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata' }],
  };
  await writeFile(join(folder, 'audit.yaml'), JSON.stringify(policy));
  world = await startControlPlane({
    forward: true,
    apiserver: ['--audit-policy-file', join(folder, 'audit.yaml'), '--audit-log-path', join(folder, 'audit.log')],
  });
  ours = world.ours;
  theirs = world.theirs;
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(
    kubeconfig,
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'x' },
      clusters: [{ name: 'c', cluster: { server: world.ourUrl, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: 't-admin' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    }),
  );
  for (let index = 0; index < NODES; index++) {
    const capacity = { cpu: '16', memory: '64Gi', pods: '110' };
    const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }];
    await world.write('POST', '/api/v1/nodes', {
      metadata: { name: `node-${index}` },
      status: { capacity, allocatable: capacity, conditions },
    });
  }
  manager = start(world.program, [
    ...['kube-controller-manager', '--kubeconfig', kubeconfig, '--secure-port=0', '--node-monitor-grace-period=10m'],
    ...[
      '--service-account-private-key-file',
      join(world.folder, 'sa.key'),
      '--leader-elect-lease-duration=5m',
      '--leader-elect-renew-deadline=4m',
    ],
  ]);
  scheduler = start(world.program, [
    ...['kube-scheduler', '--kubeconfig', kubeconfig, '--secure-port=0'],
    ...['--leader-elect-lease-duration=5m', '--leader-elect-renew-deadline=4m'],
  ]);
  kubelets = setInterval(() => void playKubelets(), 200);
});
after(async () => {
  clearInterval(kubelets);
  await eventually('the kubelets rest', () => !isPlaying);
  for (const command of [scheduler, manager, ours, theirs]) await command?.stop();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { readonly name: string }[] };
  readonly status: { readonly phase?: string };
}

async function read<T>(path: string): Promise<T> {
  const { status, body } = await send(world.theirUrl, { path, headers: ADMIN });
  if (status !== 200) throw new Error(`GET ${path}: ${status}`);
  return JSON.parse(body.toString()) as T;
}

const podsOf = async (path: string) => (await read<{ items: Pod[] }>(path)).items;

/** Pods that are bound run, those of jobs succeed, and those that are to go are gone. */
async function playKubelets(): Promise<void> {
  if (isPlaying) return;
  isPlaying = true;
  try {
    for (const { metadata, spec, status } of await podsOf('/api/v1/pods')) {
      const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
      if (spec.nodeName === undefined) continue;
      const headers = { ...ADMIN, 'content-type': 'application/merge-patch+json' };
      if (metadata.deletionTimestamp !== undefined) {
        await send(world.theirUrl, { method: 'DELETE', path: `${path}?gracePeriodSeconds=0`, headers: ADMIN });
      } else if (status.phase === 'Pending') {
        const phase = spec.containers[0]!.name === 'task' ? 'Succeeded' : 'Running';
        const ready = phase === 'Running' ? 'True' : 'False';
        const conditions = [
          { type: 'Ready', status: ready, lastTransitionTime: new Date().toISOString() },
          { type: 'PodScheduled', status: 'True' },
        ];
        const body = JSON.stringify({ status: { phase, conditions } });
        await send(world.theirUrl, { method: 'PATCH', path: `${path}/status`, headers, body });
      }
    }
  } catch {
    // Somebody ends; the next round tells.
  } finally {
    isPlaying = false;
  }
}

/** Until the status of an object is as wanted. */
async function reaches(path: string, wanted: Readonly<Record<string, number>>): Promise<void> {
  let last: Readonly<Record<string, unknown>> = {};
  await eventually(
    `${path} has ${JSON.stringify(wanted)}`,
    async () => {
      last = (await read<{ status: Readonly<Record<string, unknown>> }>(path)).status;
      return Object.entries(wanted).every(([field, value]) => last[field] === value);
    },
    CONVERGE_MS,
    200,
  ).catch((error: unknown) => {
    throw new Error(
      `${String(error)}\n${JSON.stringify(last)}\n${manager.stderr().slice(-3_000)}${scheduler.stderr().slice(-1_000)}`,
    );
  });
}

const template = (app: string, name = 'main', more: object = {}) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name, image: 'x' }], ...more },
});
const selector = (app: string) => ({ matchLabels: { app } });
const APPS = '/apis/apps/v1/namespaces/work';

test('workloads converge', { timeout: 2 * CONVERGE_MS }, async () => {
  await world.write('POST', '/api/v1/namespaces', { metadata: { name: 'work' } });
  await eventually('the service account of pods', async () => {
    const path = '/api/v1/namespaces/work/serviceaccounts/default';
    return (await send(world.theirUrl, { path, headers: ADMIN })).status === 200;
  });
  const hard = { pods: '100', 'count/deployments.apps': '5' };
  await world.write('POST', '/api/v1/namespaces/work/resourcequotas', { metadata: { name: 'q' }, spec: { hard } });
  await world.write('POST', `${APPS}/deployments`, {
    metadata: { name: 'web' },
    spec: { replicas: 20, selector: selector('web'), template: template('web') },
  });
  await world.write('POST', `${APPS}/statefulsets`, {
    metadata: { name: 'db' },
    spec: { replicas: 3, serviceName: 'db', selector: selector('db'), template: template('db') },
  });
  await world.write('POST', `${APPS}/daemonsets`, {
    metadata: { name: 'agent' },
    spec: { selector: selector('agent'), template: template('agent') },
  });
  await world.write('POST', '/apis/batch/v1/namespaces/work/jobs', {
    metadata: { name: 'batch' },
    spec: { completions: 4, parallelism: 2, template: template('batch', 'task', { restartPolicy: 'Never' }) },
  });
  await world.write('POST', '/api/v1/namespaces/work/services', {
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  await reaches(`${APPS}/deployments/web`, { replicas: 20, readyReplicas: 20, updatedReplicas: 20 });
  await reaches(`${APPS}/statefulsets/db`, { replicas: 3, readyReplicas: 3 });
  await reaches(`${APPS}/daemonsets/agent`, { desiredNumberScheduled: NODES, numberReady: NODES });
  await reaches('/apis/batch/v1/namespaces/work/jobs/batch', { succeeded: 4 });
  for (const name of ['kube-controller-manager', 'kube-scheduler']) {
    const path = `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${name}`;
    const { spec } = await read<{ spec: { holderIdentity: string } }>(path);
    assert.notEqual(spec.holderIdentity, '');
  }
});

test('listwatch is killed and comes back, and what was asked for meanwhile is done', {
  timeout: 2 * CONVERGE_MS,
}, async () => {
  const [program = '', ...args] = ours.child.spawnargs;
  ours.child.kill('SIGKILL');
  await ours.exited;
  await world.write('PATCH', `${APPS}/deployments/web`, { spec: { replicas: 12 } });
  await world.write('DELETE', `${APPS}/statefulsets/db`);
  ours = start(program, args);
  await reaches(`${APPS}/deployments/web`, { replicas: 12, readyReplicas: 12 });
  await eventually(
    'the pods of the StatefulSet are collected',
    async () => (await podsOf('/api/v1/namespaces/work/pods?labelSelector=app%3Ddb')).length === 0,
    CONVERGE_MS,
    200,
  );
});

test('kube-apiserver is killed and comes back, while reads go on', { timeout: 3 * CONVERGE_MS }, async () => {
  const [program = '', ...args] = world.theirs.child.spawnargs;
  world.theirs.child.kill('SIGKILL');
  await world.theirs.exited;
  const path = `${APPS}/deployments/web`;
  assert.equal((await send(world.ourUrl, { path, headers: ADMIN })).status, 200);
  const refused = await send(world.ourUrl, { method: 'DELETE', path, headers: ADMIN });
  assert.equal(refused.status, 503);
  theirs = start(program, args);
  await eventually(
    'kube-apiserver is ready again',
    async () => (await send(world.theirUrl, { path: '/readyz', headers: ADMIN })).status === 200,
    CONVERGE_MS,
    200,
  );
  await world.write('PATCH', path, { spec: { replicas: 15 } });
  await reaches(path, { replicas: 15, readyReplicas: 15 });
});

test('a namespace goes with all that it holds', { timeout: 2 * CONVERGE_MS }, async () => {
  await world.write('DELETE', '/api/v1/namespaces/work');
  await eventually(
    'the namespace is gone',
    async () => (await send(world.theirUrl, { path: '/api/v1/namespaces/work', headers: ADMIN })).status === 404,
    CONVERGE_MS,
    200,
  );
});

test('kube-apiserver was never asked to list or watch what listwatch serves', async () => {
  const lines = (await readFile(join(folder, 'audit.log'), 'utf8')).trimEnd().split('\n');
  const events = lines.map((line) => JSON.parse(line) as AuditEvent);
  // kube-apiserver itself has the same program's name, and is another user.
  const controllers = events.filter(
    ({ userAgent = '', user }) => userAgent.startsWith('kubernetes/') && user.username === 'admin',
  );
  const reads = controllers.filter(({ verb }) => ['get', 'list', 'watch'].includes(verb));
  const writes = controllers.filter(({ verb }) =>
    ['create', 'update', 'patch', 'delete', 'deletecollection'].includes(verb),
  );
  assert.ok(writes.length > 100, `${writes.length} writes`);
  assert.deepEqual([...new Set(reads.map(({ verb, requestURI }) => `${verb} ${requestURI.replace(/\?.*/, '')}`))], []);
});

test('neither complains of answers of listwatch', () => {
  const lines = [manager, scheduler].flatMap((command) => command.stderr().split('\n'));
  const complaints =
    /could not find the requested resource|does not allow this method|decode|too old resource|unexpected/i;
  assert.deepEqual(
    lines.filter((line) => complaints.test(line)),
    [],
  );
  assert.deepEqual(
    lines.filter((line) => line.startsWith('E') && !OF_THEIR_OWN.test(line) && !OF_RESTARTS.test(line)),
    [],
  );
});

/** Controllers try again after another one's write, before their informer has seen their own, and while a namespace ends. */
const OF_THEIR_OWN =
  /object has been modified|not as new as written version|being terminated|manifest file is empty|already exists|not found/;
const OF_RESTARTS =
  /connection refused|EOF|connection reset|connection lost|error trying to reach service|unable to handle the request|broken pipe/;

interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly user: { readonly username: string };
}
