import assert from 'node:assert/strict';
import test from 'node:test';
import { ReconnectingWatcher } from '../../bench/experiments/reconnecting-watcher.js';
import { labelFilter, PodCache, podVariants } from '../../bench/indexed-pods.js';
import { watchersOf } from '../../bench/watched-pods.js';
import { seededRandom } from '../../src/lib/random.js';

/** A pod changes each second, and none of those that are selected. */
function watched(bookmarks: boolean, ending: 'deadline' | 'break', seconds: number) {
  const pods = new PodCache(10, { historyBytes: undefined });
  const watchers = watchersOf(pods);
  const options = { bookmarks, ending, random: seededRandom(1) };
  const client = new ReconnectingWatcher(pods, watchers, labelFilter('app=nobody'), options);
  for (let second = 0; second < seconds; second++) {
    watchers.changed(pods.update(second % 10, podVariants()[0]!));
    pods.clock.advance(1_000);
  }
  client.stop();
  watchers.stop();
  pods.close();
  return client.reconnects;
}

test('without bookmarks a watcher that is told nothing comes back with what it began with, and must list', () => {
  const { count, replayed, tooOld } = watched(false, 'deadline', 605);
  assert.deepEqual({ count, tooOld }, { count: 1, tooOld: 1 });
  assert.ok(replayed >= 300 && replayed <= 602, `${replayed} changes in its 5 to 10 minutes`);
});

test('with bookmarks it comes back from two seconds before its deadline', () => {
  const { count, replayed, tooOld } = watched(true, 'deadline', 605);
  assert.deepEqual({ count, tooOld }, { count: 1, tooOld: 0 });
  assert.ok(replayed <= 4, `${replayed} changes`);
});

test('with bookmarks a connection that breaks costs the changes of a minute at most', () => {
  const { count, replayed, tooOld } = watched(true, 'break', 605);
  assert.deepEqual({ count, tooOld }, { count: 1, tooOld: 0 });
  assert.ok(replayed <= 68, `${replayed} changes`);
});
