import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ages } from '../../src/pressure/ages.js';
import { allocatedBetween } from '../../src/pressure/collector.js';
import { searchLimit } from '../../src/pressure/limit.js';
import { seededRandom, systemRandom } from '../../src/lib/random.js';

const options = { ceiling: 100_000, resolution: 1.1, repeats: 3 };

/** A system whose limit is known: every rate above it fails. */
function system(limit: number) {
  const rates: number[] = [];
  return {
    rates,
    trial: async (rate: number) => {
      rates.push(rate);
      return { rate, passed: rate <= limit };
    },
  };
}

test('the limit is enclosed, as closely as asked for, and passed as often as asked for', async () => {
  for (const limit of [100_000, 99_999, 60_000, 12_345, 700]) {
    const { trial, rates } = system(limit);
    const found = await searchLimit(trial, options);
    assert.ok(found.low <= limit, `${found.low} of ${limit}`);
    assert.equal(found.passes, 3);
    if (limit >= options.ceiling) assert.equal(found.high, undefined);
    else {
      assert.ok(found.high !== undefined && found.high > limit && found.high / found.low <= 1.101);
      assert.ok(found.failures >= 1);
    }
    assert.ok(rates.length < 20, `${rates.length} trials`);
  }
});

test('a system that fails at any rate has the limit 0, after few trials', async () => {
  const { trial, rates } = system(0);
  const { low, high, passes } = await searchLimit(trial, options);
  assert.deepEqual([low, passes], [0, 0]);
  assert.equal(high, rates.at(-1));
  assert.ok(rates.length < 12);
});

test('with chance in it, the search ends, and its lower rate never failed', async (context) => {
  const seed = Number(process.env['SEED'] ?? systemRandom.int(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const random = seededRandom(seed);
  for (let round = 0; round < 200; round++) {
    const limit = 1 + random.int(100_000);
    const failed = new Set<number>();
    let trials = 0;
    const { low, high } = await searchLimit(async (rate) => {
      trials++;
      const passed = random.float() < 1 / (1 + (rate / limit) ** 6);
      if (!passed) failed.add(rate);
      return { rate, passed };
    }, options);
    assert.ok(!failed.has(low));
    assert.ok(high === undefined || (low < high && failed.has(high)));
    assert.ok(trials < 200, `${trials} trials`);
  }
});

test('percentiles of ages are upper bounds in steps of a tenth of a millisecond', () => {
  const ages = new Ages();
  assert.equal(ages.percentile(0.5), 0);
  for (let ms = 0; ms < 100; ms++) ages.add(ms);
  assert.equal(ages.count, 100);
  assert.equal(ages.maxMs, 99);
  assert.ok(Math.abs(ages.percentile(0.5) - 49.1) < 0.11);
  assert.ok(ages.percentile(0.99) >= 98 && ages.percentile(0.99) <= 98.2);
  ages.add(1e9);
  assert.equal(ages.maxMs, 1e9);
  ages.add(-5);
  assert.equal(ages.count, 102);
});

test('what was allocated is the growth between collections', () => {
  const collection = (before: number, after: number) => ({
    beforeGC: { heapStatistics: { usedHeapSize: before } },
    afterGC: { heapStatistics: { usedHeapSize: after } },
  });
  assert.equal(allocatedBetween([]), undefined);
  assert.equal(allocatedBetween([collection(100, 10)]), undefined);
  assert.equal(allocatedBetween([collection(100, 10), collection(60, 20), collection(25, 5)]), 55);
});
