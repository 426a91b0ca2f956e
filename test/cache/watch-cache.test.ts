import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contents, createWorld, request, TestSink } from './support.js';

test('a cache lists, follows, and answers from memory', async () => {
  const world = createWorld();
  await world.put('a/one', 'x');
  await world.put('b/two', 'y');
  assert.equal(world.cache.state, 'idle');
  world.cache.start();
  assert.equal(world.cache.state, 'initializing');
  await world.settle();
  assert.equal(world.cache.state, 'ready');
  assert.deepEqual(contents(world.cache), ['a/one=x@2', 'b/two=y@3']);
  const sink = new TestSink();
  const watch = world.cache.watch(request({ afterRevision: 3 }), sink);
  await world.put('a/one', 'z');
  await world.delete('b/two');
  await world.settle(10);
  assert.deepEqual(sink.lines, ['MODIFIED a/one=z@4', 'DELETED b/two=y@5']);
  assert.deepEqual(contents(world.cache), ['a/one=z@4']);
  assert.deepEqual(contents(world.cache, 4), ['a/one=z@4', 'b/two=y@3']);
  assert.deepEqual(contents(world.cache, 3), ['a/one=x@2', 'b/two=y@3']);
  world.cache.verify();
  watch.close();
  await world.close();
});
