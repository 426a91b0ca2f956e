import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import { hasZstd } from '../../src/lib/zstd.js';
import { pod, type Serving, startServing } from './serving.js';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const JSON_TYPE = 'application/json';
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

/** What the client offers. Where Node has no Zstandard, whoever offers that gets plain bytes. */
const codings = ['', 'gzip', 'zstd'] as const;
type Coding = (typeof codings)[number];
const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync(bytes: Uint8Array): Buffer };
const skipZstd = hasZstd ? false : 'this Node has no Zstandard: it has from 22.15 on';

function decode(bytes: Buffer, coding: string | undefined): Buffer {
  return coding === 'gzip' ? zlib.gunzipSync(bytes) : coding === 'zstd' ? zstdDecompressSync(bytes) : bytes;
}

interface Listed {
  readonly code: number;
  readonly encoding: string | undefined;
  readonly vary: string | undefined;
  readonly length: string | undefined;
  /** Uncompressed. */
  readonly body: Buffer;
}

async function list(serving: Serving, url: string, accept: string, coding: Coding): Promise<Listed> {
  const headers = { host: 'localhost', accept, ...(coding === '' ? {} : { 'accept-encoding': coding }) };
  const { statusCode, headers: answered, rawPayload } = await serving.server.inject({ url, headers });
  const encoding = answered['content-encoding']?.toString();
  return {
    code: statusCode,
    encoding,
    vary: answered['vary']?.toString(),
    length: answered['content-length']?.toString(),
    body: decode(rawPayload, encoding),
  };
}

/** A server that keeps fragments and one that encodes every LIST anew, of one store. */
async function startPair(fragmentCacheBytes: number) {
  const fresh = startServing({ limits: { fragmentCacheBytes: 0 } });
  const kept = startServing({ store: fresh.store, limits: { fragmentCacheBytes } });
  return {
    fresh,
    kept,
    async same(url: string, accept: string, coding: Coding): Promise<Listed> {
      const [want, got] = await Promise.all([list(fresh, url, accept, coding), list(kept, url, accept, coding)]);
      assert.equal(got.body.toString('latin1'), want.body.toString('latin1'), `${url} ${accept} ${coding}`);
      assert.deepEqual(got, want);
      return got;
    },
    async close() {
      await kept.close();
      await fresh.close();
    },
  };
}

const text = (random: Random, bytesMax: number) => random.pick(['a', '"<é>"', '\\u0000 ']).repeat(random.int(bytesMax));

async function write(serving: Serving, random: Random, names: number): Promise<void> {
  const namespace = random.pick(['a', 'a-b', 'b', 'c']);
  const name = `p${random.int(names)}`;
  if (random.chance(0.2)) return void (await serving.remove('pods', namespace, name));
  const bytesMax = random.chance(0.02) ? 40_000 : 1_000;
  const metadata = { name, namespace, uid: `u${random.int(1e6)}`, annotations: { text: text(random, bytesMax) } };
  await serving.put('pods', pod(name, namespace, { metadata }));
}

/** From the first page to the last, each as both servers have it. */
async function walk(pair: Awaited<ReturnType<typeof startPair>>, path: string, limit: number, coding: Coding) {
  let token = '';
  do {
    const page = await pair.same(`${path}?limit=${limit}${token}`, JSON_TYPE, coding);
    const { metadata } = JSON.parse(page.body.toString()) as { metadata: { continue?: string } };
    token = metadata.continue === undefined ? '' : `&continue=${encodeURIComponent(metadata.continue)}`;
  } while (token !== '');
}

for (const fragmentCacheBytes of [20_000, 1_500_000, 1e9]) {
  test(`random writes and LISTs: the same bytes as without fragments (${fragmentCacheBytes} bytes)`, async () => {
    const seed = process.env['SEED'] === undefined ? systemRandom.int(2 ** 31) : Number(process.env['SEED']);
    const random = seededRandom(seed);
    const pair = await startPair(fragmentCacheBytes);
    try {
      for (let step = 0; step < 60; step++) {
        for (let count = random.int(step < 20 ? 60 : 12); count > 0; count--) await write(pair.fresh, random, 80);
        const path = random.pick(['/api/v1/pods', '/api/v1/namespaces/a/pods', '/api/v1/namespaces/b/pods']);
        const coding = random.pick(codings);
        if (random.chance(0.15)) await walk(pair, path, 1 + random.int(90), coding);
        else await pair.same(path, random.pick([JSON_TYPE, PROTOBUF]), coding);
        const { bytes } = pair.kept.fragments!.stats;
        assert.ok(bytes <= fragmentCacheBytes, `${bytes} bytes are kept`);
      }
      const { hits } = pair.kept.fragments!.stats;
      assert.ok(hits.json + hits['json-deflate'] > 0 || fragmentCacheBytes < 1e6, JSON.stringify(hits));
    } catch (error) {
      if (error instanceof Error) error.message = `SEED=${seed}: ${error.message}`;
      throw error;
    } finally {
      await pair.close();
    }
  });
}

