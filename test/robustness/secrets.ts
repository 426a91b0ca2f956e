import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, freePort, repositoryRoot, type RunningCommand, start } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';
import { type Said, startWebhook } from '../support/webhook.js';
import { ask, openWatch } from './client.js';
import { configMap, configMapKey, envelope, field } from './objects.js';
import { sendBytes } from './raw-socket.js';

// Secrets, tokens and passwords go where they were asked for and nowhere else: not into logs at the most verbose level, not
// into metrics, errors, Tables or files.

/** Long enough to be in nothing by chance, and not a multiple of three bytes. */
const MARKER = 'kept-secret-0f6d2b7c9a41';
const TOKEN = 'token-8e1c5a90d3b64f72';
const PASSWORD = 'password-5b7d9f2c4e6a8013';

/** How a text may show itself: as it is, in base64 at any of three places, in hexadecimal. */
function tracesOf(text: string): string[] {
  const inBase64 = [0, 1, 2].map((before) => {
    const encoded = Buffer.from('x'.repeat(before) + text).toString('base64');
    return encoded.slice(before === 0 ? 0 : 4, -4);
  });
  return [text, ...inBase64, Buffer.from(text).toString('hex')];
}
const traces = [MARKER, TOKEN, PASSWORD].flatMap(tracesOf);

function assertClean(what: string, text: string): void {
  for (const trace of traces) {
    const at = text.indexOf(trace);
    assert.equal(at, -1, `${what} has ${trace}: ${text.slice(Math.max(0, at - 300), at + 100)}`);
  }
}

const base64 = Buffer.from(MARKER).toString('base64');
const secret = (name: string, more: string) =>
  `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"${name}","namespace":"ns","uid":"u-${name}"},"type":"Opaque",${more}}\n`;
const whole = secret('good', `"data":{"password":"${base64}"}`);
const meta = (name: string) => field(1, Buffer.concat([field(1, Buffer.from(name)), field(3, Buffer.from('ns'))]));
const entry = field(2, Buffer.concat([field(1, Buffer.from('password')), field(2, Buffer.from(MARKER))]));
const protobuf = envelope('v1', 'Secret', Buffer.concat([meta('proto'), entry, field(3, Buffer.from('Opaque'))]));

/** Values that do not parse, each in another way, with the secret where it goes wrong. */
const broken: readonly [name: string, value: string | Uint8Array][] = [
  ['cut', whole.slice(0, whole.indexOf(base64) + 12)],
  ['behind', `${whole.trimEnd()}${MARKER}`],
  ['no-quotes', secret('x', `"data":{"password":${MARKER}}`)],
  ['no-colon', secret('x', `"stringData":{"${MARKER}" 1}`)],
  ['escape', secret('x', `"stringData":{"password":"${MARKER}\\q"}`)],
  ['control', secret('x', `"stringData":{"password":"${MARKER}\u0001"}`)],
  ['text-for-map', secret('x', `"data":"${MARKER}"`)],
  ['no-base64', secret('x', `"data":{"password":"${MARKER}!"}`)],
  ['list', secret('x', `"data":{"password":["${MARKER}"]}`)],
  ['type', secret('x', `"data":{},"immutable":"${MARKER}"`)],
  ['metadata', `{"kind":"Secret","apiVersion":"v1","metadata":"${MARKER}"}`],
  [
    'time',
    `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x","deletionTimestamp":5},"data":{"a":"${base64}"}}`,
  ],
  ['text', MARKER],
  ['protobuf-cut', protobuf.subarray(0, protobuf.indexOf(MARKER) + 10)],
  ['protobuf-type', envelope('v1', 'Secret', Buffer.concat([meta('x'), Buffer.from([0x10, 0x05]), entry]))],
  ['protobuf-end', Buffer.concat([protobuf.subarray(0, -4), Buffer.from(MARKER)])],
  ['encrypted', `k8s:enc:aescbc:v1:${MARKER}:${MARKER}`],
];

const accepts = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/json;as=Table;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'text/html',
];

