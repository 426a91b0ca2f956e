import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Admission } from '../../src/lib/memory-budget.js';
import { toStatus } from '../../src/http/to-status.js';
import { createWorld, failureOf, get, list, okOf, optionsOf, pods, staying, type World } from './world.js';

const COUNT = 600;

/** Admits or refuses as told, and keeps what it was asked. */
class Gate implements Admission {
  readonly retryAfterSeconds = 7;
  open = true;
  held = 0;
  cost = Number.NaN;
  own = Number.NaN;
  grown = 0;

  admit(costBytes: number, ownBytes: number) {
    this.cost = costBytes;
    this.own = ownBytes;
    if (costBytes > 0 && !this.open) return undefined;
    this.held++;
    return {
      grow: (bytes: number) => {
        this.grown += bytes;
        return this.open;
      },
      [Symbol.dispose]: () => void this.held--,
    };
  }
}

async function filled(world: World): Promise<void> {
  for (let index = 0; index < COUNT; index++) {
    const namespace = index % 4 === 0 ? 'a' : 'b';
    const labels = { app: `app${index % 100}` };
    const metadata = { namespace, name: `p${index}`, uid: 'u'.repeat(2_000), labels };
    await world.put(pods, { metadata, spec: { nodeName: `n${index % 60}` } });
  }
}

test('the cost of a LIST is known before its first object is read', async () => {
  const gate = new Gate();
  await using world = createWorld({ admission: gate });
  await filled(world);
  const reader = world.cached.reader(pods);
  const whole = okOf(await list(reader));
  const itemBytes = Buffer.from(whole.bytes, 'base64').length;
  const rows: [query: string, namespace: string | undefined, share: number][] = [
    ['', undefined, 1],
    ['resourceVersion=0', undefined, 1],
    ['', 'a', 1 / 4],
    ['limit=30', undefined, 30 / COUNT],
    ['limit=1000', undefined, 1],
    ['limit=30', 'a', 30 / COUNT],
    ['', 'none', 0],
    ['labelSelector=app', undefined, 1],
    ['labelSelector=app&limit=30', undefined, 30 / COUNT],
    // As nothing decides it but the objects, at first; later by the index that this makes.
    ['fieldSelector=spec.nodeName%3Dn7', undefined, 1],
    ['fieldSelector=metadata.name%3Dp3', 'b', 1 / COUNT],
  ];
  for (const [query, namespace, share] of rows) {
    okOf(await list(reader, query, namespace));
    assert.ok(Math.abs(gate.cost - itemBytes * share) < itemBytes * 0.02, `?${query}: ${gate.cost} of ${itemBytes}`);
    assert.ok(gate.own <= COUNT * 4 + 2 ** 20);
  }
  gate.cost = itemBytes;
  for (let turn = 0; turn < 100 && gate.cost > itemBytes / 20; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    okOf(await list(reader, 'fieldSelector=spec.nodeName%3Dn7'));
  }
  assert.ok(Math.abs(gate.cost - itemBytes / 60) < itemBytes * 0.01, `by the index: ${gate.cost}`);
  assert.equal(gate.held, 0);
});

for (const way of ['cached', 'direct'] as const) {
  test(`a refused LIST holds nothing, and GETs go on (${way})`, async () => {
    const gate = new Gate();
    await using world = createWorld({ admission: gate });
    await filled(world);
    const reader = world[way].reader(pods);
    const signal = staying();
    const first = okOf(await reader.list({ namespace: undefined, options: optionsOf(''), signal }));
    assert.equal(gate.held, 1);
    const pins = world.cacheOf(pods).versions.stats.pins;
    gate.open = false;
    const failure = failureOf(await list(reader));
    const status = toStatus(failure);
    assert.deepEqual([status.code, status.reason, status.details?.retryAfterSeconds], [429, 'TooManyRequests', 7]);
    assert.match(status.message ?? '', /^Too many requests, please try again later\./);
    assert.equal(gate.held, 1, 'only the first one is open');
    assert.equal(world.cacheOf(pods).versions.stats.pins, pins);
    assert.equal(okOf(await get(reader, 'p3', 'b')), 'b/p3@5');
    if (way === 'direct') assert.ok(gate.grown > 1_000_000, `${gate.grown} bytes`);
    first[Symbol.dispose]();
    assert.equal(gate.held, 0);
  });
}

test('a LIST straight from the source that is small is not asked about', async () => {
  const gate = new Gate();
  await using world = createWorld({ admission: gate });
  await filled(world);
  gate.open = false;
  okOf(await list(world.direct.reader(pods), 'limit=50'));
  assert.equal(gate.held, 0);
});
