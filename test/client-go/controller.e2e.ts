import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask } from '../auth/support.js';
import { eventually, type RunningCommand, start } from '../support/command.js';
import { type ForwardingServers, startForwardingServers } from '../support/forwarding.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { seededRandom } from '../../src/lib/random.js';
import { parseLines } from './programs.js';

// A controller of controller-runtime with one kubeconfig: it reads from listwatch, and writes through it to the Go peer.

let servers: ForwardingServers;
let controller: RunningCommand;

before(async () => {
  const bin = await buildGoPrograms('client-go');
  servers = await startForwardingServers();
  await write('POST', '/api/v1/namespaces', { metadata: { name: 'work' } });
  controller = start(join(bin, 'controller'), ['-server', servers.url, '-insecure', '-token', 't-jane']);
  await eventually('the cache of the controller', () => controller.stdout().includes('"synced"'), 60_000, 50);
});
after(async () => {
  await controller?.stop();
  await servers?.stop();
});

const CONFIGMAPS = '/api/v1/namespaces/work/configmaps';
const jane = { authorization: 'Bearer t-jane' };

/** Through listwatch, again and again while one of the two is away: a code that is `expected` in the end. */
async function write(method: string, path: string, object?: object, expected = [200, 201, 404, 409]): Promise<number> {
  let code = 0;
  let said = '';
  await eventually(
    `${method} ${path}`,
    async () => {
      const sent = { method, headers: { ...jane, 'content-type': 'application/json' } };
      const body = object === undefined ? {} : { body: JSON.stringify(object) };
      try {
        ({ code, body: said } = await ask(servers.port, path, { ...sent, ...body }));
      } catch {
        return false; // listwatch is away
      }
      assert.ok(expected.includes(code) || code >= 500 || code === 429, `${method} ${path}: ${code} ${said}`);
      return expected.includes(code);
    },
    60_000,
    100,
  );
  return code;
}

interface ConfigMap {
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
  readonly data?: Record<string, string>;
}

/** By name: the data of ConfigMaps with a label, as a server shows them. */
function dataOf(text: string, label: string): Record<string, unknown> {
  const items = (JSON.parse(text) as { items: ConfigMap[] }).items.filter(
    ({ metadata }) => metadata.labels?.['mirror'] === label,
  );
  return Object.fromEntries(items.map(({ metadata, data }) => [metadata.name.replace(/-mirror$/, ''), data ?? {}]));
}

async function converged(): Promise<void> {
  let last = '';
  await eventually(
    'every source has its mirror, and nothing else has one',
    async () => {
      const theirs = await (await fetch(`${servers.peerUrl}${CONFIGMAPS}`)).text();
      const [source, copy] = [dataOf(theirs, 'source'), dataOf(theirs, 'copy')];
      last = JSON.stringify(copy);
      const isSame = JSON.stringify(sorted(source)) === JSON.stringify(sorted(copy));
      if (!isSame) return false;
      const ours = (await ask(servers.port, CONFIGMAPS, { headers: jane })).body;
      assert.deepEqual(dataOf(ours, 'copy'), copy, 'both servers show the same mirrors');
      return true;
    },
    120_000,
    200,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\nmirrors: ${last.slice(-2_000)}\n${controller.stderr().slice(-2_000)}`);
  });
}

const sorted = (data: Record<string, unknown>) => Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));

test('it converges, while listwatch and the apiserver are killed and started again', { timeout: 230_000 }, async () => {
  const random = seededRandom(7);
  const names = Array.from({ length: 30 }, (_, index) => `s${index}`);
  const source = (name: string, value: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { mirror: 'source' } },
    data: { value },
  });
  let changes = 0;
  const change = async () => {
    const name = random.pick(names);
    const body = source(name, `v${changes++}`);
    if (random.chance(0.25)) await write('DELETE', `${CONFIGMAPS}/${name}`);
    else if ((await write('PUT', `${CONFIGMAPS}/${name}`, body)) === 404) await write('POST', CONFIGMAPS, body);
  };
  for (const name of names) await write('POST', CONFIGMAPS, source(name, 'first'));
  await converged();
  for (const server of ['ours', 'peer', 'ours', 'peer'] as const) {
    const changing = (async () => {
      for (let count = 0; count < 40; count++) await change();
    })();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await servers[server].kill();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await servers[server].start();
    await changing;
    await converged();
  }
  const done = parseLines<{ type: string }>(controller.stdout()).map(({ type }) => type);
  for (const type of ['created', 'updated', 'deleted']) assert.ok(done.includes(type), type);
});

test('a user who may not write is told so by the apiserver, by name', async () => {
  const sent = { method: 'POST', headers: { authorization: 'Bearer t-bob', 'content-type': 'application/json' } };
  const refused = await ask(servers.port, CONFIGMAPS, { ...sent, body: '{"metadata":{"name":"x"}}' });
  assert.equal(refused.code, 403);
  assert.match(
    refused.body,
    /User \\"bob\\" cannot create resource \\"configmaps\\" in API group \\"\\" in the namespace \\"work\\"/,
  );
});
