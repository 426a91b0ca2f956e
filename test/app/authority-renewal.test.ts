import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ask, authority } from '../auth/support.js';
import { eventually } from '../http/client.js';
import { startServer } from '../support/server.js';

const folder = mkdtempSync(join(tmpdir(), 'listwatch-authorities-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** At once: half a file would be looked at, too. */
function put(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const RENEWAL_MS = 30_000;

test('whose authority comes or goes is known or not from then on; a file without a certificate changes nothing', async (t) => {
  const [first, second, proxies] = [await authority('first'), await authority('second'), await authority('proxies')];
  const [users, proxy] = [join(folder, 'ca.crt'), join(folder, 'proxy-ca.crt')];
  put(users, first.pem);
  put(proxy, first.pem);
  const server = await startServer([
    ...['--sample', 'nodes=1,pods=1', '--anonymous-auth', 'false', '--client-ca-file', users],
    ...['--requestheader-client-ca-file', proxy, '--requestheader-allowed-names', 'proxy'],
  ]);
  t.after(() => server.stop());
  const port = Number(new URL(server.secureUrl).port);
  const [old, young] = [await first.client('jane'), await second.client('jane')];
  const behind = { client: await proxies.client('proxy'), headers: { 'X-Remote-User': 'jane' } };
  const kept = new Agent({ rejectUnauthorized: false, keepAlive: true, maxSockets: 1, ...old });
  t.after(() => kept.destroy());
  const read = async (asked: Parameters<typeof ask>[2]) => (await ask(port, '/api/v1/nodes', asked)).code;
  assert.deepEqual(
    [await read({ agent: kept }), await read({ client: young }), await read(behind)],
    [200, 401, 401],
    'only those of the first are known',
  );

  put(users, `${first.pem}\n${second.pem}`);
  await eventually('the second is known', async () => (await read({ client: young })) === 200, RENEWAL_MS);
  assert.equal(await read({ agent: kept }), 200);

  put(users, 'nothing');
  await eventually(
    'it is told of',
    () => /the authorities stay as they were: no cert/.test(server.stderr()),
    RENEWAL_MS,
  );
  assert.deepEqual([await read({ agent: kept }), await read({ client: young })], [200, 200]);

  put(users, second.pem);
  await eventually(
    'the first is unknown, also on a connection that was there',
    async () => {
      return (await read({ agent: kept })) === 401;
    },
    RENEWAL_MS,
  );
  assert.deepEqual([await read({ client: old }), await read({ client: young })], [401, 200]);

  put(proxy, proxies.pem);
  await eventually('the front proxy is believed', async () => (await read(behind)) === 200, RENEWAL_MS);
  assert.deepEqual([await read({ client: old }), await read({ client: young })], [401, 200]);
});
