import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { messageToJson } from '../../src/codec/kind-codec.js';
import { eventually, openRaw } from './client.js';
import { pod, type Serving, startServing } from './serving.js';

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const PARTIAL = ';as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const INITIAL = 'watch=1&resourceVersion=0&allowWatchBookmarks=true&timeoutSeconds=1';

let serving: Serving;
let port: number;
before(async () => {
  serving = startServing();
  await serving.put('pods', pod('p0', 'a'));
  ({ port } = await serving.server.listenInsecure('127.0.0.1', 0));
  await fetch(`${base()}/api/v1/pods`); // fills the cache
});
after(() => serving.close());

const base = () => `http://127.0.0.1:${port}`;
const P0 =
  '"metadata":{"name":"p0","namespace":"a","uid":"uid-p0","resourceVersion":"2","creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"a"}}';
const REST = '"spec":{"containers":[{"name":"c","image":"i","resources":{}}]},"status":{"phase":"Running"}';

async function watch(query: string, accept = 'application/json', path = '/api/v1/pods') {
  const response = await fetch(`${base()}${path}?${query}`, { headers: { accept } });
  return { code: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

test('JSON: one event a line, bookmarks, a clean end', async () => {
  const { code, headers, body } = await watch(INITIAL);
  assert.equal(code, 200);
  assert.equal(headers.get('content-type'), 'application/json');
  assert.equal(headers.get('transfer-encoding'), 'chunked');
  const [first, second, ...rest] = body.toString().split('\n');
  assert.equal(first, `{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1",${P0},${REST}}}`);
  assert.match(
    second!,
    /^\{"type":"BOOKMARK","object":\{"kind":"Pod","apiVersion":"v1","metadata":\{"resourceVersion":"\d+","annotations":\{"k8s.io\/initial-events-end":"true"\}\},"spec":\{"containers":null\},"status":\{\}\}\}$/,
  );
  assert.equal(rest.at(-1), '');
});

test('protobuf: frames of complete envelopes', async () => {
  const { headers, body } = await watch(INITIAL, `${PROTOBUF};stream=watch`);
  assert.equal(headers.get('content-type'), `${PROTOBUF};stream=watch`);
  const events = frames(body).map(watchEvent);
  assert.deepEqual(
    events.slice(0, 2).map(({ type, kind }) => `${type} ${kind}`),
    ['ADDED v1 Pod', 'BOOKMARK v1 Pod'],
  );
  assert.equal(messageToJson('k8s.io.api.core.v1.Pod', events[0]!.raw), `{${P0},${REST}}`);
});

test('metadata only, in JSON and protobuf', async () => {
  const json = (await watch(INITIAL, `application/json${PARTIAL}`)).body.toString().split('\n');
  assert.equal(
    json[0],
    `{"type":"ADDED","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",${P0}}}`,
  );
  assert.match(
    json[1]!,
    /^\{"type":"BOOKMARK","object":\{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io\/v1","metadata":/,
  );
  const events = frames((await watch(INITIAL, `${PROTOBUF}${PARTIAL}`)).body).map(watchEvent);
  assert.equal(events[0]!.kind, 'meta.k8s.io/v1 PartialObjectMetadata');
  const message = 'k8s.io.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata';
  assert.equal(messageToJson(message, events[0]!.raw), `{${P0}}`);
});

test('Tables: only the first event names the columns', async () => {
  const lines = (await watch(INITIAL, TABLE)).body.toString().trim().split('\n');
  const [added, bookmark] = lines.map((line) => JSON.parse(line) as TableEvent);
  assert.equal(added!.object.metadata.resourceVersion, '2');
  assert.equal(added!.object.columnDefinitions![0]!.name, 'Name');
  assert.equal(added!.object.rows[0]!.cells[0], 'p0');
  assert.equal(bookmark!.type, 'BOOKMARK');
  assert.equal(bookmark!.object.columnDefinitions, null);
  assert.equal(bookmark!.object.rows[0]!.object!.metadata.annotations['k8s.io/initial-events-end'], 'true');
});

test('a bookmark Table keeps its object when rows carry none', async () => {
  const lines = (await watch(`${INITIAL}&includeObject=None`, TABLE)).body.toString().trim().split('\n');
  const [added, bookmark] = lines.map((line) => JSON.parse(line) as TableEvent);
  assert.equal(added!.object.rows[0]!.object, null);
  assert.equal(bookmark!.object.rows[0]!.object!.metadata.annotations['k8s.io/initial-events-end'], 'true');
});

interface TableEvent {
  readonly type: string;
  readonly object: {
    readonly metadata: { readonly resourceVersion: string };
    readonly columnDefinitions: readonly { readonly name: string }[] | null;
    readonly rows: readonly {
      readonly cells: readonly unknown[];
      readonly object: { readonly metadata: { readonly annotations: Record<string, string> } } | null;
    }[];
  };
}

test('the head is sent before the first event', async () => {
  const connection = await openRaw(
    port,
    `GET /api/v1/pods?watch=1&resourceVersion=999999 HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  );
  await connection.until(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/);
  connection.socket.destroy();
});

test('live events, as they happen; DELETED carries the last content under the revision of the deletion', async () => {
  const rv = await listRevision();
  const connection = await openRaw(
    port,
    `GET /api/v1/namespaces/live/pods?watch=1&resourceVersion=${rv} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  );
  await serving.put('pods', pod('x', 'live'));
  await serving.put('pods', pod('x', 'live', { status: { phase: 'Succeeded' } }));
  const removed = await serving.remove('pods', 'live', 'x');
  const text = await connection.until(/"type":"DELETED".*\n/);
  const types = [...text.matchAll(/"type":"([A-Z]+)"/g)].map(([, type]) => type);
  assert.deepEqual(types, ['ADDED', 'MODIFIED', 'DELETED']);
  assert.match(text, new RegExp(`"type":"DELETED".*"resourceVersion":"${removed}".*"phase":"Succeeded"`));
  connection.socket.destroy();
});

test('too old: HTTP 200 and one ERROR event, in both encodings', async () => {
  const fresh = startServing({ limits: { historyMs: 0, historyBytesMin: 1 } });
  const { port: freshPort } = await fresh.server.listenInsecure('127.0.0.1', 0);
  const url = `http://127.0.0.1:${freshPort}/api/v1/pods`;
  await fresh.put('pods', pod('a'));
  await fresh.put('pods', pod('b'));
  await fetch(url);
  const json = await fetch(`${url}?watch=1&resourceVersion=1&timeoutSeconds=1`);
  assert.equal(json.status, 200);
  const text = await json.text();
  assert.match(
    text,
    /^\{"type":"ERROR","object":\{"kind":"Status","apiVersion":"v1","metadata":\{\},"status":"Failure","message":"too old resource version: 1 \(\d+\)","reason":"Expired","code":410\}\}\n$/,
  );
  const protobuf = await fetch(`${url}?watch=1&resourceVersion=1&timeoutSeconds=1`, { headers: { accept: PROTOBUF } });
  const [event, ...more] = frames(Buffer.from(await protobuf.arrayBuffer())).map(watchEvent);
  assert.equal(more.length, 0);
  assert.equal(`${event!.type} ${event!.kind}`, 'ERROR v1 Status');
  assert.match(
    messageToJson('k8s.io.apimachinery.pkg.apis.meta.v1.Status', event!.raw),
    /"reason":"Expired".*"code":410/,
  );
  await fresh.close();
});

test('before the stream: real HTTP errors', async () => {
  const rows: readonly [query: string, accept: string, code: number, message: RegExp][] = [
    ['watch=1&resourceVersion=abc', 'application/json', 500, /strconv.ParseUint: parsing .*invalid syntax","code":500/],
    [
      'watch=1&timeoutSeconds=abc',
      'application/json',
      400,
      /strconv.ParseInt: parsing .*invalid syntax","reason":"BadRequest"/,
    ],
    ['watch=1&resourceVersionMatch=Exact&sendInitialEvents=true', 'application/json', 422, /sendInitialEvents/],
    [
      'watch=1',
      'application/yaml',
      406,
      /application\/json;stream=watch, application\/vnd.kubernetes.protobuf;stream=watch/,
    ],
  ];
  for (const [query, accept, code, message] of rows) {
    const answer = await watch(query, accept);
    assert.equal(answer.code, code, query);
    assert.equal(answer.headers.get('content-type'), accept);
    assert.match(answer.body.toString(), message);
  }
});

test('the deprecated path, also of one object', async () => {
  const all = await watch('timeoutSeconds=1', 'application/json', '/api/v1/watch/pods');
  assert.match(all.body.toString(), /^\{"type":"ADDED".*"name":"p0"/);
  const one = await watch('timeoutSeconds=1', 'application/json', '/api/v1/watch/namespaces/a/pods/p0');
  assert.match(one.body.toString(), /^\{"type":"ADDED".*"name":"p0".*\n$/);
  const conflict = await watch(
    'fieldSelector=metadata.name%3Dother',
    'application/json',
    '/api/v1/watch/namespaces/a/pods/p0',
  );
  assert.equal(conflict.code, 400);
  assert.match(conflict.body.toString(), /fieldSelector metadata.name doesn't match requested name/);
});

test('WebSocket: one message an event, close 1000 at the end', async () => {
  for (const accept of ['application/json', PROTOBUF]) {
    const binary = accept === PROTOBUF;
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/pods?${INITIAL}`, ['v1.example'], {
      origin: 'http://localhost:3000',
      headers: { accept },
    });
    const messages: { data: Buffer; isBinary: boolean }[] = [];
    socket.on('message', (data: Buffer, isBinary) => messages.push({ data, isBinary }));
    socket.on('open', () => socket.send('ignored'));
    const code = await new Promise<number>((resolve, reject) => {
      socket.on('close', resolve);
      socket.on('error', reject);
    });
    assert.equal(code, 1000);
    assert.equal(socket.protocol, 'v1.example');
    assert.ok(messages.length >= 2);
    assert.ok(messages.every(({ isBinary }) => isBinary === binary));
    if (binary) assert.equal(watchEvent(messages[0]!.data).type, 'ADDED');
    else
      assert.equal(
        messages[0]!.data.toString(),
        `{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1",${P0},${REST}}}\n`,
      );
  }
});

test('WebSocket handshakes that are refused', async () => {
  const upgrade = (more: string, path = '/api/v1/pods?watch=1&resourceVersion=0&timeoutSeconds=1') =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;
  const rows: readonly [request: string, want: RegExp][] = [
    [upgrade(''), /^HTTP\/1\.1 403 Forbidden\r\nContent-Length: 0\r\n/],
    [upgrade('Origin: http://localhost\r\nSec-WebSocket-Protocol: a, b\r\n'), /^HTTP\/1\.1 400 Bad Request\r\n/],
    [upgrade('Origin: http://evil.example\r\n'), /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*only from a loopback Origin/],
    [upgrade('Origin: null\r\n'), /^HTTP\/1\.1 403 Forbidden\r\n/],
    // What is no watch, or is refused before it starts, is answered as if no upgrade had been asked for.
    [upgrade('Origin: http://localhost\r\n', '/api/v1/pods'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*"kind":"PodList"/],
    [upgrade('Origin: http://localhost\r\n', '/api/v1/pods?watch=1&resourceVersion=abc'), /^HTTP\/1\.1 500 /],
    [
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/,
    ],
  ];
  for (const [text, want] of rows) {
    const connection = await openRaw(port, text);
    await eventually('the end of the connection', () => connection.ended);
    assert.match(connection.text(), want);
  }
});

test('watches are counted: open ones, and events sent', async () => {
  const connection = await openRaw(
    port,
    `GET /api/v1/pods?${INITIAL.replace('=1', '=true')} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  );
  await connection.until(/initial-events-end/);
  const metrics = await (await fetch(`${base()}/metrics`)).text();
  assert.match(
    metrics,
    /^apiserver_longrunning_requests\{verb="WATCH",group="",version="v1",resource="pods",subresource="",scope="cluster",component="apiserver"\} 1$/m,
  );
  assert.ok(
    Number(/^apiserver_watch_events_total\{group="",version="v1",resource="pods"\} (\d+)$/m.exec(metrics)![1]) >= 4,
  );
  connection.socket.destroy();
  await eventually('no watch is open', async () =>
    /^apiserver_longrunning_requests\{verb="WATCH",group="",version="v1",resource="pods".*\} 0$/m.test(
      await (await fetch(`${base()}/metrics`)).text(),
    ),
  );
});

async function listRevision(): Promise<string> {
  const list = (await (await fetch(`${base()}/api/v1/pods`)).json()) as { metadata: { resourceVersion: string } };
  return list.metadata.resourceVersion;
}

function frames(body: Buffer): Buffer[] {
  const result: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = body.readUInt32BE(at);
    result.push(body.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return result;
}

/** WatchEvent { 1 type, 2 object { 1 raw } }, raw being an envelope. */
function watchEvent(frame: Buffer): { type: string; kind: string; raw: Buffer } {
  const event = fields(frame);
  const envelope = fields(event.get(2)!).get(1)!;
  assert.equal(envelope.toString('latin1', 0, 4), 'k8s\0');
  const unknown = fields(envelope.subarray(4));
  const typeMeta = fields(unknown.get(1)!);
  return {
    type: event.get(1)!.toString(),
    kind: `${typeMeta.get(1)!.toString()} ${typeMeta.get(2)!.toString()}`,
    raw: unknown.get(2)!,
  };
}

function fields(bytes: Buffer): Map<number, Buffer> {
  const result = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const number = bytes[at++]! >> 3;
    let length = 0;
    for (let scale = 1, more = true; more; scale *= 128) {
      const byte = bytes[at++]!;
      length += (byte & 127) * scale;
      more = byte > 127;
    }
    result.set(number, bytes.subarray(at, at + length));
    at += length;
  }
  return result;
}
