import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import type { Agent } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { seededRandom } from '../../src/lib/random.js';
import { eventually, freePort, type RunningCommand, requireProgram, run, start } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { type Answer, createAgent, getJson, send } from '../support/http-client.js';
import { startServer } from '../support/server.js';
import { allowedDifferences } from './allowed-differences.js';
import { allowedCounts, compareAnswers, type Difference, report } from './compare.js';
import { writeOddObjects } from './odd-objects.js';
import { nextRequest, type ReadRequest } from './requests.js';
import { harvest, type KindUnderTest, peerKinds, type World } from './world.js';

// Random requests, valid, odd and malformed, to the Go read path and to listwatch on one etcd: the same answers.

const REQUESTS = Number(process.env['DIFFERENTIAL_REQUESTS'] ?? (process.env['CI'] === 'true' ? 5_000 : 800));
const SEED = Number(process.env['SEED'] ?? randomInt(2 ** 31));
/** `peer` compares the oracle with a second oracle: what differs then is noise of this suite, not a bug of listwatch. */
const AGAINST_PEER = process.env['DIFFERENTIAL_AGAINST'] === 'peer';
const PODS = 300;
const QUICK_LANES = 4;
const SLOW_LANES = 48;
/** Answers that depend on a moment (a stream cut by its timeout, a cache one revision behind) are asked for again. */
const REPEATS_MAX = 3;
/** More of them than this share would mean that the repeats hide something. */
const REPEATED_SHARE_MAX = 0.02;

const etcdctl = requireProgram('etcdctl', 'ETCDCTL', 'install it with: apt-get install etcd-client');
let bin: string;
let etcd: Etcd;
let oracle: Server;
let ours: Server;

interface Server {
  readonly url: string;
  readonly command: RunningCommand;
  readonly quick: Agent;
  readonly slow: Agent;
}

before(async () => {
  bin = await buildGoPrograms('peer');
  etcd = await startEtcd();
  await load('-mode', 'seed');
});
after(async () => {
  await ours?.command.stop();
  await oracle?.command.stop();
  await etcd?.stop();
});

async function load(...args: string[]): Promise<void> {
  const { code, stderr } = await run(join(bin, 'load'), ['-endpoints', etcd.endpoint, '-pods', String(PODS), ...args], {
    timeoutMs: 120_000,
  });
  assert.equal(code, 0, stderr);
}

async function startPeer(): Promise<Server> {
  const [plain, tls] = [await freePort(), await freePort()];
  const command = start(join(bin, 'peer'), [
    ...['-etcd', etcd.endpoint],
    ...['-http', `127.0.0.1:${plain}`],
    ...['-tls-port', String(tls)],
  ]);
  const url = `http://127.0.0.1:${plain}`;
  await eventually(
    'the peer is ready',
    async () => (await send(url, { path: '/readyz' })).status === 200,
    120_000,
    100,
  );
  return { url, command, quick: createAgent(QUICK_LANES), slow: createAgent(SLOW_LANES) };
}

async function startOurs(): Promise<Server> {
  const command = await startServer(['--etcd-servers', etcd.endpoint]);
  return { url: command.url, command, quick: createAgent(QUICK_LANES), slow: createAgent(SLOW_LANES) };
}

async function etcdRevision(): Promise<number> {
  const { stdout, stderr } = await run(etcdctl, ['--endpoints', etcd.endpoint, 'get', 'x', '-w', 'json'], {
    env: { ETCDCTL_API: '3' },
  });
  assert.notEqual(stdout, '', stderr);
  return (JSON.parse(stdout) as { header: { revision: number } }).header.revision;
}

interface ListBody {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: { readonly metadata: { readonly name: string; readonly namespace?: string } }[];
}

/** A consistent LIST of every kind: starts lazy caches, and brings each to etcd's revision. */
async function settle(server: Server): Promise<Map<string, ListBody>> {
  const lists = new Map<string, ListBody>();
  for (const { root, resource } of peerKinds) {
    const body = await eventually(`LIST ${resource}`, async () => {
      const answer = await send(server.url, { path: `${root}/${resource}` }, server.quick);
      return answer.status === 200 ? (JSON.parse(answer.body.toString()) as ListBody) : undefined;
    });
    lists.set(resource, body);
  }
  return lists;
}

