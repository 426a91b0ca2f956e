import { digest, ipText, type KubeObject, ownerReference, time } from './objects.js';
import type { ContainerTemplate, PodState, Template } from './state.js';

/** The pod as the API shows it at this stage of its life (the states of state.ts). */
export function podObject(pod: PodState): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: pod.name,
      namespace: pod.namespace,
      uid: pod.uid,
      creationTimestamp: time(pod.createdMs),
      generation: 1,
      ...(pod.generateName === undefined ? {} : { generateName: pod.generateName }),
      ...(pod.deletionMs === undefined
        ? {}
        : {
            deletionTimestamp: time(pod.deletionMs + pod.template.graceSeconds * 1_000),
            deletionGracePeriodSeconds: pod.template.graceSeconds,
          }),
      labels: pod.labels,
      ...(pod.template.annotations === undefined ? {} : { annotations: pod.template.annotations }),
      ownerReferences: [ownerReference(pod.owner)],
      ...(pod.owner.kind === 'Job' ? { finalizers: ['batch.kubernetes.io/job-tracking'] } : {}),
    },
    spec: podSpec(pod),
    status: podStatus(pod),
  };
}

/** The pod spec of a workload's template: what the controllers copy into each pod. */
export function templateSpec(template: Template) {
  return {
    containers: template.containers.map(containerSpec),
    dnsPolicy: template.hostNetwork ? 'ClusterFirstWithHostNet' : 'ClusterFirst',
    ...(template.hostNetwork ? { hostNetwork: true } : {}),
    ...(template.priorityClass === undefined ? {} : { priorityClassName: template.priorityClass }),
    restartPolicy: template.restartPolicy,
    schedulerName: 'default-scheduler',
    securityContext: {},
    serviceAccount: template.serviceAccount,
    serviceAccountName: template.serviceAccount,
    terminationGracePeriodSeconds: template.graceSeconds,
    ...(template.tolerateAll ? { tolerations: [{ operator: 'Exists' }] } : {}),
  };
}

