import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tally } from './tally.js';

const SEEDS_BY_DEFAULT = 200;
const given = process.env['SEED'];
const count = given === undefined ? Number(process.env['SEEDS'] ?? SEEDS_BY_DEFAULT) : 1;
const first = given === undefined ? 1 : Number(given);

/** Runs that found a bug once. */
const REGRESSIONS = [
  1264626318, // a LIST past the cache told a revision that the cache had not reached when its store was replaced
  859453297, // progress came between a change and its tick, and a watch from a future revision got what was before it
];

// SEED=7 replays one run; SEEDS=5000 runs more of them; `npm run sim` takes fresh seeds for a while.
test(`simulation: what clients saw of ${given === undefined ? `${count} runs` : `run ${first}`} is what was written`, async () => {
  const failures: string[] = [];
  const tally = new Tally();
  const seeds = Array.from({ length: count }, (_, index) => first + index);
  for (const seed of given === undefined ? [...REGRESSIONS, ...seeds] : seeds) {
    const problems = await tally.run(seed);
    if (problems.length > 0) failures.push(`SEED=${seed}\n  ${problems.slice(0, 5).join('\n  ')}`);
  }
  assert.equal(failures.length, 0, `${failures.length} runs failed\n${failures.slice(0, 5).join('\n')}`);
  if (count < SEEDS_BY_DEFAULT) return;
  // The runs are worth something only while everything still happens in them.
  for (const [what, times] of Object.entries({ ...tally.seen, ...tally.happened }))
    assert.ok(times >= count / 4, `${what}: ${times}`);
});
