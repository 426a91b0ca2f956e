import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { createMemoryLimit, type MemoryLimit } from '../support/memory-limit.js';
import { type RunningServer, startServer } from '../support/server.js';
import { ask, metric, metricSum, openWatch } from './client.js';
import { configMap, configMapKey } from './objects.js';

// A storm of LISTs against a server whose memory is limited: it lives, GETs and watches go on, and what is refused is
// large LISTs. Under a cgroup where this machine lets us make one, so that the kernel would kill; otherwise the most
// that was resident is compared with the same limit.

const OBJECTS = 1_600;
const OBJECT_BYTES = 20_000;
const STORM_MS = 8_000;
const FAST_READERS = 8;
const SLOW_READERS = 60;
/** Above what the server takes at rest with everything in its cache: a third of it is gone once requests come, even refused ones; 128 MiB let none in, 224 refused none. */
const ROOM_BYTES = 176 * 2 ** 20;
const MEMORY_BUDGET_SHARE = 0.8; // src/app/memory.ts, where a cgroup is seen
/** On a machine that others use, too. */
const LATENCY_MAX_MS = 5_000;

const all = '/api/v1/configmaps';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const forms: readonly Record<string, string>[] = [
  { accept: 'application/json' },
  { accept: 'application/json', 'accept-encoding': 'gzip' },
  { accept: PROTOBUF },
  { accept: PROTOBUF, 'accept-encoding': 'gzip' },
  { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  { accept: `${PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io` },
];

const residentBytes = (pid: number, what: 'VmRSS' | 'VmHWM') =>
  Number(new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

describe('a storm of LISTs in little memory', () => {
  let etcd: Etcd;
  let kv: EtcdKv;
  let limit: MemoryLimit | undefined;
  let server: RunningServer | undefined;

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
    for (let from = 0; from < OBJECTS; from += 40) {
      await kv.putAll(
        Array.from({ length: 40 }, (_, index) => {
          const name = `c${String(from + index).padStart(5, '0')}`;
          const text = Array.from({ length: OBJECT_BYTES / 50 }, (_, row) => `${name}-${row * row}-${'x'.repeat(30)}`);
          return [configMapKey('large', name), configMap('large', name, { text: text.join('\n') })] as const;
        }),
      );
    }
    for (let index = 0; index < 5; index++) {
      await kv.putAll([[configMapKey('small', `s${index}`), configMap('small', `s${index}`)]]);
    }
  });
  after(async () => {
    await server?.stop();
    limit?.remove();
    await etcd?.stop();
  });

  const args = (...more: string[]) => ['--etcd-servers', etcd.endpoint, ...more];

  test('it lives, and refuses only what is large', { timeout: 120_000 }, async (context) => {
    const resting = await startServer(args('--watch-cache-initialization', 'configmaps', '--memory-budget', '0'));
    const restBytes = residentBytes(resting.pid, 'VmRSS');
    await resting.stop();
    const limitBytes = restBytes + ROOM_BYTES;
    limit = createMemoryLimit(limitBytes);
    // The budget follows from the cgroup, if there is one.
    const budget = limit === undefined ? ['--memory-budget', String(Math.floor(limitBytes * MEMORY_BUDGET_SHARE))] : [];
    server = await startServer(args('--watch-cache-initialization', 'configmaps', ...budget), {}, limit?.prefix ?? []);
    const { url, pid } = server;
    const budgetBytes = await metricSum(url, 'listwatch_memory_budget_bytes');
    assert.ok(Math.abs(budgetBytes - limitBytes * MEMORY_BUDGET_SHARE) < 2 ** 20, `the budget is ${budgetBytes}`);

    const storm = new Storm(url);
    const watches = await Promise.all([
      openWatch(url, '/api/v1/namespaces/small/configmaps?watch=1&resourceVersion=0'),
      openWatch(url, `${all}?watch=1&fieldSelector=metadata.name%3Ds1&resourceVersion=0`),
    ]);
    context.after(() => storm.end());
    storm.begin();
    const untilMs = performance.now() + STORM_MS;
    const revisions: number[] = [];
    const gets: number[] = [];
    const events: number[] = [];
    while (performance.now() < untilMs) {
      const written = await kv.put(configMapKey('small', 's1'), configMap('small', 's1', { n: String(gets.length) }));
      revisions.push(written);
      const startMs = performance.now();
      const got = await ask(url, '/api/v1/namespaces/small/configmaps/s1', 20_000);
      gets.push(performance.now() - startMs);
      assert.equal(got.status, 200, got.body.toString().slice(0, 300));
      const cheap = await ask(url, '/api/v1/namespaces/small/configmaps', 20_000);
      assert.equal(cheap.status, 200, 'a small LIST is never refused');
      const page = await ask(url, `${all}?limit=20`, 20_000);
      assert.equal(page.status, 200, `nor is a page: ${page.body.toString().slice(0, 300)}`);
      const seen = () =>
        watches.every((watch) => watch.events.at(-1)?.object.metadata.resourceVersion === String(written));
      await eventually(`both watches see revision ${written}`, seen, 20_000, 5);
      events.push(performance.now() - startMs);
      assert.equal(server.child.exitCode, null, `the process ended: ${server.stderr().slice(-2_000)}`);
    }
    const rungs = await metric(url, 'listwatch_memory_rung');
    const refused = await metricSum(url, 'listwatch_memory_refused_lists_total');
    await storm.end();

    const most = (times: readonly number[]) => Math.round(Math.max(...times));
    context.diagnostic(
      `${limit === undefined ? 'no cgroup: resident memory watched' : `cgroup ${limit.version}`}; at rest ` +
        `${mebibytes(restBytes)}, limit ${mebibytes(limitBytes)}, most resident ${mebibytes(residentBytes(pid, 'VmHWM'))}, ` +
        `most in the cgroup ${mebibytes(limit?.peakBytes() ?? 0)}`,
    );
    context.diagnostic(
      `large LISTs: ${storm.answered} answered, ${storm.refused} refused; ${gets.length} GETs within ` +
        `${most(gets)} ms, events within ${most(events)} ms; rungs ${JSON.stringify([...rungs])}`,
    );
    assert.equal(limit?.killed() ?? 0, 0, 'nothing was killed');
    assert.ok(residentBytes(pid, 'VmHWM') < limitBytes, 'the limit was kept');
    assert.deepEqual(storm.surprises, []);
    assert.ok(storm.answered > 0, 'some large LISTs were answered');
    assert.ok(storm.refused > 0 && refused > 0, 'the storm was large enough for some to be refused');
    assert.ok(most(gets) < LATENCY_MAX_MS && most(events) < LATENCY_MAX_MS, 'latency is bounded');
    // No event is missing from either watch, and none ended.
    for (const watch of watches) {
      const versions = watch.events.map(({ object }) => Number(object.metadata.resourceVersion));
      assert.deepEqual(versions.slice(-revisions.length), revisions);
      assert.equal(watch.ended, undefined);
      watch.close();
    }
    // When the storm is over, everything is answered again.
    await eventually('a large LIST is answered', async () => (await ask(url, all)).status === 200, 20_000, 200);
  });
});

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** Readers of large LISTs: some as fast as they can, some that take a little at a time. */
class Storm {
  answered = 0;
  refused = 0;
  /** What nobody should have got. */
  readonly surprises: string[] = [];
  readonly #url: string;
  readonly #slow: { readonly socket: Socket; readonly timer: NodeJS.Timeout }[] = [];
  #lanes: Promise<void>[] = [];
  #over = false;

