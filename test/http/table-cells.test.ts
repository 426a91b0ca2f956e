import assert from 'node:assert/strict';
import { test } from 'node:test';
import { humanDuration, isElapsed } from '../../src/http/encode/table/human-duration.js';
import { type Row, tableFor } from '../../src/http/encode/table/index.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

// "HumanDuration" of the specification, section 10.1: one row per boundary of its table.
const durations: [durationMs: number, want: string][] = [
  [-2 * SECOND, '<invalid>'],
  [-1999, '0s'],
  [-1, '0s'],
  [0, '0s'],
  [119 * SECOND, '119s'],
  [2 * MINUTE, '2m'],
  [125 * SECOND, '2m5s'],
  [3 * MINUTE, '3m'],
  [599 * SECOND, '9m59s'],
  [10 * MINUTE, '10m'],
  [179 * MINUTE + 59 * SECOND, '179m'],
  [3 * HOUR, '3h'],
  [5 * HOUR + 12 * MINUTE, '5h12m'],
  [8 * HOUR, '8h'],
  [47 * HOUR + 59 * MINUTE, '47h'],
  [48 * HOUR, '2d'],
  [76 * HOUR, '3d4h'],
  [8 * DAY, '8d'],
  [400 * DAY, '400d'],
  [2 * YEAR, '2y'],
  [2 * YEAR + 35 * DAY, '2y35d'],
  [8 * YEAR, '8y'],
  [9 * YEAR + 3 * DAY, '9y'],
];
for (const [durationMs, want] of durations) {
  test(`${durationMs} ms is shown as ${want}`, () => assert.equal(humanDuration(durationMs), want));
}

const NOW = Date.UTC(2026, 5, 1, 12);

function shownAt(nowMs: number, { cells }: Row): readonly unknown[] {
  return cells.map((cell) =>
    isElapsed(cell) ? `${cell.before}${humanDuration(nowMs - cell.fromMs)}${cell.after}` : cell,
  );
}

const ago = (ms: number) => `${new Date(NOW - ms).toISOString().slice(0, 19)}Z`;
const metadata = { name: 'web-1', creationTimestamp: ago(5 * HOUR) };
const running = { running: { startedAt: ago(HOUR) } };
const terminated = (reason: string, exitCode: number, extra = {}) => ({ terminated: { reason, exitCode, ...extra } });

