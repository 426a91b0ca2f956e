import assert from 'node:assert/strict';
import { get as httpGet, type ClientRequest } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, pauseProcess, type RunningCommand, requireProgram, run, start } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { type RunningServer, startServer } from '../support/server.js';

// A real client-go informer through listwatch, judged by etcd's own history.

const OPERATIONS = Number(process.env['INFORMER_OPERATIONS'] ?? 20_000);
const PODS = 1_000;
const etcdctl = requireProgram('etcdctl', 'ETCDCTL', 'install it with: apt-get install etcd-client');
let bin: string;
let etcd: Etcd;
let ours: RunningServer;

before(async () => {
  bin = await buildGoPrograms('peer');
  await buildGoPrograms('client-go');
  etcd = await startEtcd();
  const seeded = await run(join(bin, 'load'), ['-endpoints', etcd.endpoint, '-pods', String(PODS)], {
    timeoutMs: 300_000,
  });
  assert.equal(seeded.code, 0, seeded.stderr);
  ours = await startServer(['--etcd-servers', etcd.endpoint]);
});
after(async () => {
  await ours?.stop();
  await etcd?.stop();
});

interface Line {
  readonly type: string;
  readonly key: string;
  readonly resourceVersion: string;
  readonly initial?: boolean;
  readonly stale?: boolean;
  readonly digest?: string;
  readonly proto?: string;
  readonly contentType?: string;
  readonly watch?: boolean;
}
interface Change {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly modRevision: number;
  readonly prevModRevision?: number;
}
const parseLines = <T>(text: string): T[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);

function startInformer(args: readonly string[]): RunningCommand {
  return start(join(bin, 'informer'), ['-resource', 'pods', '-duration', '240s', '-dump', ...args]);
}
const synced = (informer: RunningCommand) =>
  eventually('the informer is synced', () => informer.stdout().includes('"type":"synced"'), 30_000);

async function etcdRevision(): Promise<number> {
  const { stdout, stderr } = await run(etcdctl, ['--endpoints', etcd.endpoint, 'get', 'x', '-w', 'json'], {
    env: { ETCDCTL_API: '3' },
  });
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout).header.revision;
}

async function historyOf(from: number, to: number): Promise<Change[]> {
  const { code, stdout, stderr } = await run(
    join(bin, 'etcd-history'),
    ['-endpoints', etcd.endpoint, '-from-revision', String(from), '-to-revision', String(to)],
    { timeoutMs: 180_000 },
  );
  assert.equal(code, 0, stderr);
  return parseLines<Change>(stdout);
}

/** What an informer must have been told, key by key, given what etcd did. */
function expectedByKey(changes: readonly Change[]): Map<string, string[]> {
  const byKey = new Map<string, string[]>();
  for (const { type, key, modRevision, prevModRevision } of changes) {
    const name = key.slice('/registry/pods/'.length);
    const told = type === 'delete' ? 'delete' : prevModRevision === undefined ? 'add' : 'update';
    byKey.set(name, [...(byKey.get(name) ?? []), `${told}@${modRevision}`]);
  }
  return byKey;
}

function seenByKey(lines: readonly Line[]): Map<string, string[]> {
  const byKey = new Map<string, string[]>();
  for (const { type, key, resourceVersion, initial, stale } of lines) {
    if (initial === true || (type !== 'add' && type !== 'update' && type !== 'delete')) continue;
    assert.notEqual(stale, true, `${key}: a deletion was missed`);
    byKey.set(key, [...(byKey.get(key) ?? []), `${type}@${resourceVersion}`]);
  }
  return byKey;
}

