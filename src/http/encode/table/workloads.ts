import { ageOf, type Elapsed, elapsed, humanDuration } from './human-duration.js';
import { at, integer, items, type Json, present, text } from './json-path.js';
import {
  age,
  condition,
  CONTAINERS,
  containerImages,
  containerNames,
  labelPairs,
  orElse,
  SELECTOR,
  selector,
  yesNo,
} from './phrases.js';
import { columns, type TableKind } from './table-kind.js';

function replicaTable(selectorMembers: string, showSelector: (object: Json) => string): TableKind {
  return {
    columns: columns(
      'Desired:integer',
      'Current:integer',
      'Ready:integer',
      'Age',
      'Containers*',
      'Images*',
      'Selector*',
    ),
    reads: `spec{replicas selector${selectorMembers} template{${CONTAINERS}}} status{replicas readyReplicas}`,
    row: (object) => ({
      cells: [
        text(object, 'metadata.name'),
        integer(object, 'spec.replicas'),
        integer(object, 'status.replicas'),
        integer(object, 'status.readyReplicas'),
        age(object),
        containerNames(object, 'spec.template.spec'),
        containerImages(object, 'spec.template.spec'),
        showSelector(object),
      ],
    }),
  };
}

export const replicaSets = replicaTable(SELECTOR, (object) => selector(object, 'spec.selector'));
export const replicationControllers = replicaTable('', (object) => labelPairs(object, 'spec.selector'));

export const deployments: TableKind = {
  columns: columns('Ready', 'Up-to-date', 'Available', 'Age', 'Containers*', 'Images*', 'Selector*'),
  reads: `spec{replicas selector${SELECTOR} template{${CONTAINERS}}} status{readyReplicas updatedReplicas availableReplicas}`,
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      `${integer(object, 'status.readyReplicas')}/${integer(object, 'spec.replicas')}`,
      integer(object, 'status.updatedReplicas'),
      integer(object, 'status.availableReplicas'),
      age(object),
      containerNames(object, 'spec.template.spec'),
      containerImages(object, 'spec.template.spec'),
      selector(object, 'spec.selector'),
    ],
  }),
};

export const statefulSets: TableKind = {
  columns: columns('Ready', 'Age', 'Containers*', 'Images*'),
  reads: `spec{replicas template{${CONTAINERS}}} status{readyReplicas}`,
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      `${integer(object, 'status.readyReplicas')}/${integer(object, 'spec.replicas')}`,
      age(object),
      containerNames(object, 'spec.template.spec'),
      containerImages(object, 'spec.template.spec'),
    ],
  }),
};

export const daemonSets: TableKind = {
  columns: columns(
    'Desired:integer',
    'Current:integer',
    'Ready:integer',
    'Up-to-date:integer',
    'Available:integer',
    'Node Selector',
    'Age',
    'Containers*',
    'Images*',
    'Selector*',
  ),
  reads: `spec{selector${SELECTOR} template{spec{nodeSelector} ${CONTAINERS}}} status{desiredNumberScheduled currentNumberScheduled numberReady updatedNumberScheduled numberAvailable}`,
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      integer(object, 'status.desiredNumberScheduled'),
      integer(object, 'status.currentNumberScheduled'),
      integer(object, 'status.numberReady'),
      integer(object, 'status.updatedNumberScheduled'),
      integer(object, 'status.numberAvailable'),
      labelPairs(object, 'spec.template.spec.nodeSelector'),
      age(object),
      containerNames(object, 'spec.template.spec'),
      containerImages(object, 'spec.template.spec'),
      selector(object, 'spec.selector'),
    ],
  }),
};

export const controllerRevisions: TableKind = {
  columns: columns('Controller', 'Revision', 'Age'),
  reads: 'metadata{ownerReferences{controller apiVersion kind name}} revision',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), controllerOf(object), at(object, 'revision') ?? 0, age(object)],
  }),
};

/** `daemonset.apps/x` of the owner that controls the object. */
function controllerOf(object: Json): string {
  const owner = items(object, 'metadata.ownerReferences').find((reference) => at(reference, 'controller') === true);
  if (owner === undefined) return '<none>';
  const group = text(owner, 'apiVersion').includes('/') ? `.${text(owner, 'apiVersion').split('/')[0]}` : '';
  return `${`${text(owner, 'kind')}${group}`.toLowerCase()}/${text(owner, 'name')}`;
}

export const jobs: TableKind = {
  columns: columns('Status', 'Completions', 'Duration', 'Age', 'Containers*', 'Images*', 'Selector*'),
  reads: `metadata{deletionTimestamp} spec{completions parallelism selector${SELECTOR} template{${CONTAINERS}}} status{conditions{type status} succeeded startTime completionTime}`,
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      jobStatus(object),
      completions(object),
      jobDuration(object),
      age(object),
      containerNames(object, 'spec.template.spec'),
      containerImages(object, 'spec.template.spec'),
      selector(object, 'spec.selector'),
    ],
  }),
};

function jobStatus(object: Json): string {
  if (condition(object, 'Complete') === 'True') return 'Complete';
  if (condition(object, 'Failed') === 'True') return 'Failed';
  if (present(object, 'metadata.deletionTimestamp')) return 'Terminating';
  if (condition(object, 'Suspended') === 'True') return 'Suspended';
  if (condition(object, 'FailureTarget') === 'True') return 'FailureTarget';
  return 'Running';
}