// What `kubectl get pods` shows: Ready, Status and Restarts per rule of section 10.2.
const podRows: [rule: string, pod: object, want: [ready: string, status: string, restarts: string]][] = [
  ['phase alone', { spec: { containers: [{ name: 'a' }] }, status: { phase: 'Pending' } }, ['0/1', 'Pending', '0']],
  ['status.reason wins over phase', { status: { phase: 'Failed', reason: 'Evicted' } }, ['0/0', 'Evicted', '0']],
  [
    'scheduling gate',
    {
      status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
    },
    ['0/0', 'SchedulingGated', '0'],
  ],
  [
    'running and ready',
    {
      spec: { containers: [{ name: 'a' }, { name: 'b' }] },
      status: {
        phase: 'Running',
        containerStatuses: [
          { name: 'a', ready: true, restartCount: 0, state: running },
          { name: 'b', ready: false, restartCount: 0, state: running },
        ],
      },
    },
    ['1/2', 'Running', '0'],
  ],
  [
    'restarts with the time of the last one',
    {
      spec: { containers: [{ name: 'a' }] },
      status: {
        phase: 'Running',
        containerStatuses: [
          {
            name: 'a',
            ready: true,
            restartCount: 3,
            state: running,
            lastState: terminated('Error', 1, { finishedAt: ago(125 * SECOND) }),
          },
        ],
      },
    },
    ['1/1', 'Running', '3 (2m5s ago)'],
  ],
  [
    'the first container decides between two reasons',
    {
      spec: { containers: [{ name: 'a' }, { name: 'b' }] },
      status: {
        phase: 'Running',
        containerStatuses: [
          { name: 'a', restartCount: 4, state: { waiting: { reason: 'CrashLoopBackOff' } } },
          { name: 'b', restartCount: 0, state: { waiting: { reason: 'ImagePullBackOff' } } },
        ],
      },
    },
    ['0/2', 'CrashLoopBackOff', '4'],
  ],
  [
    'terminated by a signal',
    { status: { phase: 'Failed', containerStatuses: [{ state: { terminated: { signal: 9, exitCode: 137 } } }] } },
    ['0/0', 'Signal:9', '0'],
  ],
  [
    'terminated with an exit code alone',
    { status: { phase: 'Failed', containerStatuses: [{ state: { terminated: { exitCode: 3 } } }] } },
    ['0/0', 'ExitCode:3', '0'],
  ],
  [
    'completed beside a running container, pod ready',
    {
      spec: { containers: [{ name: 'a' }, { name: 'b' }] },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [
          { name: 'a', state: terminated('Completed', 0) },
          { name: 'b', ready: true, state: running },
        ],
      },
    },
    ['1/2', 'Running', '0'],
  ],
  [
    'completed beside a running container, pod not ready',
    {
      spec: { containers: [{ name: 'a' }, { name: 'b' }] },
      status: {
        phase: 'Running',
        containerStatuses: [
          { name: 'a', state: terminated('Completed', 0) },
          { name: 'b', ready: true, state: running },
        ],
      },
    },
    ['1/2', 'NotReady', '0'],
  ],
  [
    'init container waiting its turn',
    {
      spec: { initContainers: [{ name: 'i' }, { name: 'j' }], containers: [{ name: 'a' }] },
      status: {
        phase: 'Pending',
        initContainerStatuses: [
          { name: 'i', state: terminated('Completed', 0) },
          { name: 'j', state: { waiting: { reason: 'PodInitializing' } } },
        ],
      },
    },
    ['0/1', 'Init:1/2', '0'],
  ],
  [
    'init container that failed',
    {
      spec: { initContainers: [{ name: 'i' }], containers: [{ name: 'a' }] },
      status: {
        phase: 'Pending',
        initContainerStatuses: [{ name: 'i', restartCount: 2, state: { terminated: { exitCode: 7 } } }],
      },
    },
    ['0/1', 'Init:ExitCode:7', '2'],
  ],
  [
    'init container that cannot pull',
    {
      spec: { initContainers: [{ name: 'i' }], containers: [{ name: 'a' }] },
      status: {
        phase: 'Pending',
        initContainerStatuses: [{ name: 'i', state: { waiting: { reason: 'ErrImagePull' } } }],
      },
    },
    ['0/1', 'Init:ErrImagePull', '0'],
  ],
  [
    'a sidecar counts as a container',
    {
      spec: { initContainers: [{ name: 's', restartPolicy: 'Always' }], containers: [{ name: 'a' }] },
      status: {
        phase: 'Running',
        initContainerStatuses: [{ name: 's', started: true, ready: true, restartCount: 2, state: running }],
        containerStatuses: [{ name: 'a', ready: true, restartCount: 1, state: running }],
      },
    },
    ['2/2', 'Running', '3'],
  ],
  [
    'being deleted',
    { metadata: { ...metadata, deletionTimestamp: ago(SECOND) }, status: { phase: 'Running' } },
    ['0/0', 'Terminating', '0'],
  ],
  [
    'being deleted, finished already',
    { metadata: { ...metadata, deletionTimestamp: ago(SECOND) }, status: { phase: 'Succeeded' } },
    ['0/0', 'Succeeded', '0'],
  ],
  [
    'being deleted on a lost node',
    { metadata: { ...metadata, deletionTimestamp: ago(SECOND) }, status: { phase: 'Running', reason: 'NodeLost' } },
    ['0/0', 'Unknown', '0'],
  ],
];
for (const [rule, pod, want] of podRows) {
  test(`pod row: ${rule}`, () => {
    const cells = shownAt(NOW, tableFor({ group: '', resource: 'pods' }).row({ metadata, ...pod }));
    assert.deepEqual(cells.slice(1, 4), want);
    assert.equal(cells[4], '5h');
  });
}

