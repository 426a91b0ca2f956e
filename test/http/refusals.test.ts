import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isLoopbackHost, isLoopbackOrigin } from '../../src/http/gate.js';
import { eventually, openRaw } from './client.js';
import { pod, type Serving, startServing } from './serving.js';

let serving: Serving;
let port: number;
before(async () => {
  serving = startServing();
  await serving.put('pods', pod('p0', 'a'));
  ({ port } = await serving.server.listenInsecure('127.0.0.1', 0));
});
after(() => serving.close());

const status = (message: string, reason: string, code: number, details?: string) =>
  `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":${JSON.stringify(message)},` +
  `"reason":"${reason}"${details === undefined ? '' : `,"details":${details}`},"code":${code}}\n`;
const NO_ROUTE = status('the server could not find the requested resource', 'NotFound', 404, '{}');
const NOT_ALLOWED = status(
  'the server does not allow this method on the requested resource',
  'MethodNotAllowed',
  405,
  '{}',
);
const readOnly = (method: string) =>
  status(
    `listwatch is read-only and does not serve ${method}: the server does not allow this method on the requested resource`,
    'MethodNotAllowed',
    405,
    '{}',
  );
const notServed = (what: string) =>
  status(
    `listwatch is read-only and does not serve ${what}: the server could not find the requested resource`,
    'NotFound',
    404,
    '{}',
  );
const PLAIN = '404 page not found\n';
const BAD = '400 Bad Request';

// The table of spec 2.9, and what is malformed.
const rows: readonly [request: string, code: number, body: string][] = [
  ['GET /apis/none.io/v1/foos', 404, PLAIN],
  ['GET /apis/none.io/v1', 404, PLAIN],
  ['GET /apis//v1/pods', 404, PLAIN],
  ['GET /apis/apps/v2/deployments', 404, NO_ROUTE],
  ['GET /apis/apps/v2', 404, NO_ROUTE],
  ['GET /apis/apps//deployments', 404, NO_ROUTE],
  ['GET /apis/scheduling.k8s.io/v1alpha2/workloads', 404, NO_ROUTE],
  ['GET /api/v2', 404, NO_ROUTE],
  ['GET /api/v2/pods', 404, NO_ROUTE],
  ['GET /api/v1//pods', 404, NO_ROUTE],
  ['GET /foo', 404, PLAIN],
  ['GET //apis/apps/v1/deployments', 404, PLAIN],
  ['GET /API/v1/pods', 404, PLAIN],
  ['GET /healthz/none', 404, PLAIN],
  ['GET /api/v1/none', 404, NO_ROUTE],
  ['GET /api/v1/namespaces/a/pods/p0/none', 404, NO_ROUTE],
  ['GET /api/v1/namespaces/a/pods/p0/log', 404, notServed('pods/log')],
  ['POST /api/v1/namespaces/a/pods/p0/exec?command=ls', 404, notServed('pods/exec')],
  ['POST /api/v1/namespaces/a/serviceaccounts/s/token', 404, notServed('serviceaccounts/token')],
  ['GET /api/v1/namespaces/a/services/s/log', 404, NO_ROUTE],
  ['GET /api/v1/namespaces/a/nodes', 404, NO_ROUTE],
  ['GET /api/v1/pods/p0', 404, NO_ROUTE],
  ['GET /api/v1/namespaces//nodes', 404, NO_ROUTE],
  ['GET /api/v1/namespaces//pods/p0', 400, status('Namespace parameter required.', 'BadRequest', 400)],
  ['GET /api/v1/nodes//x', 404, NO_ROUTE],
  ['GET /apis/apps/v1/../v1/deployments', 404, NO_ROUTE],
  ['GET /api/v1/proxy/namespaces/a/pods/p0', 404, NO_ROUTE],
  // Slashes at the end do not count, and an empty namespace is every namespace.
  ['GET /api/v1/', 200, ''],
  ['GET /apis/apps/v1/', 200, ''],
  ['GET /version/', 200, ''],
  ['GET /api/v1/namespaces//pods', 200, ''],
  ['GET /api/v1/namespaces/a/pods/', 200, ''],
  ['GET /api/v1/namespaces/a/pods/p0//', 200, ''],
  ['GET /api/v1/nodes/', 200, ''],
  [
    'GET /api/v1/watch?a=1&b',
    500,
    'Internal Server Error: "/api/v1/watch?a=1&amp;b": failed to create RequestInfo: ' +
      'unable to determine kind and namespace from url, /api/v1/watch?a=1&amp;b\n',
  ],
  ['GET /api/v1/%zz', 400, BAD],
  ['GET /api/v1/pods%', 400, BAD],
  ['POST /api/v1/namespaces/a/pods', 405, readOnly('POST')],
  ['PUT /api/v1/namespaces/a/pods/p0', 405, readOnly('PUT')],
  ['PATCH /api/v1/namespaces/a/pods/p0', 405, readOnly('PATCH')],
  ['DELETE /api/v1/namespaces/a/pods', 405, readOnly('DELETE')],
  ['POST /api/v1/pods', 405, NOT_ALLOWED],
  ['POST /api/v1/namespaces/a/pods/p0', 405, NOT_ALLOWED],
  ['PATCH /api/v1/namespaces/a/pods', 405, NOT_ALLOWED],
  ['OPTIONS /api/v1/pods', 405, NOT_ALLOWED],
  ['PROPFIND /api/v1/pods', 405, NOT_ALLOWED],
  ['POST /apis/apps/v1', 405, NOT_ALLOWED],
  ['POST /version', 405, NOT_ALLOWED],
  ['GET /api/v1/pods?limit=abc', 400, status('strconv.ParseInt: parsing "abc": invalid syntax', 'BadRequest', 400)],
  ['GET /api/v1/pods?limit=%zz', 200, ''],
  ['GET /api/v1/pods?labelSelector=a;b', 200, ''],
  [
    'GET /api/v1/pods?timeout=abc',
    400,
    status('invalid timeout specified in the request URL - time: invalid duration "abc"', 'BadRequest', 400),
  ],
  [
    'GET /api/v1/namespaces/a/pods/p0?export=true',
    400,
    status('the export parameter, deprecated since v1.14, is no longer supported', 'BadRequest', 400),
  ],
  ['GET /api/v1/namespaces/a/pods/x', 404, status('pods "x" not found', 'NotFound', 404, '{"name":"x","kind":"pods"}')],
  [
    'GET /apis/apps/v1/namespaces/a/deployments/x',
    404,
    status('deployments.apps "x" not found', 'NotFound', 404, '{"name":"x","group":"apps","kind":"deployments"}'),
  ],
  [
    'GET /api/v1/namespaces/a/pods/%2e%2e',
    400,
    status('Name parameter invalid: "..": may not be \'..\'', 'BadRequest', 400),
  ],
  [
    'GET /api/v1/namespaces/a/pods/f%2531',
    400,
    status('Name parameter invalid: "f%31": may not contain \'%\'', 'BadRequest', 400),
  ],
];
for (const [request, code, body] of rows) {
  test(request, async () => {
    const connection = await openRaw(port, `${request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    await eventually('the answer', () => connection.ended);
    const text = connection.text();
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${code} `));
    if (body !== '') assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), body);
    if (code === 405) assert.match(text, /\r\nallow: GET\r\n/i);
    if (body === PLAIN) assert.match(text, /\r\nx-content-type-options: nosniff\r\n/i);
  });
}

