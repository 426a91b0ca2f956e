import { Latencies, type LatencySummary } from './latencies.js';
import type { Call, Meters } from './meters.js';
import type { ObjectiveSet } from './options.js';
import type { HollowResult } from './run-hollow.js';

export interface MeasuredCall extends Call {
  readonly latency: LatencySummary;
}

/** A promise that somebody published, and whether it was kept. */
export interface Objective {
  readonly set: ObjectiveSet | 'twin';
  readonly source: string;
  readonly text: string;
  /** Milliseconds; null: a call of that rank failed, or a pod of that rank did not start. */
  readonly measuredMs: number | null;
  readonly boundMs: number;
  /** What the figure is of: where the objective holds for each resource, the worst one. */
  readonly of: string;
  readonly count: number;
  readonly verdict: 'met' | 'missed' | 'nothing measured';
}

const READ_1_2 = 'Kubernetes 1.2, 1,000 nodes';
const READ_1_6 = 'Kubernetes 1.6, 5,000 nodes';
const SLO = "sig-scalability's service levels";
const WRITES = '99% of writes of one object within 1 s';
const SECOND = 1_000;
export const STARTUP_BOUND_MS = 5 * SECOND;

/** One row per verb, resource and scope; LIST apart from other reads; the slowest last. */
export function measuredCalls({ calls }: Meters): MeasuredCall[] {
  return [...calls.values()]
    .flatMap(({ call, latencies }) => {
      const latency = latencies.summary();
      return latency === undefined ? [] : [{ ...call, latency }];
    })
    .sort((a, b) => `${a.verb} ${a.resource} ${a.scope}`.localeCompare(`${b.verb} ${b.resource} ${b.scope}`));
}

/** Pods that have waited longer than the bound count as pods that did not start in time. */
export function startLatencies({ starts }: Meters, nowMs: number): Latencies {
  const all = new Latencies();
  all.merge(starts.stages.whole);
  for (const ageMs of starts.unstartedAges(nowMs)) if (ageMs > STARTUP_BOUND_MS) all.addFailed();
  return all;
}

/** Calls that open a watch have no objective. */
export function judge(
  { meters, twin }: Pick<HollowResult, 'meters' | 'twin'>,
  sets: readonly ObjectiveSet[],
  nowMs: number,
): Objective[] {
  const calls = [...meters.calls.values()].filter(({ call }) => call.verb !== 'WATCH');
  const worst = (selected: (call: Call) => boolean, share: number) => {
    let found: Measured = { ms: undefined, of: '', count: 0 };
    for (const { call, latencies } of calls) {
      const ms = selected(call) ? latencies.percentile(share) : undefined;
      if (ms === undefined || (found.ms !== undefined && ms <= found.ms)) continue;
      found = { ms, of: nameOfCall(call), count: latencies.count };
    }
    return found;
  };
  const together = (share: number): Measured => {
    const all = new Latencies();
    for (const { latencies } of calls) all.merge(latencies);
    return { ms: all.percentile(share), of: 'all calls together', count: all.count };
  };
  const is = (verb: string) => (call: Call) => call.verb === verb;
  const isNot = (verb: string) => (call: Call) => call.verb !== verb;
  const reads = (scope: string) => (call: Call) =>
    (call.verb === 'GET' || call.verb === 'LIST') && call.scope === scope;
  const mutates = ({ verb }: Call) => verb !== 'GET' && verb !== 'LIST';
  const started = startLatencies(meters, nowMs);
  const pods: Measured = { ms: started.percentile(0.99), of: 'pods of the test', count: started.count };
  const all: Objective[] = [
    objective('1.2', READ_1_2, '99% of calls, LIST apart, within 1 s', SECOND, worst(isNot('LIST'), 0.99)),
    objective('1.2', READ_1_2, '99% of LISTs within 1 s', SECOND, worst(is('LIST'), 0.99)),
    objective('1.6', READ_1_6, '90% of calls within 100 ms', 100, together(0.9)),
    objective(
      '1.6',
      READ_1_6,
      '99% of calls within 500 ms',
      500,
      worst(() => true, 0.99),
    ),
    objective('slo', SLO, WRITES, SECOND, worst(mutates, 0.99)),
    objective('slo', SLO, '99% of reads of one object within 1 s', SECOND, worst(reads('resource'), 0.99)),
    objective('slo', SLO, '99% of LISTs of a namespace within 30 s', 30 * SECOND, worst(reads('namespace'), 0.99)),
    objective('slo', SLO, '99% of LISTs of the cluster within 30 s', 30 * SECOND, worst(reads('cluster'), 0.99)),
    objective('startup', `${SLO}; ${READ_1_2}`, '99% of pods start within 5 s', STARTUP_BOUND_MS, pods),
  ];
  // Where writes go past the API there is nothing to promise about them.
  const written = calls.some(({ call }) => mutates(call));
  const judged = all.filter(({ set, text }) => set !== 'twin' && sets.includes(set) && (written || text !== WRITES));
  if (twin !== undefined) judged.push(twinObjective(twin));
  return judged;
}

/** What was not measured is not met. */
export function isPassed(objectives: readonly Objective[]): boolean {
  return objectives.length > 0 && objectives.every(({ verdict }) => verdict === 'met');
}

interface Measured {
  readonly ms: number | undefined;
  readonly of: string;
  readonly count: number;
}

function objective(
  set: Objective['set'],
  source: string,
  text: string,
  boundMs: number,
  measured: Measured,
): Objective {
  const { ms, of, count } = measured;
  const measuredMs = ms === undefined || !Number.isFinite(ms) ? null : ms;
  const verdict = ms === undefined ? 'nothing measured' : ms <= boundMs ? 'met' : 'missed';
  return { set, source, text, boundMs, measuredMs, of, count, verdict };
}

function twinObjective({ comparisons, differences }: NonNullable<HollowResult['twin']>): Objective {
  return {
    set: 'twin',
    source: '--twin',
    text: 'both engines give the same answers',
    boundMs: 0,
    measuredMs: null,
    of: `${differences} differences`,
    count: comparisons,
    verdict: differences > 0 ? 'missed' : comparisons > 0 ? 'met' : 'nothing measured',
  };
}

export function nameOfCall({ verb, resource, subresource, scope }: Call): string {
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`} (${scope})`;
}
