import type { Manifest } from '../objects.js';
import { BORN, state } from './stored.js';

const conditions = (types: Readonly<Record<string, string>>) =>
  Object.entries(types).map(([type, status]) => ({ type, status }));
const nodeInfo = {
  ...{ machineID: '', systemUUID: '', bootID: '', kubeProxyVersion: '', operatingSystem: 'linux', architecture: '' },
  ...{ kernelVersion: '6.12', osImage: 'OS <3>', containerRuntimeVersion: 'containerd://2', kubeletVersion: 'v1.36.0' },
};
const addresses = [
  { type: 'Hostname', address: 'h' },
  { type: 'InternalIP', address: '10.0.0.1' },
  { type: 'InternalIP', address: '10.0.0.2' },
  { type: 'ExternalIP', address: '203.0.113.1' },
];
const node = (name: string, content: object, isDeleted = false) => state('v1', 'Node', name, content, isDeleted);
const roles = (labels: Readonly<Record<string, string>>) => ({ metadata: { labels } });

const nodes = [
  node('bare', {}),
  node('ready', {
    status: { conditions: conditions({ MemoryPressure: 'False', Ready: 'True' }), nodeInfo, addresses },
  }),
  node('unready', { status: { conditions: conditions({ Ready: 'False' }) }, spec: { unschedulable: true } }),
  node('silent', { status: { conditions: conditions({ Ready: 'Unknown' }) } }, true),
  node('statusless', { status: { conditions: [{ type: 'Ready' }] } }),
  node('cordoned', { spec: { unschedulable: true } }),
  node('architecture', { status: { nodeInfo: { ...nodeInfo, architecture: 'arm64' } } }),
  node('unknown-kernel', { status: { nodeInfo: { ...nodeInfo, kernelVersion: '', architecture: 'amd64' } } }),
  node('roles', {
    ...roles({
      'node-role.kubernetes.io/worker': '',
      'node-role.kubernetes.io/control-plane': 'x',
      'node-role.kubernetes.io/': '',
      'kubernetes.io/role': 'dock',
    }),
  }),
  node('one-role', roles({ 'kubernetes.io/role': 'worker', 'node-role.kubernetes.io/worker': '' })),
  node('no-role', roles({ 'kubernetes.io/role': '' })),
];

const involvedObject = { kind: 'Pod', namespace: 'states', name: 'p', fieldPath: 'spec.containers{c}' };
const times = { firstTimestamp: '2024-03-05T08:00:00Z', lastTimestamp: '2024-03-09T08:00:00Z' };
const event = (name: string, content: object) =>
  state('v1', 'Event', name, { involvedObject, reason: 'Because', type: 'Normal', ...content });
const series = (count: number) => ({ count, lastObservedTime: '2024-03-20T08:00:00.123456Z' });

const events = [
  event('bare', { involvedObject: {} }),
  event('kind-only', { involvedObject: { kind: 'Node' }, message: '' }),
  event('old', { ...times, count: 7, message: '  \t a message \n with <lines> \r\n ' }),
  event('blank', { message: '\u0085\u00a0 next line \u2003\ufeff' }),
  event('first-only', { firstTimestamp: times.firstTimestamp, source: { component: 'kubelet', host: 'n' } }),
  event('last-only', { lastTimestamp: times.lastTimestamp, source: { component: 'kubelet' } }),
  event('new', { eventTime: '2024-03-09T08:00:00.000001Z', reportingComponent: 'a.io/c', reportingInstance: 'c-1' }),
  event('series', { ...times, eventTime: times.lastTimestamp.replace('Z', '.500000Z'), count: 3, series: series(9) }),
  event('one-of-series', { series: series(1), source: { host: 'h' }, reportingComponent: 'r' }),
  event('host-only', { source: { host: 'h' } }),
  event('instance-only', { reportingInstance: 'i', source: { component: 'c' } }),
];

