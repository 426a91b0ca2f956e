import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestoredState } from '../../src/cache/restored-state.js';
import { rangeOf } from '../../src/lib/bytes.js';
import { NONE } from '../../src/versions/versions.js';
import { keyOf, testStorage } from './support.js';

// A state that does not hold together is refused, whoever wrote it: checksums only say that it is as it was written.

/** The state at 20 with a history after 10. */
class Draft {
  readonly state: RestoredState;
  constructor(entries: number) {
    this.state = new RestoredState(testStorage(), {
      revision: 20,
      historyTail: 10,
      tailAgeMs: 0,
      entries,
      idsMax: 10,
    });
  }
  version(id: number, live: boolean, name: string, revision: number): this {
    this.state.version(id, live, rangeOf(keyOf(name)), rangeOf(Uint8Array.of(1, 2)), 1, 1, revision);
    return this;
  }
  entry(revision: number, next: number, previous: number): this {
    this.state.entry(revision, 0, next, previous);
    return this;
  }
  finish(): void {
    this.state.finish();
  }
}

test('objects, an old version and a deleted one', () => {
  const draft = new Draft(3).version(7, true, 'ns/a', 18).version(3, false, 'ns/a', 5).version(4, false, 'ns/b', 12);
  draft.entry(12, 4, NONE).entry(18, 7, 3).entry(19, NONE, 4).finish();
  assert.deepEqual([...draft.state.history.next], [2, 0, NONE]);
  assert.deepEqual([...draft.state.history.previous], [NONE, 1, 2]);
});

const refused: [what: string, build: () => void, says: RegExp][] = [
  ['an id twice', () => new Draft(0).version(1, true, 'ns/a', 3).version(1, true, 'ns/b', 4), /defined twice/],
  ['an id beyond the last', () => new Draft(0).version(10, true, 'ns/a', 3), /defined twice|beyond/],
  ['a version after the state', () => new Draft(0).version(1, true, 'ns/a', 21), /newer than the state/],
  [
    'a key twice',
    () => new Draft(0).version(1, true, 'ns/a', 3).version(2, true, 'ns/a', 4).finish(),
    /has the key of|twice/,
  ],
  ['an entry of an unknown version', () => new Draft(1).entry(12, 5, NONE), /not there/],
  ['an entry of nothing', () => new Draft(1).entry(12, NONE, NONE), /names no version/],
  ['an entry before the history', () => new Draft(1).version(1, true, 'ns/a', 10).entry(10, 1, NONE), /out of range/],
  ['an entry after the state', () => new Draft(1).version(1, true, 'ns/a', 20).entry(21, 1, NONE), /out of range/],
  [
    'entries that fall',
    () => new Draft(2).version(1, true, 'ns/a', 15).version(2, true, 'ns/b', 14).entry(15, 1, NONE).entry(14, 2, NONE),
    /do not ascend/,
  ],
  [
    'an object that is superseded',
    () => new Draft(1).version(1, true, 'ns/a', 5).entry(12, NONE, 1),
    /superseded twice/,
  ],
  [
    'a version superseded twice',
    () => new Draft(2).version(1, false, 'ns/a', 5).entry(12, NONE, 1).entry(13, NONE, 1),
    /superseded twice/,
  ],
  [
    'a version superseded before it was',
    () => new Draft(1).version(1, false, 'ns/a', 12).entry(12, NONE, 1),
    /before it was written/,
  ],
  ['an old version of no entry', () => new Draft(0).version(1, false, 'ns/a', 5).finish(), /every old version/],
  ['fewer entries than announced', () => new Draft(1).finish(), /missing/],
  ['more entries than announced', () => new Draft(0).version(1, true, 'ns/a', 12).entry(12, 1, NONE), /announced/],
];
for (const [what, build, says] of refused) test(`refused: ${what}`, () => assert.throws(build, says));
