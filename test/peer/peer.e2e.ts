import assert from 'node:assert/strict';
import { get as httpGet, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { eventually, freePort, type RunningCommand, run, start } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { type RunningServer, startServer } from '../support/server.js';

// The Go read path (test/peer) and listwatch on one etcd: the same request must give the same bytes.

const PODS = Number(process.env['PEER_PODS'] ?? 10_000);
let etcd: Etcd;
let peer: RunningCommand;
let peerUrl: string;
let ours: RunningServer;
let bin: string;

before(async () => {
  bin = await buildGoPrograms('peer');
  etcd = await startEtcd();
  const seeded = await run(join(bin, 'load'), ['-endpoints', etcd.endpoint, '-pods', String(PODS)], {
    timeoutMs: 300_000,
  });
  assert.equal(seeded.code, 0, seeded.stderr);
  const [plain, tls] = [await freePort(), await freePort()];
  peerUrl = `http://127.0.0.1:${plain}`;
  peer = start(join(bin, 'peer'), ['-etcd', etcd.endpoint, '-http', `127.0.0.1:${plain}`, '-tls-port', String(tls)]);
  await eventually('the peer is ready', async () => (await fetch(`${peerUrl}/readyz`)).ok, 120_000, 200);
  // Filled before it is ready, as the peer: on a busy machine a LIST that starts a cache may be told to come again.
  ours = await startServer(['--etcd-servers', etcd.endpoint, '--watch-cache-initialization=eager']);
});
after(async () => {
  await ours?.stop();
  await peer?.stop();
  await etcd?.stop();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function fetchRaw(base: string, path: string, accept: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpGet(`${base}${path}`, { headers: { accept } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    request.on('error', reject);
  });
}

const JSON_TYPE = 'application/json';
const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';

async function askBoth(path: string, accept: string): Promise<[want: Answer, got: Answer]> {
  return [await fetchRaw(peerUrl, path, accept), await fetchRaw(ours.url, path, accept)];
}

async function sameAnswer(path: string, accept = JSON_TYPE): Promise<Answer> {
  const [want, got] = await askBoth(path, accept);
  assertSame(want, got, path, accept);
  return got;
}

function assertSame(want: Answer, got: Answer, path: string, accept: string): void {
  assert.equal(got.status, want.status, `${path}: ${got.body.toString().slice(0, 300)}`);
  assert.equal(got.headers['content-type'], want.headers['content-type'], path);
  if (got.body.equals(want.body)) return;
  let at = 0;
  while (got.body[at] === want.body[at]) at++;
  const around = (body: Buffer) => body.subarray(Math.max(0, at - 80), at + 120).toString();
  assert.fail(`${path} (${accept}) differs at byte ${at}:\n want …${around(want.body)}\n got  …${around(got.body)}`);
}

/**
 * A watch of what has happened already. How much of it comes before the deadline is a matter of speed: when one sent
 * the beginning of what the other sent, both are asked again with more time.
 */
async function sameWatch(query: string, accept = JSON_TYPE): Promise<Buffer> {
  for (const seconds of [2, 6, 15]) {
    const path = `${query}&timeoutSeconds=${seconds}`;
    const [want, got] = await askBoth(path, accept);
    const [short, long] = want.body.length < got.body.length ? [want.body, got.body] : [got.body, want.body];
    const cutOff = short.length < long.length && long.subarray(0, short.length).equals(short);
    if (cutOff && seconds < 15) continue;
    assertSame(want, got, path, accept);
    return got.body;
  }
  assert.fail('the last round ends the loop');
}

const COLLECTIONS = [
  '/api/v1/pods',
  '/api/v1/nodes',
  '/api/v1/configmaps',
  '/api/v1/secrets',
  '/api/v1/services',
  '/api/v1/namespaces',
  '/api/v1/events',
  '/apis/coordination.k8s.io/v1/leases',
  '/apis/apps/v1/deployments',
];

/** Consistent LISTs may answer at different revisions when progress differs; exact ones may not. */
async function revisionNow(): Promise<string> {
  const { body } = await fetchRaw(peerUrl, '/api/v1/namespaces', JSON_TYPE);
  return JSON.parse(body.toString()).metadata.resourceVersion;
}

for (const path of COLLECTIONS) {
  test(`LIST ${path}: JSON and protobuf, byte for byte`, async () => {
    const exact = `resourceVersion=${await revisionNow()}&resourceVersionMatch=Exact`;
    const { body } = await sameAnswer(`${path}?${exact}`);
    assert.equal(body.length > 200, path !== '/api/v1/events', 'the loader writes every kind but events');
    await sameAnswer(`${path}?${exact}`, PROTOBUF_TYPE);
    await sameAnswer(`${path}?${exact}`, 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io');
    await sameAnswer(
      `${path}?${exact}`,
      'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    );
  });
}

test('pages carry the same tokens and items', async () => {
  let path = '/api/v1/pods?limit=1000';
  let pages = 0;
  for (;;) {
    const { body } = await sameAnswer(path);
    pages++;
    const token = JSON.parse(body.toString()).metadata.continue as string | undefined;
    if (token === undefined || token === '') break;
    path = `/api/v1/pods?limit=1000&continue=${encodeURIComponent(token)}`;
  }
  assert.equal(pages, Math.ceil(PODS / 1000));
});

const REQUESTS = [
  '/api/v1/pods?labelSelector=app%3Dapp-07&resourceVersion=0',
  '/api/v1/pods?labelSelector=tier%20in%20(frontend,batch),version!%3Dv1.3&resourceVersion=0',
  '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-00003.example.internal&resourceVersion=0',
  '/api/v1/pods?fieldSelector=status.phase!%3DRunning&resourceVersion=0',
  '/api/v1/namespaces/team-05/pods?resourceVersion=0',
  '/api/v1/namespaces/team-05/pods?limit=3&fieldSelector=status.phase%3DRunning',
  '/api/v1/namespaces/nowhere/pods',
  '/api/v1/nodes/node-00001.example.internal',
  '/api/v1/nodes/node-00001.example.internal?resourceVersion=0',
  '/api/v1/nodes/nope',
  '/api/v1/namespaces/team-05/pods/nope',
  '/apis/apps/v1/namespaces/team-05/deployments/nope',
  '/api/v1/nodes?fieldSelector=metadata.name%3Dnode-00001.example.internal',
  '/api/v1/pods?fieldSelector=spec.color%3Dred',
  '/api/v1/pods?labelSelector=a%20b',
  '/api/v1/pods?limit=abc',
  '/api/v1/pods?resourceVersion=abc',
  '/api/v1/nodes/x?resourceVersion=abc',
  '/api/v1/pods?resourceVersionMatch=Exact',
  '/api/v1/pods?resourceVersion=0&resourceVersionMatch=Exact',
  '/api/v1/pods?resourceVersion=5&resourceVersionMatch=Bogus',
  '/api/v1/pods?sendInitialEvents=true',
  '/api/v1/pods?continue=xxxx',
  '/api/v1/pods?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=5',
  '/api/v1/pods?watch=1&sendInitialEvents=true',
  '/api/v1/pods?watch=1&resourceVersion=abc',
  '/api/v1/pods/',
  '/api/v1/nonsense',
  '/api/v1/nodes/x/nonsense',
];
for (const path of REQUESTS) {
  test(`GET ${path}`, async () => {
    await sameAnswer(path);
  });
}

test('unacceptable media types', async () => {
  await sameAnswer('/api/v1/nodes', 'image/png');
  for (const path of ['/api/v1/nodes?watch=1', '/api/v1/nodes/nope']) {
    // The same document; where Go's library folds and quotes text is not what a client reads.
    const [want, got] = [peerUrl, ours.url].map((base) => fetchRaw(base, path, 'application/yaml'));
    assert.equal((await got)?.status, (await want)?.status);
    assert.deepEqual(parse(String((await got)?.body)), parse(String((await want)?.body)));
  }
  await sameAnswer('/api/v1/nodes/nope', PROTOBUF_TYPE);
});

test('a resourceVersion from the future', async () => {
  await sameAnswer('/api/v1/nodes?resourceVersion=99999999').catch((error: Error) => {
    // Both wait three seconds; only the revision that was reached meanwhile may differ.
    if (!/Too large resource version/.test(error.message)) throw error;
  });
});

test('WATCH from one revision gives the same events, with and without selectors', async () => {
  const from = await revisionNow();
  const churn = await run(join(bin, 'load'), [
    '-endpoints',
    etcd.endpoint,
    '-mode',
    'churn',
    '-pods',
    String(PODS),
    '-kinds',
    'pods,leases',
    '-rate',
    '200',
    '-duration',
    '3s',
  ]);
  assert.equal(churn.code, 0, churn.stderr);
  const written = await run(
    join(bin, 'load'),
    ['-endpoints', etcd.endpoint, '-mode', 'history', '-pods', String(PODS), '-ops', '300'],
    { timeoutMs: 120_000 },
  );
  assert.equal(written.code, 0, written.stderr);
  for (const query of ['', '&labelSelector=tier%3Dfrontend', '&fieldSelector=status.phase%3DRunning']) {
    const path = `/api/v1/pods?watch=1&resourceVersion=${from}${query}`;
    const body = await sameWatch(path);
    assert.ok(body.toString().split('\n').length > 20, `${path}: ${body.length} bytes`);
    await sameWatch(path, `${PROTOBUF_TYPE};stream=watch`);
  }
  await sameWatch(`/apis/coordination.k8s.io/v1/leases?watch=1&resourceVersion=${from}`);
});

test('WATCH with initial events lists the same objects first', async () => {
  const query = 'watch=1&resourceVersion=0&timeoutSeconds=2&allowWatchBookmarks=true';
  const [want, got] = [
    await fetchRaw(peerUrl, `/api/v1/nodes?${query}`, JSON_TYPE),
    await fetchRaw(ours.url, `/api/v1/nodes?${query}`, JSON_TYPE),
  ];
  const added = ({ body }: Answer) =>
    body
      .toString()
      .split('\n')
      .filter((line) => line.startsWith('{"type":"ADDED"'));
  assert.deepEqual(added(got), added(want));
  assert.match(got.body.toString(), /"k8s.io\/initial-events-end":"true"/);
});

test('the loopback listener refuses other hosts', async () => {
  const { hostname, port } = new URL(ours.url);
  const status = await new Promise<number>((resolve, reject) => {
    httpGet({ hostname, port, path: '/api/v1/secrets', headers: { host: 'attacker.example' } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', reject);
  });
  assert.equal(status, 403);
});
