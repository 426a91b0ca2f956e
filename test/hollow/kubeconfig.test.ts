import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readApiServer } from '../../src/hollow/kubeconfig.js';
import { UsageError } from '../../src/app/usage-error.js';
import { systemClock } from '../../src/lib/clock.js';
import { authority } from '../auth/support.js';
import { freePort } from '../support/command.js';
import { assertLived, runSmall } from './small-cluster.js';
import { startWritingApi, TOKEN } from './writing-api.js';

const folder = mkdtempSync(join(tmpdir(), 'listwatch-hollow-kubeconfig-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function kubeconfig(name: string, cluster: object, user: object): string {
  const path = join(folder, name);
  const config = {
    'current-context': 'one',
    contexts: [{ name: 'one', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
  };
  writeFileSync(path, JSON.stringify(config)); // which is YAML
  return path;
}

test('a hollow cluster through an API server: every write is a call, and nothing of it stays', async () => {
  await using api = await startWritingApi();
  const path = kubeconfig('writes', { server: api.url }, { token: TOKEN });
  const ran = await runSmall({ kubeconfig: path });
  assert.equal(ran.result.status, 'done', ran.result.message);
  assertLived(ran);
  assert.ok(ran.result.testSeconds < 8, `${ran.result.testSeconds} s: everything has settled`);
  assert.equal(ran.report.objectives.length, 9, 'with the one of writes');
  assert.equal(ran.report.storeWrites, undefined);
  for (const write of [
    'POST nodes',
    'POST leases',
    'PUT leases',
    'PATCH nodes/status',
    'POST replicasets',
    'PATCH replicasets/status',
    'DELETE replicasets',
    'POST pods',
    'POST pods/binding',
    'PATCH pods/status',
    'DELETE pods',
    'DELETE nodes',
    'DELETE leases',
    'DELETE namespaces',
  ]) {
    assert.ok(api.writes.has(write), `${write}; there were ${[...api.writes].join(', ')}`);
  }
  const verbs = new Set(ran.report.calls.map(({ verb }) => verb));
  for (const verb of ['GET', 'LIST', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) assert.ok(verbs.has(verb), verb);

  const again = await runSmall({ kubeconfig: path, duration: '1s' });
  assert.equal(again.result.status, 'done', 'the first left nothing that is in the way');
});

test('calls that fail are counted and shown, and end nothing', async () => {
  await using api = await startWritingApi();
  api.broken = /\/nodes\/hollow-node-1\?/;
  const path = kubeconfig('broken', { server: api.url }, { token: TOKEN });
  const { result, report } = await runSmall({ kubeconfig: path });
  assert.equal(result.status, 'done', result.message);
  const reads = report.calls.find(({ verb, resource }) => verb === 'GET' && resource === 'nodes');
  assert.ok(reads !== undefined && reads.latency.failed > 0 && reads.latency.failed < reads.latency.count);
  assert.equal(reads.latency.p99, null, 'one of that rank never came back');
  assert.match(report.problems.join(), /GET \S*hollow-node-1\S*: status 503: not now/);
  assert.equal(report.passed, false);
  const missed = report.objectives.filter(({ verdict }) => verdict === 'missed').map(({ text }) => text);
  assert.ok(missed.includes('99% of reads of one object within 1 s'), missed.join());
});

test('credentials come from the current context, in each of their forms', async () => {
  const { pem, client } = await authority('users');
  const { cert, key } = await client('hollow');
  const token = join(folder, 'token');
  writeFileSync(token, 'from-a-file\n');
  const data = (text: string) => Buffer.from(text).toString('base64');
  const server = 'https://example.com:6443';
  const withCertificate = kubeconfig(
    'certificate',
    { server, 'certificate-authority-data': data(pem), 'tls-server-name': 'api' },
    { 'client-certificate-data': data(cert), 'client-key-data': data(key) },
  );
  assert.deepEqual(readApiServer(withCertificate, systemClock), {
    url: server,
    tls: { ca: pem, cert, key, servername: 'api' },
  });
  const headers = (user: object) =>
    readApiServer(kubeconfig('headers', { server, 'insecure-skip-tls-verify': true }, user), systemClock).headers?.[
      'authorization'
    ];
  assert.equal(headers({ token: 'one' }), 'Bearer one');
  assert.equal(headers({ tokenFile: 'token' }), 'Bearer from-a-file', 'beside the kubeconfig');
  assert.equal(headers({ username: 'u', password: 'p' }), `Basic ${data('u:p')}`);
  assert.equal(headers({}), undefined);
});

const server = 'http://127.0.0.1:1';
const wrong: readonly [name: string, path: () => string, says: RegExp][] = [
  ['no file', () => join(folder, 'none'), /none: no such file/],
  [
    'no context',
    () => {
      const path = join(folder, 'empty');
      writeFileSync(path, 'apiVersion: v1\n');
      return path;
    },
    /current-context is missing/,
  ],
  ['a plugin', () => kubeconfig('exec', { server }, { exec: {} }), /exec is not supported/],
  ['a path', () => kubeconfig('path', { server: `${server}/k8s` }, {}), /expected a URL without a path/],
  ['a server that is no URL', () => kubeconfig('url', { server: 'nowhere' }, {}), /server "nowhere": expected a URL/],
];
for (const [name, path, says] of wrong) {
  test(`a kubeconfig with ${name} is refused`, () => {
    assert.throws(
      () => readApiServer(path(), systemClock),
      (error) => error instanceof UsageError && says.test(error.message),
    );
  });
}

test('a server that is out of reach, or does not let us in, is said before anything runs', async () => {
  const nobody = kubeconfig('nobody', { server: `http://127.0.0.1:${await freePort()}` }, {});
  await assert.rejects(runSmall({ kubeconfig: nobody }), {
    name: 'UsageError',
    message: /nobody: http:.*ECONNREFUSED/,
  });
  await using api = await startWritingApi();
  const stranger = kubeconfig('stranger', { server: api.url }, { token: 'x' });
  await assert.rejects(runSmall({ kubeconfig: stranger }), { name: 'UsageError', message: /status 401: Unauthorized/ });
  assert.equal(api.writes.size, 0);
  await assert.rejects(runSmall({ kubeconfig: stranger, twin: 'hash' }), /--kubeconfig and --twin exclude each other/);
});
