import type { ModRevision } from '../api/revision.js';
import { unreachable } from '../lib/assert.js';
import type { SourceError, WatchEnd } from '../source/source.js';

/**
 * The life of a cache, as a pure function: what has happened goes in, what to do comes out.
 * Time, network and memory are elsewhere (follower.ts); so every path here is a row of a table.
 *
 *     idle ──started──> listing ──listed──> watching ──cut──> backingOff ──timer──┐
 *                        ▲  │ failed            │  ▲                              │
 *                        │  ▼                   │  └────── resume from revision+1 ┤
 *                        │ backingOff <─────────┴ compacted, replaced             │
 *                        └────────────────────────────────────────────────────────┘
 *
 * A restart with a checkpoint goes from idle to watching at once.
 * A cut is resumed at the revision after the last one applied: nothing is lost and nobody notices.
 * What cannot be resumed is listed again, see docs/adr/0003-compaction-gap.md.
 */
export type ListMode =
  /** Into new storage: the first list, or what we hold cannot be trusted. */
  | 'fresh'
  /** What we hold is right but old: only what differs is read into it. */
  | 'difference';

export type Next =
  | { readonly do: 'list'; readonly mode: ListMode }
  | { readonly do: 'watch'; readonly from: ModRevision };

export type ReflectorState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'listing'; readonly mode: ListMode; readonly attempt: number }
  /** `attempt`: failures since the source last told us anything. */
  | { readonly phase: 'watching'; readonly revision: ModRevision; readonly attempt: number }
  | { readonly phase: 'backingOff'; readonly next: Next; readonly attempt: number }
  | { readonly phase: 'stopped' };

export type ReflectorInput =
  | { readonly kind: 'started' }
  /** Instead of `started`: an earlier process's state at this revision is at hand, and checked (docs/warm-start.md). */
  | { readonly kind: 'restored'; readonly revision: ModRevision }
  | { readonly kind: 'stopped' }
  /** The list is complete at this revision. */
  | { readonly kind: 'listed'; readonly revision: ModRevision }
  | { readonly kind: 'listFailed'; readonly error: SourceError }
  /** Every change up to this revision has been applied. */
  | { readonly kind: 'advanced'; readonly revision: ModRevision }
  | { readonly kind: 'ended'; readonly end: WatchEnd }
  | { readonly kind: 'timer' }
  /** The consistency check found a difference that should not be. */
  | { readonly kind: 'inconsistent'; readonly message: string };

export type ReflectorEffect =
  | { readonly do: 'list'; readonly mode: ListMode }
  | { readonly do: 'abortList' }
  /** Takes over what the list (or the checkpoint) gave: history is dropped, watchers end, the cache is ready. */
  | { readonly do: 'install' }
  | { readonly do: 'watch'; readonly from: ModRevision }
  | { readonly do: 'closeWatch' }
  | { readonly do: 'wait'; readonly attempt: number }
  | { readonly do: 'cancelWait' }
  /** What we hold belongs to a store that is gone: end the watchers, answer no reads. */
  | { readonly do: 'discard' }
  | { readonly do: 'report'; readonly message: string };

export interface Step {
  readonly state: ReflectorState;
  readonly effects: readonly ReflectorEffect[];
}

export const INITIAL: ReflectorState = { phase: 'idle' };

export function step(state: ReflectorState, input: ReflectorInput): Step {
  if (state.phase === 'stopped') return same(state);
  switch (input.kind) {
    case 'started':
      return state.phase === 'idle' ? list('fresh', 0) : same(state);
    case 'restored':
      return state.phase === 'idle' ? listed(0, input.revision) : same(state);
    case 'stopped':
      return { state: { phase: 'stopped' }, effects: undo(state) };
    case 'listed':
      return state.phase === 'listing' ? listed(state.attempt, input.revision) : same(state);
    case 'listFailed':
      return state.phase === 'listing' ? listFailed(state, input.error) : same(state);
    case 'advanced':
      if (state.phase !== 'watching') return same(state);
      return {
        state: { phase: 'watching', revision: Math.max(state.revision, input.revision), attempt: 0 },
        effects: [],
      };
    case 'ended':
      return state.phase === 'watching' ? ended(state, input.end) : same(state);
    case 'timer':
      return state.phase === 'backingOff' ? resume(state.next, state.attempt) : same(state);
    case 'inconsistent':
      return inconsistent(state, input.message);
    default:
      return unreachable(input);
  }
}

