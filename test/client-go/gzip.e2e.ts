import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { requireProgram } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';
import { type Programs, startPrograms } from './programs.js';

// Compressed LISTs are put together from parts that were compressed apart. What they are is up to those who read them.

const TYPES = ['application/json', 'application/vnd.kubernetes.protobuf'] as const;
let programs: Programs;
let ours: RunningServer;

before(async () => {
  programs = await startPrograms();
  const configMap = (index: number) => ({
    key: `/registry/configmaps/ns-${index % 3}/c${1_000 + index}`,
    object: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: `ns-${index % 3}`, name: `c${1_000 + index}` },
      data: { text: `<${index}> `.repeat(200) },
    },
  });
  for (let at = 0; at < 600; at += 50) {
    await programs.write(Array.from({ length: 50 }, (_, index) => configMap(at + index)));
  }
  ours = await startServer(['--etcd-servers', programs.etcd.endpoint]);
});
after(async () => {
  await ours?.stop();
  await programs?.[Symbol.asyncDispose]();
});

interface Read {
  readonly encoding: string;
  readonly compressed: number;
  readonly bytes: number;
  readonly digest: string;
  readonly plain: string;
}

test('Go’s gzip reader: one member, its CRC and length, the bytes of the plain LIST', async () => {
  for (let round = 0; round < 3; round++) {
    for (const path of ['/api/v1/configmaps', '/api/v1/namespaces/ns-1/configmaps', '/api/v1/configmaps?limit=333']) {
      for (const accept of TYPES) {
        const [read] = await programs.lines<Read>('gunzip', [`${ours.url}${path}`, accept]);
        assert.equal(read!.encoding, 'gzip', path);
        assert.equal(read!.digest, read!.plain, `${path} ${accept}`);
        assert.ok(read!.bytes > 128 * 1024 && read!.compressed * 3 < read!.bytes, JSON.stringify(read));
      }
    }
    const metadata = { namespace: 'ns-1', name: `c${1_100 + 3 * round}` };
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { round: `${round}` } };
    await programs.write([{ key: `/registry/configmaps/ns-1/${metadata.name}`, object }]);
  }
});

test('curl --compressed', () => {
  const curl = requireProgram('curl', 'CURL', 'install it with: apt-get install curl');
  const get = (accept: string, ...more: string[]) =>
    execFileSync(curl, ['-sS', '-A', 'test', '-H', `Accept: ${accept}`, ...more, `${ours.url}/api/v1/configmaps`], {
      maxBuffer: 2 ** 28,
    });
  for (const accept of TYPES) {
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    assert.equal(digest(get(accept, '--compressed')), digest(get(accept)));
    assert.equal(get(accept, '-H', 'Accept-Encoding: gzip').readUInt16BE(0), 0x1f8b);
  }
});
