import type { ModRevision } from '../api/revision.js';
import type { Source } from '../source/source.js';

/**
 * Learns the source's revision for reads that must be as new as the source was when they arrived.
 *
 *     request ─┬─ end of turn: probe starts ──────────> answers all requests that came before it started
 *     request ─┘
 *          request ─┐   (too early for this one)
 *          request ─┴─ wait ──────────────────────────> next probe ───────────> answers both
 *
 * A probe that was under way when a request arrived may miss a write that finished before the
 * request: it is never used. At most one probe is under way and one waits, however many requests.
 * A probe starts at the end of the turn, so that requests which arrive together share it: started by the first of
 * them, it would be too early for all others, and they would wait for two (docs/adr/0004).
 */
export interface RevisionProbe {
  /** Rejects with the source's error. */
  latest(): Promise<ModRevision>;
  /** How many probes were sent. */
  readonly probes: number;
}

export function createRevisionProbe(source: Pick<Source, 'currentRevision'>): RevisionProbe {
  let running: Promise<ModRevision> | undefined;
  let waiting: Promise<ModRevision> | undefined;
  let probes = 0;

  function start(): Promise<ModRevision> {
    probes++;
    const probe = source.currentRevision();
    running = probe;
    const done = () => {
      if (running === probe) running = undefined;
    };
    probe.then(done, done);
    return probe;
  }

  return {
    latest() {
      // The failure of the running probe is its own requests' business.
      waiting ??= (running?.catch(() => undefined) ?? endOfTurn()).then(() => {
        waiting = undefined;
        return start();
      });
      return waiting;
    },
    get probes() {
      return probes;
    },
  };
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
