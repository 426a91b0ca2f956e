import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../src/lib/clock.js';
import { createProgressTrust } from '../../src/serve/progress-trust.js';
import { staying } from './world.js';

/** A source whose answers are given by hand. */
function askedSource() {
  const questions: ((trusted: boolean | Error) => void)[] = [];
  return {
    questions,
    progressTrusted: () =>
      new Promise<boolean>((resolve, reject) =>
        questions.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer))),
      ),
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('a yes is asked for once', async () => {
  const source = askedSource();
  const trust = createProgressTrust(source, createFakeClock(), { freshWaitMs: 3_000 });
  const answers = [trust.trusted(staying()), trust.trusted(staying())];
  source.questions[0]!(true);
  assert.deepEqual(await Promise.all(answers), [true, true]);
  assert.equal(await trust.trusted(staying()), true);
  assert.equal(source.questions.length, 1);
});

test('a no is asked again later, without making anyone wait', async () => {
  const source = askedSource();
  const clock = createFakeClock();
  const trust = createProgressTrust(source, clock, { freshWaitMs: 3_000 });
  const first = trust.trusted(staying());
  source.questions[0]!(new Error('a member is down'));
  assert.equal(await first, false);
  assert.equal(await trust.trusted(staying()), false);
  assert.equal(source.questions.length, 1);
  clock.advance(15_000);
  assert.equal(await trust.trusted(staying()), false); // asks, and does not wait
  assert.equal(source.questions.length, 2);
  source.questions[1]!(true);
  await settled();
  assert.equal(await trust.trusted(staying()), true);
});

test('nobody waits longer than for freshness, or than its client', async () => {
  const source = askedSource();
  const clock = createFakeClock();
  const trust = createProgressTrust(source, clock, { freshWaitMs: 3_000 });
  const waiting = trust.trusted(staying());
  clock.advance(3_000);
  assert.equal(await waiting, false);
  const gone = new AbortController();
  const abandoned = trust.trusted(gone.signal);
  gone.abort();
  assert.equal(await abandoned, false);
  assert.equal(source.questions.length, 1, 'the question is still open');
  assert.equal(await trust.trusted(staying()), false, 'and nobody else waits for it');
  source.questions[0]!(true);
  await settled();
  assert.equal(await trust.trusted(staying()), true);
});
