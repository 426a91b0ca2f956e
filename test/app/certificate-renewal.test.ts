import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generate } from 'selfsigned';
import { followCertificate } from '../../src/app/certificate-renewal.js';
import type { KeyPair } from '../../src/app/certificates.js';
import type { Log } from '../../src/app/log.js';
import { systemClock } from '../../src/lib/clock.js';
import { eventually } from '../http/client.js';

const folder = mkdtempSync(join(tmpdir(), 'listwatch-renewal-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const certFile = join(folder, 'tls.crt');
const keyFile = join(folder, 'tls.key');

async function made(name: string): Promise<KeyPair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], { keyType: 'ec' });
  return { cert, key };
}

/** At once: half a file would be looked at, too. */
function put(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

test('the pair in the files is followed; one that does not fit is told of once and passed over', async (t) => {
  const [first, second] = [await made('first'), await made('second')];
  put(certFile, first.cert);
  put(keyFile, first.key);
  const given: KeyPair[] = [];
  const said: string[] = [];
  const say = (_fields: object, message: string) => void said.push(message);
  const log = { info: say, warn: say } as unknown as Log;
  const renewal = followCertificate({
    what: 'tls-cert-file',
    certFile,
    keyFile,
    pair: first,
    everyMs: 10,
    renewed: (pair) => given.push(pair),
    clock: systemClock,
    log,
  });
  t.after(() => renewal.stop());
  const turns = () => new Promise((resolve) => setTimeout(resolve, 100));
  await turns();
  assert.deepEqual([given, said], [[], []], 'nothing has changed');

  put(certFile, second.cert);
  await eventually('the half that does not fit is told of', () => said.length === 1);
  await turns();
  assert.equal(said.length, 1);
  assert.match(said[0]!, /^the certificate stays as it was: .*tls\.key is the key of another certificate$/);
  assert.deepEqual(given, []);

  put(keyFile, second.key);
  await eventually('the new pair is given', () => given.length === 1);
  assert.deepEqual(given, [second]);
  assert.equal(said.at(-1), 'the certificate was renewed');

  rmSync(keyFile);
  await eventually('a missing file is told of', () => said.length === 3);
  await turns();
  assert.equal(said.length, 3);
  assert.match(said[2]!, /ENOENT/);
  put(keyFile, first.key);
  put(certFile, first.cert);
  await eventually('the pair is given again', () => given.length === 2 || given.length === 3);
  assert.deepEqual(given.at(-1), first);
  for (const message of said) assert.doesNotMatch(message, /PRIVATE/);
});
