import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { createAgent, send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';
import { Bystander, told } from './bystander.js';
import { ask, metricSum } from './client.js';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  type Frames,
  head,
  header,
  HEADERS,
  openFrames,
  PING,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from './http2-frames.js';
import { configMap, configMapKey } from './objects.js';
import { sendBytes } from './raw-socket.js';

// Clients that send as much as they can of what costs the server more than them. It may end their connections; its memory
// stays bounded, and a client that wants nothing special (bystander.ts) hardly notices.

const OBJECTS = 200;
const OBJECT_BYTES = 50_000; // a LIST is 10 MB
const all = '/api/v1/configmaps';
const REQUEST_SECONDS = 5;

/** On a machine of few cores, where the attacker and etcd take theirs. */
const LATENCY_MAX_MS = 3_000;
const SLOW_GET_MAX_MS = 700;
/** Of fewer, a tenth is the slowest one. */
const ROUNDS_MIN = 20;
const GROWTH_BYTES_MAX = 200 * 2 ** 20;

const open = (stream: number, path: string, flags = END_STREAM) =>
  frame(HEADERS, END_HEADERS | flags, stream, head(path));

interface Flood {
  readonly title: string;
  /** Whether the server ends the connection, or says that it will and reads no more. */
  readonly ends: boolean | 'either';
  run(connection: Frames): Promise<void>;
}

const hasEnded = ({ closed, goAway }: Frames) => closed || goAway !== undefined;

/** Sends `one(n)` until there were `count`, or the connection ends. */
async function many(
  connection: Frames,
  count: number,
  batch: number,
  one: (index: number) => Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < count && !hasEnded(connection); sent += batch) {
    await connection.write(...Array.from({ length: batch }, (_, index) => one(sent + index)));
    await new Promise((resolve) => setImmediate(resolve)); // what the server says is read
  }
}

