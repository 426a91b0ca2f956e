import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemRandom } from '../../src/lib/random.js';
import { recordWatch } from '../support/watch-recorder.js';
import { type Context, type PromiseTest, put, rejects, type SuiteStore } from './source/context.js';
import { readTests } from './source/reads.js';
import { watchTests } from './source/watches.js';
import { writeTests } from './source/writes.js';

export type { SuiteStore, TestStore } from './source/context.js';

/** What every store promises that is a Source and can be written. Texts are latin1: one character, one byte. */
export function sourceSuite(name: string, create: () => Promise<SuiteStore>): void {
  const promise: PromiseTest = (what, run) =>
    void test(what, { timeout: 120_000 }, async () => {
      const { store, dispose, elapse, leaseSeconds, progressMayOvertake } = await create();
      const context: Context = {
        store,
        elapse: elapse ?? ((ms) => delay(ms)),
        leaseSeconds: leaseSeconds ?? 2,
        progressMayOvertake,
        root: `/test-${systemRandom.hex(8)}`,
      };
      try {
        await run(context);
      } finally {
        await dispose();
      }
    });

  describe(`${name}: reads`, () => readTests(promise));
  describe(`${name}: writes`, () => writeTests(promise));
  describe(`${name}: watches`, () => watchTests(promise));
  describe(`${name}: the end`, () => {
    promise('a closed store ends its watches and refuses the rest', async ({ store, root }) => {
      const recorder = recordWatch(store, `${root}/`, 1 + (await store.currentRevision()));
      await store.probe();
      await store.close();
      await store.close();
      assert.deepEqual(await recorder.untilEnd(), { kind: 'closed' });
      await rejects('closed', store.currentRevision());
      await rejects('closed', store.probe());
      await rejects('closed', put(store, `${root}/a`, ''));
      const late = recordWatch(store, `${root}/`, 1);
      assert.deepEqual(await late.untilEnd(), { kind: 'closed' });
    });
  });
}
