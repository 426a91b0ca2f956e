/** A pod as a Deployment makes it, about 2.8 KB of protobuf. */
export function samplePod(index: number): unknown {
  const app = `svc-${index % 500}`;
  const hash = (index * 2_654_435_761).toString(16).slice(0, 8);
  const time = new Date(1_760_000_000_000 + (index % 1_000_000) * 1000).toISOString().replace('.000', '');
  const spec = {
    'f:metadata': {
      'f:generateName': {},
      'f:labels': { '.': {}, 'f:app': {}, 'f:pod-template-hash': {}, 'f:tier': {} },
    },
    'f:spec': {
      'f:containers': {
        'k:{"name":"main"}': {
          '.': {},
          'f:args': {},
          'f:env': { '.': {}, 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
          'f:image': {},
          'f:imagePullPolicy': {},
          'f:name': {},
          'f:ports': { '.': {}, 'k:{"containerPort":8080,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
          'f:resources': { '.': {}, 'f:limits': { '.': {}, 'f:cpu': {}, 'f:memory': {} } },
        },
      },
      'f:dnsPolicy': {},
      'f:enableServiceLinks': {},
      'f:restartPolicy': {},
      'f:schedulerName': {},
      'f:terminationGracePeriodSeconds': {},
    },
  };
  const status = {
    'f:status': {
      'f:conditions': {
        'k:{"type":"Ready"}': { '.': {}, 'f:lastProbeTime': {}, 'f:lastTransitionTime': {}, 'f:status': {} },
      },
      'f:containerStatuses': {},
      'f:hostIP': {},
      'f:phase': {},
      'f:podIPs': {},
    },
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${app}-${hash}-${index}`,
      generateName: `${app}-${hash}-`,
      namespace: `ns-${index % 200}`,
      uid: `${hash}-1111-4222-8333-444455556666`,
      creationTimestamp: time,
      labels: { app, 'pod-template-hash': hash, release: 'stable', tier: 'backend' },
      annotations: { 'checksum/config': hash.repeat(8), note: 'x<y> & "z"', 'prometheus.io/scrape': 'true' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${app}-${hash}`,
          uid: `${hash}-2`,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [
        {
          manager: 'kube-controller-manager',
          operation: 'Update',
          apiVersion: 'v1',
          time,
          fieldsType: 'FieldsV1',
          fieldsV1: spec,
        },
        {
          manager: 'kubelet',
          operation: 'Update',
          apiVersion: 'v1',
          time,
          fieldsType: 'FieldsV1',
          fieldsV1: status,
          subresource: 'status',
        },
      ],
    },
    spec: {
      volumes: [{ name: 'cfg', configMap: { name: `${app}-cfg`, defaultMode: 420 } }],
      containers: [
        {
          name: 'main',
          image: `registry.example.com/team/${app}:v1.${index % 40}`,
          args: ['--port=8080', '--log-level=info'],
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          env: [0, 1, 2, 3, 4, 5].map((k) => ({
            name: `ENV_VAR_${k}`,
            value: `http://backend-${(index + k) % 97}.prod.svc:8080/path`,
          })),
          resources: { limits: { cpu: '500m', memory: '512Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
          volumeMounts: [{ name: 'cfg', readOnly: true, mountPath: '/etc/cfg' }],
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'IfNotPresent',
        },
      ],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      serviceAccount: 'default',
      nodeName: `node-${index % 5000}`,
      securityContext: {},
      schedulerName: 'default-scheduler',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
    status: {
      phase: 'Running',
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
        type,
        status: 'True',
        lastProbeTime: null,
        lastTransitionTime: time,
      })),
      hostIP: '10.0.3.4',
      podIP: `10.2.${(index >> 8) & 255}.${index & 255}`,
      podIPs: [{ ip: `10.2.${(index >> 8) & 255}.${index & 255}` }],
      startTime: time,
      containerStatuses: [
        {
          name: 'main',
          state: { running: { startedAt: time } },
          lastState: {},
          ready: true,
          restartCount: 0,
          image: `registry.example.com/team/${app}:v1.${index % 40}`,
          imageID: `registry.example.com/team/${app}@sha256:${hash.repeat(8)}`,
          containerID: `containerd://${hash.repeat(8)}`,
          started: true,
        },
      ],
      qosClass: 'Burstable',
    },
  };
}

export function sampleLease(index: number): unknown {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: `node-${index}`,
      namespace: 'kube-node-lease',
      uid: `11111111-2222-4333-8444-${String(index).padStart(12, '0')}`,
      creationTimestamp: '2026-01-02T03:04:05Z',
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: `node-${index}`, uid: `u-${index}` }],
    },
    spec: { holderIdentity: `node-${index}`, leaseDurationSeconds: 40, renewTime: '2026-01-02T03:04:05.678900Z' },
  };
}
