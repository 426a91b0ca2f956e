import type { Manifest } from '../objects.js';
import { state } from './stored.js';

const matchLabels = { app: 'a' };
const selector = {
  matchLabels: { b: '2', a: '1' },
  matchExpressions: [
    { key: 'z', operator: 'In', values: ['y', 'x'] },
    { key: 'k', operator: 'NotIn', values: ['v'] },
    { key: 'c', operator: 'Exists' },
    { key: 'a', operator: 'DoesNotExist' },
  ],
};
const template = (containers: readonly string[], more: object = {}) => ({
  metadata: { labels: matchLabels },
  spec: { containers: containers.map((name) => ({ name, image: `example.com/${name}@sha256:0` })), ...more },
});
const one = template(['main']);
const two = template(['main', 'second']);

const job = (name: string, spec: object, status: object = {}, isDeleted = false) =>
  state('batch/v1', 'Job', name, { spec: { template: one, selector: { matchLabels }, ...spec }, status }, isDeleted);
const conditions = (...types: readonly (readonly [type: string, status: string])[]) => ({
  conditions: types.map(([type, status]) => ({ type, status })),
});
const JOB_CONDITIONS = ['Complete', 'Failed', 'Suspended', 'FailureTarget', 'SuccessCriteriaMet'];
const startTime = '2024-03-01T08:00:00Z';

const jobs = [
  job('bare', {}),
  job('selectorless', { selector: null, template: two }),
  ...JOB_CONDITIONS.map((type) => job(`is-${type.toLowerCase()}`, { completions: 3 }, conditions([type, 'True']))),
  ...JOB_CONDITIONS.map((type) => job(`not-${type.toLowerCase()}`, { completions: 3 }, conditions([type, 'False']))),
  ...JOB_CONDITIONS.map((type) => job(`deleted-${type.toLowerCase()}`, {}, conditions([type, 'True']), true)),
  job('failed-after-all', {}, conditions(['FailureTarget', 'True'], ['Suspended', 'True'], ['Failed', 'True'])),
  job('false-then-true', {}, conditions(['Complete', 'False'], ['Complete', 'True'])),
  job('parallel', { parallelism: 4 }, { succeeded: 2, startTime }),
  job('alone', { parallelism: 1 }, { succeeded: 1, startTime, completionTime: '2024-03-01T08:02:05Z' }),
  job('none', { parallelism: 0, completions: 0 }, { startTime, completionTime: '2024-03-01T08:01:59Z' }),
  job('long', { parallelism: 4, completions: 9 }, { succeeded: 9, startTime, completionTime: '2024-03-04T18:30:00Z' }),
  job('backwards', {}, { startTime, completionTime: '2024-03-01T07:00:00Z' }),
  job('startless', {}, { completionTime: startTime }),
];

const cronJob = (name: string, spec: object, status: object = {}, jobSpec: object = {}) =>
  state('batch/v1', 'CronJob', name, {
    spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: two, ...jobSpec } }, ...spec },
    status,
  });
const active = [{ name: 'a' }, { name: 'b' }];
const cronJobs = [
  cronJob('bare', {}),
  cronJob('suspended', { suspend: true, timeZone: 'Etc/UTC' }, { active, lastScheduleTime: startTime }),
  cronJob('not-suspended', { suspend: false }, { active: [] }, { selector }),
];

