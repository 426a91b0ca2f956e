import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { etcdKv } from '../support/etcd-kv.js';
import { type RunningServer, startServer } from '../support/server.js';
import { sendBytes } from './raw-socket.js';

// Somebody who may read Secrets in one namespace tries to get at those of another one: by paths that mean two things,
// by headers that are not theirs to send, and by requests inside of requests.

const OPEN = 'marker-of-open';
const CLOSED = 'marker-of-closed';
const DEV = 'Authorization: Bearer t-dev';

const secret = (namespace: string, name: string, marker: string) => {
  const metadata = { name, namespace, uid: `uid-${namespace}-${name}`, creationTimestamp: '2026-01-01T00:00:00Z' };
  const data = { marker: Buffer.from(marker).toString('base64') };
  return `${JSON.stringify({ kind: 'Secret', apiVersion: 'v1', metadata, data, type: 'Opaque' })}\n`;
};
const rbac = (kind: string, name: string, namespace: string | undefined, more: object) => {
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }), uid: `uid-${kind}-${name}` };
  return `${JSON.stringify({ kind, apiVersion: 'rbac.authorization.k8s.io/v1', metadata, ...more })}\n`;
};
const roleRef = (kind: string, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'dev' }];

const token = (start: string) =>
  Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: -1, start })).toString('base64url');

const inOpen = '/api/v1/namespaces/open/secrets';
const targets: readonly string[] = [
  '/api/v1/secrets',
  '/api/v1/namespaces/closed/secrets',
  '/api/v1/namespaces/closed/secrets/s',
  '/api/v1/namespaces/open/../closed/secrets',
  '/api/v1/namespaces/open/%2e%2e/closed/secrets',
  '/api/v1/namespaces/open/.%2e/closed/secrets/s',
  '/api/v1/namespaces/open%2f..%2fclosed/secrets',
  '/api/v1/namespaces/open%252f..%252fclosed/secrets',
  `${inOpen}/../../closed/secrets/s`,
  `${inOpen}/..%2f..%2fclosed%2fsecrets%2fs`,
  `${inOpen}/%2e%2e%2f%2e%2e%2fclosed%2fs`,
  `${inOpen}/..%2fclosed%2fs`,
  `${inOpen}/%2e%2e`,
  `${inOpen}/..`,
  `${inOpen}/s%2f..%2f..%2fclosed`,
  `${inOpen}/s%00`,
  `${inOpen}/%00`,
  '//api/v1/secrets',
  '/api//v1/secrets',
  '/api/v1//secrets',
  '/api/v1///namespaces/closed/secrets',
  '/api/v1/secrets/',
  '/api/v1/secrets//',
  '/./api/v1/secrets',
  '/api/v1/./secrets',
  '/api/v1/%73ecrets',
  '/api/v1/%2573ecrets',
  '/%61pi/v1/secrets',
  '/API/v1/secrets',
  '/api/v1/Secrets',
  '/api/v1/secrets%00',
  '/api/v1/secrets%0a',
  '/api/v1/secrets%20',
  '/api/v1/namespaces/closed%00/secrets',
  '/api/v1/namespaces/%00/secrets',
  '/api/v1/namespaces//secrets',
  '/api/v1/namespaces//secrets/s',
  '/api/v1/namespaces/*/secrets',
  '/api/v1/namespaces/open,closed/secrets',
  '/api/v1/namespaces/open%0aclosed/secrets',
  '/api/v1/watch/secrets?timeoutSeconds=1&resourceVersion=0',
  '/api/v1/watch/namespaces/closed/secrets?timeoutSeconds=1&resourceVersion=0',
  '/api/v1/watch/namespaces/closed/secrets/s?timeoutSeconds=1&resourceVersion=0',
  '/api/v1/secrets?watch=1&timeoutSeconds=1&resourceVersion=0',
  '/api/v1/secrets?watch=0&watch=1&timeoutSeconds=1',
  '/api/v1/secrets?fieldSelector=metadata.namespace%3Dopen',
  '/api/v1/secrets?fieldSelector=metadata.name%3Ds',
  `${inOpen}?fieldSelector=metadata.namespace%3Dclosed`,
  `${inOpen}?fieldSelector=metadata.namespace%3Dclosed,metadata.name%3Ds`,
  `${inOpen}?fieldSelector=metadata.name%3D..%2Fclosed%2Fs`,
  `${inOpen}?fieldSelector=metadata.name%3D..%2F..%2Fsecrets%2Fclosed%2Fs`,
  `${inOpen}?namespace=closed`,
  ...['../closed/', '../closed/s', '/../closed/', '/../', '../', 'x/../../closed/s', '\u0000', '/', '//closed/s'].map(
    (start) => `${inOpen}?limit=10&continue=${token(start)}`,
  ),
  `${inOpen}?limit=10&watch=1&timeoutSeconds=1&continue=${token('../closed/')}`,
  '/healthz/../api/v1/secrets',
  '/healthz%2f..%2fapi%2fv1%2fsecrets',
  '/healthz/%2e%2e/api/v1/secrets',
  'https://localhost/api/v1/secrets',
  'http://x/healthz/../api/v1/secrets',
  'x://y?/healthz/api/v1/secrets',
  '/api/v1/secrets;x=/healthz',
  '/api/v1/secrets#/healthz',
  '/healthz?/api/v1/secrets',
  '/api/v1\\secrets',
  '/apis//v1/secrets',
  '/apis/%2fv1/secrets',
  '/apis/core/v1/secrets',
  '/apis/v1/secrets',
  '/api/v1/namespaces/closed/secrets/s/status',
  '/api/v1/proxy/namespaces/closed/secrets/s',
  '/api/v1/namespaces/closed',
  '/metrics',
  '/metrics%2f',
];