test('HEAD of a resource is not allowed, and has no body', async () => {
  const connection = await openRaw(port, 'HEAD /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  await eventually('the answer', () => connection.ended);
  assert.match(connection.text(), /^HTTP\/1\.1 405 [\s\S]*\r\n\r\n$/);
});

const accepts: readonly [path: string, accept: string, message: string][] = [
  [
    '/api/v1/pods',
    'text/html',
    '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch',
  ],
  [
    '/api/v1/pods',
    'application/json;as=Nothing;v=v1;g=meta.k8s.io',
    'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf',
  ],
  [
    '/api/v1/pods',
    'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    'you requested PartialObjectMetadata, but the requested object is a list (*core.PodList)',
  ],
  [
    '/api/v1/namespaces/a/pods/p0',
    'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    'you requested PartialObjectMetadataList, but the requested object is not a list (*core.Pod)',
  ],
];
for (const [path, accept, message] of accepts) {
  test(`406: ${path} as ${accept}`, async () => {
    const { statusCode, headers, body } = await serving.server.inject({
      url: path,
      headers: { host: 'localhost', accept },
    });
    assert.equal(statusCode, 406);
    assert.equal(headers['content-type'], 'application/json');
    const details = message.startsWith('406') ? { details: {} } : {};
    const want = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason: 'NotAcceptable',
      ...details,
      code: 406,
    };
    assert.equal(body, JSON.stringify(want, undefined, 2)); // indented, no newline
  });
}

test('errors come in the form that the client accepts, never converted', async () => {
  const get = (accept: string) =>
    serving.server.inject({ url: '/api/v1/namespaces/a/pods/x', headers: { host: 'localhost', accept } });
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const compact = status('pods "x" not found', 'NotFound', 404, '{"name":"x","kind":"pods"}');
  assert.equal((await get(`${table},application/json`)).body, compact);
  const transformOnly = await get(table);
  assert.equal(transformOnly.statusCode, 404);
  assert.equal(transformOnly.body, JSON.stringify(JSON.parse(compact), undefined, 2));
  const yaml = await get('application/yaml');
  assert.equal(yaml.headers['content-type'], 'application/yaml');
  assert.match(yaml.body, /^apiVersion: v1\ncode: 404\ndetails:\n/);
  const protobuf = await get('application/vnd.kubernetes.protobuf');
  assert.ok(protobuf.rawPayload.toString('latin1').startsWith('k8s\0\n\x0c\n\x02v1\x12\x06Status'));
});

