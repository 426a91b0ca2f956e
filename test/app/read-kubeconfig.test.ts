import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stringify } from 'yaml';
import { type KubeconfigTrust, readKubeconfig } from '../../src/app/read-kubeconfig.js';
import { UsageError } from '../../src/app/usage-error.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { authority } from '../auth/support.js';

const folder = mkdtempSync(join(tmpdir(), 'listwatch-kubeconfig-'));
after(() => rmSync(folder, { recursive: true }));
const users = await authority('users');
const pair = await users.client('listwatch');
const other = await users.client('other');
const data = (text: string) => Buffer.from(text).toString('base64');
for (const [name, text] of Object.entries({ 'ca.crt': users.pem, 'us.crt': pair.cert, 'us.key': pair.key })) {
  writeFileSync(join(folder, name), text);
}
writeFileSync(join(folder, 'token'), 'from-a-file\n');

const SERVER = 'https://webhook.example:8443/authenticate';
const clock = createFakeClock();

function read(cluster: object, user: object = {}, more: object = {}, trust: KubeconfigTrust = 'secure') {
  const path = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    clusters: [{ name: 'remote', cluster }],
    users: [{ name: 'us', user }],
    contexts: [{ name: 'c', context: { cluster: 'remote', user: 'us' } }],
    ...more,
  };
  writeFileSync(path, stringify(config));
  return readKubeconfig('authorization-kubeconfig', path, trust, clock);
}

test('files lie beside the kubeconfig; what is given as data needs none', () => {
  const fromFiles = read(
    { server: SERVER, 'certificate-authority': 'ca.crt', 'tls-server-name': 'w' },
    { 'client-certificate': 'us.crt', 'client-key': join(folder, 'us.key') },
  );
  assert.equal(fromFiles.url.href, SERVER);
  assert.deepEqual(fromFiles.tls, { ca: users.pem, cert: pair.cert, key: pair.key, servername: 'w' });
  const fromData = read(
    { server: SERVER, 'certificate-authority-data': data(users.pem) },
    { 'client-certificate-data': data(pair.cert), 'client-key-data': data(pair.key) },
  );
  assert.deepEqual(fromData.tls, { ca: users.pem, cert: pair.cert, key: pair.key });
  assert.equal(fromData.authorization(), undefined);
});

test('it knows us by a token, by one in a file, which is read again after a minute, or by a password', () => {
  assert.equal(read({ server: SERVER }, { token: 'abc' }).authorization(), 'Bearer abc');
  const basic = read({ server: SERVER }, { username: 'a', password: 'b' });
  assert.equal(basic.authorization(), `Basic ${data('a:b')}`);
  const server = read({ server: SERVER }, { tokenFile: 'token', token: 'passed over' });
  assert.equal(server.authorization(), 'Bearer from-a-file');
  writeFileSync(join(folder, 'token'), 'another\n');
  clock.advance(59_999);
  assert.equal(server.authorization(), 'Bearer from-a-file');
  clock.advance(1);
  assert.equal(server.authorization(), 'Bearer another');
  rmSync(join(folder, 'token'));
  clock.advance(60_000);
  assert.equal(server.authorization(), 'Bearer another');
  writeFileSync(join(folder, 'token'), 'from-a-file\n');
});

test('plain HTTP and a server that nobody vouches for are for this machine', () => {
  for (const server of ['http://127.0.0.1:9/x', 'http://localhost/x', 'http://[::1]:9/']) {
    assert.equal(read({ server }).url.href, server);
  }
  const { tls } = read({ server: 'https://localhost:9', 'insecure-skip-tls-verify': true });
  assert.deepEqual(tls, { rejectUnauthorized: false });
  assert.equal(read({ server: 'http://10.0.0.1/' }, {}, {}, 'any').url.href, 'http://10.0.0.1/');
  const anybody = read({ server: SERVER, 'insecure-skip-tls-verify': true }, {}, {}, 'any');
  assert.deepEqual(anybody.tls, { rejectUnauthorized: false });
});