test('LISTs that overlap with writes are the state that they say they are', async () => {
  const seed = systemRandom.int(2 ** 31);
  const random = seededRandom(seed);
  const pair = await startPair(1e8);
  try {
    for (let count = 0; count < 400; count++) await write(pair.fresh, random, 200);
    for (let round = 0; round < 6; round++) {
      const lists = [JSON_TYPE, PROTOBUF].flatMap((accept) =>
        codings.map(async (coding) => ({
          accept,
          got: await list(pair.kept, '/api/v1/pods?resourceVersion=0', accept, coding),
        })),
      );
      for (let count = 0; count < 20; count++) await write(pair.fresh, random, 200);
      for (const { accept, got } of await Promise.all(lists)) {
        assert.equal(got.code, 200);
        const said =
          accept === JSON_TYPE
            ? (JSON.parse(got.body.toString()) as { metadata: { resourceVersion: string } }).metadata.resourceVersion
            : /\x12.(\d+)\x1a\x00/.exec(got.body.subarray(0, 60).toString('latin1'))![1]!;
        const exact = `/api/v1/pods?resourceVersion=${said}&resourceVersionMatch=Exact`;
        const want = await list(pair.fresh, exact, accept, '');
        assert.equal(got.body.toString('latin1'), want.body.toString('latin1'), `SEED=${seed} @${said} ${accept}`);
      }
    }
  } finally {
    await pair.close();
  }
});

test('what is not larger than 128 KiB is not compressed, to the byte', async () => {
  const pair = await startPair(1e8);
  const name = 'p';
  const put = (bytes: number) =>
    pair.fresh.put(
      'pods',
      pod(name, 'a', { metadata: { name, namespace: 'a', annotations: { text: 'x'.repeat(bytes) } } }),
    );
  await put(1);
  for (const accept of [JSON_TYPE, PROTOBUF]) {
    await put(100_000);
    const { length } = (await pair.same('/api/v1/pods', accept, '')).body;
    for (const [size, isLarge] of [
      [128 * 1024, false],
      [128 * 1024 + 1, true],
    ] as const) {
      await put(100_000 + size - length);
      for (const coding of ['gzip', 'zstd'] as const) {
        const listed = await pair.same('/api/v1/pods', accept, coding);
        const isEncoded = isLarge && (coding === 'gzip' || hasZstd);
        assert.equal(listed.body.length, size);
        assert.equal(listed.encoding, isEncoded ? coding : undefined);
        assert.equal(listed.vary, isEncoded ? 'Accept-Encoding' : undefined);
      }
    }
  }
  await pair.close();
});

/** 40 leaves of pods. */
async function startFilled(limits: NonNullable<Parameters<typeof startServing>[0]>['limits'] = {}): Promise<Serving> {
  const serving = startServing({ limits });
  for (let index = 0; index < 2_500; index++) await serving.put('pods', pod(`p${10_000 + index}`, 'a'));
  return serving;
}

const misses = (serving: Serving) => ({ ...serving.fragments!.stats.misses });

test('a LIST after few changes encodes few leaves', async () => {
  const serving = await startFilled();
  for (const [format, accept, coding] of [
    ['json', JSON_TYPE, ''],
    ['json-deflate', JSON_TYPE, 'gzip'],
    ['protobuf-deflate', PROTOBUF, 'gzip'],
    ...(hasZstd
      ? ([
          ['json-zstd', JSON_TYPE, 'zstd'],
          ['protobuf-zstd', PROTOBUF, 'zstd'],
        ] as const)
      : []),
  ] as const) {
    await list(serving, '/api/v1/pods', accept, coding);
    const first = misses(serving);
    await list(serving, '/api/v1/pods', accept, coding);
    const second = misses(serving);
    assert.equal(second[format], first[format], 'nothing changed');
    await serving.put('pods', pod('p10007', 'a', { metadata: { name: 'p10007', namespace: 'a', uid: format } }));
    await serving.put('pods', pod('p11007', 'a', { metadata: { name: 'p11007', namespace: 'a', uid: format } }));
    await list(serving, '/api/v1/pods', accept, coding);
    const made = misses(serving)[format] - second[format];
    assert.ok(made >= 2 && made <= 3, `${made} leaves were looked for in vain, after changes in two`);
  }
  await serving.close();
});