const quota = (name: string, status: object) => state('v1', 'ResourceQuota', name, { spec: {}, status });
const condition = (type: string) => ({ type, status: 'True' });
const certificate = (name: string, spec: object, types: readonly string[] = [], status: object = {}) =>
  state('certificates.k8s.io/v1', 'CertificateSigningRequest', name, {
    spec: { request: '', signerName: 'a.io/signer', username: 'jane', usages: ['any'], ...spec },
    status: { conditions: types.map(condition), ...status },
  });
const owner = (apiVersion: string, kind: string, more: object = {}) => ({
  ...{ apiVersion, kind, name: 'o', uid: 'u', controller: true },
  ...more,
});
const revision = (name: string, revision: number, ...ownerReferences: object[]) =>
  state('apps/v1', 'ControllerRevision', name, { metadata: { ownerReferences }, revision });

/** How long ago something was: ages in every unit are seen where the seconds do not matter. */
const ages = ['0001-01-01T00:00:00Z', '1969-12-31T23:59:59Z', '2016-01-01T00:00:00Z', '2020-06-01T00:00:00Z', BORN].map(
  (creationTimestamp, index) => state('v1', 'ConfigMap', `age-${index}`, { metadata: { creationTimestamp } }),
);

export const clusterStates: readonly Manifest[] = [
  ...nodes,
  ...events,
  ...ages,
  state('v1', 'ConfigMap', 'future', { metadata: { creationTimestamp: '2200-01-01T00:00:00Z' } }),
  state('v1', 'ConfigMap', 'ageless', {
    metadata: { creationTimestamp: null },
    data: { a: '', b: '' },
    binaryData: { c: '' },
  }),
  state('v1', 'Namespace', 'active', { status: { phase: 'Active' } }),
  state('v1', 'Namespace', 'terminating', { status: { phase: 'Terminating' } }, true),
  state('v1', 'Namespace', 'phaseless', {}),
  state('v1', 'Secret', 'empty', {}),
  state('v1', 'Secret', 'typed', { type: 'kubernetes.io/tls', data: { 'tls.crt': '', 'tls.key': 'AAEC', other: '' } }),
  quota('bare', {}),
  quota('unused', {
    hard: { 'limits.cpu': '2', 'requests.cpu': '1500m', pods: '4', limits: '1', 'a.io/limits.b': '1k' },
  }),
  quota('used', {
    hard: { 'limits.memory': '2Gi', 'limits.cpu': '1e3', 'count/pods': '0' },
    used: { 'limits.memory': '1536Mi', 'limits.cpu': '0.1', 'count/pods': '3', other: '1' },
  }),
  certificate('pending', {}),
  certificate('approved', { expirationSeconds: 3600 }, ['Approved']),
  certificate('issued', { expirationSeconds: 86_400 * 400 }, ['Approved'], { certificate: 'AAEC' }),
  certificate('denied', { expirationSeconds: 600 }, ['Approved', 'Denied']),
  certificate('failed', { expirationSeconds: 0 }, ['Failed', 'Approved']),
  certificate('denied-failed', { expirationSeconds: -5 }, ['Failed', 'Denied', 'Other']),
  revision('unowned', 3),
  revision('owned', 9, owner('v1', 'Pod', { controller: false }), owner('apps/v1', 'DaemonSet')),
  revision('core', 0, owner('v1', 'ReplicationController')),
  revision('upper', -1, owner('Example.COM/v1', 'Boat'), owner('apps/v1', 'StatefulSet', { controller: null })),
  state('coordination.k8s.io/v1', 'Lease', 'free', { spec: {} }),
  state('coordination.k8s.io/v1', 'Lease', 'held', { spec: { holderIdentity: 'me <&>', leaseTransitions: 4 } }),
  state('scheduling.k8s.io/v1', 'PriorityClass', 'low', { value: -2_147_483_648, preemptionPolicy: 'Never' }),
  state('scheduling.k8s.io/v1', 'PriorityClass', 'high', { value: 1_000_000_000, globalDefault: true }),
];
