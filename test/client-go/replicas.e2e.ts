import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, freePort, type RunningCommand } from '../support/command.js';
import { type Haproxy, startHaproxy } from '../support/haproxy.js';
import { type RunningServer, startServer } from '../support/server.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { finishInformer, startInformer, summaryOf, toldByEtcd, toldByInformer } from './informers.js';
import { type Programs, startPrograms, type StoredChange } from './programs.js';
import { startStreams } from './stream-client.js';
import { type TlsFiles, writeTlsFiles } from './tls-files.js';

// Three replicas on one etcd behind haproxy, as docs/replicas.md sets them up. Each dies, without a word and with one, and comes
// back knowing nothing; informers are moved, lose no event and do not list again, even those of whose kind nothing changes: the
// resourceVersion that they resume from is older than the replica that they come to.

const NAMES = ['a', 'b', 'c'] as const;
type Name = (typeof NAMES)[number];
/** How docs/replicas.md has them started. */
const FLAGS = ['--initial-history', '10000', '--goaway-chance', '0.02', '--shutdown-delay-duration', '2s'];
/** client-go takes a watch that ends within a second, without an event, for broken, and lists again. */
const WATCH_LASTS_MS = 1_300;

let programs: Programs;
let tls: TlsFiles;
let haproxy: Haproxy;
const ports = new Map<Name, number>();
const replicas = new Map<Name, RunningServer>();
const informers: RunningCommand[] = [];

before(async () => {
  programs = await startPrograms();
  tls = await writeTlsFiles();
  await programs.write(HEALTH_IS_PUBLIC, QUIET_OBJECTS);
  await programs.writeRandom(500, 1);
  for (const name of NAMES) ports.set(name, await freePort());
  await Promise.all(NAMES.map(startReplica));
  haproxy = await startHaproxy({
    ports: NAMES.map((name) => ports.get(name)!),
    caFile: tls.ca,
    name: 'localhost',
    folder: tls.folder,
  });
  for (const name of NAMES) await isUp(name, true);
});
after(async () => {
  await Promise.all(informers.map((informer) => informer.stop()));
  await haproxy?.[Symbol.asyncDispose]();
  await Promise.all([...replicas.values()].map((replica) => replica.stop()));
  await tls?.[Symbol.asyncDispose]();
  await programs?.[Symbol.asyncDispose]();
});

/** What every cluster has: /readyz is for everybody, also for load balancers. */
const HEALTH_IS_PUBLIC: readonly StoredChange[] = [
  {
    key: '/registry/clusterroles/system:public-info-viewer',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'system:public-info-viewer' },
      rules: [{ nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version'], verbs: ['get'] }],
    },
  },
  {
    key: '/registry/clusterrolebindings/system:public-info-viewer',
    object: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'system:public-info-viewer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:public-info-viewer' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:unauthenticated' }],
    },
  },
];

function quiet(kind: 'ConfigMap' | 'Secret', value: string): StoredChange {
  const bytes = kind === 'Secret' ? Buffer.from(value).toString('base64') : value;
  return {
    key: `/registry/${kind.toLowerCase()}s/default/quiet`,
    object: { apiVersion: 'v1', kind, metadata: { namespace: 'default', name: 'quiet' }, data: { value: bytes } },
  };
}
const QUIET_OBJECTS = [quiet('ConfigMap', 'first'), quiet('Secret', 'first')];

async function startReplica(name: Name): Promise<void> {
  const access = ['--authorization-mode', 'RBAC', '--anonymous-auth', 'true', '--secure-port', String(ports.get(name))];
  const caches = ['--watch-cache-initialization', 'pods,configmaps,secrets'];
  const source = ['--etcd-servers', programs.etcd.endpoint];
  replicas.set(name, await startServer([...source, ...caches, ...tls.server, ...access, ...FLAGS]));
}

function isUp(name: Name, wanted: boolean): Promise<unknown> {
  return eventually(
    `haproxy sees that ${name} is ${wanted ? 'up' : 'down'}`,
    async () => (await haproxy.servers()).get(name)?.isUp === wanted,
    15_000,
    20,
  );
}

const kinds: readonly [name: string, prefix: string, args: readonly string[]][] = [
  ['busy, WatchList', '/registry/pods/', ['-resource', 'pods']],
  ['busy, LIST and WATCH', '/registry/pods/', ['-resource', 'pods', '-watchlist', 'off', '-accept', 'json']],
  ['busy, HTTP/1.1', '/registry/pods/', ['-resource', 'pods', '-client', 'metadata', '-http', '1']],
  ['quiet, WatchList', '/registry/configmaps/', ['-resource', 'configmaps']],
  [
    'quiet, LIST and WATCH',
    '/registry/configmaps/',
    ['-resource', 'configmaps', '-watchlist', 'off', '-accept', 'json'],
  ],
  ['quiet, HTTP/1.1', '/registry/secrets/', ['-resource', 'secrets', '-http', '1']],
];