function completions(object: Json): string {
  const succeeded = integer(object, 'status.succeeded');
  if (present(object, 'spec.completions')) return `${succeeded}/${integer(object, 'spec.completions')}`;
  const parallelism = integer(object, 'spec.parallelism');
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration(object: Json): Elapsed | string {
  if (!present(object, 'status.startTime')) return '';
  const startMs = Date.parse(text(object, 'status.startTime'));
  if (!present(object, 'status.completionTime')) return elapsed(startMs);
  return humanDuration(Date.parse(text(object, 'status.completionTime')) - startMs);
}

export const cronJobs: TableKind = {
  columns: columns(
    'Schedule',
    'Timezone',
    'Suspend:boolean',
    'Active:integer',
    'Last Schedule',
    'Age',
    'Containers*',
    'Images*',
    'Selector*',
  ),
  reads: `spec{schedule timeZone suspend jobTemplate{spec{selector${SELECTOR} template{${CONTAINERS}}}}} status{active{} lastScheduleTime}`,
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'spec.schedule'),
      orElse(text(object, 'spec.timeZone'), '<none>'),
      yesNo(object, 'spec.suspend'),
      items(object, 'status.active').length,
      present(object, 'status.lastScheduleTime') ? ageOf(text(object, 'status.lastScheduleTime')) : '<none>',
      age(object),
      containerNames(object, 'spec.jobTemplate.spec.template.spec'),
      containerImages(object, 'spec.jobTemplate.spec.template.spec'),
      selector(object, 'spec.jobTemplate.spec.selector'),
    ],
  }),
};

const RESOURCE_METRICS = 'averageValue averageUtilization';
const OTHER_METRICS = 'value averageValue';
const AUTOSCALER_MEMBERS = `spec{scaleTargetRef{kind name} minReplicas maxReplicas
    metrics{type external{target{${OTHER_METRICS}}} pods{target{averageValue}} object{target{${OTHER_METRICS}}}
      resource{name target{${RESOURCE_METRICS}}} containerResource{name target{${RESOURCE_METRICS}}}}}
  status{currentReplicas currentMetrics{
      external{current{${OTHER_METRICS}}} pods{current{averageValue}} object{current{${OTHER_METRICS}}}
      resource{current{${RESOURCE_METRICS}}} containerResource{current{${RESOURCE_METRICS}}}}}`;

export const horizontalPodAutoscalers: TableKind = {
  columns: columns('Reference', 'Targets', 'MinPods', 'MaxPods', 'Replicas', 'Age'),
  reads: AUTOSCALER_MEMBERS,
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      `${text(object, 'spec.scaleTargetRef.kind')}/${text(object, 'spec.scaleTargetRef.name')}`,
      targets(object),
      present(object, 'spec.minReplicas') ? text(object, 'spec.minReplicas') : '<unset>',
      integer(object, 'spec.maxReplicas'),
      integer(object, 'status.currentReplicas'),
      age(object),
    ],
  }),
};

/** Members of a MetricSpec and of the MetricStatus at the same place, by metric type. */
const METRIC_MEMBERS: Readonly<Record<string, string>> = {
  External: 'external',
  Pods: 'pods',
  Object: 'object',
  Resource: 'resource',
  ContainerResource: 'containerResource',
};

function targets(object: Json): string {
  const specs = items(object, 'spec.metrics');
  if (specs.length === 0) return '<none>';
  const statuses = items(object, 'status.currentMetrics');
  const shown = specs.slice(0, 2).map((spec, index) => target(spec, statuses[index]));
  const more = specs.length - shown.length;
  return more > 0 ? `${shown.join(', ')} + ${more} more...` : shown.join(', ');
}

function target(spec: Json, status: Json): string {
  const member = METRIC_MEMBERS[text(spec, 'type')];
  if (member === undefined) return '<unknown type>';
  const isResource = member === 'resource' || member === 'containerResource';
  const prefix = isResource ? `${text(spec, `${member}.name`)}: ` : '';
  const wanted = at(spec, `${member}.target`);
  // A metric that was measured may lack the value that is asked for.
  const current = present(status, member) ? (at(status, `${member}.current`) ?? {}) : undefined;
  const quantity = (from: Json, name: string) => orElse(text(from, name), '<nil>');
  const measured = (name: string) => (current === undefined ? '<unknown>' : quantity(current, name));
  if (isResource && !present(wanted, 'averageValue')) {
    const percentage = (from: Json, absent: string) =>
      present(from, 'averageUtilization') ? `${text(from, 'averageUtilization')}%` : absent;
    return `${prefix}${percentage(current, '<unknown>')}/${percentage(wanted, '<auto>')}`;
  }
  if (isResource || member === 'pods') {
    return `${prefix}${measured('averageValue')}/${quantity(wanted, 'averageValue')}`;
  }
  if (present(wanted, 'averageValue')) {
    return `${orElse(text(current, 'averageValue'), '<unknown>')}/${text(wanted, 'averageValue')} (avg)`;
  }
  return `${measured('value')}/${quantity(wanted, 'value')}`;
}
