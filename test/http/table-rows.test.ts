import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { apiVersionOf } from '../../src/api/gvr.js';
import type { WireObject } from '../../src/codec/codec.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { isConvertedVersion } from '../../src/codec/kind.js';
import { kinds } from '../../src/codec/kinds.js';
import { parseSelection } from '../../src/codec/projector.js';
import { messageType } from '../../src/codec/schema.js';
import { createWriter } from '../../src/codec/writer.js';
import { createTableEncoder } from '../../src/http/encode/table.js';
import { COMMON, tableFor } from '../../src/http/encode/table/index.js';
import { BufferWriter } from '../../src/http/encode/writer.js';
import { systemClock } from '../../src/lib/clock.js';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import { type LeafRows, RowsMaker } from '../../src/serve/leaf-rows.js';
import { randomObject } from '../support/random-object.js';
import { pod, type Serving, startServing } from './serving.js';

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const START = Date.UTC(2026, 5, 1, 12);

/** Any time at which ages look different: before the object was made, seconds, hours and years after. */
function anyTime(random: Random): number {
  return START + random.pick([-1, 1]) * random.int(10 ** random.int(12));
}

const seed = process.env['SEED'] === undefined ? systemRandom.int(2 ** 31) : Number(process.env['SEED']);

for (const kind of kinds.filter((one) => !isConvertedVersion(one))) {
  if (tableFor(kind).compare !== undefined) continue;
  test(`${apiVersionOf(kind.group, kind.version)} ${kind.resource}: kept rows are those of now, whenever that is`, () => {
    const random = seededRandom(seed);
    const codec = createKindCodec(kind, { readDefaults: false });
    const selection = parseSelection(`${COMMON} ${tableFor(kind).reads}`);
    const type = messageType(kind.message);
    const versions = new Map<number, WireObject>();
    const wireOf = (id: number): WireObject => {
      const object = randomObject(type, selection, random) as Record<string, unknown> & { metadata?: object };
      const creationTimestamp = new Date(START - random.int(1e10)).toISOString().replace(/\.\d+/, '');
      const metadata = { ...object.metadata, ...(random.chance(0.9) ? { creationTimestamp } : {}) };
      const apiVersion = apiVersionOf(kind.group, kind.version);
      const stored = codec.toStored({ ...object, metadata, apiVersion, kind: kind.kind });
      const into = createWriter();
      codec.toWire(stored, 0, stored.length, id, into);
      return { bytes: into.bytes, headerStart: into.headerStart, start: into.start, end: into.position };
    };
    let nowMs = START;
    const encoder = createTableEncoder(codec, 'v1', 'Metadata', () => nowMs);
    const maker = new RowsMaker();
    const source = {
      modRevision: (id: number) => id,
      object: (id: number) => versions.get(id)!,
    } as unknown as Parameters<RowsMaker['make']>[2];
    let ids: number[] = [];
    let rows: LeafRows | undefined;
    for (let edition = 1; edition <= 6; edition++) {
      ids = ids.filter(() => random.chance(0.7));
      for (let count = 1 + random.int(8); count > 0; count--) {
        const id = versions.size + 1;
        versions.set(id, wireOf(id));
        ids.splice(random.int(ids.length + 1), 0, id);
      }
      rows = maker.make(edition, Int32Array.from(ids), source, rows, encoder.holed!);
      for (let look = 0; look < 4; look++) {
        nowMs = anyTime(random);
        const start = random.int(ids.length);
        const end = start + 1 + random.int(ids.length - start);
        const want = ids.slice(start, end).map((id) => {
          const into = new BufferWriter(64);
          encoder.row(versions.get(id)!, into);
          return into.written().toString('latin1');
        });
        const got = new BufferWriter(64);
        encoder.fill({ rows, start, end }, got);
        assert.equal(got.written().toString('latin1'), want.join(), `SEED=${seed}, at ${nowMs}`);
        assert.ok(!got.written().includes(0x3c), 'what stands for no duration is escaped, too');
      }
    }
  });
}

let compressed = 0;

async function list(serving: Serving, url: string, gzip: boolean, accept = TABLE): Promise<string> {
  const headers = { host: 'localhost', accept, ...(gzip ? { 'accept-encoding': 'gzip' } : {}) };
  const response = await serving.server.inject({ url, headers });
  assert.equal(response.statusCode, 200, url);
  const { rawPayload, headers: answered } = response;
  if (answered['content-encoding'] !== 'gzip') return rawPayload.toString('latin1');
  compressed++;
  return gunzipSync(rawPayload).toString('latin1');
}