test('replaced leaves leave nothing behind: what is kept does not grow with the changes', async () => {
  const serving = await startFilled();
  const one = async () => {
    await list(serving, '/api/v1/pods', JSON_TYPE, '');
    await list(serving, '/api/v1/pods', JSON_TYPE, 'gzip');
    await list(serving, '/api/v1/pods', PROTOBUF, 'gzip');
    return serving.fragments!.stats;
  };
  const before = await one();
  const random = seededRandom(5);
  for (let round = 0; round < 10; round++) {
    for (let count = 0; count < 100; count++) {
      const name = `p${10_000 + random.int(2_500)}`;
      await serving.put('pods', pod(name, 'a', { metadata: { name, namespace: 'a', uid: `uid-${name}` } }));
    }
    await one();
  }
  const after = await one();
  assert.equal(after.fragments, before.fragments);
  assert.ok(after.bytes < before.bytes * 1.05, `${after.bytes} bytes, ${before.bytes} before`);
  await serving.close();
});

test('compressed LISTs at once compress each leaf once', async () => {
  const serving = await startFilled();
  await list(serving, '/api/v1/pods?limit=1', JSON_TYPE, '');
  const lists = await Promise.all(Array.from({ length: 6 }, () => list(serving, '/api/v1/pods', PROTOBUF, 'gzip')));
  for (const { body } of lists) assert.ok(body.equals(lists[0]!.body));
  const { fragments, compressions } = serving.fragments!.stats;
  assert.ok(fragments >= 39, `${fragments} leaves`);
  assert.equal(compressions, fragments);
  await serving.close();
});

test('zstd: one frame of what is kept for each leaf, a Table as well', { skip: skipZstd }, async () => {
  const serving = await startFilled();
  const plain = await list(serving, '/api/v1/pods', JSON_TYPE, '');
  for (let round = 0; round < 2; round++) {
    for (const accept of [JSON_TYPE, PROTOBUF, TABLE, 'application/yaml', `${JSON_TYPE};pretty=1`]) {
      const want = await list(serving, '/api/v1/pods', accept, '');
      const got = await list(serving, '/api/v1/pods', accept, 'zstd');
      assert.deepEqual([got.encoding, got.vary, got.length], ['zstd', 'Accept-Encoding', undefined], accept);
      if (accept !== TABLE)
        assert.ok(got.body.equals(want.body), accept); // ages may differ
      else assert.equal(JSON.parse(got.body.toString()).rows.length, 2_500);
    }
  }
  const url = '/api/v1/pods';
  const headers = { host: 'localhost', accept: JSON_TYPE, 'accept-encoding': 'gzip, zstd' };
  const { rawPayload } = await serving.server.inject({ url, headers });
  assert.ok(zstdDecompressSync(rawPayload).equals(plain.body));
  assert.ok(rawPayload.length * 4 < plain.body.length, `${rawPayload.length} of ${plain.body.length} bytes`);
  await serving.close();
});

test('an object of more than 128 KiB is not kept, nor are its neighbours', async () => {
  const serving = startServing();
  const large = { metadata: { name: 'p', namespace: 'a', annotations: { text: 'x'.repeat(140_000) } } };
  await serving.put('pods', pod('p', 'a', large));
  await serving.put('pods', pod('q', 'a'));
  for (const [accept, coding] of [
    [JSON_TYPE, ''],
    [JSON_TYPE, 'gzip'],
    [PROTOBUF, 'gzip'],
    [JSON_TYPE, 'zstd'],
    [PROTOBUF, 'zstd'],
    [TABLE, ''],
  ] as const) {
    const listed = await list(serving, '/api/v1/pods', accept, coding);
    assert.ok(listed.body.length > 140_000);
  }
  assert.equal(serving.fragments!.stats.bytes, 0);
  await serving.close();
});