const floods: readonly Flood[] = [
  {
    title: 'rapid reset (CVE-2023-44487)',
    ends: true,
    run: (connection) =>
      many(connection, 100_000, 500, (index) => {
        const stream = index * 2 + 1;
        return Buffer.concat([open(stream, all), frame(RST_STREAM, 0, stream, uint32(8))]);
      }),
  },
  {
    title: 'rapid reset by streams that depend on themselves',
    ends: true,
    run: (connection) =>
      many(connection, 100_000, 500, (index) => {
        const stream = index * 2 + 1;
        // The server resets them itself: MadeYouReset, CVE-2025-8671.
        return Buffer.concat([open(stream, all), frame(WINDOW_UPDATE, 0, stream, uint32(0))]);
      }),
  },
  {
    title: 'CONTINUATION frames without end (CVE-2024-28182)',
    ends: true,
    async run(connection) {
      await connection.write(frame(HEADERS, END_STREAM, 1, head(all)));
      const filler = header('x', 'y'.repeat(4_000));
      await many(connection, 50_000, 100, () => frame(CONTINUATION, 0, 1, filler));
    },
  },
  {
    title: 'empty CONTINUATION frames without end (CVE-2019-9518)',
    ends: true,
    async run(connection) {
      await connection.write(frame(HEADERS, END_STREAM, 1, head(all)));
      await many(connection, 200_000, 2_000, () => frame(CONTINUATION, 0, 1));
    },
  },
  {
    title: 'one large header named again and again (an HPACK bomb)',
    ends: 'either',
    async run(connection) {
      const large = header('x-large', 'y'.repeat(4_000), true);
      const again = Buffer.alloc(200_000, 0x80 | 62); // 62 is the newest of the dynamic table
      await many(connection, 20, 1, (index) =>
        frame(HEADERS, END_HEADERS | END_STREAM, index * 2 + 1, Buffer.concat([head(all), large, again])),
      );
    },
  },
  {
    title: 'PINGs whose answers are not read (CVE-2019-9512)',
    ends: 'either',
    async run(connection) {
      connection.socket.pause();
      await Promise.race([
        many(connection, 2_000_000, 5_000, () => frame(PING, 0, 0, Buffer.alloc(8))),
        new Promise((resolve) => setTimeout(resolve, 5_000)),
      ]);
      connection.socket.resume();
    },
  },
  {
    title: 'PINGs',
    ends: 'either',
    run: (connection) => many(connection, 200_000, 2_000, () => frame(PING, 0, 0, Buffer.alloc(8))),
  },
  {
    title: 'SETTINGS whose acknowledgements are not read (CVE-2019-9515)',
    ends: 'either',
    async run(connection) {
      connection.socket.pause();
      const settings = Buffer.concat(
        Array.from({ length: 20 }, () => Buffer.concat([Buffer.of(0, 4), uint32(65_535)])),
      );
      await Promise.race([
        many(connection, 1_000_000, 2_000, () => frame(SETTINGS, 0, 0, settings)),
        new Promise((resolve) => setTimeout(resolve, 5_000)),
      ]);
      connection.socket.resume();
    },
  },
  {
    title: 'DATA frames with nothing in them (CVE-2019-9518)',
    ends: true,
    async run(connection) {
      const post = head('/apis/authentication.k8s.io/v1/selfsubjectreviews', 'POST');
      await connection.write(frame(HEADERS, END_HEADERS, 1, post));
      await many(connection, 500_000, 5_000, () => frame(DATA, 0, 1));
    },
  },
  {
    title: 'priorities that change without end (CVE-2019-9513)',
    ends: 'either',
    run: (connection) =>
      many(connection, 300_000, 3_000, (index) =>
        frame(
          PRIORITY,
          0,
          (index % 5_000) * 2 + 1,
          Buffer.concat([uint32(((index + 1) % 5_000) * 2 + 1), Buffer.of(index % 256)]),
        ),
      ),
  },
  {
    title: 'acknowledgements of settings that nobody sent, and frames of no known type',
    ends: 'either',
    run: (connection) =>
      many(connection, 100_000, 2_000, (index) =>
        index % 2 === 0 ? frame(SETTINGS, ACK, 0) : frame(0xbe, 0, 0, uint32(1)),
      ),
  },
  {
    title: 'windows that are opened by one byte at a time (CVE-2019-9511)',
    ends: 'either',
    async run(connection) {
      await many(connection, 50, 50, (index) => open(index * 2 + 1, all));
      await many(connection, 100_000, 1_000, (index) => frame(WINDOW_UPDATE, 0, (index % 50) * 2 + 1, uint32(1)));
    },
  },
];

