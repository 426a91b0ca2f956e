import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { type Programs, startPrograms } from './programs.js';

// Twenty watchers of client-go, each of which must see exactly what etcd's own history says it must. The Go program
// etcd-history judges with apimachinery's selectors; what is compared are files: one line an event, in order,
// with the digest of the object's content.

const OPERATIONS = Number(process.env['WATCHERS_OPERATIONS'] ?? 20_000);
const ROUNDS = 4;
const COMPACT_BEHIND = 50;
let programs: Programs;
let ours: RunningServer;

before(async () => {
  programs = await startPrograms();
  await programs.writeRandom(600, 1);
  ours = await startServer(['--etcd-servers', programs.etcd.endpoint]);
});
after(async () => {
  await ours?.stop();
  await programs?.[Symbol.asyncDispose]();
});

interface Watcher {
  readonly name: string;
  readonly namespace: string;
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly client: 'typed' | 'metadata' | 'dynamic';
  readonly accept: 'protobuf' | 'json';
  readonly server: string;
  readonly http: 1 | 2;
  /** Its connections are cut now and then. */
  readonly isCut: boolean;
}

/** All combinations that matter at least once; half of them through a connection that is cut. */
function describeWatchers(plain: string, secure: string, cutPlain: string, cutSecure: string): Watcher[] {
  const rows: [namespace: string, labels: string, fields: string, how: string][] = [
    ['', '', '', 'typed protobuf h2'],
    ['', '', '', 'typed json h1 cut'],
    ['', '', '', 'metadata protobuf h2 cut'],
    ['team-1', '', '', 'typed protobuf plain'],
    ['team-1', '', '', 'dynamic json h2 cut'],
    ['team-2', 'app=web', '', 'typed protobuf h2 cut'],
    ['team-2', 'app!=web', '', 'typed json plain'],
    ['', 'app=db', '', 'metadata json h1'],
    ['', 'app in (web,db),version notin (v1)', '', 'typed protobuf h1 cut'],
    ['', 'canary', '', 'typed protobuf h2'],
    ['', '!canary,version=v2', '', 'typed json h2 cut'],
    ['', 'canary=', '', 'typed json plain cut'],
    ['', '', 'spec.nodeName=node-1', 'typed protobuf h2 cut'],
    ['', '', 'spec.nodeName=', 'metadata protobuf h1'],
    ['', '', 'status.phase!=Running', 'typed json h1 cut'],
    ['', '', 'status.phase=Running,spec.nodeName!=node-0', 'typed protobuf plain cut'],
    ['', '', 'metadata.name=pod-017', 'typed protobuf h2'],
    ['team-3', '', 'metadata.name=pod-018', 'typed json h2'],
    ['', '', 'metadata.namespace=team-4', 'typed protobuf h1'],
    ['', 'app=queue', 'spec.nodeName=node-2,status.phase=Running', 'dynamic json plain cut'],
  ];
  return rows.map(([namespace, labelSelector, fieldSelector, how], index) => {
    const [client, accept, transport, isCut] = how.split(' ');
    const [plainUrl, secureUrl] = isCut === 'cut' ? [cutPlain, cutSecure] : [plain, secure];
    return {
      name: `watcher-${String(index).padStart(2, '0')}`,
      namespace,
      labelSelector,
      fieldSelector,
      client: client as Watcher['client'],
      accept: accept as Watcher['accept'],
      server: transport === 'plain' ? plainUrl : secureUrl,
      http: transport === 'h2' ? 2 : 1,
      isCut: isCut === 'cut',
    };
  });
}

/**
 * Where the lines begin to differ; undefined if nowhere. A connection that is cut inside a revision of several
 * changes takes the rest of them with it: a client resumes after the last resourceVersion that it saw, and the
 * protocol has no finer position. (kube-apiserver's own writes are one change a revision; these are not.) So after a
 * cut, and at most `cuts` times, the last events of a revision of which the first have come may be missing.
 */
