import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { isTokenInvalid, toSourceError, wasNeverSent } from '../../src/source/etcd/errors.js';
import { StoreIdentity } from '../../src/source/etcd/identity.js';
import { parseEndpoint, toSettings } from '../../src/source/etcd/options.js';
import { isProgressTrusted } from '../../src/source/etcd/progress-trusted.js';
import { fromInt64, toInt64 } from '../../src/source/etcd/rpc.js';
import { ResponseHeader } from '../../src/source/etcd/skim.js';
import { SourceError } from '../../src/source/source.js';

// Which etcd reports progress only when it is true (spec 1.7)?
const versions: [version: string, trusted: boolean][] = [
  ['3.3.27', false],
  ['3.4.23', false],
  ['3.4.30', false],
  ['3.4.31', true],
  ['3.4.31-rc.0', false],
  ['3.4.40', true],
  ['3.5.0', false],
  ['3.5.12', false],
  ['3.5.13', true],
  ['3.5.13-rc.1', false],
  ['3.5.13+vendor.1', true],
  ['3.5.16', true],
  ['3.6.0-alpha.0', true],
  ['3.6.0', true],
  ['3.10.1', true],
  ['4.0.0', true],
  ['2.3.8', false],
  ['', false],
  ['3.5', false],
  ['not provided', false],
];
for (const [version, trusted] of versions) {
  test(`progress of etcd ${JSON.stringify(version)} is ${trusted ? '' : 'not '}trusted`, () =>
    assert.equal(isProgressTrusted(version), trusted));
}