describe('floods', () => {
  let etcd: Etcd;
  let kv: EtcdKv;
  let server: RunningServer;

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
    for (let from = 0; from < OBJECTS; from += 20) {
      await kv.putAll(
        Array.from({ length: 20 }, (_, index) => {
          const name = `c${from + index}`;
          const metadata = {
            name,
            namespace: 'flood',
            uid: `u-${name}`,
            labels: { app: 'a', index: String(from + index) },
          };
          const value = { kind: 'ConfigMap', apiVersion: 'v1', metadata, data: { text: 'x'.repeat(OBJECT_BYTES) } };
          return [configMapKey('flood', name), `${JSON.stringify(value)}\n`] as const;
        }),
      );
    }
    await kv.put(configMapKey('small', 's'), configMap('small', 's'));
    server = await startServer(['--etcd-servers', etcd.endpoint, '--request-timeout', `${REQUEST_SECONDS}s`]);
    assert.equal((await ask(server.url, all)).status, 200);
  });
  after(async () => {
    const code = await server?.stop();
    await etcd?.stop();
    assert.equal(code, 0, server?.stderr().slice(-2_000));
  });

  async function nothingLeft(): Promise<void> {
    const open = (name: string) => metricSum(server.url, name).catch(() => 0);
    await eventually(
      'nothing is open or pinned any more',
      async () =>
        (await open('apiserver_longrunning_requests')) === 0 &&
        (await open('apiserver_current_inflight_requests')) <= 1 &&
        (await open('listwatch_pins')) === 0,
      30_000,
      100,
    );
  }

  /** What happens while the bystander goes on. */
  async function beside(title: string, run: () => Promise<void>, diagnostic: (text: string) => void): Promise<void> {
    const bystander = await Bystander.begin(server.url, kv);
    try {
      await run();
    } finally {
      const seen = await bystander.end();
      diagnostic(told(seen));
      assert.equal(server.child.exitCode, null, `${title}: the process ended: ${server.stderr().slice(-2_000)}`);
      assert.ok(seen.getMs < LATENCY_MAX_MS && seen.eventMs < LATENCY_MAX_MS, `${title}: ${told(seen)}`);
      if (seen.rounds >= ROUNDS_MIN) assert.ok(seen.slowGetMs < SLOW_GET_MAX_MS, `${title}: ${told(seen)}`);
      assert.ok(seen.bytesMost - seen.bytesBefore < GROWTH_BYTES_MAX, `${title}: ${told(seen)}`);
    }
    await nothingLeft();
  }

  for (const { title, ends, run } of floods) {
    test(title, { timeout: 90_000 }, (context) =>
      beside(
        title,
        async () => {
          const connections = await Promise.all([openFrames(server.secureUrl), openFrames(server.secureUrl)]);
          const startMs = performance.now();
          await Promise.all(connections.map(run));
          if (ends !== 'either') await eventually('both are ended', () => connections.every(hasEnded));
          const [first] = connections;
          context.diagnostic(
            `${Math.round(performance.now() - startMs)} ms; closed: ${first!.closed}, GOAWAY: ${first!.goAway}, ` +
              `resets: ${first!.resets.size}, frames: ${JSON.stringify([...first!.received])}`,
          );
          for (const { socket } of connections) socket.destroy();
        },
        (text) => context.diagnostic(text),
      ),
    );
  }

  test(
    'windows of nothing: LISTs and documents that are not read are cut at their deadline',
    { timeout: 90_000 },
    (context) =>
      beside(
        'windows of nothing',
        async () => {
          const connection = await openFrames(server.secureUrl, 0);
          await many(connection, 300, 100, (index) =>
            open(index * 2 + 1, index % 3 === 0 ? all : index % 3 === 1 ? '/metrics' : '/api/v1'),
          );
          const inFlight = () => metricSum(server.url, 'apiserver_current_inflight_requests').catch(() => 300);
          await eventually('they are being answered', async () => (await inFlight()) >= 300, 5_000);
          // What asks, and the bystander, are in flight, too.
          await eventually(
            'all are given up',
            async () => (await inFlight()) <= 3,
            (REQUEST_SECONDS + 20) * 1_000,
            200,
          );
          assert.ok(connection.resets.size >= 200 && !connection.closed, `${connection.resets.size} streams are reset`);
          connection.socket.destroy();
        },
        (text) => context.diagnostic(text),
      ),
  );

  test(
    'windows of nothing: watches that are not read hold no more than their buffers',
    { timeout: 90_000 },
    (context) =>
      beside(
        'watches',
        async () => {
          const connection = await openFrames(server.secureUrl, 0);
          await many(connection, 500, 100, (index) => open(index * 2 + 1, `${all}?watch=1&resourceVersion=0`));
          await eventually(
            'they are open',
            async () => (await metricSum(server.url, 'apiserver_longrunning_requests')) >= 500,
          );
          for (let round = 0; round < 40; round++) {
            const name = `c${round}`;
            await kv.put(configMapKey('flood', name), configMap('flood', name, { text: `${round} `.repeat(10_000) }));
          }
          connection.socket.destroy();
        },
        (text) => context.diagnostic(text),
      ),
  );

  // A megabyte of head, again and again; each is one turn of the loop.
  const absent = Array.from({ length: 9_900 }, (_, index) => `!x${index}${'y'.repeat(50)}`).join(',');
  const tooMany = Array.from({ length: 60_000 }, (_, index) => `!x${index}`).join(',');
  const set = `index in (${Array.from({ length: 9_900 }, (_, index) => `v${index}`).join(',')})`;
  const heads: readonly [title: string, target: string, header?: string][] = [
    ['slashes in the path', `/${'/'.repeat(1_000_000)}x`],
    ['segments in the path', `/api/v1/${'a/'.repeat(400_000)}x`],
    ['escapes in the path', `/api/v1/${'%41'.repeat(300_000)}`],
    ['terms of a label selector', `${all}?limit=500&labelSelector=${encodeURIComponent(absent)}`],
    ['terms of a label selector, too many', `${all}?limit=500&labelSelector=${encodeURIComponent(tooMany)}`],
    ['a set of a label selector', `${all}?limit=500&labelSelector=${encodeURIComponent(set)}`],
    ['terms of a field selector', `${all}?fieldSelector=${'metadata.name!=a,'.repeat(50_000)}metadata.name!=b`],
    ['parameters', `/readyz?${'exclude=a&'.repeat(100_000)}`],
    ['digits', `${all}?limit=${'9'.repeat(1_000_000)}`],
    ['digits of a duration', `${all}?timeout=${'9'.repeat(1_000_000)}s`],
    ['a continue token', `${all}?limit=1&continue=${'e'.repeat(900_000)}`],
    ['clauses of Accept', all, `Accept: ${'text/plain;q=0.5,'.repeat(55_000)}text/html`],
    ['codings', '/readyz', `Accept-Encoding: ${'gzip;q=0.3,'.repeat(90_000)}x`],
    ['a bearer token', '/readyz', `Authorization: Bearer ${'a '.repeat(490_000)}`],
    ['a media type', '/readyz', `Content-Type: a/b;${' a="b";'.repeat(140_000)}`],
  ];
  for (const [title, target, more] of heads) {
    test(`a megabyte of ${title}`, { timeout: 90_000 }, (context) =>
      beside(
        title,
        async () => {
          const request = `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${more === undefined ? '' : `${more}\r\n`}Connection: close\r\n\r\n`;
          const startMs = performance.now();
          for (let round = 0; round < 5; round++) {
            const { text } = await sendBytes(new URL(server.url), request, 20_000, 20_000);
            assert.match(text, /^HTTP\/1\.1 (200|400|403|404|406|422|431|504) /, text.slice(0, 200));
          }
          context.diagnostic(`${Math.round((performance.now() - startMs) / 5)} ms each`);
        },
        (text) => context.diagnostic(text),
      ),
    );
  }

  test('bodies that are compressed are not opened; reviews of three megabytes go on', { timeout: 90_000 }, (context) =>
    beside(
      'bodies',
      async () => {
        const agent = createAgent(8);
        const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
        const bomb = Buffer.from('H4sIAAAAAAAAA+3BMQEAAADCoPVP7WsIoAAAAAAAAAAAAAAAAAAAAHgDQbMp+wAAAQA=', 'base64');
        const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
        const zipped = await send(server.url, { path, method: 'POST', headers, body: bomb }, agent);
        assert.equal(zipped.status, 400, 'it is read as the JSON that it is not');
        const spec = { nonResourceAttributes: { verb: 'get', path: '/' }, filler: '' };
        const large = JSON.stringify({ spec: { ...spec, filler: 'x'.repeat(3_000_000) } });
        for (let round = 0; round < 10; round++) {
          const answers = await Promise.all(
            Array.from({ length: 8 }, () =>
              send(
                server.url,
                { path, method: 'POST', headers: { 'content-type': 'application/json' }, body: large },
                agent,
              ),
            ),
          );
          for (const { status } of answers) assert.equal(status, 201);
        }
        agent.destroy();
      },
      (text) => context.diagnostic(text),
    ),
  );

  test('extensions of chunks without end', { timeout: 60_000 }, (context) =>
    beside(
      'extensions',
      async () => {
        const start = 'POST /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;';
        const { closed } = await sendBytes(new URL(server.url), `${start}${'a=b;'.repeat(2_000_000)}`, 20_000, 20_000);
        assert.ok(closed, 'the connection is ended');
      },
      (text) => context.diagnostic(text),
    ),
  );
});
