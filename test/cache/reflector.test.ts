import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  backOffMs,
  type ReflectorEffect,
  type ReflectorInput,
  type ReflectorState,
  step,
} from '../../src/cache/reflector.js';
import { SourceError } from '../../src/source/source.js';

const down = new SourceError('unavailable', 'no connection');
const wiped = new SourceError('replaced', 'another cluster');
const overtaken = new SourceError('compacted', 'compacted meanwhile');

const idle: ReflectorState = { phase: 'idle' };
const stopped: ReflectorState = { phase: 'stopped' };
const listing = (mode: 'fresh' | 'difference', attempt = 0): ReflectorState => ({ phase: 'listing', mode, attempt });
const watching = (revision: number, attempt = 0): ReflectorState => ({ phase: 'watching', revision, attempt });
const pausedList = (mode: 'fresh' | 'difference', attempt: number): ReflectorState => ({
  phase: 'backingOff',
  next: { do: 'list', mode },
  attempt,
});
const pausedWatch = (from: number, attempt: number): ReflectorState => ({
  phase: 'backingOff',
  next: { do: 'watch', from },
  attempt,
});
const report = (message: string): ReflectorEffect => ({ do: 'report', message });

const compactedMessage = 'revisions after 57 were compacted, up to 90';

const rows: [
  name: string,
  from: ReflectorState,
  input: ReflectorInput,
  to: ReflectorState,
  effects: ReflectorEffect[],
][] = [
  ['starting lists', idle, { kind: 'started' }, listing('fresh'), [{ do: 'list', mode: 'fresh' }]],
  ['starting again does nothing', watching(5), { kind: 'started' }, watching(5), []],
  [
    'a complete list is taken over and watched from its next revision',
    listing('fresh'),
    { kind: 'listed', revision: 57 },
    watching(57),
    [{ do: 'install' }, { do: 'watch', from: 58 }],
  ],
  [
    'a failed list is repeated after a pause',
    listing('fresh'),
    { kind: 'listFailed', error: down },
    pausedList('fresh', 1),
    [report('no connection'), { do: 'wait', attempt: 0 }],
  ],
  [
    'pauses count failures',
    listing('fresh', 3),
    { kind: 'listFailed', error: down },
    pausedList('fresh', 4),
    [report('no connection'), { do: 'wait', attempt: 3 }],
  ],
  [
    'a list overtaken by compaction is repeated in its mode',
    listing('difference'),
    { kind: 'listFailed', error: overtaken },
    pausedList('difference', 1),
    [report('compacted meanwhile'), { do: 'wait', attempt: 0 }],
  ],
  [
    'a list from another store discards what we hold',
    listing('difference'),
    { kind: 'listFailed', error: wiped },
    pausedList('fresh', 1),
    [report('another cluster'), { do: 'discard' }, { do: 'wait', attempt: 0 }],
  ],
  [
    'after the pause it lists',
    pausedList('difference', 2),
    { kind: 'timer' },
    listing('difference', 2),
    [{ do: 'list', mode: 'difference' }],
  ],
  [
    'a change moves the revision and forgives failures',
    watching(57, 4),
    { kind: 'advanced', revision: 60 },
    watching(60),
    [],
  ],
  ['the revision never falls', watching(57), { kind: 'advanced', revision: 50 }, watching(57), []],
  [
    'a cut is resumed at the next revision',
    watching(57),
    { kind: 'ended', end: { kind: 'cut', error: down } },
    pausedWatch(58, 1),
    [report('no connection'), { do: 'wait', attempt: 0 }],
  ],
  ['after the pause it resumes', pausedWatch(58, 1), { kind: 'timer' }, watching(57, 1), [{ do: 'watch', from: 58 }]],
  [
    'a second cut in a row pauses longer',
    watching(57, 1),
    { kind: 'ended', end: { kind: 'cut', error: down } },
    pausedWatch(58, 2),
    [report('no connection'), { do: 'wait', attempt: 1 }],
  ],
  [
    'a watch that somebody closed is resumed',
    watching(57),
    { kind: 'ended', end: { kind: 'closed' } },
    pausedWatch(58, 1),
    [report('the watch was closed'), { do: 'wait', attempt: 0 }],
  ],
  [
    'compacted past our position: list the difference, at once',
    watching(57),
    { kind: 'ended', end: { kind: 'compacted', compactRevision: 90 } },
    listing('difference', 1),
    [report(compactedMessage), { do: 'list', mode: 'difference' }],
  ],
  [
    'compacted again and again: not without a pause',
    watching(57, 1),
    { kind: 'ended', end: { kind: 'compacted', compactRevision: 90 } },
    pausedList('difference', 2),
    [report(compactedMessage), { do: 'wait', attempt: 1 }],
  ],
  [
    'another store: discard and list afresh',
    watching(57),
    { kind: 'ended', end: { kind: 'replaced', message: 'wiped' } },
    listing('fresh', 1),
    [report('wiped'), { do: 'discard' }, { do: 'list', mode: 'fresh' }],
  ],
  [
    'a difference found while watching: list afresh',
    watching(57),
    { kind: 'inconsistent', message: 'a byte' },
    listing('fresh', 1),
    [report('a byte'), { do: 'closeWatch' }, { do: 'list', mode: 'fresh' }],
  ],
  [
    'a difference found while pausing: then afresh',
    pausedWatch(58, 2),
    { kind: 'inconsistent', message: 'a byte' },
    pausedList('fresh', 2),
    [report('a byte')],
  ],
  [
    'a difference found while listing the difference: afresh instead',
    listing('difference'),
    { kind: 'inconsistent', message: 'a byte' },
    listing('fresh'),
    [report('a byte'), { do: 'abortList' }, { do: 'list', mode: 'fresh' }],
  ],
  [
    'a difference found while listing afresh is being mended',
    listing('fresh'),
    { kind: 'inconsistent', message: 'a byte' },
    listing('fresh'),
    [],
  ],
  ['stopping before the start', idle, { kind: 'stopped' }, stopped, []],
  ['stopping a list', listing('fresh'), { kind: 'stopped' }, stopped, [{ do: 'abortList' }]],
  ['stopping a watch', watching(57), { kind: 'stopped' }, stopped, [{ do: 'closeWatch' }]],
  ['stopping a pause', pausedWatch(58, 1), { kind: 'stopped' }, stopped, [{ do: 'cancelWait' }]],
  ['what is stopped stays so', stopped, { kind: 'started' }, stopped, []],
  [
    'a late end of a watch is ignored',
    listing('fresh'),
    { kind: 'ended', end: { kind: 'closed' } },
    listing('fresh'),
    [],
  ],
  ['a late list is ignored', watching(57), { kind: 'listed', revision: 40 }, watching(57), []],
  ['a late timer is ignored', watching(57), { kind: 'timer' }, watching(57), []],
];

for (const [name, from, input, state, effects] of rows) {
  test(`reflector: ${name}`, () => assert.deepEqual(step(from, input), { state, effects }));
}

test('reflector: pauses double up to the maximum, with jitter of up to a half', () => {
  assert.deepEqual(
    [0, 1, 2, 6, 7, 50].map((attempt) => backOffMs(attempt, 100, 10_000, 1)),
    [100, 200, 400, 6400, 10_000, 10_000],
  );
  assert.equal(backOffMs(3, 100, 10_000, 0), 400);
});
