import type { Manifest } from '../objects.js';
import { state } from './stored.js';

// Containers in every state that the Status, Ready and Restarts of a pod are made of, each of the first with each of the second.

const FINISHED = '2024-03-05T08:00:00Z';
const terminated = (exitCode: number, more: object = {}) => ({
  terminated: { exitCode, finishedAt: FINISHED, ...more },
});
const RUNNING = { running: { startedAt: FINISHED } };
const waiting = (reason?: string) => ({ waiting: reason === undefined ? {} : { reason } });
const restarted = (restartCount: number) => ({
  restartCount,
  lastState: terminated(1, { finishedAt: `2024-03-0${restartCount}T08:00:00Z` }),
});
const status = (name: string, current: object, more: object = {}) => ({
  ...{ name, image: `${name}:1`, imageID: '', ready: false, restartCount: 0, state: current },
  ...more,
});

interface Container {
  readonly name: string;
  readonly status?: object;
  readonly restartPolicy?: string;
}
const sidecar = (current: object, more: object): Container => ({
  ...{ name: 'sidecar', restartPolicy: 'Always', status: status('sidecar', current, more) },
});
const first = (current: object, more: object = {}): Container => ({
  name: 'first',
  status: status('first', current, more),
});

const inits: Readonly<Record<string, readonly Container[]>> = {
  none: [],
  unknown: [{ name: 'first' }, { name: 'second' }],
  done: [first(terminated(0, { reason: 'Completed' }), restarted(1)), sidecar(RUNNING, { started: true, ready: true })],
  failed: [first(terminated(3, { reason: 'Error' }), restarted(2))],
  killed: [first(terminated(137, { signal: 9 }))],
  exited: [first(terminated(4))],
  'backs-off': [first(waiting('CrashLoopBackOff'), { restartCount: 6 })],
  initializing: [first(waiting('PodInitializing')), { name: 'second', status: status('second', waiting()) }],
  second: [first(terminated(0)), { name: 'second', status: status('second', RUNNING) }, { name: 'third' }],
  'sidecar-ready': [sidecar(RUNNING, { started: true, ready: true, ...restarted(3) })],
  'sidecar-unready': [sidecar(RUNNING, { started: true })],
  'sidecar-waits': [sidecar(waiting('ImagePullBackOff'), { started: false }), { name: 'second' }],
  'sidecar-done': [sidecar(terminated(0), restarted(4))],
};
const ready = { ready: true, started: true };
const mains: Readonly<Record<string, readonly Container[]>> = {
  none: [{ name: 'main' }],
  ready: [{ name: 'main', status: status('main', RUNNING, ready) }],
  unready: [{ name: 'main', status: status('main', RUNNING, restarted(5)) }],
  waits: [{ name: 'main', status: status('main', waiting('ErrImagePull')) }, { name: 'other' }],
  'waits-silently': [{ name: 'main', status: status('main', waiting(), { restartCount: 2 }) }],
  killed: [{ name: 'main', status: status('main', terminated(143, { signal: 15 })) }],
  exited: [{ name: 'main', status: status('main', terminated(7), restarted(2)) }],
  'half-done': [
    { name: 'main', status: status('main', terminated(0, { reason: 'Completed' }), restarted(6)) },
    { name: 'other', status: status('other', RUNNING, { ...ready, ...restarted(7) }) },
  ],
  done: [{ name: 'main', status: status('main', terminated(0, { reason: 'Completed' })) }],
};

const PHASES = ['Running', 'Pending', 'Succeeded', 'Failed', 'Unknown'];
const CONDITIONS = [
  [],
  [{ type: 'Initialized', status: 'True' }],
  [
    { type: 'Initialized', status: 'False' },
    { type: 'Ready', status: 'True' },
  ],
  [
    { type: 'Initialized', status: 'True' },
    { type: 'Ready', status: 'True' },
  ],
];
const PLACES: readonly { spec: object; status: object }[] = [
  { spec: {}, status: {} },
  { spec: { nodeName: 'pier-1' }, status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] } },
  {
    spec: { readinessGates: [{ conditionType: 'Ready' }, { conditionType: 'b/c' }] },
    status: { nominatedNodeName: 'n' },
  },
];

const containersOf = (containers: readonly Container[]) =>
  containers.map(({ name, restartPolicy }) => ({
    ...{ name, image: `${name}:1` },
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
  }));
const statusesOf = (containers: readonly Container[]) => containers.flatMap((container) => container.status ?? []);

function* pods(): Generator<Manifest> {
  let index = 0;
  for (const [init, initContainers] of Object.entries(inits)) {
    for (const [main, containers] of Object.entries(mains)) {
      // Further members go round at different speeds, so that each meets each.
      const place = PLACES[index % PLACES.length]!;
      const reason = index % 11 === 3 ? { reason: 'NodeLost' } : index % 11 === 7 ? { reason: 'Evicted' } : {};
      yield state(
        'v1',
        'Pod',
        `${init}.${main}`,
        {
          spec: { containers: containersOf(containers), initContainers: containersOf(initContainers), ...place.spec },
          status: {
            ...{ phase: PHASES[index % PHASES.length], conditions: CONDITIONS[index % CONDITIONS.length], ...reason },
            ...{ initContainerStatuses: statusesOf(initContainers), containerStatuses: statusesOf(containers) },
            ...place.status,
          },
        },
        index % 7 === 2,
      );
      index++;
    }
  }
  const gated = { type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' };
  yield state('v1', 'Pod', 'gated', {
    spec: { containers: containersOf(mains['none']!), schedulingGates: [{ name: 'a.io/b' }] },
    status: { phase: 'Pending', conditions: [gated] },
  });
  yield state('v1', 'Pod', 'bare', { spec: { containers: null } });
  yield state('v1', 'Pod', 'half-failed', {
    spec: { containers: containersOf(mains['half-done']!) },
    status: {
      phase: 'Running',
      containerStatuses: statusesOf([
        { name: 'main', status: status('main', terminated(0, { reason: 'Completed' })) },
        { name: 'other', status: status('other', terminated(1, { reason: 'Error' })) },
      ]),
    },
  });
}

export const podStates: readonly Manifest[] = [...pods()];
