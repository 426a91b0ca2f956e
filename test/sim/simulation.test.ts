import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './simulation.js';
import { splitInitial } from './records.js';
import { validators } from './validators.js';

const SEEDS_BY_DEFAULT = 200;
const given = process.env['SEED'];
const count = Number(process.env['SEEDS'] ?? SEEDS_BY_DEFAULT);
const first = given === undefined ? 1 : Number(given);

// SEED=7 replays one run; SEEDS=5000 runs more of them.
test(`simulation: what clients saw of ${given === undefined ? `${count} runs` : `run ${first}`} is what was written`, async () => {
  const failures: string[] = [];
  const seen = { lists: 0, streams: 0, resumed: 0, events: 0, bookmarks: 0, refused: 0 };
  const happened: Record<string, number> = {};
  for (let seed = first; seed < first + (given === undefined ? count : 1); seed++) {
    const outcome = await simulate(seed);
    const problems = [...outcome.problems];
    for (const [name, validate] of Object.entries(validators)) {
      problems.push(...validate(outcome.records).map((problem) => `${name}: ${problem}`));
    }
    if (problems.length > 0) failures.push(`SEED=${seed}\n  ${problems.slice(0, 5).join('\n  ')}`);
    for (const [what, times] of Object.entries(outcome.happened)) happened[what] = (happened[what] ?? 0) + times;
    for (const record of outcome.records) {
      if (record.kind === 'list') {
        seen.lists++;
        continue;
      }
      seen.streams++;
      if (record.after !== undefined) seen.resumed++;
      for (const line of splitInitial(record).live) {
        if (line.kind === 'event') seen.events++;
        else if (line.kind === 'bookmark') seen.bookmarks++;
        else seen.refused++;
      }
    }
  }
  assert.equal(failures.length, 0, `${failures.length} runs failed\n${failures.slice(0, 5).join('\n')}`);
  console.log(JSON.stringify({ seen, happened }));
  if (given !== undefined || count < SEEDS_BY_DEFAULT) return;
  // The runs are worth something only while everything still happens in them.
  for (const [what, times] of Object.entries({ ...seen, ...happened }))
    assert.ok(times >= count / 4, `${what}: ${times}`);
  for (const what of ['cut', 'outage', 'compact', 'replace', 'restart']) assert.ok(what in happened, what);
});
