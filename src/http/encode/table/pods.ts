import { type Elapsed, elapsed } from './human-duration.js';
import { flag, integer, items, type Json, present, text } from './json-path.js';
import { age, condition, containerImages, containerNames, labelPairs, orElse } from './phrases.js';
import { columns, type TableKind } from './table-kind.js';

/** What the container statuses add up to, in the order kubectl users know it (spec 10.2). */
interface PodSummary {
  reason: string;
  ready: number;
  total: number;
  restarts: number;
  lastRestartMs: number;
}

/** What the cells of a pod are made of. */
const POD_MEMBERS = `metadata{deletionTimestamp}
  spec{nodeName containers{} initContainers{name restartPolicy} readinessGates{conditionType}}
  status{phase reason nominatedNodeName podIPs{ip} conditions{type status reason}
    initContainerStatuses{name ready started restartCount state{waiting{reason} terminated{reason signal exitCode}}
      lastState{terminated{finishedAt}}}
    containerStatuses{ready restartCount state{waiting{reason} running{} terminated{reason signal exitCode}}
      lastState{terminated{finishedAt}}}}`;

export const pods: TableKind = {
  columns: columns('Ready', 'Status', 'Restarts', 'Age', 'IP*', 'Node*', 'Nominated Node*', 'Readiness Gates*'),
  reads: POD_MEMBERS,
  row(pod) {
    const summary = summarize(pod);
    const cells = [
      text(pod, 'metadata.name'),
      `${summary.ready}/${summary.total}`,
      summary.reason,
      restartsCell(summary),
      age(pod),
      orElse(text(items(pod, 'status.podIPs')[0], 'ip'), '<none>'),
      orElse(text(pod, 'spec.nodeName'), '<none>'),
      orElse(text(pod, 'status.nominatedNodeName'), '<none>'),
      readinessGates(pod),
    ];
    const conditions = terminalCondition(text(pod, 'status.phase'));
    return conditions === undefined ? { cells } : { cells, conditions };
  },
};

/** Lets clients grey out finished pods. */
function terminalCondition(phase: string): readonly unknown[] | undefined {
  if (phase === 'Succeeded') {
    return [{ type: 'Completed', status: 'True', reason: 'Succeeded', message: 'The pod has completed successfully.' }];
  }
  if (phase === 'Failed') {
    return [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }];
  }
  return undefined;
}

function summarize(pod: Json): PodSummary {
  const sidecars = new Set(
    items(pod, 'spec.initContainers')
      .filter((container) => text(container, 'restartPolicy') === 'Always')
      .map((container) => text(container, 'name')),
  );
  const summary: PodSummary = {
    reason: orElse(text(pod, 'status.reason'), text(pod, 'status.phase')),
    ready: 0,
    total: items(pod, 'spec.containers').length + sidecars.size,
    restarts: 0,
    lastRestartMs: 0,
  };
  for (const entry of items(pod, 'status.conditions')) {
    if (text(entry, 'type') === 'PodScheduled' && text(entry, 'reason') === 'SchedulingGated') {
      summary.reason = 'SchedulingGated';
    }
  }
  const sidecarRestarts = { count: 0, lastMs: 0 };
  const initializing = readInitContainers(pod, sidecars, summary, sidecarRestarts);
  if (!initializing || condition(pod, 'Initialized') === 'True') {
    summary.restarts = sidecarRestarts.count;
    summary.lastRestartMs = sidecarRestarts.lastMs;
    readContainers(pod, summary);
  }
  if (present(pod, 'metadata.deletionTimestamp')) {
    const phase = text(pod, 'status.phase');
    if (text(pod, 'status.reason') === 'NodeLost') summary.reason = 'Unknown';
    else if (phase !== 'Succeeded' && phase !== 'Failed') summary.reason = 'Terminating';
  }
  return summary;
}

/** Returns whether the pod is still held up by an init container. */
function readInitContainers(
  pod: Json,
  sidecars: ReadonlySet<string>,
  summary: PodSummary,
  sidecarRestarts: { count: number; lastMs: number },
): boolean {
  const statuses = items(pod, 'status.initContainerStatuses');
  for (const [index, status] of statuses.entries()) {
    const restarts = integer(status, 'restartCount');
    const isSidecar = sidecars.has(text(status, 'name'));
    const finishedMs = lastFinishedMs(status);
    summary.restarts += restarts;
    summary.lastRestartMs = Math.max(summary.lastRestartMs, finishedMs);
    if (isSidecar) {
      sidecarRestarts.count += restarts;
      sidecarRestarts.lastMs = Math.max(sidecarRestarts.lastMs, finishedMs);
    }
    if (present(status, 'state.terminated') && integer(status, 'state.terminated.exitCode') === 0) continue;
    if (isSidecar && flag(status, 'started')) {
      if (flag(status, 'ready')) summary.ready++;
      continue;
    }
    summary.reason = `Init:${initReason(pod, status, index)}`;
    return true;
  }
  return false;
}

function initReason(pod: Json, status: Json, index: number): string {
  if (present(status, 'state.terminated')) return terminatedReason(status);
  const waiting = text(status, 'state.waiting.reason');
  if (waiting !== '' && waiting !== 'PodInitializing') return waiting;
  return `${index}/${items(pod, 'spec.initContainers').length}`;
}

function terminatedReason(status: Json): string {
  const reason = text(status, 'state.terminated.reason');
  if (reason !== '') return reason;
  const signal = integer(status, 'state.terminated.signal');
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${integer(status, 'state.terminated.exitCode')}`;
}

function readContainers(pod: Json, summary: PodSummary): void {
  let hasRunning = false;
  for (const status of [...items(pod, 'status.containerStatuses')].reverse()) {
    summary.restarts += integer(status, 'restartCount');
    summary.lastRestartMs = Math.max(summary.lastRestartMs, lastFinishedMs(status));
    const waiting = text(status, 'state.waiting.reason');
    if (waiting !== '') summary.reason = waiting;
    else if (present(status, 'state.terminated')) summary.reason = terminatedReason(status);
    else if (flag(status, 'ready') && present(status, 'state.running')) {
      hasRunning = true;
      summary.ready++;
    }
  }
  if (summary.reason === 'Completed' && hasRunning) {
    summary.reason = condition(pod, 'Ready') === 'True' ? 'Running' : 'NotReady';
  }
}

function lastFinishedMs(status: Json): number {
  const finishedMs = Date.parse(text(status, 'lastState.terminated.finishedAt'));
  return Number.isNaN(finishedMs) ? 0 : finishedMs;
}

function restartsCell(summary: PodSummary): Elapsed | string {
  if (summary.restarts === 0 || summary.lastRestartMs === 0) return String(summary.restarts);
  return elapsed(summary.lastRestartMs, `${summary.restarts} (`, ' ago)');
}

function readinessGates(pod: Json): string {
  const gates = items(pod, 'spec.readinessGates');
  if (gates.length === 0) return '<none>';
  const passed = gates.filter((gate) => condition(pod, text(gate, 'conditionType')) === 'True').length;
  return `${passed}/${gates.length}`;
}

export const podTemplates: TableKind = {
  columns: columns('Containers', 'Images', 'Pod Labels'),
  reads: 'template{metadata{labels} spec{containers{name image}}}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      containerNames(object, 'template.spec'),
      containerImages(object, 'template.spec'),
      labelPairs(object, 'template.metadata.labels'),
    ],
  }),
};