const many = Array.from({ length: 1_200 }, (_, index) => `X-${index}: y`);
/** Headers, and whether it is dev's request all the same; otherwise it is refused as a whole. */
const disguises: readonly [what: string, headers: readonly string[], isDev: boolean][] = [
  ['a user to act as', ['Impersonate-User: root'], false],
  ['a group to act as', ['Impersonate-User: dev', 'Impersonate-Group: system:masters'], false],
  ['a group alone', ['Impersonate-Group: system:masters'], false],
  ['a user in other letters', ['IMPERSONATE-USER: root'], false],
  ['a user behind more headers than are read', [...many, 'Impersonate-User: root'], false],
  ['what a front proxy says', ['X-Remote-User: root', 'X-Remote-Group: system:masters'], true],
  ['the same with underscores', ['X_Remote_User: root', 'X_Remote_Group: system:masters'], true],
  [
    'what other proxies say',
    ['X-Forwarded-User: root', 'X-Forwarded-For: 127.0.0.1', 'Forwarded: for=127.0.0.1'],
    true,
  ],
  ['another path', ['X-Original-URL: /api/v1/secrets', 'X-Rewrite-URL: /api/v1/secrets'], true],
  ['another method', ['X-HTTP-Method-Override: DELETE'], true],
];

const hidden = 'GET /api/v1/namespaces/closed/secrets/s HTTP/1.1\r\nHost: localhost\r\n\r\n';
const chunks = `0\r\n\r\n${hidden}`;
const posted = (headers: string, body: string) =>
  `POST /api/v1/pods HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n${body}`;