const failures: [code: number, details: string, kind: SourceError['kind']][] = [
  [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted', 'compacted'],
  [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision', 'futureRevision'],
  [status.UNAUTHENTICATED, 'etcdserver: invalid auth token', 'unauthenticated'],
  [status.INVALID_ARGUMENT, 'etcdserver: user name is empty', 'unauthenticated'],
  [status.INVALID_ARGUMENT, 'etcdserver: authentication failed, invalid user ID or password', 'unauthenticated'],
  [status.PERMISSION_DENIED, 'etcdserver: permission denied', 'unauthenticated'],
  [
    status.UNAVAILABLE,
    'No connection established. Last error: self-signed certificate in certificate chain.',
    'unauthenticated',
  ],
  [status.UNAVAILABLE, 'No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1.', 'unavailable'],
  [status.UNAVAILABLE, 'etcdserver: no leader', 'unavailable'],
  [status.UNAVAILABLE, 'etcdserver: request timed out', 'unavailable'],
  [status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', 'unavailable'],
  [status.RESOURCE_EXHAUSTED, 'Received message larger than max (9 vs 8)', 'corrupt'],
  [status.INVALID_ARGUMENT, 'etcdserver: key is not provided', 'invalid'],
  [status.NOT_FOUND, 'etcdserver: requested lease not found', 'invalid'],
  [status.CANCELLED, '', 'unavailable'],
];
for (const [code, details, kind] of failures) {
  test(`gRPC ${status[code]} ${JSON.stringify(details)} is ${kind}`, () => {
    const error = toSourceError({ code, details }, 'http://a:1');
    assert.equal(error.kind, kind);
    assert.match(error.message, /^etcd http:\/\/a:1: ./);
  });
}

test('which failures call for a new token, and which were never sent', () => {
  assert.ok(isTokenInvalid({ code: 16, details: 'etcdserver: invalid auth token' }));
  assert.ok(isTokenInvalid({ code: 3, details: 'etcdserver: revision of auth store is old' }));
  assert.ok(!isTokenInvalid({ code: 7, details: 'etcdserver: permission denied' }));
  assert.ok(wasNeverSent({ code: status.UNAVAILABLE, details: 'No connection established. Last error: x.' }));
  assert.ok(!wasNeverSent({ code: status.UNAVAILABLE, details: 'Connection dropped' }));
});

const endpoints: [text: string, secureByDefault: boolean, url: string | RegExp][] = [
  ['http://127.0.0.1:2379', false, 'http://127.0.0.1:2379'],
  ['http://127.0.0.1:2379/', true, 'http://127.0.0.1:2379'],
  ['https://etcd.example:443', false, 'https://etcd.example:443'],
  ['http://etcd.example:80', false, 'http://etcd.example:80'],
  ['https://etcd.example', false, 'https://etcd.example:2379'],
  ['etcd-0:2379', false, 'http://etcd-0:2379'],
  ['etcd-0:2379', true, 'https://etcd-0:2379'],
  ['[::1]:2379', false, 'http://[::1]:2379'],
  ['', false, /is not an endpoint/],
  ['http://', false, /is not an endpoint/],
  ['ftp://a:1', false, /must be http or https, not ftp/],
  ['http://a:1/v3', false, /must name a host and a port only/],
  ['http://u:p@a:1', false, /must name a host and a port only/],
];
for (const [text, secureByDefault, url] of endpoints) {
  test(`the endpoint ${JSON.stringify(text)}${secureByDefault ? ' with TLS files' : ''}`, () => {
    if (url instanceof RegExp) assert.throws(() => parseEndpoint(text, secureByDefault), url);
    else assert.equal(parseEndpoint(text, secureByDefault).url, url);
  });
}

test('options that cannot work are refused', () => {
  const refused = (pattern: RegExp, options: Parameters<typeof toSettings>[0]) =>
    assert.throws(
      () => toSettings(options),
      (error) => error instanceof SourceError && error.kind === 'invalid' && pattern.test(error.message),
    );
  refused(/no endpoint/, { endpoints: [] });
  refused(/given together/, { endpoints: ['a:1'], certFile: '-----BEGIN X' });
  refused(/cannot read the CA certificate/, { endpoints: ['a:1'], caFile: '/does/not/exist' });
  refused(/cannot use the TLS files/, { endpoints: ['a:1'], certFile: '-----BEGIN X', keyFile: '-----BEGIN X' });
});

test('lease ids keep their 64 bits', () => {
  for (const id of [0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -1n])
    assert.equal(fromInt64(toInt64(id)), id);
});

function header(revision: number, clusterIdLow = 7, raftTerm = 2): ResponseHeader {
  return Object.assign(new ResponseHeader(), { clusterIdLow, revision, raftTerm });
}

function identityWithLog() {
  const replaced: string[] = [];
  return { identity: new StoreIdentity((message) => replaced.push(message)), replaced };
}

const isReplaced = (error: unknown) => error instanceof SourceError && error.kind === 'replaced';

test('identity: answers that overtake each other are no replacement', () => {
  const { identity, replaced } = identityWithLog();
  const early = identity.floor();
  const late = identity.floor();
  identity.checkLinearizable(header(9), late);
  identity.checkLinearizable(header(5), early);
  assert.deepEqual(replaced, []);
  assert.throws(() => identity.checkLinearizable(header(8), identity.floor()), isReplaced);
});

test('identity: a lagging watch is no replacement, but raises what is known', () => {
  const { identity } = identityWithLog();
  identity.checkLinearizable(header(9), identity.floor());
  identity.checkLagging(header(4), 0);
  identity.checkLagging(header(12), 0);
  assert.throws(() => identity.checkLinearizable(header(11), identity.floor()), isReplaced);
});

const replacements: [what: string, header: ResponseHeader][] = [
  ['another cluster id', header(100, 8)],
  ['a lower revision', header(8)],
  ['a lower raft term', header(100, 7, 1)],
];
for (const [what, other] of replacements) {
  test(`identity: ${what} is a replacement, reported once, and then the new store is known`, () => {
    const { identity, replaced } = identityWithLog();
    identity.checkLinearizable(header(9), identity.floor());
    const underWay = identity.floor();
    assert.throws(() => identity.checkLinearizable(other, identity.floor()), isReplaced);
    assert.equal(identity.generation, 1);
    assert.equal(replaced.length, 1);
    assert.throws(() => identity.checkLinearizable(other, underWay), isReplaced, 'asked of the old store');
    assert.throws(() => identity.checkLagging(other, 0), isReplaced, 'a watch on the old store');
    identity.checkLinearizable(other, identity.floor());
    assert.equal(replaced.length, 1);
  });
}

test('identity: a response without a header is corrupt', () => {
  const { identity } = identityWithLog();
  assert.throws(
    () => identity.checkLinearizable(new ResponseHeader(), identity.floor()),
    (error) => error instanceof SourceError && error.kind === 'corrupt',
  );
});