/** A server that keeps rows and one that encodes every LIST anew, of one store and with one clock. */
function startPair(fragmentCacheBytes: number) {
  const time = { nowMs: START };
  const clock = { ...systemClock, nowMs: () => time.nowMs };
  const fresh = startServing({ clock, limits: { fragmentCacheBytes: 0 } });
  const kept = startServing({ clock, store: fresh.store, limits: { fragmentCacheBytes } });
  return {
    time,
    fresh,
    kept,
    async same(url: string, gzip = false, accept = TABLE): Promise<string> {
      const [want, got] = await Promise.all([list(fresh, url, gzip, accept), list(kept, url, gzip, accept)]);
      assert.equal(got, want, `SEED=${seed}, ${url}, at ${time.nowMs}`);
      return got;
    },
    async close() {
      await kept.close();
      await fresh.close();
    },
  };
}

async function write(serving: Serving, random: Random, names: number): Promise<void> {
  const namespace = random.pick(['a', 'a-b', 'b']);
  const name = `p${random.int(names)}`;
  if (random.chance(0.2)) return void (await serving.remove('pods', namespace, name));
  const time = (ms: number) => new Date(START - random.int(ms)).toISOString().replace(/\.\d+/, '');
  const finishedAt = time(1e7);
  const metadata = {
    name,
    namespace,
    creationTimestamp: time(1e10),
    annotations: { text: '<é>"'.repeat(random.int(400)) },
  };
  const containerStatuses = [
    { name: 'c', restartCount: random.int(4), lastState: { terminated: { exitCode: 1, finishedAt } } },
  ];
  await serving.put('pods', pod(name, namespace, { metadata, status: { phase: 'Running', containerStatuses } }));
}

for (const fragmentCacheBytes of [30_000, 1e9]) {
  test(`random writes, Tables and pages at any time: the same bytes as without fragments (${fragmentCacheBytes} bytes)`, async () => {
    const random = seededRandom(seed);
    const pair = startPair(fragmentCacheBytes);
    try {
      for (let step = 0; step < 40; step++) {
        for (let count = random.int(step < 10 ? 80 : 8); count > 0; count--) await write(pair.fresh, random, 120);
        pair.time.nowMs = anyTime(random);
        const path = random.pick(['/api/v1/pods', '/api/v1/namespaces/a/pods']);
        const limit = 1 + random.int(90);
        const gzip = random.chance(0.6);
        let token = '';
        do {
          const page = await pair.same(`${path}?limit=${limit}${token}`, gzip);
          const { metadata } = JSON.parse(page) as { metadata: { continue?: string } };
          token = metadata.continue === undefined ? '' : `&continue=${encodeURIComponent(metadata.continue)}`;
        } while (token !== '');
        await pair.same(path, random.chance(0.5));
        await pair.same(`${path}?includeObject=${random.pick(['None', 'Object'])}`);
        await pair.same(path, false, TABLE.replace('v1', 'v1beta1'));
        assert.ok(pair.kept.fragments!.stats.bytes <= fragmentCacheBytes);
      }
      const { hits } = pair.kept.fragments!.stats;
      const found = Math.min(hits.table, hits['table-deflate']);
      assert.ok(found > 0 || fragmentCacheBytes < 1e6, JSON.stringify(hits));
      assert.ok(compressed > 20, `${compressed} were compressed`);
    } finally {
      await pair.close();
    }
  });
}

test('a Table after few changes looks for few leaves in vain; ages go on', async () => {
  const pair = startPair(1e9);
  for (let index = 0; index < 1_000; index++) await pair.fresh.put('pods', pod(`p${1_000 + index}`, 'a'));
  const misses = () => pair.kept.fragments!.stats.misses.table;
  const first = await pair.same('/api/v1/pods');
  const filled = misses();
  assert.ok(filled >= 15, `${filled} leaves`);
  pair.time.nowMs += 48 * 3_600_000;
  assert.notEqual(await pair.same('/api/v1/pods'), first);
  assert.equal(misses(), filled, 'nothing changed but the time');
  await pair.fresh.put('pods', pod('p1007', 'a', { metadata: { name: 'p1007', namespace: 'a' } }));
  await pair.same('/api/v1/pods');
  assert.equal(misses(), filled + 1);
  await pair.close();
});