/** Sent to the listener that answers everybody: nothing of the hidden request may be answered. */
const smuggled: readonly [what: string, bytes: string][] = [
  ['a length and chunks', posted(`Content-Length: ${chunks.length}\r\nTransfer-Encoding: chunked`, chunks)],
  ['chunks and a length', posted(`Transfer-Encoding: chunked\r\nContent-Length: ${chunks.length}`, chunks)],
  ['two lengths', posted(`Content-Length: 0\r\nContent-Length: ${hidden.length}`, hidden)],
  ['two lengths in one', posted(`Content-Length: 0, ${hidden.length}`, hidden)],
  ['a length with a sign', posted(`Content-Length: +${hidden.length}`, hidden)],
  ['a length in hexadecimal', posted(`Content-Length: 0x${hidden.length.toString(16)}`, hidden)],
  ['a length with a space', posted(`Content-Length: 0 ${hidden.length}`, hidden)],
  ['a length that is too large', posted('Content-Length: 18446744073709551616', hidden)],
  ['a space in front of the colon', posted(`Content-Length : ${hidden.length}`, hidden)],
  ['another coding behind chunks', posted('Transfer-Encoding: chunked, identity', chunks)],
  [
    'a coding that looks like chunks',
    posted(`Transfer-Encoding: xchunked\r\nContent-Length: ${chunks.length}`, chunks),
  ],
  ['chunks behind a tab', posted(`Transfer-Encoding:\tchunked\r\nContent-Length: ${chunks.length}`, chunks)],
  ['chunks in a folded header', posted(`Transfer-Encoding:\r\n chunked\r\nContent-Length: ${chunks.length}`, chunks)],
  ['a space in front of chunks', posted(` Transfer-Encoding: chunked\r\nContent-Length: ${chunks.length}`, chunks)],
  ['a header behind a bare line feed', posted(`X: y\nContent-Length: ${hidden.length}`, hidden)],
  ['a header behind a bare carriage return', posted(`X: y\rContent-Length: ${hidden.length}`, hidden)],
  ['a chunk size that is too large', posted('Transfer-Encoding: chunked', `FFFFFFFFFFFFFFFFF0\r\n${hidden}`)],
  ['a chunk size with a sign', posted('Transfer-Encoding: chunked', `-1\r\n${hidden}`)],
  ['a chunk that ends in a line feed', posted('Transfer-Encoding: chunked', `1\nx\n0\n\n${hidden}`)],
  ['an extension with a line feed', posted('Transfer-Encoding: chunked', `1;a\nb\r\nx\r\n${chunks}`)],
  [
    'a body of a GET',
    `GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
  ],
  [
    'a request in a header',
    `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\r\n\t${hidden.replaceAll('\r\n', '\r\n\t')}`,
  ],
  [
    'a request in the target',
    `GET /livez%0d%0a%0d%0a${encodeURIComponent(hidden)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  ],
  [
    'a switch to HTTP/2',
    `GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n${hidden}`,
  ],
];

/** Everything that comes back, with what is base64 in it opened. */
function opened(text: string): string {
  return (
    text +
    (text.match(/[A-Za-z0-9+/]{12,}={0,2}/g) ?? []).map((part) => Buffer.from(part, 'base64').toString()).join('')
  );
}

describe('trespassers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'listwatch-trespass-'));
  let etcd: Etcd;
  let server: RunningServer;

  before(async () => {
    etcd = await startEtcd();
    const kv = etcdKv(etcd.endpoint);
    const reads = { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['secrets'] };
    const paths = { verbs: ['get'], nonResourceURLs: ['/healthz', '/healthz/*', '/livez'] };
    await kv.putAll([
      ['/registry/secrets/open/s', secret('open', 's', OPEN)],
      ['/registry/secrets/closed/s', secret('closed', 's', CLOSED)],
      ['/registry/roles/open/reader', rbac('Role', 'reader', 'open', { rules: [reads] })],
      [
        '/registry/rolebindings/open/reader',
        rbac('RoleBinding', 'reader', 'open', { subjects, roleRef: roleRef('Role', 'reader') }),
      ],
      ['/registry/clusterroles/paths', rbac('ClusterRole', 'paths', undefined, { rules: [paths] })],
      [
        '/registry/clusterrolebindings/paths',
        rbac('ClusterRoleBinding', 'paths', undefined, { subjects, roleRef: roleRef('ClusterRole', 'paths') }),
      ],
    ]);
    const tokens = join(folder, 'tokens.csv');
    writeFileSync(tokens, 't-dev,dev,1\nt-root,root,2,system:masters\n');
    server = await startServer([
      '--etcd-servers',
      etcd.endpoint,
      '--token-auth-file',
      tokens,
      '--authorization-mode',
      'RBAC',
    ]);
    await eventually('permissions are known', async () => (await say(inOpen, [DEV])).includes(OPEN));
  });
  after(async () => {
    const code = await server?.stop();
    await etcd?.stop();
    rmSync(folder, { recursive: true, force: true });
    assert.equal(code, 0);
  });

  /** A request over TLS, to the byte; what came until the end. */
  function say(target: string, headers: readonly string[], method = 'GET'): Promise<string> {
    const { hostname, port } = new URL(server.secureUrl);
    return new Promise((resolve) => {
      const socket = connectTls({ host: hostname, port: Number(port), rejectUnauthorized: false });
      let text = '';
      const finish = () => {
        clearTimeout(late);
        socket.destroy();
        resolve(opened(text));
      };
      const late = setTimeout(finish, 5_000);
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      socket.on('error', finish);
      socket.on('close', finish);
      const lines = ['Host: localhost', 'Accept: application/json', ...headers, 'Connection: close'];
      socket.write(`${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    });
  }

  test('a master sees both, and who may read one namespace sees that one', async () => {
    const seen = await say('/api/v1/secrets', ['Authorization: Bearer t-root']);
    assert.ok(seen.includes(OPEN) && seen.includes(CLOSED), seen);
    assert.ok((await say(`${inOpen}/s`, [DEV])).includes(OPEN));
  });

  for (const target of targets) {
    test(`no way through ${target}`, async () => {
      for (const method of ['GET', 'HEAD', 'POST']) {
        for (const headers of [[DEV], []]) {
          const text = await say(target, headers, method);
          assert.ok(!text.includes(CLOSED), text.slice(0, 2_000));
          assert.match(text, /^HTTP\/1\.1 [24]\d\d /, text.slice(0, 300));
          if (headers.length === 0) assert.doesNotMatch(text, /^HTTP\/1\.1 2/, 'nobody is not answered');
        }
      }
    });
  }

  for (const [what, headers, isDev] of disguises) {
    test(`in disguise: ${what}`, async () => {
      for (const credentials of [[DEV], []]) {
        const all = [...credentials, ...headers];
        assert.ok(!(await say('/api/v1/namespaces/closed/secrets/s', all)).includes(CLOSED));
        const own = await say(`${inOpen}/s`, all);
        assert.equal(own.includes(OPEN), isDev && credentials.length > 0, own.slice(0, 500));
      }
    });
  }

  for (const [what, bytes] of smuggled) {
    test(`a request inside of another: ${what}`, async () => {
      const { text } = await sendBytes(new URL(server.url), bytes, 5_000, 500);
      assert.ok(!opened(text).includes(CLOSED), text);
      assert.ok(text.split(/^HTTP\/1\.1 /m).length <= 3, text);
      assert.doesNotMatch(text, /^HTTP\/1\.1 5/);
    });
  }
});
