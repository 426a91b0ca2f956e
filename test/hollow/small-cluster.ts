import assert from 'node:assert/strict';
import { type HollowFlags, resolveHollow } from '../../src/hollow/options.js';
import { reportHollow } from '../../src/hollow/report.js';
import { type HollowParts, runHollow } from '../../src/hollow/run-hollow.js';
import { systemClock } from '../../src/lib/clock.js';
import { settingOf } from '../../src/report/setting.js';

const SMALL: HollowFlags = {
  nodes: '3',
  duration: '2500ms',
  'pods-per-node': '5',
  'pod-interval': '100ms',
  'controller-rate': '30',
  'lease-interval': '300ms',
  'node-status-interval': '500ms',
  'relist-interval': '100ms',
  'container-start': '50ms',
  'list-interval': '20ms',
};

/** A few nodes for a few seconds, with everything that larger ones have. */
export async function runSmall(
  flags: HollowFlags = {},
  parts: Partial<HollowParts> = {},
  interrupted: AbortSignal = new AbortController().signal,
) {
  const options = resolveHollow({ ...SMALL, ...flags });
  // The clock's timers do not keep the process alive; that is the command's task.
  const awake = setInterval(() => {}, 1_000);
  try {
    const result = await runHollow(
      options,
      { clock: systemClock, version: '0.0.0', progress: () => {}, ...parts },
      interrupted,
    );
    const setting = settingOf('listwatch hollow', options.seed, '0.0.0', 0);
    return { options, result, ...reportHollow(result, options, setting, systemClock.monotonicMs()) };
  } finally {
    clearInterval(awake);
  }
}

/** What every run of a cluster that works has done. */
export function assertLived({ report }: Awaited<ReturnType<typeof runSmall>>): void {
  const { pods, calls, watchLag, counts } = report;
  assert.ok(pods.created >= 15 && pods.started >= 15, JSON.stringify(pods));
  assert.ok(pods.gone > 0, 'pods were deleted at the end');
  assert.equal(counts.watchesOpened, 3 * 18 + 8);
  for (const verb of ['GET', 'LIST']) assert.ok(calls.some((call) => call.verb === verb && call.latency.failed === 0));
  for (const scope of ['resource', 'namespace', 'cluster']) assert.ok(calls.some((call) => call.scope === scope));
  for (const resource of ['pods', 'nodes', 'leases', 'replicasets']) {
    const lag = watchLag[resource];
    assert.ok(lag !== undefined && lag.count > 0, `a lag of ${resource}`);
  }
  assert.deepEqual(report.problems, []);
}
