import { appLabels, type KubeObject, ownerReference, selectorOf, time } from './objects.js';
import { templateSpec } from './pod-object.js';
import {
  type AnyWorkload,
  type CronJob,
  countOf,
  type DaemonSet,
  type Deployment,
  isLive,
  isReady,
  type Job,
  type PodState,
  type ReplicaSet,
  type StatefulSet,
  type Template,
} from './state.js';

export function workloadObject(workload: AnyWorkload): KubeObject {
  switch (workload.kind) {
    case 'Deployment':
      return deploymentObject(workload);
    case 'ReplicaSet':
      return replicaSetObject(workload);
    case 'StatefulSet':
      return statefulSetObject(workload);
    case 'DaemonSet':
      return daemonSetObject(workload);
    case 'CronJob':
      return cronJobObject(workload);
    case 'Job':
      return jobObject(workload);
  }
}

const REVISION = 'deployment.kubernetes.io/revision';

/** RollingUpdate lets a quarter of the replicas be away (rounded down). */
export function hasEnough(deployment: Deployment): boolean {
  const ready = podsOf(deployment).filter(isReady).length;
  return ready >= deployment.replicas - Math.floor(deployment.replicas / 4);
}

export function podsOf(deployment: Deployment): PodState[] {
  return deployment.replicaSets.flatMap((replicaSet) => [...replicaSet.pods]);
}

function metadata(workload: AnyWorkload, more: Record<string, unknown> = {}) {
  return {
    name: workload.name,
    namespace: workload.app.namespace,
    uid: workload.uid,
    creationTimestamp: time(workload.createdMs),
    generation: workload.generation,
    labels: appLabels(workload.app),
    ...more,
  };
}

function podTemplate(template: Template, extra: Readonly<Record<string, string>> = {}) {
  return {
    metadata: {
      labels: { ...template.labels, ...extra },
      ...(template.annotations === undefined ? {} : { annotations: template.annotations }),
    },
    spec: templateSpec(template),
  };
}

function deploymentObject(deployment: Deployment): KubeObject {
  const { replicas } = deployment;
  const pods = podsOf(deployment).filter(isLive);
  const ready = pods.filter(isReady).length;
  const current = deployment.replicaSets.at(-1);
  const updated = current === undefined ? 0 : countOf(current.pods, isLive);
  const enough = deployment.available;
  const complete = updated === replicas && ready === replicas && pods.length === replicas;
  const condition = (
    type: string,
    status: boolean,
    reason: string,
    message: string,
    updateMs: number,
    sinceMs: number,
  ) => ({
    type,
    status: status ? 'True' : 'False',
    reason,
    message,
    lastUpdateTime: time(updateMs),
    lastTransitionTime: time(sinceMs),
  });
  const progress = complete
    ? ['NewReplicaSetAvailable', `ReplicaSet "${current?.name}" has successfully progressed.`]
    : ['ReplicaSetUpdated', `ReplicaSet "${current?.name}" is progressing.`];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(deployment, { annotations: { [REVISION]: String(deployment.revision) } }),
    spec: {
      replicas,
      selector: { matchLabels: selectorOf(deployment.app) },
      template: podTemplate(deployment.template),
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: 600,
    },
    status: {
      observedGeneration: deployment.generation,
      ...positive({
        replicas: pods.length,
        updatedReplicas: updated,
        readyReplicas: ready,
        availableReplicas: ready,
        unavailableReplicas: Math.max(0, replicas - ready),
      }),
      conditions: [
        condition(
          'Available',
          enough,
          enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
          enough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
          deployment.availableMs,
          deployment.availableMs,
        ),
        condition('Progressing', true, progress[0]!, progress[1]!, deployment.progressedMs, deployment.createdMs),
      ],
    },
  };
}

function replicaSetObject(replicaSet: ReplicaSet): KubeObject {
  const { deployment, hash } = replicaSet;
  const live = countOf(replicaSet.pods, isLive);
  const ready = countOf(replicaSet.pods, isReady);
  const labels = { ...replicaSet.template.labels, 'pod-template-hash': hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: metadata(replicaSet, {
      labels,
      annotations: {
        'deployment.kubernetes.io/desired-replicas': String(deployment.replicas),
        'deployment.kubernetes.io/max-replicas': String(deployment.replicas + Math.ceil(deployment.replicas / 4)),
        [REVISION]: String(replicaSet.revision),
      },
      ownerReferences: [ownerReference(deployment)],
    }),
    spec: {
      replicas: replicaSet.replicas,
      selector: { matchLabels: { ...selectorOf(replicaSet.app), 'pod-template-hash': hash } },
      template: podTemplate(replicaSet.template, { 'pod-template-hash': hash }),
    },
    status: {
      observedGeneration: replicaSet.generation,
      replicas: live,
      ...positive({ fullyLabeledReplicas: live, readyReplicas: ready, availableReplicas: ready }),
    },
  };
}