function firstDifference(got: readonly string[], want: readonly string[], cuts: number) {
  const revision = (line: string | undefined) => line?.split(' ')[2];
  let [at, missed] = [0, 0];
  for (let next = 0; next < want.length; next++) {
    if (got[at] === want[next]) {
      at++;
    } else {
      const interrupted = revision(got[at - 1]);
      if (interrupted === undefined || interrupted !== revision(want[next]) || missed === cuts) {
        return { got: at, want: next };
      }
      missed++;
      while (revision(want[next + 1]) === interrupted) next++;
    }
  }
  return at === got.length ? undefined : { got: at, want: want.length };
}

async function knownRevision(): Promise<number> {
  const answer = await fetch(`${ours.url}/api/v1/pods?limit=1`);
  const { metadata } = (await answer.json()) as { metadata: { resourceVersion: string } };
  return Number(metadata.resourceVersion);
}

test(`20 watchers see etcd's own history through ${OPERATIONS} changes, restarts, cuts and compactions`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'listwatch-watchers-'));
  await using plainProxy = await startTcpProxy(Number(new URL(ours.url).port));
  await using secureProxy = await startTcpProxy(Number(new URL(ours.secureUrl).port));
  const watchers = describeWatchers(
    ours.url,
    ours.secureUrl,
    `http://127.0.0.1:${plainProxy.port}`,
    `https://127.0.0.1:${secureProxy.port}`,
  );
  const [file, seen, expected] = [join(folder, 'watchers.json'), join(folder, 'seen'), join(folder, 'expected')];
  await Promise.all([mkdir(seen), mkdir(expected), writeFile(file, JSON.stringify(watchers))]);

  let judgedTo = await knownRevision();
  const running = programs.start('watchers', ['-watchers', file, '-from', String(judgedTo), '-out', seen]);
  const judge = async (to: number) => {
    const range = ['-from-revision', String(judgedTo + 1), '-to-revision', String(to)];
    await programs.run('etcd-history', [
      ...['-endpoints', programs.etcd.endpoint, '-watchers', file, '-out', expected],
      ...range,
    ]);
    judgedTo = to;
  };
  const sizes = (dir: string) =>
    Promise.all(
      watchers.map(({ name }) =>
        stat(join(dir, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    );
  try {
    await eventually('all watches run', () => running.stdout().includes('ready'));
    for (let round = 0; round < ROUNDS; round++) {
      const writes = programs.writeRandom(OPERATIONS / ROUNDS, 100 + round);
      await delay(300);
      if (round % 2 === 0) await programs.etcd.restart(); // kill -9 in the middle of the writes
      await delay(300);
      plainProxy.cut();
      secureProxy.cut();
      const { lastRevision } = await writes;
      // Behind our position, and ahead of where clients that are cut off will resume: only our history has that.
      const compactAt = lastRevision - COMPACT_BEHIND;
      await eventually('listwatch is past the compaction', async () => (await knownRevision()) >= compactAt);
      await judge(compactAt);
      plainProxy.cut();
      secureProxy.cut();
      await programs.compact(compactAt);
    }
    await judge(await programs.revision());
    const want = await sizes(expected);
    await eventually(
      'all events have come',
      async () => {
        if (running.child.exitCode !== null) throw new Error(running.stderr());
        return (await sizes(seen)).every((size, index) => size >= want[index]!);
      },
      60_000,
      200,
    ).catch(() => undefined); // the comparison below says more
    await delay(300); // whatever comes beyond what is expected
  } finally {
    await running.stop();
  }
  let events = 0;
  for (const watcher of watchers) {
    const [got, want] = await Promise.all(
      [seen, expected].map(async (dir) => (await readFile(join(dir, watcher.name), 'utf8')).split('\n')),
    );
    events += want!.length - 1;
    const cuts = watcher.isCut ? 2 * ROUNDS : 0;
    const at = firstDifference(got!, want!, cuts);
    if (at === undefined) continue;
    const where = `${JSON.stringify(watcher)}: event ${at.want} of ${want!.length - 1} (${got!.length - 1} came)`;
    assert.equal(got![at.got], want![at.want], where);
  }
  assert.equal(running.child.exitCode, 0, running.stderr());
  assert.ok(plainProxy.connectionCount > ROUNDS && secureProxy.connectionCount > ROUNDS, 'connections were cut');
  assert.ok(events > OPERATIONS, `${events} events`);
  await rm(folder, { recursive: true });
});
