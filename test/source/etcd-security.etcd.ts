import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { generate } from 'selfsigned';
import { isProgressTrusted } from '../../src/source/etcd/progress-trusted.js';
import { SourceError } from '../../src/source/source.js';
import { recordWatch } from '../support/watch-recorder.js';
import { eventually, faultTest, put, rejects, server, source, withEtcd } from './etcd-world.js';

faultTest('TLS with client certificates, from files and from text', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listwatch-tls-'));
  const extension = (cA: boolean) => [
    { name: 'basicConstraints' as const, cA, critical: true },
    { name: 'keyUsage' as const, digitalSignature: true, keyCertSign: cA },
    ...(cA ? [] : [{ name: 'extKeyUsage' as const, serverAuth: true, clientAuth: true }]),
    ...(cA ? [] : [{ name: 'subjectAltName' as const, altNames: [{ type: 7 as const, ip: '127.0.0.1' }] }]),
  ];
  const make = async (name: string, ca?: { key: string; cert: string }) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: extension(ca === undefined),
      ...(ca === undefined ? {} : { ca }),
    });
    const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
    writeFileSync(files.certFile, cert);
    writeFileSync(files.keyFile, key);
    return { cert, key, ...files };
  };
  const ca = await make('ca');
  const serving = await make('server', ca);
  const client = await make('client', ca);
  const stranger = await make('stranger');
  const etcd = await server({ tls: { certFile: serving.certFile, keyFile: serving.keyFile, caFile: ca.certFile } });
  try {
    const files = { caFile: ca.certFile, certFile: client.certFile, keyFile: client.keyFile };
    const texts = { caFile: ca.cert, certFile: client.cert, keyFile: client.key };
    for (const [endpoint, options] of [
      [etcd.endpoint, files],
      [etcd.endpoint.replace('https://', ''), texts], // TLS follows from the files
    ] as const) {
      const store = source([endpoint], options);
      const revision = await put(store, '/tls/a', '1');
      const recorder = recordWatch(store, '/tls/', revision);
      await recorder.untilRevision(revision);
      assert.equal(await store.progressTrusted(), isProgressTrusted(etcd.version));
    }
    for (const [what, options] of [
      ['no client certificate', { caFile: ca.certFile }],
      ['a client certificate of another CA', { ...files, certFile: stranger.certFile, keyFile: stranger.keyFile }],
      ['another CA for the server', { ...files, caFile: stranger.certFile }],
    ] as const) {
      const store = source([etcd.endpoint], { ...options, requestTimeoutMs: 5_000 });
      await assert.rejects(store.currentRevision(), (error) => {
        assert.ok(error instanceof SourceError && error.kind === 'unauthenticated', `${what}: ${error}`);
        return true;
      });
      const end = await recordWatch(store, '/', 1).untilEnd();
      assert.ok(end.kind === 'cut' && end.error.kind === 'unauthenticated', `${what}: ${JSON.stringify(end)}`);
    }
    assert.throws(
      () => source([etcd.endpoint], { ...files, caFile: join(folder, 'missing') }),
      /cannot read the CA certificate/,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

faultTest('user and password: wrong ones are refused, expired tokens are renewed, rights are kept', () =>
  withEtcd(
    async (etcd, open) => {
      await put(open, '/registry/a');
      const gateway = async (path: string, body: object) => {
        const response = await fetch(`${etcd.endpoint}/v3/auth/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
        });
        assert.equal(response.status, 200, await response.text());
      };
      const early = source([etcd.endpoint], { user: 'reader', password: 'secret' });
      await early.currentRevision(); // credentials, and a store that asks for none
      await gateway('user/add', { name: 'root', password: 'root' });
      await gateway('user/grant', { user: 'root', role: 'root' });
      await gateway('user/add', { name: 'reader', password: 'secret' });
      await gateway('role/add', { name: 'registry' });
      const range = { key: btoa('/registry/'), range_end: btoa('/registry0'), permType: 'READWRITE' };
      await gateway('role/grant', { name: 'registry', perm: range });
      await gateway('user/grant', { user: 'reader', role: 'registry' });
      await gateway('enable', {});

      const store = source([etcd.endpoint], { user: 'reader', password: 'secret' });
      const revision = await put(store, '/registry/b');
      const recorder = recordWatch(store, '/registry/', revision);
      await recorder.untilRevision(revision);
      await store.probe();
      await rejects('unauthenticated', put(store, '/elsewhere'));
      const denied = await recordWatch(store, '/elsewhere', 1).untilEnd();
      assert.ok(denied.kind === 'cut' && denied.error.kind === 'unauthenticated', JSON.stringify(denied));
      await delay(3_500); // the token expires
      await store.currentRevision();
      await delay(3_500);
      const resumed = await eventually(async () => {
        const again = recordWatch(store, '/registry/', revision);
        await again.until('events or the end', () => again.revisions.length > 0 || again.end !== undefined);
        assert.equal(again.end, undefined);
        return again;
      });
      resumed.handle!.close();

      for (const wrong of [{ user: 'reader', password: 'no' }, { user: 'nobody', password: 'secret' }, {}]) {
        const refused = source([etcd.endpoint], wrong);
        await rejects(
          'unauthenticated',
          refused.range({ from: Buffer.from('/registry/'), to: Buffer.from('/registry0') }, () => {}),
        );
        const end = await recordWatch(refused, '/registry/', 1).untilEnd();
        assert.ok(end.kind === 'cut' && end.error.kind === 'unauthenticated', JSON.stringify(end));
      }
    },
    { extraArgs: ['--auth-token-ttl', '1'] },
  ),
);
