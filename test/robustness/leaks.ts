import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { createAgent, send } from '../support/http-client.js';
import { meteredEnvironment, meterProcess, type ProcessMeter, type ProcessUsage } from '../support/process-meter.js';
import { type RunningServer, startServer } from '../support/server.js';
import { ask, metricSum, namesOf } from './client.js';
import { configMap, configMapKey } from './objects.js';
import { askAndStopReading, askAndVanish, sendBytes } from './raw-socket.js';

// 10,000 requests of clients that misbehave: heap, slabs, descriptors, pins and watchers are as before.

const REQUESTS = Number(process.env['ROBUSTNESS_REQUESTS'] ?? 10_000);
const OBJECTS = 100;
const OBJECT_BYTES = 100_000; // a LIST is 10 MB: more than the kernel takes from us for a client that does not read
const all = '/api/v1/configmaps';

const HEAP_GROWTH_MAX = 4 * 2 ** 20;
const EXTERNAL_GROWTH_MAX = 4 * 2 ** 20;
/** What the C library keeps of buffers that were freed, beside what it had kept after the first rounds. */
const RESIDENT_GROWTH_MAX = 128 * 2 ** 20;
const DESCRIPTOR_GROWTH_MAX = 4;

interface Holdings extends ProcessUsage {
  readonly pins: number;
  readonly watchers: number;
  readonly slabBytes: number;
  readonly longRunning: number;
  readonly inFlight: number;
}

/** The server's own, of CustomResourceDefinitions. */
const OWN_WATCHES = 1;

