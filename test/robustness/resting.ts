import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { etcdKv } from '../support/etcd-kv.js';
import { type RunningServer, startServer } from '../support/server.js';
import { metricSum } from './client.js';
import { configMap, configMapKey } from './objects.js';

// What the process takes at rest, for a known store (docs/adr/0019-resident-memory.md).

const OBJECTS = 10_000;
const OBJECT_BYTES = 3_000;
const BESIDES_BYTES = 90 * 2 ** 20;
/** Another C library, another Node, another number of cores. */
const SLACK_BYTES = 24 * 2 ** 20;

describe('memory at rest', () => {
  let etcd: Etcd;
  let server: RunningServer | undefined;
  let storedBytes = 0;

  before(async () => {
    etcd = await startEtcd();
    const kv = etcdKv(etcd.endpoint);
    for (let from = 0; from < OBJECTS; from += 100) {
      await kv.putAll(
        Array.from({ length: 100 }, (_, index) => {
          const name = `c${String(from + index).padStart(5, '0')}`;
          const value = configMap('resting', name, { text: `${name} `.repeat(OBJECT_BYTES / (name.length + 1)) });
          storedBytes += value.length;
          return [configMapKey('resting', name), value] as const;
        }),
      );
    }
  });
  after(async () => {
    await server?.stop();
    await etcd?.stop();
  });

  test('it is 1.4 times what is stored, and 90 MiB', { timeout: 60_000 }, async (context) => {
    server = await startServer(['--etcd-servers', etcd.endpoint, '--watch-cache-initialization', 'configmaps']);
    const { url, pid } = server;
    const collected = async () => (await metricSum(url, 'listwatch_memory_idle_collections_total')) > 0;
    await eventually('the garbage of the first list is collected', collected, 30_000, 500);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const residentBytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
    const bytesMax = storedBytes * 1.4 + BESIDES_BYTES + SLACK_BYTES;
    const text = `${residentBytes >> 20} MiB resident, ${storedBytes >> 20} stored, bound ${bytesMax >> 20}`;
    context.diagnostic(text);
    assert.ok(residentBytes < bytesMax, text);
  });
});
