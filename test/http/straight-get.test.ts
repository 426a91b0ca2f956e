import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { openHttp2, read, request } from './client.js';
import { certificate, pod, type Serving, startServing } from './serving.js';

/**
 * A GET from a socket goes straight to its answer; the same request that is injected goes through fastify's routes, as other
 * methods do. Both must say the same, and so must HTTP/2.
 */
let serving: Serving;
let port: number;
let tlsPort: number;

before(async () => {
  serving = startServing();
  for (let index = 0; index < 20; index++) await serving.put('pods', pod(`p${index}`, 'default'));
  const large = { name: 'large', namespace: 'default', annotations: { filler: 'x'.repeat(300_000) } };
  await serving.put('pods', pod('large', 'default', { metadata: large }));
  ({ port } = await serving.server.listenInsecure('127.0.0.1', 0));
  ({ port: tlsPort } = await serving.server.listenSecure('127.0.0.1', 0, await certificate()));
});
after(() => serving.close());

const requests: readonly [name: string, path: string, headers?: Record<string, string>][] = [
  ['an object', '/api/v1/namespaces/default/pods/p3'],
  ['an object, any state', '/api/v1/namespaces/default/pods/p3?resourceVersion=0'],
  ['protobuf', '/api/v1/namespaces/default/pods/p3', { accept: 'application/vnd.kubernetes.protobuf' }],
  ['YAML', '/api/v1/namespaces/default/pods/p3', { accept: 'application/yaml' }],
  ['a Table', '/api/v1/namespaces/default/pods/p3', { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }],
  ['metadata only', '/api/v1/pods', { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' }],
  ['compressed whole', '/api/v1/namespaces/default/pods/large', { 'accept-encoding': 'gzip' }],
  ['large, not compressed', '/api/v1/namespaces/default/pods/large'],
  ['a LIST', '/api/v1/pods'],
  ['a page', '/api/v1/namespaces/default/pods?limit=3&resourceVersion=0'],
  ['a compressed LIST', '/api/v1/pods', { 'accept-encoding': 'gzip' }],
  ['pretty', '/api/v1/namespaces/default/pods/p3?pretty=1'],
  ['an Audit-Id of the client', '/api/v1/namespaces/default/pods/p3', { 'audit-id': 'mine' }],
  ['no such object', '/api/v1/namespaces/default/pods/none'],
  ['no such resource', '/api/v1/gadgets'],
  ['no such group', '/apis/example.com/v1/gadgets'],
  ['a bad selector', '/api/v1/pods?labelSelector=a%3D%3D%3D'],
  ['not acceptable', '/api/v1/pods', { accept: 'image/png' }],
  ['a bad timeout', '/api/v1/pods?timeout=abc'],
  ['a passed deadline', '/api/v1/pods?resourceVersion=99999999&timeout=30ms'],
  ['a bad escape', '/api/v1/pods%zz'],
  ['no verb', '/api/v1/watch'],
  ['discovery', '/api/v1'],
  ['groups', '/apis'],
  ['version', '/version'],
  ['health', '/readyz?verbose=1'],
  ['not found', '/nowhere'],
  ['another host', '/api/v1/pods', { host: 'example.com' }],
];

/** Of one exchange, and not of what it is about. */
const OWN = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'audit-id', ':status']);

interface Said {
  readonly code: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

function said(code: number, headers: Readonly<Record<string, unknown>>, body: Buffer): Said {
  const kept = Object.entries(headers).filter(([name]) => !OWN.has(name));
  return {
    code,
    headers: Object.fromEntries(kept.map(([name, value]) => [name, String(value)])),
    body: body.toString('latin1'),
  };
}

function overSocket(path: string, headers: Record<string, string>): Promise<Said> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, path, headers: { host: 'localhost', ...headers } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(said(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))));
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

for (const [name, path, headers = {}] of requests) {
  test(`straight or routed, HTTP/1.1 or HTTP/2: ${name}`, async () => {
    const straight = await overSocket(path, headers);
    const {
      statusCode,
      headers: routedHeaders,
      rawPayload,
    } = await serving.server.inject({
      method: 'GET',
      url: path,
      headers: { host: 'localhost', ...headers },
    });
    assert.deepEqual(straight, said(statusCode, routedHeaders, rawPayload));
    assert.ok(straight.code >= 200);
    if (headers['host'] !== undefined) return; // HTTP/2 has another header for it
    const session = await openHttp2(tlsPort);
    try {
      const answer = await read(request(session, path, headers));
      assert.deepEqual(said(answer.code, answer.headers, answer.body), straight);
    } finally {
      session.close();
    }
  });
}