const scaled = (apiVersion: string, kind: string) =>
  [
    ['bare', {}, {}],
    ['none', { replicas: 0, selector: kind === 'ReplicationController' ? matchLabels : { matchLabels } }, {}],
    [
      'some',
      { replicas: 3, template: two },
      { replicas: 2, readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
    ],
    ['selective', { selector: kind === 'ReplicationController' ? { b: '2', a: '' } : selector }, { replicas: 5 }],
  ].map(([name, spec, status]) =>
    state(apiVersion, kind, name as string, {
      spec: {
        template: one,
        ...(kind === 'ReplicationController' ? {} : { selector: { matchLabels } }),
        ...(spec as object),
      },
      status,
    }),
  );
const daemonSet = (name: string, spec: object, status: object = {}) =>
  state('apps/v1', 'DaemonSet', name, { spec: { selector: { matchLabels }, template: one, ...spec }, status });
const counts = { desiredNumberScheduled: 5, currentNumberScheduled: 4, numberReady: 3, updatedNumberScheduled: 2 };

const target = { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' };
const autoscaler = (name: string, spec: object, currentMetrics: readonly object[] | null = null) =>
  state('autoscaling/v2', 'HorizontalPodAutoscaler', name, {
    spec: { scaleTargetRef: target, maxReplicas: 3, ...spec },
    status: { desiredReplicas: 0, currentReplicas: 2, currentMetrics },
  });
const metric = { name: 'm' };
const resource = (type: string, target: object) => ({ type, ...target });
const SPECS: Readonly<Record<string, object>> = {
  utilization: {
    type: 'Resource',
    resource: { name: 'cpu', target: resource('Utilization', { averageUtilization: 50 }) },
  },
  automatic: { type: 'Resource', resource: { name: 'cpu', target: resource('Utilization', {}) } },
  average: {
    type: 'Resource',
    resource: { name: 'memory', target: resource('AverageValue', { averageValue: '1500Mi' }) },
  },
  container: {
    type: 'ContainerResource',
    containerResource: { name: 'cpu', container: 'c', target: resource('Utilization', { averageUtilization: 7 }) },
  },
  'container-average': {
    type: 'ContainerResource',
    containerResource: { name: 'cpu', container: 'c', target: resource('AverageValue', { averageValue: '0.5' }) },
  },
  pods: { type: 'Pods', pods: { metric, target: resource('AverageValue', { averageValue: '1k' }) } },
  object: { type: 'Object', object: { describedObject: target, metric, target: resource('Value', { value: '10' }) } },
  'object-average': {
    type: 'Object',
    object: { describedObject: target, metric, target: resource('AverageValue', { averageValue: '500m' }) },
  },
  external: { type: 'External', external: { metric, target: resource('Value', { value: '2e3' }) } },
  'external-average': {
    type: 'External',
    external: { metric, target: resource('AverageValue', { averageValue: '3' }) },
  },
  other: { type: 'Other' },
};
const memberOf = ({ type }: { type?: string }) =>
  ({
    Resource: 'resource',
    ContainerResource: 'containerResource',
    Pods: 'pods',
    Object: 'object',
    External: 'external',
  })[type ?? ''];
const CURRENT: Readonly<Record<string, object>> = {
  all: { averageUtilization: 61, averageValue: '305m', value: '42' },
  average: { averageValue: '12Mi' },
  value: { value: '17' },
  nothing: {},
};
function* autoscalers(): Generator<Manifest> {
  for (const [name, spec] of Object.entries(SPECS)) {
    yield autoscaler(`${name}.unknown`, { metrics: [spec], minReplicas: 1 });
    const member = memberOf(spec);
    if (member === undefined) continue;
    for (const [measured, current] of Object.entries(CURRENT)) {
      const described = { resource: { name: 'cpu' }, containerResource: { name: 'cpu', container: 'c' } }[member] ?? {
        metric,
      };
      const status = { type: (spec as { type: string }).type, [member]: { ...described, current } };
      yield autoscaler(`${name}.${measured}`, { metrics: [spec] }, [status]);
    }
    const other = { type: 'Pods', pods: { metric, current: { averageValue: '5' } } };
    yield autoscaler(`${name}.other`, { metrics: [spec, spec] }, [other]);
  }
  yield autoscaler('metricless', { metrics: [], minReplicas: 0 });
  yield autoscaler('many', { metrics: Object.values(SPECS).slice(0, 5) });
}

const budget = (name: string, spec: object, disruptionsAllowed = 0) =>
  state('policy/v1', 'PodDisruptionBudget', name, {
    spec,
    status: { disruptionsAllowed, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
  });

export const workloadStates: readonly Manifest[] = [
  ...jobs,
  ...cronJobs,
  ...scaled('v1', 'ReplicationController'),
  ...scaled('apps/v1', 'ReplicaSet'),
  ...scaled('apps/v1', 'Deployment'),
  ...scaled('apps/v1', 'StatefulSet'),
  daemonSet('bare', {}),
  daemonSet('counted', { template: template(['a'], { nodeSelector: { b: '2', a: '' } }), selector }, counts),
  ...autoscalers(),
  budget('bare', {}),
  budget('numbers', { minAvailable: 2, maxUnavailable: 0 }, 3),
  budget('percentages', { minAvailable: '50%', maxUnavailable: '0%' }, -1),
  state('v1', 'PodTemplate', 'bare', {}),
  state('v1', 'PodTemplate', 'full', { template: two }),
];