test(`${OPERATIONS} random changes, with etcd restarted and compacted midway, arrive exactly as etcd has them`, async () => {
  const from = (await etcdRevision()) + 1;
  const streaming = startInformer(['-server', ours.secureUrl, '-insecure', '-accept', 'protobuf', '-watchlist', 'on']);
  const classic = startInformer(['-server', ours.url, '-accept', 'json', '-watchlist', 'off']);
  await synced(streaming);
  await synced(classic);
  const half = Math.floor(OPERATIONS / 2);
  const history = (ops: number, seed: number) =>
    run(
      join(bin, 'load'),
      [
        '-endpoints',
        etcd.endpoint,
        '-mode',
        'history',
        '-pods',
        String(PODS),
        '-ops',
        String(ops),
        '-seed',
        String(seed),
      ],
      {
        timeoutMs: 240_000,
      },
    );
  const first = history(half, 11);
  await new Promise((resolve) => setTimeout(resolve, 700));
  await etcd.restart();
  assert.equal((await first).code, 0, (await first).stderr);

  const compactAt = (await etcdRevision()) - 100; // behind our position
  await eventually('listwatch has read past the compaction point', async () => {
    const body = (await (await fetch(`${ours.url}/api/v1/pods?limit=1`)).json()) as {
      metadata: { resourceVersion: string };
    };
    return Number(body.metadata.resourceVersion) >= compactAt;
  });
  const changes = await historyOf(from, compactAt);
  const second = history(OPERATIONS - half, 12);
  const compacted = await run(etcdctl, ['--endpoints', etcd.endpoint, 'compact', String(compactAt)], {
    env: { ETCDCTL_API: '3' },
  });
  assert.equal(compacted.code, 0, compacted.stderr);
  assert.equal((await second).code, 0, (await second).stderr);
  const to = await etcdRevision();
  changes.push(...(await historyOf(compactAt + 1, to)));
  assert.ok(changes.length >= OPERATIONS, `${changes.length} changes`);

  const want = expectedByKey(changes);
  const total = [...want.values()].reduce((sum, list) => sum + list.length, 0);
  for (const informer of [streaming, classic]) {
    await eventually(
      `${total} changes have been told`,
      () =>
        parseLines<Line>(informer.stdout()).filter((line) => !line.initial && /^(add|update|delete)$/.test(line.type))
          .length >= total,
      60_000,
      500,
    );
    await informer.stop();
    const lines = parseLines<Line>(informer.stdout());
    assert.deepEqual(seenByKey(lines), want);
    assert.equal(lines.filter((line) => line.type === 'watchError').length, 0, 'no watch error, hence no relist');
  }
  const dump = (informer: RunningCommand) =>
    parseLines<Line>(informer.stdout())
      .filter((line) => line.type === 'object')
      .map(({ key, resourceVersion, digest }) => `${key}@${resourceVersion} ${digest}`);
  assert.deepEqual(dump(streaming), dump(classic), 'protobuf and JSON carry the same objects');
  assert.ok(
    parseLines<Line>(streaming.stdout()).some((line) => line.proto === 'HTTP/2.0'),
    'client-go speaks HTTP/2 over TLS',
  );
});

test('a compaction past our position: clients converge to what etcd has', async () => {
  const informer = startInformer(['-server', ours.url, '-accept', 'protobuf', '-watchlist', 'on']);
  await synced(informer);
  await pauseProcess(ours.pid);
  const history = await run(
    join(bin, 'load'),
    ['-endpoints', etcd.endpoint, '-mode', 'history', '-pods', String(PODS), '-ops', '2000', '-seed', '13'],
    {
      timeoutMs: 120_000,
    },
  );
  assert.equal(history.code, 0, history.stderr);
  await etcd.kill();
  await etcd.restart();
  const revision = await etcdRevision();
  await run(etcdctl, ['--endpoints', etcd.endpoint, 'compact', String(revision)], { env: { ETCDCTL_API: '3' } });
  process.kill(ours.pid, 'SIGCONT');
  const stored = await run(
    etcdctl,
    ['--endpoints', etcd.endpoint, 'get', '/registry/pods/', '--prefix', '--keys-only', '-w', 'json'],
    { env: { ETCDCTL_API: '3' }, timeoutMs: 60_000 },
  );
  const want = (JSON.parse(stored.stdout).kvs as { key: string; mod_revision: number }[])
    .map(
      ({ key, mod_revision }) =>
        `${Buffer.from(key, 'base64').toString().slice('/registry/pods/'.length)}@${mod_revision}`,
    )
    .sort();
  const state = () => {
    const objects = new Map<string, string>();
    for (const { type, key, resourceVersion } of parseLines<Line>(informer.stdout())) {
      if (type === 'add' || type === 'update') objects.set(key, resourceVersion);
      else if (type === 'delete') objects.delete(key);
    }
    return [...objects].map(([key, resourceVersion]) => `${key}@${resourceVersion}`).sort();
  };
  await eventually('the informer has what etcd has', () => state().join() === want.join(), 60_000, 500).catch(
    () => undefined,
  );
  await informer.stop();
  assert.deepEqual(state(), want);
});

test('1,000 watchers of one kind are one watch in etcd', async () => {
  const watchersInEtcd = async () => {
    const text = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
    return Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(text)?.[1]);
  };
  const before = await watchersInEtcd();
  const requests: ClientRequest[] = [];
  let answered = 0;
  for (let watcher = 0; watcher < 1_000; watcher++) {
    requests.push(
      httpGet(`${ours.url}/api/v1/nodes?watch=1&resourceVersion=0`, { agent: false }, (response) => {
        answered++;
        response.resume();
      }).on('error', () => undefined),
    );
  }
  await eventually('all watches are answered', () => answered === 1_000, 60_000);
  const during = await watchersInEtcd();
  assert.equal(during - before <= 1, true, `${before} before, ${during} with 1,000 watchers of nodes`);
  const metrics = await (await fetch(`${ours.url}/metrics`)).text();
  assert.match(metrics, /apiserver_longrunning_requests\{[^}]*resource="nodes"[^}]*\} 1000/);
  for (const request of requests) request.destroy();
  await eventually('all watches are gone', async () => {
    const text = await (await fetch(`${ours.url}/metrics`)).text();
    return !/apiserver_longrunning_requests\{[^}]*resource="nodes"[^}]*\} [1-9]/.test(text);
  });
});
