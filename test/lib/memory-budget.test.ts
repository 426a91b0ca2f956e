import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { MemoryBudget, type Rung, unlimited } from '../../src/lib/memory-budget.js';
import { seededRandom } from '../../src/lib/random.js';

const MAX = 1_000_000_000;
const CHEAP = defaultLimits.cheapListBytes;

function world(bytesMax = MAX) {
  const clock = createFakeClock();
  const rungs: Rung[] = [];
  const shares: number[] = [];
  const cache = { bytes: 0, shrinkTo: (bytes: number) => void (cache.bytes = Math.min(cache.bytes, bytes)) };
  const state = { used: 0, pressed: 0 };
  const budget = new MemoryBudget({
    bytesMax,
    measure: () => state.used + cache.bytes,
    sheddables: () => [cache],
    shortenables: () => [{ keepShare: (share) => void shares.push(share) }],
    limits: defaultLimits,
    clock,
    pressed: () => state.pressed++,
    changed: (rung) => void rungs.push(rung),
  });
  const at = (share: number) => {
    state.used = MAX * share - cache.bytes;
    clock.advance(defaultLimits.memorySampleMs);
    return budget.rung;
  };
  return { clock, rungs, shares, cache, state, budget, at };
}

test('rungs are climbed at their bounds, and left only when use is lower by the hysteresis (I1)', () => {
  const { budget, at, rungs } = world();
  budget.start();
  const rows: [share: number, rung: Rung][] = [
    [0.5, 'calm'],
    [0.7499, 'calm'],
    [0.7501, 'shed'],
    [0.71, 'shed'],
    [0.86, 'shorten'],
    [0.81, 'shorten'],
    [0.95, 'refuse'],
    [0.88, 'refuse'],
    [0.865, 'shorten'],
    [0.79, 'shed'],
    [0.69, 'calm'],
    [2, 'refuse'],
    [0, 'calm'],
  ];
  for (const [share, rung] of rows) assert.equal(at(share), rung, String(share));
  assert.deepEqual(rungs, ['shed', 'shorten', 'refuse', 'shorten', 'shed', 'calm', 'refuse', 'calm']);
  budget.stop();
  assert.equal(at(2), 'calm', 'nothing is sampled after the stop');
});

test('garbage is asked for at each sample while costly LISTs are refused', () => {
  const { budget, at, state } = world();
  budget.start();
  at(0.9);
  assert.equal(state.pressed, 0, 'not on the rungs below');
  at(0.95);
  at(0.95);
  assert.equal(state.pressed, 2);
  at(0.5);
  assert.equal(state.pressed, 2);
});

test('what can be made again is let go first, as much as is too much', () => {
  const { budget, at, cache, shares } = world();
  budget.start();
  cache.bytes = 400_000_000;
  at(0.74);
  assert.equal(cache.bytes, 400_000_000);
  at(0.8);
  assert.equal(cache.bytes, 200_000_000, 'half, since that is more than the excess');
  assert.equal(budget.shedBytes, 200_000_000);
  cache.bytes = 120_000_000;
  at(0.84);
  assert.equal(cache.bytes, 0, 'all of it, since the excess is larger');
  assert.deepEqual(shares, []);
});

test('histories are shortened by halves down to their least share, and restored', () => {
  const { budget, at, shares } = world();
  budget.start();
  for (let count = 0; count < 6; count++) at(0.86);
  assert.deepEqual(shares, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16, 1 / 16]);
  at(0.81);
  assert.equal(budget.historyShare, 1 / 16, 'still on the rung');
  at(0.79);
  assert.deepEqual([shares.at(-1), budget.historyShare], [1, 1]);
  at(0.5);
  assert.equal(shares.length, 8, 'said once');
});