const SECRET = 's3cret';
const rows: readonly [what: string, cluster: object, user: object, more: object, says: RegExp][] = [
  ['no server', {}, {}, {}, /the cluster has no server: expected a URL/],
  ['no URL', { server: 'webhook.example' }, {}, {}, /server "webhook.example": expected a URL such as https/],
  ['another scheme', { server: 'ftp://a' }, {}, {}, /expected a URL such as https/],
  ['plain HTTP', { server: 'http://10.0.0.1' }, {}, {}, /anybody on the way could read tokens and answer/],
  ['a user in the URL', { server: `https://u:${SECRET}@a` }, {}, {}, /server: expected a URL without a user/],
  [
    'no verification',
    { server: SERVER, 'insecure-skip-tls-verify': true },
    {},
    {},
    /insecure-skip-tls-verify: anybody/,
  ],
  [
    'both',
    { server: 'https://localhost', 'insecure-skip-tls-verify': true, 'certificate-authority': 'ca.crt' },
    {},
    {},
    /contradict/,
  ],
  [
    'an authority of plain HTTP',
    { server: 'http://localhost', 'certificate-authority': 'ca.crt' },
    {},
    {},
    /certificates are of use with https/,
  ],
  ['no such file', { server: SERVER, 'certificate-authority': 'nowhere' }, {}, {}, /nowhere: no such file/],
  [
    'no certificate',
    { server: SERVER, 'certificate-authority': 'token' },
    {},
    {},
    /certificate-authority is not a certificate/,
  ],
  ['a proxy', { server: SERVER, 'proxy-url': 'http://p' }, {}, {}, /proxy-url is not supported/],
  [
    'a program',
    { server: SERVER },
    { exec: { command: SECRET } },
    {},
    /user "us": exec is not supported; expected a client/,
  ],
  ['somebody else', { server: SERVER }, { as: 'admin' }, {}, /user "us": as is not supported/],
  ['half a pair', { server: SERVER }, { 'client-certificate': 'us.crt' }, {}, /client-certificate needs client-key/],
  ['the other half', { server: SERVER }, { 'client-key': 'us.key' }, {}, /client-key needs client-certificate/],
  [
    "another's key",
    { server: SERVER },
    { 'client-certificate': 'us.crt', 'client-key-data': data(other.key) },
    {},
    /is the key of another certificate/,
  ],
  [
    'no current context',
    { server: SERVER },
    { token: SECRET },
    { 'current-context': '' },
    /current-context is missing/,
  ],
  ['another context', { server: SERVER }, {}, { 'current-context': 'x' }, /contexts has no "x"/],
  ['no cluster', { server: SERVER }, {}, { clusters: [] }, /clusters has no "remote"/],
  ['no user', { server: SERVER }, {}, { users: null }, /users has no "us"/],
];
for (const [what, cluster, user, more, says] of rows) {
  test(`${what} is refused, and said without secrets`, () => {
    assert.throws(
      () => read(cluster, user, more),
      (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, says);
        assert.match(error.message, /^--authorization-kubeconfig \//);
        assert.doesNotMatch(error.message, /s3cret|PRIVATE|\n/);
        return true;
      },
    );
  });
}

test('what is no kubeconfig at all is refused', () => {
  for (const [text, says] of [
    [`{token: ${SECRET}`, /not a kubeconfig: it is no YAML/],
    ['', /not a kubeconfig: expected clusters/],
    ['- a', /not a kubeconfig: expected clusters/],
  ] as const) {
    const path = join(folder, 'other');
    writeFileSync(path, text);
    assert.throws(() => readKubeconfig('authorization-kubeconfig', path, 'secure', clock), says);
  }
  assert.throws(
    () => readKubeconfig('authorization-kubeconfig', join(folder, 'none'), 'secure', clock),
    /no such file/,
  );
});