function statefulSetObject(set: StatefulSet): KubeObject {
  const live = countOf(set.pods, isLive);
  const ready = countOf(set.pods, isReady);
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: metadata(set),
    spec: {
      replicas: set.replicas,
      serviceName: set.name,
      selector: { matchLabels: selectorOf(set.app) },
      template: podTemplate(set.template),
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      revisionHistoryLimit: 10,
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    },
    status: {
      observedGeneration: set.generation,
      replicas: live,
      ...positive({ readyReplicas: ready, currentReplicas: live, updatedReplicas: live }),
      availableReplicas: ready,
      collisionCount: 0,
      currentRevision: set.revisionName,
      updateRevision: set.revisionName,
    },
  };
}

function daemonSetObject(set: DaemonSet): KubeObject {
  const live = countOf(set.pods, isLive);
  const ready = countOf(set.pods, isReady);
  const desired = set.pods.size;
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: metadata(set, { annotations: { 'deprecated.daemonset.template.generation': String(set.generation) } }),
    spec: {
      selector: { matchLabels: selectorOf(set.app) },
      template: podTemplate(set.template),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
      revisionHistoryLimit: 10,
    },
    status: {
      observedGeneration: set.generation,
      currentNumberScheduled: live,
      desiredNumberScheduled: desired,
      numberMisscheduled: 0,
      numberReady: ready,
      ...positive({ numberAvailable: ready, updatedNumberScheduled: live, numberUnavailable: desired - ready }),
    },
  };
}

export function scheduleText(cronJob: CronJob): string {
  return cronJob.everyMinutes === 60 ? '0 * * * *' : `*/${cronJob.everyMinutes} * * * *`;
}

function cronJobObject(cronJob: CronJob): KubeObject {
  const active = cronJob.jobs.filter((job) => job.completedMs === undefined);
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: metadata(cronJob),
    spec: {
      schedule: scheduleText(cronJob),
      concurrencyPolicy: 'Forbid',
      suspend: cronJob.suspended,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
      jobTemplate: {
        metadata: { labels: appLabels(cronJob.app) },
        spec: { backoffLimit: 6, template: podTemplate(cronJob.template) },
      },
    },
    status: {
      ...(active.length === 0
        ? {}
        : {
            active: active.map((job) => ({
              apiVersion: 'batch/v1',
              kind: 'Job',
              name: job.name,
              namespace: job.app.namespace,
              uid: job.uid,
            })),
          }),
      ...(cronJob.lastScheduleMs === 0 ? {} : { lastScheduleTime: time(cronJob.lastScheduleMs) }),
      ...(cronJob.lastSuccessMs === 0 ? {} : { lastSuccessfulTime: time(cronJob.lastSuccessMs) }),
    },
  };
}

function jobObject(job: Job): KubeObject {
  const active = countOf(job.pods, isLive);
  const ready = countOf(job.pods, isReady);
  const labels = jobLabels(job);
  const done = job.completedMs;
  const condition = (type: string) => ({
    type,
    status: 'True',
    reason: 'CompletionsReached',
    message: 'Reached expected number of succeeded pods',
    lastProbeTime: time(done ?? 0),
    lastTransitionTime: time(done ?? 0),
  });
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadata(job, {
      labels: { ...appLabels(job.app), ...labels },
      ...(job.cronJob === undefined
        ? {}
        : {
            ownerReferences: [ownerReference(job.cronJob)],
            annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': time(job.scheduledMs ?? job.createdMs) },
          }),
    }),
    spec: {
      completions: job.completions,
      parallelism: job.parallelism,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      manualSelector: false,
      podReplacementPolicy: 'TerminatingOrFailed',
      selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': job.uid } },
      suspend: false,
      ...(job.cronJob === undefined ? { ttlSecondsAfterFinished: 120 } : {}),
      template: podTemplate(job.template, labels),
    },
    status: {
      startTime: time(job.createdMs),
      ...positive({ active, succeeded: job.succeeded }),
      ready: done === undefined ? ready : 0,
      terminating: 0,
      uncountedTerminatedPods: {},
      ...(done === undefined
        ? {}
        : { completionTime: time(done), conditions: [condition('SuccessCriteriaMet'), condition('Complete')] }),
    },
  };
}

export function jobLabels(job: { readonly name: string; readonly uid: string }): Record<string, string> {
  return {
    'batch.kubernetes.io/controller-uid': job.uid,
    'batch.kubernetes.io/job-name': job.name,
    'controller-uid': job.uid,
    'job-name': job.name,
  };
}

/** Go leaves zero counts out of a status (omitempty). */
function positive(counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}
