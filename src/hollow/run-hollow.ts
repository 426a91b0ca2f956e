import { setMaxListeners } from 'node:events';
import { oneLine } from '../app/usage-error.js';
import { defaultLimits } from '../lib/limits.js';
import { HollowCluster, type HollowProgress } from './cluster.js';
import { Meters } from './meters.js';
import type { HollowOptions } from './options.js';
import type { ServerUsage } from './server-under-test.js';
import { openSubject, type SubjectParts, type TwinCounts } from './subject.js';

export interface HollowResult {
  readonly meters: Meters;
  readonly status: 'done' | 'interrupted' | 'failed';
  /** Why it failed. */
  readonly message: string | undefined;
  readonly testSeconds: number;
  readonly server: ServerUsage | undefined;
  readonly twin: TwinCounts | undefined;
}

export interface HollowParts extends SubjectParts {
  readonly progress: (progress: HollowProgress) => void;
}

/**
 * Runs the hollow cluster. Rejects with UsageError for what can be put right, before anything has run; later it resolves
 * whatever happens, with what was measured until then.
 */
export async function runHollow(
  options: HollowOptions,
  parts: HollowParts,
  interrupted: AbortSignal,
): Promise<HollowResult> {
  const { clock } = parts;
  parts.progress({ phase: 'starting', share: 0, pods: 0 });
  const subject = await openSubject(options, parts);
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // each watch and each wait has one
  for (const event of [interrupted, subject.ended]) {
    if (event.aborted) stop.abort();
    else event.addEventListener('abort', () => stop.abort(), { once: true });
  }
  const meters = new Meters(clock, defaultLimits);
  let message: string | undefined;
  let testMs = 0;
  const cluster = new HollowCluster(options, subject, meters, clock);
  let usage: ServerUsage | undefined;
  let twin: TwinCounts | undefined;
  try {
    await cluster.start(stop.signal, parts.progress);
    const before = await subject.usage();
    const startMs = clock.monotonicMs();
    await cluster.test(stop.signal, parts.progress);
    testMs = clock.monotonicMs() - startMs;
    const after = await subject.usage();
    if (before !== undefined && after !== undefined) {
      usage = { ...after, cpuSeconds: after.cpuSeconds - before.cpuSeconds };
    }
    if (!subject.ended.aborted) twin = await subject.twin();
  } catch (error) {
    message = oneLine(error);
  }
  meters.freeze();
  stop.abort();
  await cluster.stop();
  if (options.kubeconfig !== undefined) {
    await cluster.remove().catch((error: unknown) => {
      message ??= `what the test has made could not be removed: ${oneLine(error)}`;
    });
  }
  await subject.stop();
  if (subject.ended.aborted) message = oneLine(subject.ended.reason);
  const status = message !== undefined ? 'failed' : interrupted.aborted ? 'interrupted' : 'done';
  return { meters, status, message, testSeconds: testMs / 1000, server: usage, twin };
}