// Other kinds, one row per rule that is more than a plain field.
const rows: [group: string, resource: string, object: object, want: readonly unknown[]][] = [
  ['', 'namespaces', { metadata, status: { phase: 'Active' } }, ['web-1', 'Active', '5h']],
  [
    '',
    'nodes',
    {
      metadata: {
        ...metadata,
        labels: {
          'node-role.kubernetes.io/worker': '',
          'node-role.kubernetes.io/gpu': '',
          'kubernetes.io/role': 'edge',
        },
      },
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
        nodeInfo: { kubeletVersion: 'v1.36.4', osImage: 'Debian', kernelVersion: '6.12' },
      },
    },
    [
      'web-1',
      'Ready,SchedulingDisabled',
      'edge,gpu,worker',
      '5h',
      'v1.36.4',
      '10.0.0.1',
      '<none>',
      'Debian',
      '6.12',
      '<unknown>',
    ],
  ],
  ['', 'secrets', { metadata, type: 'Opaque', data: { a: '', b: '' } }, ['web-1', 'Opaque', 2, '5h']],
  ['', 'configmaps', { metadata, data: { a: '1' }, binaryData: { b: '' } }, ['web-1', 2, '5h']],
  [
    '',
    'services',
    {
      metadata,
      spec: {
        type: 'NodePort',
        clusterIPs: ['10.96.0.1'],
        ports: [
          { port: 80, nodePort: 30080, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
        selector: { app: 'x' },
      },
    },
    ['web-1', 'NodePort', '10.96.0.1', '<none>', '80:30080/TCP,53/UDP', '5h', 'app=x'],
  ],
  [
    '',
    'services',
    {
      metadata,
      spec: { type: 'LoadBalancer', externalIPs: ['1.2.3.4'] },
      status: { loadBalancer: { ingress: [{ ip: '9.9.9.9' }, { hostname: 'lb' }] } },
    },
    ['web-1', 'LoadBalancer', '<none>', '9.9.9.9,lb,1.2.3.4', '<none>', '5h', '<none>'],
  ],
  [
    '',
    'services',
    { metadata, spec: { type: 'LoadBalancer' } },
    ['web-1', 'LoadBalancer', '<none>', '<pending>', '<none>', '5h', '<none>'],
  ],
  [
    '',
    'events',
    {
      metadata,
      type: 'Normal',
      reason: 'Pulled',
      message: ' done \n',
      involvedObject: { kind: 'Pod', name: 'p' },
      source: { component: 'kubelet', host: 'n1' },
      firstTimestamp: ago(HOUR),
      lastTimestamp: ago(MINUTE),
      count: 0,
    },
    ['60s', 'Normal', 'Pulled', 'pod/p', '', 'kubelet, n1', 'done', '60m', 1, 'web-1'],
  ],
  [
    '',
    'events',
    {
      metadata,
      involvedObject: { kind: 'Node', name: 'n' },
      eventTime: ago(3 * MINUTE),
      reportingComponent: 'sched',
      series: { count: 7, lastObservedTime: ago(SECOND) },
      firstTimestamp: null,
    },
    ['1s', '', '', 'node/n', '', 'sched', '', '3m', 7, 'web-1'],
  ],
  [
    'apps',
    'deployments',
    {
      metadata,
      spec: {
        replicas: 3,
        selector: {
          matchLabels: { app: 'x' },
          matchExpressions: [{ key: 'tier', operator: 'In', values: ['b', 'a'] }],
        },
        template: { spec: { containers: [{ name: 'c', image: 'i:1' }] } },
      },
      status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
    },
    ['web-1', '2/3', 3, 2, '5h', 'c', 'i:1', 'app=x,tier in (a,b)'],
  ],
  ['apps', 'statefulsets', { metadata, spec: { replicas: 1 } }, ['web-1', '0/1', '5h', '', '']],
  [
    'apps',
    'daemonsets',
    { metadata, spec: {}, status: { desiredNumberScheduled: 4 } },
    ['web-1', 4, 0, 0, 0, 0, '<none>', '5h', '', '', '<none>'],
  ],
  [
    'apps',
    'replicasets',
    { metadata, spec: { replicas: 2 }, status: { replicas: 1 } },
    ['web-1', 2, 1, 0, '5h', '', '', '<none>'],
  ],
  [
    'batch',
    'jobs',
    { metadata, spec: { parallelism: 4 }, status: { succeeded: 1, startTime: ago(MINUTE) } },
    ['web-1', 'Running', '1/1 of 4', '60s', '5h', '', '', '<none>'],
  ],
  [
    'batch',
    'jobs',
    {
      metadata,
      spec: { completions: 2 },
      status: {
        succeeded: 2,
        startTime: ago(HOUR),
        completionTime: ago(HOUR - 90 * SECOND),
        conditions: [{ type: 'Complete', status: 'True' }],
      },
    },
    ['web-1', 'Complete', '2/2', '90s', '5h', '', '', '<none>'],
  ],
  [
    'batch',
    'cronjobs',
    { metadata, spec: { schedule: '* * * * *', suspend: false }, status: { active: [{}] } },
    ['web-1', '* * * * *', '<none>', 'False', 1, '<none>', '5h', '', '', '<none>'],
  ],
  ['coordination.k8s.io', 'leases', { metadata, spec: { holderIdentity: 'n1' } }, ['web-1', 'n1', '5h']],
  [
    'discovery.k8s.io',
    'endpointslices',
    {
      metadata,
      addressType: 'IPv4',
      ports: [{ port: 80 }, { name: 'x', port: null }],
      endpoints: [{ addresses: ['1', '2'] }, { addresses: ['3', '4'] }],
    },
    ['web-1', 'IPv4', '80,x', '1,2,3 + 1 more...', '5h'],
  ],
  ['rbac.authorization.k8s.io', 'roles', { metadata }, ['web-1', metadata.creationTimestamp]],
  [
    '',
    'nodes',
    { metadata, status: { conditions: [{ type: 'Ready' }] } },
    ['web-1', 'NotReady', '<none>', '5h', '', '<none>', '<none>', '<unknown>', '<unknown>', '<unknown>'],
  ],
  ['', 'endpoints', { metadata }, ['web-1', '<none>', '5h']],
  ['', 'endpoints', { metadata, subsets: [{ notReadyAddresses: [{ ip: '10.0.0.1' }] }] }, ['web-1', '', '5h']],
  [
    '',
    'persistentvolumeclaims',
    {
      metadata: { ...metadata, annotations: { 'volume.beta.kubernetes.io/storage-class': '' } },
      spec: { volumeName: 'v', storageClassName: 'c', volumeAttributesClassName: '' },
    },
    ['web-1', '', 'v', '0', '', '', '', '5h', '<unset>'],
  ],
  [
    '',
    'events',
    { metadata, involvedObject: {}, message: '\u0085\u00a0 said \u2003\ufeff' },
    ['<unknown>', '', '', '', '', '', 'said \u2003\ufeff', '<unknown>', 1, 'web-1'],
  ],
  [
    'apps',
    'controllerrevisions',
    {
      metadata: {
        ...metadata,
        ownerReferences: [{ controller: true, apiVersion: 'Ex.IO/v1', kind: 'Boat', name: 'B' }],
      },
    },
    ['web-1', 'boat.ex.io/B', 0, '5h'],
  ],
  [
    'discovery.k8s.io',
    'endpointslices',
    { metadata, addressType: 'IPv4', ports: [{ name: '' }] },
    ['web-1', 'IPv4', '<unset>', '<unset>', '5h'],
  ],
  [
    'networking.k8s.io',
    'ingresses',
    { metadata, status: { loadBalancer: { ingress: [{ hostname: 'lb' }, { ip: '9.9.9.9' }, { ip: '9.9.9.9' }] } } },
    ['web-1', '<none>', '*', '9.9.9.9,lb', '80', '5h'],
  ],
  [
    'networking.k8s.io',
    'ingressclasses',
    {
      metadata: { ...metadata, annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
      spec: { controller: 'c' },
    },
    ['web-1 (default)', 'c', '<none>', '5h'],
  ],
  [
    'networking.k8s.io',
    'ipaddresses',
    { metadata, spec: { parentRef: { group: 'Ex.IO', resource: 'Boats', name: 'B' } } },
    ['web-1', 'boats.ex.io/B', '5h'],
  ],
  ['resource.k8s.io', 'resourceclaims', { metadata, status: { reservedFor: [{}] } }, ['web-1', 'pending', '5h']],
  [
    'autoscaling',
    'horizontalpodautoscalers',
    {
      metadata,
      spec: {
        scaleTargetRef: {},
        metrics: [
          { type: 'Pods', pods: { target: { averageValue: '5' } } },
          { type: 'External', external: { target: { averageValue: '7' } } },
        ],
      },
      status: { currentMetrics: [{ pods: { current: {} } }, { external: { current: {} } }] },
    },
    ['web-1', '/', '<nil>/5, <unknown>/7 (avg)', '<unset>', 0, 0, '5h'],
  ],
];
for (const [group, resource, object, want] of rows) {
  test(`${resource} row: ${JSON.stringify(want)}`, () => {
    const table = tableFor({ group, resource });
    const cells = shownAt(NOW, table.row(object));
    assert.deepEqual(cells, want);
    assert.equal(cells.length, table.columns.length);
  });
}
