import { BroadcastChannel, parentPort, workerData } from 'node:worker_threads';
import { claim } from '../../src/workers/claims.js';
import type { KindMessage, Reply, TaskMessage, WorkerStart } from '../../src/workers/messages.js';

/**
 * How a worker may misbehave once it has claimed a task:
 *     crash   it throws
 *     hang    it never comes back
 *     blind   it says that it could not encode it
 *     slow    it says so when somebody says `go`, and until then looks at no other
 * `idle` does not even look at its tasks.
 */
export type Behaviour = 'crash' | 'hang' | 'blind' | 'slow' | 'idle';

export const GATE = 'listwatch-scripted-worker';

/** An entry for workers that behave so. */
export function scripted(behaviour: Behaviour): URL {
  return new URL(`data:text/javascript,import{behave}from"${import.meta.url}";behave("${behaviour}")`);
}

export function behave(behaviour: Behaviour): void {
  const { cells, seenCell } = workerData as WorkerStart;
  let waiting = false;
  let answer = () => {};
  // Open before any claim: who sees the claim may say `go` at once.
  if (behaviour === 'slow') new BroadcastChannel(GATE).onmessage = () => answer();
  parentPort!.on('message', (message: KindMessage | TaskMessage) => {
    if ('definition' in message || behaviour === 'idle' || waiting) return;
    Atomics.add(cells, seenCell, 1);
    if (!claim(cells, message.cell, message.ticket)) return;
    answer = () => parentPort!.postMessage({ ticket: message.ticket, encoded: undefined } satisfies Reply);
    switch (behaviour) {
      case 'crash':
        throw new Error('crashed on purpose');
      case 'hang':
        for (;;) Atomics.wait(cells, seenCell, Atomics.load(cells, seenCell), 1_000);
      case 'blind':
        answer();
        break;
      case 'slow':
        waiting = true;
        break;
    }
  });
}
