import { type Clock, sleep } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import { REPLICA_SETS } from './kinds.js';
import { groupOf } from './objects.js';
import type { HollowOptions } from './options.js';
import { refusable, type Writer } from './writer.js';

export interface PlannedGroup {
  readonly namespace: string;
  readonly name: string;
  readonly replicas: number;
}

/** What happens to groups, and when: milliseconds from the start of the test. */
export type PlannedStep =
  | { readonly atMs: number; readonly type: 'create'; readonly group: PlannedGroup }
  | { readonly atMs: number; readonly type: 'scale'; readonly group: PlannedGroup; readonly replicas: number }
  | { readonly atMs: number; readonly type: 'delete'; readonly group: PlannedGroup };

/** One pod after the other comes while the rest of this share of the test is left. */
const DENSITY_FILL_SLACK = 1.3;
const DENSITY_END = 0.85;
/** Of the load test's pods: a half in groups of 5, a quarter each in groups of 30 and 250. */
const LOAD_GROUPS = [
  [250, 0.25],
  [30, 0.25],
  [5, 0.5],
] as const;

export function planTest(
  options: Pick<HollowOptions, 'test' | 'nodes' | 'podsPerNode' | 'podIntervalMs' | 'controllerRate' | 'durationMs'>,
  namespaces: readonly string[],
  random: Random,
): readonly PlannedStep[] {
  const steps = options.test === 'density' ? planDensity(options, namespaces) : planLoad(options, namespaces, random);
  return steps.sort((a, b) => a.atMs - b.atMs);
}

/** One group that fills the nodes, then a group of one pod every so often; near the end those are deleted. */
function planDensity(
  { nodes, podsPerNode, podIntervalMs, controllerRate, durationMs }: Parameters<typeof planTest>[0],
  namespaces: readonly string[],
): PlannedStep[] {
  const pods = nodes * podsPerNode;
  const steps: PlannedStep[] = [];
  if (pods > 0) {
    steps.push({ atMs: 0, type: 'create', group: { namespace: namespaces[0]!, name: 'density', replicas: pods } });
  }
  const filledMs = (pods / controllerRate) * 1_000 * DENSITY_FILL_SLACK;
  const endMs = durationMs * DENSITY_END;
  for (let index = 0; filledMs + index * podIntervalMs < endMs; index++) {
    const namespace = namespaces[index % namespaces.length]!;
    const group = { namespace, name: `latency-${index}`, replicas: 1 };
    steps.push({ atMs: filledMs + index * podIntervalMs, type: 'create', group });
    steps.push({ atMs: endMs, type: 'delete', group });
  }
  return steps;
}

/** Groups come in the first half, are scaled to a half up to one and a half in the third quarter, and go in the last. */
function planLoad(
  { nodes, podsPerNode, durationMs }: Parameters<typeof planTest>[0],
  namespaces: readonly string[],
  random: Random,
): PlannedStep[] {
  const steps: PlannedStep[] = [];
  let left = nodes * podsPerNode;
  const total = left;
  for (const [replicas, share] of LOAD_GROUPS) {
    // Too few pods for a group of this size go into smaller ones.
    const count = replicas === 5 ? Math.floor(left / 5) : Math.floor((total * share) / replicas);
    left -= count * replicas;
    for (let index = 0; index < count; index++) {
      const group = { namespace: random.pick(namespaces), name: `load-${replicas}-${index}`, replicas };
      const scaled = Math.max(1, Math.round(replicas * (0.5 + random.float())));
      const at = (from: number, to: number) => durationMs * (from + random.float() * (to - from));
      steps.push({ atMs: at(0, 0.5), type: 'create', group });
      steps.push({ atMs: at(0.5, 0.75), type: 'scale', group, replicas: scaled });
      steps.push({ atMs: at(0.75, 0.95), type: 'delete', group });
    }
  }
  return steps;
}

/** Takes the steps when they are due, or late where the cluster is slow, until the signal. */
export async function runWorkload(
  steps: readonly PlannedStep[],
  writer: Writer,
  clock: Clock,
  groups: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  const startMs = clock.monotonicMs();
  for (const step of steps) {
    await sleep(clock, startMs + step.atMs - clock.monotonicMs(), signal);
    if (signal.aborted) return;
    const { namespace, name, replicas } = step.group;
    const ref = { kind: REPLICA_SETS, namespace, name };
    await refusable(async () => {
      if (step.type === 'create') {
        groups.add(name);
        await writer.create(groupOf(namespace, name, replicas));
      } else if (step.type === 'scale') await writer.patch(ref, { spec: { replicas: step.replicas } });
      else {
        groups.delete(name);
        await writer.delete(ref, 0);
      }
    });
  }
}
