import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';
import { ask, listOf, openWatch, statusOf } from './client.js';
import { configMap, configMapKey } from './objects.js';
import { sendBytes } from './raw-socket.js';

// What clients get wrong. The differential suite compares thousands of such requests with Go's answers; these tables
// keep the ones of the specification readable, and send what no HTTP client would.

const all = '/api/v1/configmaps';
const token = (value: object | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** [query, status, message]: spec 2.1 - 2.7 and 3.1. */
const badQueries: [query: string, status: number, message: RegExp][] = [
  ['limit=abc', 400, /^strconv.ParseInt: parsing "abc": invalid syntax$/],
  ['limit=9223372036854775808', 400, /^strconv.ParseInt: parsing "9223372036854775808": value out of range$/],
  ['timeoutSeconds=x', 400, /^strconv.ParseInt: parsing "x": invalid syntax$/],
  ['timeout=abc', 400, /^invalid timeout specified in the request URL - time: invalid duration "abc"$/],
  ['resourceVersion=abc', 400, /^invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint/],
  ['resourceVersion=-1', 400, /^invalid resource version: resourceVersion: Invalid value: "-1": strconv.ParseUint/],
  ['resourceVersionMatch=Exact', 422, /resourceVersionMatch is forbidden unless resourceVersion is provided/],
  ['resourceVersionMatch=Bogus&resourceVersion=1', 422, /Unsupported value: "Bogus": supported values/],
  ['resourceVersionMatch=Exact&resourceVersion=0', 422, /"exact" is forbidden for resourceVersion "0"/],
  ['sendInitialEvents=true', 422, /sendInitialEvents is forbidden for list/],
  ['continue=!', 400, /^invalid continue token: continue key is not valid: illegal base64 data at input byte 0$/],
  [`continue=${token('hello')}`, 400, /^invalid continue token: continue key is not valid: invalid character 'h'/],
  [`continue=${token({ v: 'v0', rv: 1, start: 'a' })}`, 400, /server does not recognize this encoded version v0/],
  [`continue=${token({ v: 'meta.k8s.io/v1', rv: 0, start: 'a' })}`, 400, /incorrect encoded start resourceVersion/],
  [`continue=${token({ v: 'meta.k8s.io/v1', rv: 5, start: '' })}`, 400, /encoded start key empty/],
  [`continue=${token({ v: 'meta.k8s.io/v1', rv: 5, start: 'a/../../secrets/x' })}`, 400, /continue key is not valid/],
  [
    `continue=${token({ v: 'meta.k8s.io/v1', rv: 5, start: 'a' })}&resourceVersion=5`,
    400,
    /not allowed when using continue/,
  ],
  ['labelSelector=a%20b', 400, /^unable to parse requirement: found 'b', expected: in, notin/],
  ['labelSelector=a%3D%3D%3D', 400, /^unable to parse requirement: found '=', expected: identifier$/],
  ['labelSelector=a%3Db%2C', 400, /^found '', expected: identifier after ','$/],
  [`labelSelector=${'a'.repeat(64)}`, 400, /must be no more than 63/],
  ['fieldSelector=spec.color', 400, /^invalid selector: 'spec.color'; can't understand 'spec.color'$/],
  [
    'fieldSelector=spec.color%3Dred',
    400,
    /"spec.color" is not a known field selector: only "metadata.name", "metadata.namespace"/,
  ],
  ['fieldSelector=metadata.name%3Da%5Cx', 400, /^invalid field selector: invalid escape sequence: \\x$/],
  ['watch=1&resourceVersion=abc', 500, /^resourceVersion: Invalid value: "abc": strconv.ParseUint/],
  [
    'watch=1&resourceVersionMatch=Exact&resourceVersion=1',
    422,
    /resourceVersionMatch is forbidden for watch unless sendInitialEvents/,
  ],
  ['watch=1&sendInitialEvents=true', 422, /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/],
  ['includeObject=Foo', 200, /^$/],
];

const badAccepts: [accept: string, status: number][] = [
  ['text/html', 406],
  ['application/cbor', 406],
  ['application/json;as=Bogus;v=v1;g=meta.k8s.io', 406],
  ['application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io', 406],
  ['application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io', 406],
  [';;;;,,,,', 406],
  ['application/json;q=1;q=2;q=', 200],
  [`application/json${';a=b'.repeat(5_000)}`, 200],
  [`${'text/plain,'.repeat(5_000)}application/json`, 200],
];

const badPaths: [path: string, status: number][] = [
  ['/api/v1/gizmos', 404],
  ['/api/v9/pods', 404],
  ['/apis/nobody.example/v1/pods', 404],
  ['//api/v1/pods', 404],
  ['/api/v1/../v1/pods', 404],
  ['/api/v1/configmaps/x', 404],
  ['/api/v1/namespaces/ns/configmaps/a/b/c/d', 404],
  ['/api/v1/namespaces/ns/configmaps/a/nosuchsubresource', 404],
  ['/api/v1/namespaces/ns/configmaps/%2e%2e', 400],
  ['/api/v1/namespaces/ns/configmaps/a%2Fb', 404],
  ['/api/v1/namespaces/ns/configmaps/%zz', 400],
  [`/api/v1/namespaces/ns/configmaps/${'x'.repeat(100_000)}`, 404],
  [`/${'a/'.repeat(20_000)}`, 404],
  ['/api/v1/configmaps/', 200],
];

/** Bytes that no client would send: any answer below 500 or a closed connection is right, if the next request works. */
const badBytes: [title: string, bytes: string | Uint8Array][] = [
  ['no HTTP at all', 'hello\r\n\r\n'],
  ['NUL bytes', Buffer.alloc(1_000)],
  ['a TLS hello on the plain port', Buffer.from('16030100a5010000a10303', 'hex')],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/0.9', 'GET /api/v1/pods\r\n\r\n'],
  ['HTTP/9.9', 'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n'],
  ['no Host', 'GET /api/v1/pods HTTP/1.1\r\n\r\n'],
  ['two Hosts', 'GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n'],
  ['a path with a space', 'GET /api/v1/po ds HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['a path with a NUL', 'GET /api/v1/po\0ds HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['a path that is an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['an absolute target elsewhere', 'GET http://evil.example/api/v1/secrets HTTP/1.1\r\nHost: evil.example\r\n\r\n'],
  ['CONNECT', 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n'],
  ['a method in lower case', 'get /api/v1/pods HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['a header without a colon', 'GET / HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n'],
  ['folded headers', 'GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n'],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
  [
    'a length and chunks',
    'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a negative length', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n'],
  ['a chunk size that is no number', 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ['two megabytes of headers', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(2 * 2 ** 20)}\r\n\r\n`],
  ['fifty thousand headers', `GET / HTTP/1.1\r\nHost: localhost\r\n${'a: b\r\n'.repeat(50_000)}\r\n`],
  [
    'an upgrade to what does not exist',
    'GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h9c\r\n\r\n',
  ],
  [
    'a WebSocket without a key',
    'GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  ],
  ['a WebSocket from another origin', websocket('https://evil.example')],
  ['a body on a GET', `GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello`],
  [
    'an endless body',
    `POST /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n${'x'.repeat(4 * 2 ** 20)}`,
  ],
];

function websocket(origin: string): string {
  return `GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: ${origin}\r\n\r\n`;
}

describe('bad requests', () => {
  let etcd: Etcd;
  let kv: EtcdKv;
  let server: RunningServer;
  let now: string;

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
    for (const name of ['a', 'b', 'c', 'd']) await kv.put(configMapKey('ns', name), configMap('ns', name));
    await kv.compact(3);
    server = await startServer(['--etcd-servers', etcd.endpoint]);
    now = listOf(await ask(server.url, all)).metadata.resourceVersion;
    for (const name of ['e', 'f']) await kv.put(configMapKey('ns', name), configMap('ns', name));
  });
  after(async () => {
    const code = await server?.stop();
    await etcd?.stop();
    assert.equal(code, 0);
  });

  for (const [query, status, message] of badQueries) {
    test(`?${query.slice(0, 80)}: ${status}`, async () => {
      const answer = await ask(server.url, `${all}?${query}`);
      assert.equal(answer.status, status, answer.body.toString().slice(0, 500));
      if (status === 200) return;
      const body = statusOf(answer);
      assert.equal(body.code, status);
      assert.match(body.message, message);
    });
  }

  for (const [accept, status] of badAccepts) {
    test(`Accept: ${accept.slice(0, 60)}: ${status}`, async () => {
      const answer = await send(server.url, { path: all, headers: { accept } });
      assert.equal(answer.status, status, answer.body.toString().slice(0, 500));
      if (status === 406) assert.equal(statusOf(answer).reason, 'NotAcceptable');
    });
  }

  for (const [path, status] of badPaths) {
    test(`${path.slice(0, 60)}: ${status}`, async () => {
      const answer = await ask(server.url, path);
      assert.equal(answer.status, status, answer.body.toString().slice(0, 300));
    });
  }

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    test(`${method} with and without a body: 405, nothing is written`, async () => {
      const revision = await kv.revision();
      for (const body of [undefined, '{"kind":"ConfigMap"', 'x'.repeat(4 * 2 ** 20)]) {
        if (body !== undefined && ['HEAD', 'OPTIONS', 'TRACE', 'PROPFIND'].includes(method)) continue;
        const request = { method, path: `${all.replace('configmaps', 'namespaces/ns/configmaps')}/a` };
        const headers = { 'content-type': 'application/json' };
        const large = body !== undefined && body.length > 3 * 2 ** 20;
        const whole = { ...request, headers, ...(body === undefined ? {} : { body }) };
        const answer = await send(server.url, whole).catch((error: Error) => {
          if (!large) throw error; // what nobody will read may be cut off before the client has the answer
        });
        assert.ok(answer === undefined || answer.status === 405, `${answer?.status} ${answer?.body.toString()}`);
      }
      assert.equal(await kv.revision(), revision);
    });
  }

  for (const [title, bytes] of badBytes) {
    test(`${title}: refused or closed, and the next request works`, async () => {
      const { text } = await sendBytes(new URL(server.url), bytes, 3_000);
      assert.doesNotMatch(text, /^HTTP\/1\.1 5(?!05)/, text.slice(0, 300));
      assert.doesNotMatch(text, /"items":\[\{/, 'no objects for such a request');
      assert.equal((await ask(server.url, '/livez')).status, 200);
    });
  }

  test('a watch from before the history: one ERROR event with 410 and the oldest revision, from which it works', async () => {
    const watch = await (await ask(server.url, `${all}?watch=1&resourceVersion=1&timeoutSeconds=5`)).body.toString();
    const event = JSON.parse(watch) as { type: string; object: { code: number; reason: string; message: string } };
    assert.equal(event.type, 'ERROR');
    assert.equal(event.object.code, 410);
    assert.equal(event.object.reason, 'Expired');
    const oldest = /^too old resource version: 1 \((\d+)\)$/.exec(event.object.message)?.[1];
    assert.equal(oldest, now, 'the revision of the initial list');
    const works = (await ask(server.url, `${all}?watch=1&resourceVersion=${oldest}&timeoutSeconds=1`)).body.toString();
    assert.equal(works.trimEnd().split('\n').length, 2);
  });

  test('a watch from the future waits, and delivers what comes after', async () => {
    const current = await kv.revision();
    const watch = await openWatch(server.url, `${all}?watch=1&resourceVersion=${current + 2}&timeoutSeconds=30`);
    for (const name of ['g', 'h', 'i', 'j']) await kv.put(configMapKey('ns', name), configMap('ns', name));
    const deadline = performance.now() + 5_000;
    while (watch.events.length < 2 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(
      watch.events.map(({ object }) => object.metadata.name),
      ['i', 'j'],
    );
    watch.close();
  });

  test('reads at compacted and future revisions: 410 and 504', async () => {
    const old = await ask(server.url, `${all}?resourceVersion=1&resourceVersionMatch=Exact`);
    assert.equal(old.status, 410);
    assert.equal(statusOf(old).message, 'The resourceVersion for the provided list is too old.');
    const expired = token({ v: 'meta.k8s.io/v1', rv: 1, start: 'ns/a\0' });
    const page = await ask(server.url, `${all}?continue=${expired}&limit=1`);
    assert.equal(page.status, 410);
    const { metadata } = JSON.parse(page.body.toString()) as { metadata: { continue: string } };
    const rest = await ask(server.url, `${all}?continue=${metadata.continue}&limit=1`);
    assert.equal(rest.status, 200, 'the token in the answer goes on');
    const future = await ask(server.url, `${all}?resourceVersion=99999999`);
    assert.equal(future.status, 504);
    assert.equal(future.headers['retry-after'], '1');
    assert.match(statusOf(future).message, /^Timeout: Too large resource version: 99999999, current: \d+$/);
  });
});