function containerSpec(container: ContainerTemplate) {
  const probe = (initialDelaySeconds: number) => ({
    httpGet: { path: '/ready', port: 'http', scheme: 'HTTP' },
    initialDelaySeconds,
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  return {
    name: container.name,
    image: container.image,
    imagePullPolicy: 'IfNotPresent',
    ...(container.command === undefined ? {} : { command: container.command }),
    ...(container.port === undefined
      ? {}
      : {
          ports: [{ name: 'http', containerPort: container.port, protocol: 'TCP' }],
          readinessProbe: probe(1),
          livenessProbe: probe(15),
        }),
    resources: {
      requests: { cpu: `${container.cpuMilli}m`, memory: `${container.memoryMi}Mi` },
      limits: { memory: `${container.memoryMi * 2}Mi` },
    },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  };
}

function podSpec(pod: PodState) {
  const tokenVolume = `kube-api-access-${pod.volumeSuffix}`;
  const mount = { name: tokenVolume, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' };
  const spec = templateSpec(pod.template);
  const wait = (key: string) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  return {
    ...spec,
    containers: spec.containers.map((container) => ({ ...container, volumeMounts: [mount] })),
    ...(pod.node === undefined ? {} : { nodeName: pod.node.name }),
    ...(pod.owner.kind === 'StatefulSet' ? { hostname: pod.name, subdomain: pod.owner.name } : {}),
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
    priority: pod.template.priorityClass === undefined ? 0 : 2_000_001_000,
    tolerations: pod.template.tolerateAll
      ? [{ operator: 'Exists' }]
      : [wait('node.kubernetes.io/not-ready'), wait('node.kubernetes.io/unreachable')],
    volumes: [
      {
        name: tokenVolume,
        projected: {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
            { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
            {
              downwardAPI: {
                items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
              },
            },
          ],
        },
      },
    ],
  };
}

function podStatus(pod: PodState) {
  const { stage, node } = pod;
  const done = stage === 'succeeded';
  const ready = stage === 'ready';
  const names = pod.template.containers.map((container) => container.name).join(' ');
  const condition = (
    type: string,
    status: boolean,
    sinceMs: number,
    why: { reason?: string; message?: string } = {},
  ) => ({
    type,
    status: status ? 'True' : 'False',
    observedGeneration: 1,
    lastProbeTime: null,
    lastTransitionTime: time(sinceMs),
    ...why,
  });
  if (stage === 'pending' || node === undefined) return { phase: 'Pending', qosClass: 'Burstable' };
  const scheduled = condition('PodScheduled', true, pod.scheduledMs);
  if (stage === 'scheduled') return { phase: 'Pending', qosClass: 'Burstable', conditions: [scheduled] };
  const unready = done
    ? { reason: 'PodCompleted' }
    : ready
      ? {}
      : { reason: 'ContainersNotReady', message: `containers with unready status: [${names}]` };
  const conditions = [
    condition(
      'PodReadyToStartContainers',
      stage !== 'creating' && !done,
      done ? pod.finishedMs : pod.runningMs || pod.startMs,
    ),
    condition('Initialized', true, pod.startMs, done ? { reason: 'PodCompleted' } : {}),
    condition('Ready', ready, pod.readyMs, unready),
    condition('ContainersReady', ready, pod.readyMs, unready),
    scheduled,
  ];
  const address = pod.address === 0 ? {} : { podIP: ipText(pod.address), podIPs: [{ ip: ipText(pod.address) }] };
  return {
    phase: done ? 'Succeeded' : stage === 'creating' ? 'Pending' : 'Running',
    qosClass: 'Burstable',
    conditions,
    hostIP: node.address,
    hostIPs: [{ ip: node.address }],
    ...address,
    startTime: time(pod.startMs),
    containerStatuses: pod.template.containers.map((container, index) => containerStatus(pod, container, index)),
  };
}

function containerStatus(pod: PodState, container: ContainerTemplate, index: number) {
  const { stage } = pod;
  const restarts = index === 0 ? pod.restarts : 0; // it is the first container that crashes
  const containerId = (restart: number) => `containerd://${digest(pod.uid, container.name, restart)}`;
  const exit = pod.lastExit;
  const ended = (last: NonNullable<PodState['lastExit']>) => ({
    terminated: {
      exitCode: last.exitCode,
      reason: last.exitCode === 137 ? 'OOMKilled' : last.exitCode === 0 ? 'Completed' : 'Error',
      startedAt: time(last.startedMs),
      finishedAt: time(last.finishedMs),
      containerID: containerId(last.restart),
    },
  });
  const down = index === 0 && (stage === 'crashed' || stage === 'backoff');
  const running = { running: { startedAt: time(index === 0 ? pod.runningMs : pod.startMs) } };
  const finished = ended({ startedMs: pod.runningMs, finishedMs: pod.finishedMs, exitCode: 0, restart: restarts });
  const backOff = {
    waiting: {
      reason: 'CrashLoopBackOff',
      message: `back-off 10s restarting failed container=${container.name} pod=${pod.name}_${pod.namespace}(${pod.uid})`,
    },
  };
  const state =
    stage === 'creating'
      ? { waiting: { reason: 'ContainerCreating' } }
      : stage === 'succeeded'
        ? finished
        : down && exit !== undefined
          ? stage === 'crashed'
            ? ended(exit)
            : backOff
          : running;
  const current = stage === 'crashed' && exit !== undefined ? exit.restart : restarts;
  const lastState = index === 0 && exit !== undefined && stage !== 'crashed' ? ended(exit) : {};
  return {
    name: container.name,
    image: container.image,
    imageID: stage === 'creating' ? '' : `${container.image.split(':')[0]}@sha256:${digest(container.image)}`,
    ...(stage === 'creating'
      ? {}
      : {
          containerID:
            stage === 'backoff' && exit !== undefined && index === 0 ? containerId(exit.restart) : containerId(current),
        }),
    ready: stage === 'ready' || (index > 0 && stage !== 'creating' && stage !== 'succeeded'),
    started: stage !== 'creating' && stage !== 'succeeded' && !down,
    restartCount: restarts,
    state,
    lastState,
  };
}