test('on the last rung costly LISTs are refused, and no others', () => {
  const { budget, at, clock, state } = world();
  budget.start();
  at(0.95);
  assert.equal(budget.admit(CHEAP + 1, 1), undefined);
  assert.equal(budget.refused, 1);
  assert.equal(budget.retryAfterSeconds, 1);
  clock.advance(9_000);
  assert.equal(budget.retryAfterSeconds, 5);
  clock.advance(600_000);
  assert.equal(budget.retryAfterSeconds, 32);
  for (let count = 0; count < 100; count++) assert.ok(budget.admit(CHEAP, CHEAP), 'cheap ones are always admitted');
  assert.equal(budget.refused, 1);
  // An admission measures for itself: the next sample may be too late.
  state.used = 0.5 * MAX;
  assert.ok(budget.admit(CHEAP + 1, 1));
  state.used = 0.95 * MAX;
  assert.equal(budget.admit(CHEAP + 1, 1), undefined);
});

test('while costly LISTs are refused one goes alone now and then, so that refusing ends', () => {
  const { budget, at, clock, state } = world();
  budget.start();
  at(0.95);
  clock.advance(defaultLimits.memoryAloneEveryMs - 500);
  assert.equal(budget.admit(CHEAP + 1, 1), undefined);
  clock.advance(500);
  const alone = budget.admit(CHEAP + 1, 1_000);
  assert.ok(alone !== undefined);
  assert.equal(budget.reservedBytes, 1_000);
  clock.advance(10 * defaultLimits.memoryAloneEveryMs);
  assert.equal(budget.admit(CHEAP + 1, 1), undefined, 'one at a time');
  alone[Symbol.dispose]();
  assert.equal(budget.reservedBytes, 0);
  const second = budget.admit(CHEAP + 1, 1);
  assert.ok(second !== undefined, 'the next one, since the first began long ago');
  second[Symbol.dispose]();
  assert.equal(budget.admit(CHEAP + 1, 1), undefined, 'not one after another');
  state.used = 1.01 * MAX;
  clock.advance(defaultLimits.memoryAloneEveryMs);
  assert.equal(budget.admit(CHEAP + 1, 1), undefined, 'none above the budget itself');
  state.used = 0.95 * MAX;
  assert.ok(budget.admit(CHEAP + 1, 1));
});

test('nothing costly begins that does not fit beside what has begun (I2), and places are given back once (I3)', () => {
  const { budget, state } = world();
  const random = seededRandom(5);
  const open: { own: number; release: () => void }[] = [];
  let refusals = 0;
  for (let step = 0; step < 20_000; step++) {
    state.used = MAX * (0.2 + 0.6 * random.float());
    const reserved = open.reduce((sum, { own }) => sum + own, 0);
    assert.equal(budget.reservedBytes, reserved);
    if (random.chance(0.55)) {
      const own = random.int(60_000_000);
      const bound = MAX * defaultLimits.memoryRefuseAt;
      const fits = state.used + reserved + own <= bound;
      const place = budget.admit(CHEAP + 1, own);
      // After a time above the bound it is left by the hysteresis only.
      if (!fits) assert.equal(place, undefined);
      if (place === undefined) {
        refusals++;
        continue;
      }
      const entry = { own, release: () => place[Symbol.dispose]() };
      open.push(entry);
      const more = random.int(30_000_000);
      const grew = place.grow(more);
      assert.equal(grew, state.used + reserved + own + more <= bound);
      if (grew) entry.own += more;
    } else if (open.length > 0) {
      const [entry] = open.splice(random.int(open.length), 1);
      entry!.release();
      entry!.release();
    }
  }
  assert.ok(refusals > 1_000 && open.length > 3, `${refusals} refusals`);
});

test('without a budget nothing is refused', () => {
  const { budget, state } = world(0);
  state.used = Number.MAX_SAFE_INTEGER;
  budget.start();
  budget.sample();
  for (const admission of [budget, unlimited]) {
    using place = admission.admit(10 ** 12, 10 ** 12)!;
    assert.ok(place.grow(10 ** 12));
  }
  assert.deepEqual([budget.rung, budget.reservedBytes, budget.refused], ['calm', 0, 0]);
});