/** A store with a past: compacted up to a point, then what the caches start with, then what they saw happen. */
async function makeWorld(): Promise<World> {
  await load('-mode', 'history', '-ops', '200', '-seed', '21');
  const compacted = await etcdRevision();
  await load('-mode', 'history', '-ops', '50', '-seed', '22');
  const beforeCaches = await etcdRevision();
  const { code, stderr } = await run(etcdctl, ['--endpoints', etcd.endpoint, 'compact', String(beforeCaches - 20)], {
    env: { ETCDCTL_API: '3' },
  });
  assert.equal(code, 0, stderr);
  oracle = await startPeer();
  await writeOddObjects(oracle.url);
  ours = AGAINST_PEER ? await startPeer() : await startOurs();
  // Both begin their history here; the oracle is started anew, so that its caches begin at the same revision as ours.
  await oracle.command.stop();
  oracle = await startPeer();
  await settle(oracle);
  await settle(ours);
  const first = await etcdRevision();
  // Fewer changes of a kind than both keep whatever their age (spec 3.7), so that a slow run sees the same history.
  await load('-mode', 'history', '-ops', '90', '-seed', '23');
  await load('-mode', 'churn', '-kinds', 'leases', '-rate', '60', '-duration', '1s');
  await load(
    '-mode',
    'churn',
    '-kinds',
    'nodes,configmaps,services,deployments,secrets',
    '-rate',
    '60',
    '-duration',
    '1s',
  );
  const now = await etcdRevision();
  const lists = await settle(oracle);
  await settle(ours);
  const kinds = peerKinds.map((kind): KindUnderTest => {
    const { items } = lists.get(kind.resource)!;
    assert.ok(items.length > 5, `${kind.resource}: ${items.length} objects`);
    const step = Math.max(1, Math.floor(items.length / 40));
    const objects = items.filter((_, index) => index % step === 0).map(({ metadata }) => metadata);
    return { ...kind, objects: objects.map(({ name, namespace }) => ({ name, namespace })) };
  });
  const history = Array.from({ length: 12 }, (_, index) => first + Math.floor(((now - first) * index) / 12));
  return { kinds, revisions: { compacted: compacted - 50, beforeCaches: beforeCaches - 5, history, now }, tokens: [] };
}

/** Asks both; `undefined` as an answer stands for a connection that ended without one. */
async function askBoth(request: ReadRequest): Promise<[Answer, Answer]> {
  const ask = async (server: Server): Promise<Answer> => {
    try {
      return await send(server.url, request, request.slow ? server.slow : server.quick, 20_000);
    } catch (error) {
      return { status: 0, headers: {}, body: Buffer.from(`no answer: ${String(error)}`), end: 'cut' };
    }
  };
  return await Promise.all([ask(oracle), ask(ours)]);
}

test(`${REQUESTS} random requests get the same answers from both (SEED=${SEED})`, async (context) => {
  const world = await makeWorld();
  const random = seededRandom(SEED);
  const differences: Difference[] = [];
  const answered = new Map<string, number>();
  let asked = 0;
  let repeated = 0;

  const confirmed = new Set<string>();

  async function examine(request: ReadRequest): Promise<void> {
    let difference: Difference | undefined;
    for (let attempt = 0; attempt <= REPEATS_MAX; attempt++) {
      if (difference !== undefined && confirmed.has(difference.class)) break; // seen to last before
      if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 200 * attempt));
      const [want, got] = await askBoth(request);
      difference = compareAnswers(request, want, got);
      if (attempt === 0) {
        const key = `${request.shape} ${want.status}`;
        answered.set(key, (answered.get(key) ?? 0) + 1);
        if (request.shape === 'LIST' && want.status === 200) harvest(world, request.path, want.body.toString('latin1'));
        if (difference !== undefined) repeated++;
      }
      if (difference === undefined) return;
    }
    repeated--;
    confirmed.add(difference!.class);
    differences.push(difference!);
  }

  // One lane draws the next request when the one before is answered; slow ones run beside the lanes, up to a bound.
  const slow = new Set<Promise<void>>();
  const lane = async () => {
    while (asked < REQUESTS) {
      asked++;
      const request = nextRequest(random, world);
      if (!request.slow) {
        await examine(request);
        continue;
      }
      while (slow.size >= SLOW_LANES) await Promise.race(slow);
      const done: Promise<void> = examine(request).finally(() => slow.delete(done));
      slow.add(done);
    }
  };
  await Promise.all(Array.from({ length: QUICK_LANES }, lane));
  await Promise.all(slow);

  const now = await etcdRevision();
  context.diagnostic(
    `SEED=${SEED}, ${asked} requests, ${repeated} needed a repeat, etcd went from ${world.revisions.now} to ${now}`,
  );
  context.diagnostic(
    [...answered]
      .sort()
      .map(([key, times]) => `${key}: ${times}`)
      .join(', '),
  );
  context.diagnostic(`${allowedDifferences.length} allowed differences, used ${allowedCounts.join(', ') || 'never'}`);
  assert.equal(differences.length, 0, `SEED=${SEED}: ${report(differences)}`);
  assert.ok(repeated <= Math.max(5, asked * REPEATED_SHARE_MAX), `${repeated} of ${asked} requests needed a repeat`);
  const health = await getJson(ours.url, '/version');
  assert.ok(health !== undefined, 'the server is still there');
});