describe('clients that misbehave', () => {
  let etcd: Etcd;
  let kv: EtcdKv;
  let server: RunningServer;
  let meter: ProcessMeter;

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
    for (let from = 0; from < OBJECTS; from += 10) {
      await kv.putAll(Array.from({ length: 10 }, (_, index) => entry(from + index)));
    }
    const { env, port } = await meteredEnvironment();
    server = await startServer(['--etcd-servers', etcd.endpoint], env);
    meter = await meterProcess(server.pid, port);
    assert.equal((await ask(server.url, all)).status, 200);
  });
  after(async () => {
    meter?.close();
    await server?.stop();
    await etcd?.stop();
  });

  const entry = (index: number) => {
    const name = `c${index}`;
    return [configMapKey('ns', name), configMap('ns', name, { text: 'x'.repeat(OBJECT_BYTES) })] as const;
  };

  async function holdings(): Promise<Holdings> {
    const usage = await meter.read();
    return {
      ...usage,
      pins: await metricSum(server.url, 'listwatch_pins'),
      slabBytes: await metricSum(server.url, 'listwatch_slab_bytes'),
      watchers: await metricSum(server.url, 'listwatch_watchers'),
      longRunning: await sumOrZero('apiserver_longrunning_requests'),
      inFlight: await sumOrZero('apiserver_current_inflight_requests'),
    };
  }
  const sumOrZero = (name: string) => metricSum(server.url, name).catch(() => 0);

  /** Connections are closed by the peer's FIN at the latest; wait for that, not for a number of milliseconds. */
  async function quiet(): Promise<void> {
    await eventually(
      'nothing is open any more',
      async () =>
        (await metricSum(server.url, 'listwatch_pins')) === 0 &&
        (await metricSum(server.url, 'listwatch_watchers')) === OWN_WATCHES,
      20_000,
      100,
    );
  }

  const kinds: [title: string, share: number, run: (count: number) => Promise<void>][] = [
    ['malformed requests', 0.45, malformed],
    ['clients that vanish mid-LIST', 0.05, (count) => inLanes(count, 8, () => askAndVanish(server.url, all, 100_000))],
    ['clients that vanish at once', 0.06, (count) => inLanes(count, 8, () => askAndVanish(server.url, all, 0))],
    ['watches that vanish', 0.1, vanishingWatches],
    ['bytes that are not HTTP', 0.05, (count) => inLanes(count, 16, () => garbage())],
    ['clients that stop reading', 0.01, stoppedReaders],
    ['rapid resets over HTTP/2', 0.28, rapidResets],
  ];

  async function malformed(count: number): Promise<void> {
    const agent = createAgent(8);
    const requests = [
      { path: `${all}?limit=abc` },
      { path: `${all}?continue=!` },
      { path: `${all}?labelSelector=a%3D%3D%3D` },
      { path: `${all}?fieldSelector=x` },
      { path: `${all}?resourceVersion=abc` },
      { path: `${all}?resourceVersionMatch=x` },
      { path: `${all}?watch=1&resourceVersion=abc` },
      { path: `${all}?watch=1&resourceVersion=1` },
      { path: all, headers: { accept: 'text/html' } },
      { path: '/api/v1/nosuchthing' },
      { path: '/%zz' },
      { path: `${all}/${'x'.repeat(5_000)}` },
      { path: `/api/v1/namespaces/ns/configmaps/missing` },
      { path: all, method: 'POST', body: 'x'.repeat(10_000) },
      { path: all, method: 'OPTIONS' },
      { path: `${all}?resourceVersion=1&resourceVersionMatch=Exact&limit=1` },
    ];
    let next = 0;
    await inLanes(count, 8, async () => {
      const answer = await send(server.url, requests[next++ % requests.length]!, agent);
      assert.notEqual(answer.end, 'late');
    });
    agent.destroy();
  }

  async function garbage(): Promise<void> {
    await sendBytes(new URL(server.url), 'GET / HTTP/1.1\r\nbroken\r\n\r\n', 1_000, 1);
  }

  async function vanishingWatches(count: number): Promise<void> {
    const watches: [path: string, readMax: number][] = [
      [`${all}?watch=1&resourceVersion=0`, 1],
      [`${all}?watch=1&resourceVersion=0`, 1_000_000],
      ['/api/v1/nodes?watch=1', 1],
      [`${all}?watch=1&resourceVersion=0`, 0],
    ];
    let next = 0;
    await inLanes(count, 16, async () => {
      const [path, readMax] = watches[next++ % watches.length]!;
      await askAndVanish(server.url, path, readMax);
    });
  }

  async function stoppedReaders(count: number): Promise<void> {
    for (let done = 0; done < count; done += 20) {
      const sockets = await Promise.all(
        Array.from({ length: Math.min(20, count - done) }, (_, index): Promise<Socket> => {
          return askAndStopReading(server.url, index % 2 === 0 ? all : `${all}?watch=1&resourceVersion=0`);
        }),
      );
      await eventually(
        'they are being answered',
        async () => (await metricSum(server.url, 'listwatch_watchers')) > OWN_WATCHES,
      );
      await kv.put(...entry(1)); // something to tell those who do not listen
      assert.equal(
        (await ask(server.url, '/api/v1/namespaces/ns/configmaps/c2')).status,
        200,
        'others are served meanwhile',
      );
      for (const socket of sockets) socket.destroy();
    }
  }

  /** Streams that are opened and reset at once, as in CVE-2023-44487; the server may end the connection, not the service. */
  async function rapidResets(count: number): Promise<void> {
    const perConnection = 250;
    for (let done = 0; done < count; done += perConnection) {
      const session = connectHttp2(server.secureUrl, { rejectUnauthorized: false });
      session.on('error', () => undefined);
      for (let stream = 0; stream < Math.min(perConnection, count - done); stream++) {
        if (session.destroyed || session.closed) break;
        const request = session.request({ ':path': stream % 2 === 0 ? all : `${all}?watch=1` });
        request.on('error', () => undefined);
        request.close(8); // CANCEL
        if (stream % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
      }
      await new Promise<void>((resolve) => {
        if (session.destroyed) return resolve();
        session.once('close', () => resolve());
        setTimeout(() => session.destroy(), 200);
      });
      assert.equal((await ask(server.url, '/livez')).status, 200);
    }
  }

  test(`${REQUESTS} requests leave nothing behind`, { timeout: 170_000 }, async (context) => {
    // The first rounds fill what is kept on purpose: compiled code, pools, label sets of metrics.
    for (const [, share, run] of kinds) await run(Math.ceil(REQUESTS * share * 0.1));
    await quiet();
    const before = await holdings();
    for (const [title, share, run] of kinds) {
      const started = performance.now();
      await run(Math.ceil(REQUESTS * share));
      context.diagnostic(`${title}: ${Math.ceil(REQUESTS * share)} in ${Math.round(performance.now() - started)} ms`);
      assert.equal(server.child.exitCode, null, `the process ended: ${server.stderr().slice(-2_000)}`);
    }
    await quiet();
    const limits: Partial<Record<keyof Holdings, number>> = {
      heapBytes: HEAP_GROWTH_MAX,
      externalBytes: EXTERNAL_GROWTH_MAX,
      residentBytes: RESIDENT_GROWTH_MAX,
      descriptors: DESCRIPTOR_GROWTH_MAX,
    };
    const excess = (now: Holdings) =>
      (Object.keys(before) as (keyof Holdings)[]).filter((name) => now[name] - before[name] > (limits[name] ?? 0));
    let now = await holdings();
    // Sockets that were reset are closed with the next turns of the other process.
    await eventually(
      'everything is as before',
      async () => excess((now = await holdings())).length === 0,
      15_000,
      1_000,
    ).catch(() => undefined);
    for (const name of Object.keys(before) as (keyof Holdings)[])
      context.diagnostic(`${name}: ${before[name]} -> ${now[name]}`);
    assert.deepEqual(excess(now), [], `grew too much: ${JSON.stringify({ before, now })}`);
    assert.equal(now.pins, 0);
    assert.equal(now.watchers, OWN_WATCHES);
    assert.equal(now.longRunning, 0);
    assert.equal(namesOf(await ask(server.url, all)).length, OBJECTS);
  });
});

/** Runs `count` times, `lanes` at a time. */
async function inLanes(count: number, lanes: number, run: () => Promise<void>): Promise<void> {
  let started = 0;
  const lane = async () => {
    while (started < count) {
      started++;
      await run();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
