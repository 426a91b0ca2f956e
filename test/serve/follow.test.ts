import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WatchSink } from '../../src/cache/cache.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { follow, followAll } from '../../src/serve/follow.js';
import type { Reader } from '../../src/serve/reader.js';
import { eventually } from '../http/client.js';
import { configMaps, createWorld, list, okOf } from './world.js';

const limits = { ...defaultLimits, backoffMinMs: 1, backoffMaxMs: 5 };

/** A reader whose watches can be ended, and whose next ones can be made to fail. */
function endable(reader: Reader) {
  let end = () => {};
  let broken: Error | undefined;
  const watched: Reader = Object.create(reader, {
    watch: {
      value: async (request: Parameters<Reader['watch']>[0]) => {
        if (broken !== undefined) throw broken;
        const result = await reader.watch(request);
        if (!result.ok) return result;
        const start = (sink: WatchSink) => {
          const run = result.value.start(sink);
          end = () => {
            run.close();
            sink.end();
          };
          return run;
        };
        return { ok: true, value: { ...result.value, start } };
      },
    },
  });
  return {
    reader: watched,
    end: () => end(),
    break(error: Error | undefined) {
      broken = error;
    },
  };
}

test('a follower hears of the state, of changes in order, and after a break of what went meanwhile', async () => {
  await using world = createWorld({});
  const put = (name: string, text = '') =>
    world.put(configMaps, { metadata: { namespace: 'd', name }, data: { text } });
  await put('a');
  await put('b', 'one\ntwo');
  const watch = endable(world.cached.reader(configMaps));
  const heard: string[] = [];
  const following = follow(
    watch.reader,
    {
      put: (object, { namespace, name }, revision) =>
        heard.push(
          `put ${namespace}/${name} @${revision} ${(object as { data?: { text?: string } }).data?.text ?? ''}`,
        ),
      remove: ({ namespace, name }, revision) => heard.push(`remove ${namespace}/${name} @${revision}`),
      synced: () => heard.push('synced'),
      failed: (message) => heard.push(`failed ${message}`),
    },
    systemClock,
    limits,
  );
  const heardNow = (count: number) => eventually(`${count} things`, () => heard.length >= count);
  await heardNow(3);
  assert.deepEqual(heard.splice(0), ['put d/a @2 ', 'put d/b @3 one\ntwo', 'synced']);
  await put('c');
  await world.remove(configMaps, 'd', 'a');
  await heardNow(2);
  assert.deepEqual(heard.splice(0), ['put d/c @4 ', 'remove d/a @5']);

  watch.break(new Error('no luck'));
  watch.end();
  await heardNow(1);
  await world.remove(configMaps, 'd', 'b');
  okOf(await list(world.cached.reader(configMaps))); // the cache has heard of it
  watch.break(undefined);
  await eventually('it has synced again', () => heard.includes('synced'));
  const tries = heard.filter((line) => line === 'failed Error: no luck').length;
  assert.ok(tries > 0);
  assert.deepEqual(heard.splice(0).slice(tries), ['put d/c @4 ', 'remove d/b @6', 'synced']);

  following.stop();
  await put('d');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(heard, []);
});

test('two followers of one kind hear the same, whenever they came', async () => {
  await using world = createWorld({});
  const reader = world.cached.reader(configMaps);
  const names: string[][] = [[], []];
  const followings = names.map((heard) =>
    follow(
      reader,
      { put: (_object, { name }) => heard.push(name), remove: ({ name }) => heard.push(`-${name}`), synced() {} },
      systemClock,
      limits,
    ),
  );
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'a' } });
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'b' } });
  await eventually('both have heard', () => names.every((heard) => heard.includes('b')));
  assert.deepEqual(names, [
    ['a', 'b'],
    ['a', 'b'],
  ]);
  for (const following of followings) following.stop();
});

test('followers of several kinds are synced together, once, and stop together', async () => {
  await using world = createWorld({});
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'a' }, data: {} });
  const [first, second] = [endable(world.cached.reader(configMaps)), endable(world.cached.reader(configMaps))];
  second.break(new Error('not yet'));
  const heard: string[] = [];
  const follower = (which: string) => ({
    put: (_: unknown, { name }: { readonly name: string }) => void heard.push(`${which} ${name}`),
    remove: () => {},
  });
  const following = followAll(
    [
      [first.reader, follower('first')],
      [second.reader, follower('second')],
    ],
    () => heard.push('synced'),
    systemClock,
    limits,
  );
  await eventually('the first is known', () => heard.includes('first a'));
  first.end();
  assert.ok(!heard.includes('synced'), 'one of them is missing');
  second.break(undefined);
  await eventually('both are known', () => heard.includes('synced'));
  assert.ok(heard.indexOf('synced') > heard.indexOf('second a'));
  first.end();
  second.end();
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'b' }, data: {} });
  await eventually('both go on', () => heard.includes('first b') && heard.includes('second b'));
  assert.equal(heard.filter((line) => line === 'synced').length, 1);
  following.stop();
  const before = heard.length;
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'c' }, data: {} });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(heard.length, before);
});