test('a passed deadline has the body of spec 2.5', async () => {
  // The store is asked only after a wait that no cache will end: the revision is far in the future.
  const { statusCode, headers, body } = await serving.server.inject({
    url: '/api/v1/pods?resourceVersion=99999999&timeout=30ms',
    headers: { host: 'localhost' },
  });
  assert.equal(statusCode, 504);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(
    body,
    '{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504}\n',
  );
});

test('a revision in the future: 504 with Retry-After once the wait is over', async () => {
  const { statusCode, headers, body } = await serving.server.inject({
    url: '/api/v1/pods?resourceVersion=99999999',
    headers: { host: 'localhost' },
  });
  assert.equal(statusCode, 504);
  assert.equal(headers['retry-after'], '1');
  assert.match(body, /"message":"Timeout: Too large resource version: 99999999, current: \d+"/);
});

const unparsed: readonly [name: string, bytes: string, want: RegExp][] = [
  ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*400 Bad Request$/],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['huge headers', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(1.1 * 2 ** 20)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  [
    'two lengths',
    'POST /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    /^HTTP\/1\.1 400 /,
  ],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^HTTP\/1\.1 400 /],
];
for (const [name, bytes, want] of unparsed) {
  test(`what does not parse: ${name}`, async () => {
    const connection = await openRaw(port, bytes);
    await eventually('the end of the connection', () => connection.ended);
    assert.match(connection.text(), want);
  });
}

test('large headers below the limit pass', async () => {
  const connection = await openRaw(
    port,
    `GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: ${'x'.repeat(900_000)}\r\n\r\n`,
  );
  await eventually('the answer', () => connection.ended);
  assert.match(connection.text(), /^HTTP\/1\.1 200 /);
});

test('bodies are not read, whatever they claim to be', async () => {
  const body = '{"kind":"Pod"';
  for (const head of ['GET /api/v1/pods', 'POST /api/v1/namespaces/a/pods', 'DELETE /api/v1/pods']) {
    const connection = await openRaw(
      port,
      `${head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/bogus\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
        'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    await eventually('both answers', () => connection.ended);
    assert.match(connection.text(), head.startsWith('GET') ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 405 /);
    assert.match(connection.text(), /\r\n\r\nok$/);
  }
});

test('pipelined requests are answered in order', async () => {
  const paths = ['/healthz', '/api/v1/pods', '/foo', '/version', '/api/v1/namespaces/a/pods/p0'];
  const requests = Array.from({ length: 40 }, (_, index) => paths[index % paths.length]!);
  const connection = await openRaw(
    port,
    `${requests.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n`).join('\r\n')}Connection: close\r\n\r\n`,
  );
  await eventually('the last answer', () => connection.ended);
  const codes = [...connection.text().matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => Number(code));
  assert.deepEqual(
    codes,
    requests.map((path) => (path === '/foo' ? 404 : 200)),
  );
  await eventually('no request open', () => serving.server.open === 0);
});

const hosts: readonly [host: string | undefined, want: boolean][] = [
  ['localhost', true],
  ['LOCALHOST:8080', true],
  ['127.0.0.1', true],
  ['127.8.9.10:443', true],
  ['[::1]', true],
  ['[::1]:8080', true],
  [undefined, false],
  ['', false],
  ['evil.example', false],
  ['localhost.evil.example', false],
  ['127.0.0.1.evil.example', false],
  ['127.1', false],
  ['0.0.0.0', false],
  ['192.168.0.1', false],
  ['[::]', false],
  ['::1', false],
  ['localhost:80:80', false],
  ['localhost@evil.example', false],
];
for (const [host, want] of hosts) {
  test(`Host ${host} is${want ? '' : ' not'} loopback`, () => assert.equal(isLoopbackHost(host), want));
}

const origins: readonly [origin: string, want: boolean][] = [
  ['http://localhost', true],
  ['https://127.0.0.1:8443', true],
  ['http://[::1]:3000', true],
  ['http://evil.example', false],
  ['null', false],
  ['file://', false],
  ['', false],
  ['http://localhost.evil.example', false],
];
for (const [origin, want] of origins) {
  test(`Origin ${origin} is${want ? '' : ' not'} loopback`, () => assert.equal(isLoopbackOrigin(origin), want));
}

test('a listener without authentication answers loopback hosts only, and says so', async () => {
  const { statusCode, body, headers } = await serving.server.inject({
    url: '/api/v1/secrets',
    headers: { host: 'evil.example' },
  });
  assert.equal(statusCode, 403);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.match(
    body,
    /^Forbidden: this listener has no authentication, so it answers only requests addressed to a loopback Host .*"evil.example"\.\n$/,
  );
});