function listed(attempt: number, revision: ModRevision): Step {
  // The attempts go on counting: a list that is followed by a failing watch must not spin.
  return {
    state: { phase: 'watching', revision, attempt },
    effects: [{ do: 'install' }, { do: 'watch', from: revision + 1 }],
  };
}

function listFailed(state: { mode: ListMode; attempt: number }, error: SourceError): Step {
  const replaced = error.kind === 'replaced';
  const next: Next = { do: 'list', mode: replaced ? 'fresh' : state.mode };
  return backOff(next, state.attempt, error.message, replaced ? [{ do: 'discard' }] : []);
}

function ended(state: { revision: ModRevision; attempt: number }, end: WatchEnd): Step {
  switch (end.kind) {
    case 'cut':
      return backOff({ do: 'watch', from: state.revision + 1 }, state.attempt, end.error.message);
    case 'closed':
      return backOff({ do: 'watch', from: state.revision + 1 }, state.attempt, 'the watch was closed');
    case 'compacted': {
      const message = `revisions after ${state.revision} were compacted, up to ${end.compactRevision}`;
      return relist('difference', state.attempt, message, []);
    }
    case 'replaced':
      return relist('fresh', state.attempt, end.message, [{ do: 'discard' }]);
    default:
      return unreachable(end);
  }
}

function inconsistent(state: ReflectorState, message: string): Step {
  const report: ReflectorEffect = { do: 'report', message };
  switch (state.phase) {
    case 'watching':
      return {
        state: { phase: 'listing', mode: 'fresh', attempt: 1 },
        effects: [report, { do: 'closeWatch' }, { do: 'list', mode: 'fresh' }],
      };
    case 'backingOff':
      return { state: { ...state, next: { do: 'list', mode: 'fresh' } }, effects: [report] };
    case 'listing': {
      if (state.mode === 'fresh') return same(state);
      const effects: ReflectorEffect[] = [report, { do: 'abortList' }, { do: 'list', mode: 'fresh' }];
      return { state: { ...state, mode: 'fresh' }, effects };
    }
    default:
      return same(state);
  }
}

/** At once if the watch had been healthy, else after a pause. */
function relist(mode: ListMode, attempt: number, message: string, before: readonly ReflectorEffect[]): Step {
  if (attempt > 0) return backOff({ do: 'list', mode }, attempt, message, before);
  return {
    state: { phase: 'listing', mode, attempt: 1 },
    effects: [{ do: 'report', message }, ...before, { do: 'list', mode }],
  };
}

function backOff(next: Next, attempt: number, message: string, before: readonly ReflectorEffect[] = []): Step {
  return {
    state: { phase: 'backingOff', next, attempt: attempt + 1 },
    effects: [{ do: 'report', message }, ...before, { do: 'wait', attempt }],
  };
}

function resume(next: Next, attempt: number): Step {
  if (next.do === 'list') return list(next.mode, attempt);
  return { state: { phase: 'watching', revision: next.from - 1, attempt }, effects: [next] };
}

function list(mode: ListMode, attempt: number): Step {
  return { state: { phase: 'listing', mode, attempt }, effects: [{ do: 'list', mode }] };
}

function undo(state: ReflectorState): readonly ReflectorEffect[] {
  switch (state.phase) {
    case 'listing':
      return [{ do: 'abortList' }];
    case 'watching':
      return [{ do: 'closeWatch' }];
    case 'backingOff':
      return [{ do: 'cancelWait' }];
    default:
      return [];
  }
}

function same(state: ReflectorState): Step {
  return { state, effects: [] };
}

/** Doubles with every failure up to the maximum; jitter keeps the kinds from coming back all at once. */
export function backOffMs(attempt: number, minMs: number, maxMs: number, random: number): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30)) * (0.5 + random / 2);
}
