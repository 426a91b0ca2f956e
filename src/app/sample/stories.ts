import { createPod, crash, terminate } from './pod-life.js';
import { isRollingOut, scale, startRollOut } from './controllers.js';
import { chores, generated } from './names.js';
import { jobTemplate, newJob, nextTemplate } from './plan.js';
import { type CronJob, type Deployment, isReady, type PodOwner, type PodState } from './state.js';
import { markDirty, put, recordWorkload, type World } from './world.js';
import { workloadObject } from './workload-objects.js';

/**
 * What happens to the cluster, and how many writes to pods each story costs in the end: so a rate
 * of writes becomes a rate of stories. A story that cannot be told now costs nothing.
 */
type Story = (world: World) => number;

const CREATION_WRITES = 5; // created, bound, starting, running, ready
const DELETION_WRITES = 2; // marked, removed
const CRASH_WRITES = 5; // down, running, ready; then often down again, backing off, running, ready
const JOB_POD_WRITES = 6; // created, bound, starting, running, succeeded, removed
const ROLLOUT_REPLICAS_MAX = 12;
const SCALE_STEP_MAX = 3;
const JOBS_MAX = 200;

const stories: readonly (readonly [weight: number, story: Story])[] = [
  [34, replaceDeploymentPod],
  [20, crashSomePod],
  [20, runJob],
  [14, scaleSomeDeployment],
  [6, replaceStatefulPod],
  [3, rollOutSomeDeployment],
  [3, replaceAgentPod],
];
const totalWeight = stories.reduce((sum, [weight]) => sum + weight, 0);

export function tellStory(world: World): number {
  let at = world.random.int(totalWeight);
  for (const [weight, story] of stories) {
    if (at < weight) return story(world);
    at -= weight;
  }
  return 0;
}

/** Runs a CronJob on its schedule, from now on. */
export function followSchedule(world: World, cronJob: CronJob): void {
  const everyMs = cronJob.everyMinutes * 60_000;
  const dueMs = (Math.floor(world.nowMs / everyMs) + 1) * everyMs;
  world.timeline.add(dueMs, () => {
    const minutes = Math.floor(world.nowMs / 60_000);
    const busy = cronJob.jobs.some((job) => job.completedMs === undefined); // concurrencyPolicy Forbid
    if (!busy && cronJob.lastScheduleMs < minutes * 60_000) {
      const { template } = cronJob;
      const job = newJob(world, cronJob.app, `${cronJob.name}-${minutes}`, {
        cronJob,
        template,
        completions: 1,
        parallelism: 1,
      });
      cronJob.lastScheduleMs = minutes * 60_000;
      cronJob.jobs.push(job);
      world.jobs.add(job);
      put(world, workloadObject(job));
      recordWorkload(world, cronJob, 'SuccessfulCreate', `Created job ${job.name}`);
      markDirty(world, cronJob);
      createPod(world, job);
    }
    followSchedule(world, cronJob);
  });
}

function replaceDeploymentPod(world: World): number {
  const deployment = pick(world, world.deployments);
  return deployment === undefined ? 0 : replaceOneOf(world, deployment.replicaSets.at(-1)!);
}

function replaceStatefulPod(world: World): number {
  const set = pick(world, world.statefulSets);
  return set === undefined ? 0 : replaceOneOf(world, set);
}

function replaceAgentPod(world: World): number {
  const set = pick(world, world.daemonSets);
  return set === undefined ? 0 : replaceOneOf(world, set);
}

function replaceOneOf(world: World, owner: PodOwner): number {
  const pod = readyPod(world, owner);
  if (pod === undefined) return 0;
  terminate(world, pod);
  return DELETION_WRITES + CREATION_WRITES;
}

function crashSomePod(world: World): number {
  const deployment = pick(world, world.deployments);
  const pod = deployment === undefined ? undefined : readyPod(world, deployment.replicaSets.at(-1)!);
  if (pod === undefined) return 0;
  crash(world, pod);
  return CRASH_WRITES;
}

function runJob(world: World): number {
  const deployment = pick(world, world.deployments);
  if (
    deployment === undefined ||
    deployment.app.team === 'system' ||
    world.jobs.size >= JOBS_MAX + world.cronJobs.length * 4
  )
    return 0;
  const { app } = deployment;
  const completions = 1 + world.random.int(3);
  const name = generated(world.random, `${app.name}-${world.random.pick(chores)}-`);
  const job = newJob(world, app, name, {
    template: jobTemplate(world.random, app),
    completions,
    parallelism: Math.min(2, completions),
  });
  world.jobs.add(job);
  put(world, workloadObject(job));
  markDirty(world, job);
  return completions * JOB_POD_WRITES;
}

/** Away from where it started or back to it, so that the cluster keeps its size. */
function scaleSomeDeployment(world: World): number {
  const deployment = steadyDeployment(world);
  if (deployment === undefined || deployment.app.team === 'system') return 0;
  const { replicas, base } = deployment;
  const step = 1 + world.random.int(Math.min(SCALE_STEP_MAX, base));
  const target = replicas === base ? base + (world.random.chance(0.5) ? step : -step) : base;
  if (target < 1 || target === replicas) return 0;
  scale(world, deployment, target);
  return Math.abs(target - replicas) * (target > replicas ? CREATION_WRITES : DELETION_WRITES);
}

function rollOutSomeDeployment(world: World): number {
  const deployment = steadyDeployment(world);
  if (deployment === undefined || deployment.replicas > ROLLOUT_REPLICAS_MAX) return 0;
  startRollOut(world, deployment, nextTemplate(world, deployment.template));
  return deployment.replicas * (CREATION_WRITES + DELETION_WRITES);
}

function steadyDeployment(world: World): Deployment | undefined {
  const deployment = pick(world, world.deployments);
  const steady =
    deployment !== undefined &&
    !isRollingOut(deployment) &&
    deployment.replicaSets.at(-1)!.replicas === deployment.replicas;
  return steady ? deployment : undefined;
}

function readyPod(world: World, owner: PodOwner): PodState | undefined {
  const ready = [...owner.pods].filter(isReady);
  return pick(world, ready);
}

function pick<T>(world: World, items: readonly T[]): T | undefined {
  return items.length === 0 ? undefined : world.random.pick(items);
}