  constructor(url: string) {
    this.#url = url;
  }

  begin(): void {
    for (let index = 0; index < SLOW_READERS; index++) this.#readSlowly(forms[index % forms.length]!);
    this.#lanes = Array.from({ length: FAST_READERS }, (_, index) => this.#lane(index));
  }

  async end(): Promise<void> {
    this.#over = true;
    for (const { socket, timer } of this.#slow.splice(0)) {
      clearInterval(timer);
      socket.destroy();
    }
    await Promise.all(this.#lanes);
  }

  async #lane(index: number): Promise<void> {
    for (let round = index; !this.#over; round++) {
      const { status, retryAfter, body } = await drain(this.#url, all, forms[round % forms.length]!);
      if (status === 200) this.answered++;
      else if (status === 429 && Number(retryAfter) >= 1) this.refused++;
      else this.surprises.push(`${status}: ${body}`);
      // As clients that heed Retry-After, but sooner.
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #readSlowly(headers: Readonly<Record<string, string>>): void {
    const { hostname, port } = new URL(this.#url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.on('readable', () => undefined); // paused: only what `read` asks for is taken
    const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${all} HTTP/1.1\r\n${lines.join('')}\r\n`);
    this.#slow.push({ socket, timer: setInterval(() => socket.read(16_384), 100) });
  }
}

/** Reads a response to its end, and keeps only what is small. */
function drain(
  base: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly retryAfter: string | undefined; readonly body: string }> {
  return new Promise((resolve) => {
    const failed = (error: Error) => resolve({ status: 0, retryAfter: undefined, body: String(error) });
    const request = httpGet(`${base}${path}`, { agent: false, headers }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        if (body.length < 1_000) body += chunk.toString('latin1', 0, 1_000);
      });
      response.once('error', failed);
      response.once('end', () => {
        const { statusCode = 0, headers: got } = response;
        resolve({ status: statusCode, retryAfter: got['retry-after'], body });
      });
    });
    request.on('error', failed);
  });
}