const deaths: readonly [signal: NodeJS.Signals, name: Name][] = [
  ['SIGKILL', 'a'],
  ['SIGKILL', 'b'],
  ['SIGKILL', 'c'],
  ['SIGTERM', 'a'],
  ['SIGTERM', 'b'],
  ['SIGTERM', 'c'],
];

test('each replica is killed, and shut down, and comes back: no informer misses anything or lists again', async () => {
  const running = await Promise.all(
    kinds.map(([, , args]) =>
      startInformer(programs, '-server', `https://127.0.0.1:${haproxy.port}`, ...tls.client, ...args),
    ),
  );
  informers.push(...running);
  const from = (await programs.revision()) + 1;
  let [isOver, seed] = [false, 100];
  const writes = (async () => {
    while (!isOver) await programs.writeRandom(150, seed++, 100);
  })();
  try {
    for (const [signal, name] of deaths) {
      await delay(WATCH_LASTS_MS);
      const before = (await haproxy.servers()).get(name)!;
      assert.ok(before.current > 0, `${name} has clients`);
      const replica = replicas.get(name)!;
      replica.child.kill(signal);
      if (signal === 'SIGTERM') {
        await isUp(name, false); // by /readyz, while it still serves
        assert.equal(replica.child.exitCode, null);
        assert.ok((await haproxy.servers()).get(name)!.current > 0, 'its clients are still there');
      }
      assert.equal(await replica.exited, signal === 'SIGTERM' ? 0 : null);
      await delay(WATCH_LASTS_MS);
      await startReplica(name);
      await isUp(name, true);
    }
    await delay(WATCH_LASTS_MS);
  } finally {
    isOver = true;
    await writes;
  }
  await programs.write([quiet('ConfigMap', 'second')], [quiet('Secret', 'second')]);
  const to = await programs.revision();
  let watches = 0;
  for (const [index, informer] of running.entries()) {
    const [name, prefix] = kinds[index]!;
    const lines = await finishInformer(programs, informer, prefix);
    assert.deepEqual(toldByInformer(lines), await toldByEtcd(programs, from, to, prefix), name);
    const summary = summaryOf(lines);
    assert.equal((summary.lists ?? 0) + (summary.watchLists ?? 0), 1, `${name}: listed once`);
    watches += summary.watches ?? 0;
  }
  // Whoever was on a replica that died has watched again.
  assert.ok(watches >= deaths.length, `${watches} watches`);
});

test('clients spread by --goaway-chance, and their watches stay where they are', async () => {
  const client = startStreams(programs, ['-server', `https://127.0.0.1:${haproxy.port}`, ...tls.client]);
  try {
    assert.equal((await client.tell('open 10')).error, undefined);
    const before = await haproxy.servers();
    const moved = await client.tell('list 1000');
    assert.deepEqual([moved.error, moved.failed, moved.open, moved.ended], [undefined, undefined, 10, 0]);
    const after = await haproxy.servers();
    for (const name of NAMES) {
      const checks = after.get(name)!.total - before.get(name)!.total;
      assert.ok(checks > 0, `${name} had none of ${moved.dialled} connections`);
    }
    const { lastRevision } = await programs.writeRandom(50, 7);
    assert.equal((await client.tell(`seen ${lastRevision}`)).error, undefined);
  } finally {
    await client.stop();
  }
});

test('a replica that lags behind a client waits, or says so: it does not expire what it has not seen', async () => {
  await using network = await startTcpProxy(Number(new URL(programs.etcd.endpoint).port));
  const source = ['--etcd-servers', `http://127.0.0.1:${network.port}`];
  const lagging = await startServer([...source, '--watch-cache-initialization', 'pods']);
  try {
    const etcd = network.target;
    network.target = await freePort(); // where nobody listens
    network.cut();
    const { lastRevision } = await programs.writeRandom(20, 8); // which it does not see
    const list = await fetch(`${lagging.url}/api/v1/pods?resourceVersion=${lastRevision}`);
    assert.equal(list.status, 504);
    assert.equal(list.headers.get('retry-after'), '1');
    assert.match(await list.text(), /Too large resource version/);
    const abort = new AbortController();
    const watch = await fetch(`${lagging.url}/api/v1/pods?watch=1&resourceVersion=${lastRevision}`, abort);
    assert.equal(watch.status, 200);
    let received = '';
    const reading = (async () => {
      for await (const chunk of watch.body!) received += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await delay(1_000);
    assert.equal(received, '');
    network.target = etcd;
    const later = await programs.writeRandom(20, 9);
    await eventually('what came later', () => received.includes(`"resourceVersion":"${later.lastRevision}"`));
    const versions = [...received.matchAll(/"resourceVersion":"(\d+)"/g)].map(([, version]) => Number(version));
    assert.ok(Math.min(...versions) > lastRevision, 'nothing that the client had seen before');
    assert.doesNotMatch(received, /"type":"ERROR"/);
    abort.abort();
    await reading;
  } finally {
    await lagging.stop();
  }
});