describe('what is secret', () => {
  const folder = mkdtempSync(join(tmpdir(), 'listwatch-secrets-'));
  const state = join(folder, 'state');
  const cache = join(folder, 'cache');
  const tokens = join(folder, 'tokens.csv');
  let etcd: Etcd;
  let kv: EtcdKv;
  /** What every process has written. */
  const written: (() => string)[] = [];

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
    await kv.put('/registry/secrets/ns/good', whole);
    await kv.put('/registry/secrets/ns/proto', protobuf);
    await kv.put(configMapKey('ns', 'a'), configMap('ns', 'a'));
    writeFileSync(tokens, `${TOKEN},root,1,system:masters\n`);
  });
  after(async () => {
    await etcd?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const env = { XDG_STATE_HOME: state };
  async function serve(format: string, more: readonly string[] = []): Promise<RunningServer> {
    const flags = ['--etcd-servers', etcd.endpoint, '--v', '10', '--logging-format', format, ...more];
    const server = await startServer(flags, env);
    written.push(server.stdout, server.stderr);
    return server;
  }

  for (const format of ['text', 'json']) {
    test(`it is in no log (${format}), metric, error or Table, whatever goes wrong`, { timeout: 120_000 }, async () => {
      const server = await serve(format, [
        '--cache-dir',
        cache,
        '--checkpoint-interval',
        '1s',
        '--token-auth-file',
        tokens,
      ]);
      const { url } = server;
      const shown = (await ask(url, '/api/v1/namespaces/ns/secrets')).body.toString();
      assert.ok(shown.includes(base64), 'it is served to who asks for it');
      await ask(url, '/api/v1/configmaps');
      const watch = await openWatch(url, '/api/v1/secrets?watch=1&timeoutSeconds=60');

      const everywhere = async () => {
        for (const accept of accepts) {
          const headers = { accept, authorization: `Bearer ${TOKEN}` };
          for (const path of [
            '/api/v1/secrets',
            '/api/v1/secrets?resourceVersion=0&labelSelector=x',
            '/api/v1/secrets?limit=1',
            '/api/v1/secrets?resourceVersion=1&resourceVersionMatch=Exact',
            '/api/v1/secrets?fieldSelector=type%3DOpaque',
            '/api/v1/secrets?fieldSelector=data.password%3Dx',
            '/api/v1/secrets?timeout=1ms',
            '/api/v1/namespaces/ns/secrets/good',
            '/api/v1/namespaces/ns/secrets/proto?pretty=1',
            '/api/v1/namespaces/ns/secrets/x',
            // These wait: once is enough.
            ...(accept === accepts[0]
              ? [
                  '/api/v1/secrets?resourceVersion=999999999',
                  '/api/v1/secrets?watch=1&resourceVersion=0&timeoutSeconds=1',
                ]
              : []),
          ]) {
            const answer = await send(url, { path, headers }).catch(() => undefined);
            if (answer === undefined) continue;
            const text = answer.body.toString('latin1');
            const isObject = answer.status === 200 && !accept.includes(';as=');
            if (!isObject) assertClean(`${answer.status} ${path} as ${accept}`, text);
          }
        }
      };
      await everywhere();
      for (const [name, value] of broken) {
        await kv.put('/registry/secrets/ns/x', value);
        for (const path of ['/api/v1/secrets', '/api/v1/namespaces/ns/secrets/x']) {
          const answer = await ask(url, path);
          assert.equal(answer.status, 500, `${name}: ${answer.body.toString().slice(0, 300)}`);
          assertClean(`the error for "${name}"`, answer.body.toString());
        }
      }
      await everywhere();
      await eventually('the watch ends', () => watch.ended !== undefined);
      assertClean('the ERROR of a watch', JSON.stringify(watch.events.filter(({ type }) => type === 'ERROR')));
      await kv.delete('/registry/secrets/ns/x');

      // Tokens, right and wrong, and bodies, in requests that are understood and others.
      for (const path of ['/api/v1/secrets', '/nowhere', '/api/v1/secrets?limit=x', '/%zz']) {
        await send(url, { path, method: 'POST', headers: { authorization: `Bearer ${TOKEN}` }, body: whole });
      }
      const reviews = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
      for (const body of [`{"spec":"${MARKER}`, `{"spec":{"resourceAttributes":{"verb":"${MARKER}"}`, MARKER]) {
        const headers = { 'content-type': 'application/json', authorization: `Basic ${base64}` };
        await send(url, { path: reviews, method: 'POST', headers, body });
      }
      for (const bytes of [
        `GET /livez HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nbroken\r\n\r\n`,
        `GET /livez HTTP/1.1\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`,
        `POST ${reviews} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n${MARKER}`,
      ]) {
        assertClean('the answer to what does not parse', (await sendBytes(new URL(url), bytes, 3_000)).text);
      }
      const session = connectHttp2(server.secureUrl, { rejectUnauthorized: false });
      session.on('error', () => undefined);
      for (const authorization of [`Bearer ${TOKEN}`, `Bearer wrong-${TOKEN}`]) {
        const stream = session.request({ ':path': '/api/v1/nowhere', authorization });
        let text = '';
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
        await new Promise<void>((resolve) => {
          stream.once('close', () => resolve());
          stream.on('error', () => undefined);
        });
        assertClean('an error over HTTP/2', text);
      }
      session.destroy();

      // Checkpoints are written, the source goes away and comes back.
      await eventually(
        'a checkpoint is there',
        () => readdirSync(cache).some((name) => name.includes('configmaps')),
        30_000,
        200,
      );
      await etcd.pause();
      await Promise.all([
        ask(url, '/api/v1/secrets?timeout=1s'),
        ask(url, '/api/v1/namespaces/ns/secrets/good?timeout=1s'),
      ]);
      etcd.resume();
      await etcd.restart();
      await eventually('it serves again', async () => (await ask(url, '/api/v1/secrets')).status === 200);
      await kv.put('/registry/secrets/ns/good', whole);
      await everywhere();
      assertClean('/metrics', (await send(url, { path: '/metrics' })).body.toString());
      assert.equal(await server.stop(), 0);
      assert.ok(server.stderr().includes('secrets'), 'the log tells of the requests');
    });
  }

  test('a token that webhooks are asked about, and what they know us by, is told to nobody else', {
    timeout: 120_000,
  }, async () => {
    const webhook = await startWebhook(({ review, body }): Said => {
      const { token } = review.spec;
      if (token === undefined)
        return review.spec.user === 'lost' ? { code: 403, text: body } : { status: { allowed: true } };
      switch (token.slice(TOKEN.length)) {
        case '-known':
          return { status: { authenticated: true, user: { username: 'known' } } };
        case '-lost':
          return { status: { authenticated: true, user: { username: 'lost' } } };
        case '-why':
          return { status: { authenticated: false, error: `no ${token}` } };
        case '-echo':
          return { code: 403, text: `go away ${token} ${body}` };
        case '-quoted':
          return { code: 501, text: body };
        case '-odd':
          return { code: 200, text: token, headers: { 'content-type': 'application/json' } };
        case '-reset':
          return 'reset';
        case '-late':
          return 'silence';
        default:
          return { status: { authenticated: false } };
      }
    });
    const config = join(folder, 'webhook.yaml');
    writeFileSync(config, webhook.kubeconfig({ token: PASSWORD }));
    const server = await serve('text', [
      ...['--authentication-token-webhook-config-file', config, '--anonymous-auth', 'false'],
      ...['--authorization-mode', 'Webhook', '--authorization-webhook-config-file', config],
    ]);
    const codes: number[] = [];
    const ways = ['known', 'lost', 'why', 'echo', 'quoted', 'odd', 'reset', 'late', 'nobody'];
    const ask = async (way: string) => {
      const headers = { authorization: `Bearer ${TOKEN}-${way}` };
      // Five tries take four seconds.
      const timeout = way === 'late' ? '1s' : '20s';
      const answer = await send(server.secureUrl, { path: `/api/v1/configmaps?timeout=${timeout}`, headers });
      assertClean(`the answer to ${way}`, answer.body.toString());
      codes.push(answer.status);
    };
    for (const way of ways) await ask(way);
    await webhook.close();
    for (const way of [...ways.slice(2), 'another']) await ask(way);
    assert.deepEqual(codes.slice(0, ways.length), [200, 500, 401, 401, 401, 401, 401, 504, 401]);
    assertClean('/metrics', (await send(server.url, { path: '/metrics' })).body.toString());
    assert.equal(await server.stop(), 0);
    assert.ok(server.stderr().includes('failed to make webhook'), 'the log tells of what went wrong');
    assert.ok(
      webhook.asked.some(({ body }) => body.includes(TOKEN)),
      'the webhook was asked',
    );
  });

  test('a start that fails does not show what it has read', async () => {
    const bad = join(folder, 'bad');
    mkdirSync(bad);
    const file = (name: string, text: string) => {
      writeFileSync(join(bad, name), text);
      return join(bad, name);
    };
    const cert = file('tls.crt', `-----BEGIN CERTIFICATE-----\n${MARKER}\n-----END CERTIFICATE-----\n`);
    const key = file('tls.key', `-----BEGIN PRIVATE KEY-----\n${MARKER}\n-----END PRIVATE KEY-----\n`);
    const manifests = [
      `kind: Secret\napiVersion: v1\nmetadata: {name: a}\nstringData:\n  password: "${MARKER}\n`,
      `kind: Secret\napiVersion: v1\nmetadata: {name: a}\ndata:\n  password: ${MARKER}!\n`,
      `kind: Secret\napiVersion: v1\nmetadata: {name: a}\ndata: ${MARKER}\n`,
      `kind: Secret\napiVersion: v1\nmetadata: {name: a}\nstringData: {password: x}} ${MARKER}\n`,
    ].map((text, index) => file(`${index}.yaml`, text));
    const attempts: readonly (readonly string[])[] = [
      ['--token-auth-file', file('a.csv', `${TOKEN}\n`)],
      ['--token-auth-file', file('b.csv', `${TOKEN},"root,1\n`)],
      ['--token-auth-file', file('c.csv', `a"${TOKEN},root,1\n`)],
      ['--client-ca-file', key],
      ['--tls-cert-file', cert, '--tls-private-key-file', key],
      ['--etcd-servers', `http://user:${PASSWORD}@127.0.0.1:1`],
      ['--load', ...manifests],
      [
        '--authorization-kubeconfig',
        file('a.yaml', `{current-context: c, users: [{name: u, user: {token: ${TOKEN}}}], ${MARKER}`),
      ],
      [
        '--authorization-kubeconfig',
        file('b.yaml', `{current-context: c, contexts: [], users: [{name: u, user: {token: ${TOKEN}}}]}`),
      ],
    ];
    for (const flags of attempts) {
      const command: RunningCommand = start(
        process.execPath,
        [join(repositoryRoot, 'dist/src/cli/main.js'), 'serve', '--insecure-port', '0', '--v', '10', ...flags],
        env,
      );
      const code = await command.exited;
      assert.notEqual(code, 0, flags.join(' '));
      assert.ok(command.stderr().length > 20, 'it says why');
      assertClean(flags[0]!, command.stdout() + command.stderr());
    }
  });

  test('a password of etcd is not shown when etcd refuses it', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const command = start(
      process.execPath,
      [
        join(repositoryRoot, 'dist/src/cli/main.js'),
        'serve',
        '--etcd-servers',
        etcd.endpoint,
        '--secure-port',
        '0',
        '--insecure-port',
        String(port),
        '--v',
        '10',
      ],
      { ...env, ETCDCTL_USER: 'root', ETCDCTL_PASSWORD: PASSWORD },
    );
    written.push(command.stdout, command.stderr);
    await Promise.race([
      command.exited,
      eventually('it listens', () => fetch(`http://127.0.0.1:${port}/livez`).then(() => true)),
    ]);
    await fetch(`http://127.0.0.1:${port}/api/v1/secrets?timeout=2s`).then(
      async (response) => {
        const text = await response.text(); // an etcd without users does not mind
        for (const trace of tracesOf(PASSWORD)) assert.ok(!text.includes(trace), text.slice(0, 300));
      },
      () => undefined,
    );
    await command.stop();
    assert.ok(command.stderr().length > 0);
  });

  test('it is in nothing that was written, and in no file', () => {
    for (const text of written) assertClean('what was written', text());
    let files = 0;
    for (const root of [state, cache]) {
      for (const name of readdirSync(root, { recursive: true, withFileTypes: true })) {
        if (!name.isFile()) continue;
        files++;
        assertClean(name.name, readFileSync(join(name.parentPath, name.name), 'latin1'));
        assert.ok(!name.name.includes('secrets'), `${name.name} is about Secrets`);
      }
    }
    assert.ok(files >= 3, `${files} files: the certificate, its key and a checkpoint at least`);
  });
});
