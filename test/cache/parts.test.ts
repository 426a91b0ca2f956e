import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DecodeErrors } from '../../src/cache/decode-errors.js';
import { CHANGE, History } from '../../src/cache/history.js';
import { createKeyLayout } from '../../src/cache/layout.js';
import { RangeIndex } from '../../src/cache/range-index.js';
import { Pending } from '../../src/cache/pending.js';
import { createTimingWheel } from '../../src/cache/timing-wheel.js';
import { createTurns } from '../../src/cache/turns.js';
import { type ByteRange, prefixEnd, rangeOf, utf8 } from '../../src/lib/bytes.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';

const ENTRY = 33;

test('pending: rows lie where slots begin, move to a new arena whole, and forget what did not parse', () => {
  const pending = new Pending();
  const where: ByteRange = rangeOf(new Uint8Array(0));
  const textOf = ({ bytes, start, end }: ByteRange) => Buffer.from(bytes.subarray(start, end)).toString('latin1');
  const sizes = [0, 1, 700, 100_000, 200_000, 3, 600_000, 40];
  for (let round = 0; round < 3; round++) {
    for (const [index, size] of sizes.entries()) {
      const into = pending.open(rangeOf(utf8(`key-${index}`)));
      const write = (character: string, count: number) => {
        into.reserve(count);
        into.bytes.fill(character, into.position, into.position + count);
        into.position += count;
      };
      write('h', 2);
      into.start = into.position;
      write('o', size); // may move what is written already
      if (index === 5) pending.unreadable('not today');
      else pending.put(1, 7);
    }
    pending.delete(rangeOf(utf8('gone')));
    assert.equal(pending.count, sizes.length + 1);
    for (const [index, size] of sizes.entries()) {
      const row = pending.at(index);
      assert.equal(row.keyStart % 16, 0);
      assert.equal(textOf(pending.keyOf(row, where)), `key-${index}`);
      assert.equal(row.type, index === 5 ? 'unreadable' : 'put');
      assert.equal(textOf(pending.wireOf(row, where)), index === 5 ? '' : `hh${'o'.repeat(size)}`);
      if (index !== 5) assert.equal(row.objectOffset, 2);
    }
    assert.equal(textOf(pending.keyOf(pending.at(sizes.length), where)), 'gone');
    pending.clear();
    assert.equal(pending.count, 0);
  }
});

test('history: time, bytes and whole revisions bound it', () => {
  const history = new History(10, 0);
  const revisionAt = (index: number) => 11 + Math.floor(index / 3); // three changes each
  for (let index = 0; index < 300; index++) history.append(revisionAt(index), CHANGE, index, -1, 100, index * 1_000);
  history.verify(() => 0);
  assert.equal(history.bytes, 300 * (100 + ENTRY));
  assert.equal(history.seek(10), 0);
  assert.equal(history.seek(11), 3);
  assert.equal(history.seek(109), 297);
  assert.equal(history.seek(500), 300);
  assert.equal(history.secondsHeld(300_000), 300);

  assert.equal(history.evict(300_000, 150_000, Number.POSITIVE_INFINITY), true);
  assert.equal(history.first, 150);
  assert.equal(history.tail, revisionAt(149));
  assert.equal(history.secondsHeld(300_000), 300 - 149);
  history.verify(() => 0);

  assert.equal(history.evict(9_000_000, 1, Number.POSITIVE_INFINITY), true, 'old ones go');
  assert.equal(history.count, 99, 'but about a hundred stay watchable, however old');
  assert.equal(history.evict(300_000, 150_000, 50 * (100 + ENTRY)), true);
  assert.equal(history.count, 48, 'bytes count whatever the age, and no revision is split');
  assert.equal(history.evict(300_000, 150_000, 1), true);
  assert.equal(history.count, 3, 'the newest revision stays, whatever its size');
  assert.equal(history.tail, revisionAt(296));
  history.verify(() => 0);

  for (let index = 0; index < 5_000; index++) history.append(200 + index, CHANGE, index, -1, 0, 0);
  assert.equal(history.next(history.end - 1), 4_999);
  history.clear(9_000, 5);
  assert.equal(history.count, 0);
  assert.equal(history.tail, 9_000);
  assert.equal(history.seek(9_000), history.end);
  history.verify(() => 0);
});

test('timing wheel: never early, at most a tick late, none lost, any order of cancelling', () => {
  const clock = createFakeClock();
  const wheel = createTimingWheel(clock, 50);
  const random = seededRandom(7);
  const waiting = new Map<number, number>();
  let late = 0;
  for (let index = 0; index < 3_000; index++) {
    const dueMs = clock.monotonicMs() + random.int(400_000);
    const entry = wheel.schedule(dueMs - clock.monotonicMs(), () => {
      const lateMs = clock.monotonicMs() - waiting.get(index)!;
      assert.ok(lateMs >= 0 && lateMs <= 50, `${lateMs} ms late`);
      late = Math.max(late, lateMs);
      waiting.delete(index);
    });
    if (random.chance(0.3)) {
      entry.cancel();
      entry.cancel();
    } else waiting.set(index, dueMs);
    if (random.chance(0.1)) clock.advance(random.int(100));
  }
  assert.equal(wheel.size, waiting.size);
  clock.advance(400_100);
  assert.equal(waiting.size, 0);
  assert.equal(wheel.size, 0);
  assert.ok(late > 0);
});

test('timing wheel: entries may schedule and cancel while they run, and a long jump of time loses none', () => {
  const clock = createFakeClock();
  const wheel = createTimingWheel(clock, 50);
  const ran: string[] = [];
  const victim = wheel.schedule(160, () => ran.push('cancelled'));
  wheel.schedule(60, () => {
    ran.push('first');
    victim.cancel();
    wheel.schedule(0, () => ran.push('next'));
  });
  clock.advance(1_000);
  assert.deepEqual(ran, ['first', 'next']);
  wheel.schedule(10 ** 7, () => ran.push('far'));
  clock.advance(10 ** 7 + 50);
  assert.deepEqual(ran, ['first', 'next', 'far']);
  wheel.schedule(100, () => wheel.schedule(5_000, () => ran.push('later')));
  wheel.schedule(300, () => ran.push('sooner'));
  clock.advance(400);
  assert.deepEqual(ran.splice(3), ['sooner'], 'an entry that schedules does not put off the ones that wait');
  wheel.schedule(100, () => ran.push('never'));
  wheel.stop();
  clock.advance(1_000);
  assert.equal(ran.length, 3);
});

test('turns: jobs go round robin and all together yield after their slice', () => {
  const clock = createFakeClock();
  const turns = createTurns(clock, 8);
  const ran: string[] = [];
  // A job that takes no time by the fake clock runs to its end within one turn, between the others.
  const job = (name: string, count: number) => {
    let left = count;
    return () => {
      ran.push(name);
      return --left > 0;
    };
  };
  turns.add(job('a', 3));
  turns.add(job('b', 2));
  assert.equal(ran.length, 0, 'never within the call');
  clock.advance(0);
  assert.deepEqual(ran, ['a', 'b', 'a', 'b', 'a']);
  assert.equal(turns.size, 0);
  turns.add(job('c', 1));
  turns.stop();
  clock.advance(10);
  assert.equal(ran.length, 5);
});

const layouts: [namespaced: boolean, key: string, isObject: boolean][] = [
  [true, '/registry/pods/default/web', true],
  [true, '/registry/pods/default/', false],
  [true, '/registry/pods//web', false],
  [true, '/registry/pods/default', false],
  [true, '/registry/pods/', false],
  [true, '/registry/pods/default/web/extra', false],
  [false, '/registry/pods/node-1', true],
  [false, '/registry/pods/system:node', true],
  [false, '/registry/pods/a/b', false],
  [false, '/registry/pods/', false],
];
for (const [namespaced, key, isObject] of layouts) {
  test(`layout: ${key} is ${isObject ? 'an' : 'no'} object of a ${namespaced ? 'namespaced' : 'cluster-wide'} kind`, () => {
    const layout = createKeyLayout(utf8('/registry/pods/'), namespaced);
    const bytes = utf8(`..${key}..`);
    assert.equal(layout.isObjectKey(bytes, 2, bytes.length - 2), isObject);
  });
}

test('range index: finds exactly the ranges that hold a key', () => {
  const prefix = utf8('/r/pods/');
  const range = (name: string, from: string, to?: string) => ({
    name,
    from: utf8(from),
    to: to === undefined ? prefixEnd(utf8(from)) : utf8(to),
  });
  const ranges = [
    range('all', '/r/pods/'),
    range('ns a', '/r/pods/a/'),
    range('ns a-b', '/r/pods/a-b/'),
    range('a/x', '/r/pods/a/x', '/r/pods/a/x\0'),
    range('odd', '/r/pods/a/x', '/r/pods/a/z'),
  ];
  const index = new RangeIndex<(typeof ranges)[number]>(prefix);
  for (const each of ranges) index.add(each);
  const found = (key: string) => {
    const names: string[] = [];
    const bytes = utf8(`//${key}/`);
    index.visit(bytes, 2, bytes.length - 1, undefined, ({ name }) => names.push(name));
    return names.sort();
  };
  assert.deepEqual(found('/r/pods/a/x'), ['a/x', 'all', 'ns a', 'odd']);
  assert.deepEqual(found('/r/pods/a/z'), ['all', 'ns a']);
  assert.deepEqual(found('/r/pods/a/xx'), ['all', 'ns a', 'odd']);
  assert.deepEqual(found('/r/pods/a-b/x'), ['all', 'ns a-b']);
  assert.deepEqual(found('/r/pods/b/x'), ['all']);
  for (const each of ranges) index.remove(each);
  assert.equal(index.size, 0);
  assert.deepEqual(found('/r/pods/a/x'), []);
});

test('decode errors: bounded, the newest described, recovery by key', () => {
  const errors = new DecodeErrors(2);
  errors.record('/a', 'bad');
  errors.record('/b', 'bad');
  errors.record('/b', 'worse');
  assert.deepEqual(
    [...errors.messages],
    [
      ['/a', 'bad'],
      ['/b', 'worse'],
    ],
  );
  errors.recover('/a');
  assert.equal(errors.size, 1);
  errors.record('/c', 'bad');
  errors.record('/d', 'bad');
  errors.record('/e', 'bad');
  assert.equal(errors.size, 4);
  assert.equal(errors.overflowed, true);
  assert.match(errors.messages.get('')!, /2 more values do not parse, the newest under \/e: bad/);
  errors.replaceBy(new DecodeErrors());
  assert.equal(errors.size, 0);
  assert.equal(errors.seen, 6);
});
