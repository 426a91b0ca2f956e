import { createHash } from 'node:crypto';
import type { AnyWorkload, App, ServiceState } from './state.js';
import { isLive, isReady, type PodState } from './state.js';

/** A Kubernetes object as JSON would give it; codec.toStored checks it field by field. */
export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
};

/** metav1.Time: whole seconds. */
export function time(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** metav1.MicroTime: always six digits. */
export function microTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`;
}

/** Looks like a digest, and is the same whenever the object is written again. */
export function digest(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(parts.join('/')).digest('hex');
}

export function ipText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

export function ownerReference(owner: AnyWorkload, controller = true) {
  const apiVersion = owner.kind === 'Job' || owner.kind === 'CronJob' ? 'batch/v1' : 'apps/v1';
  const { kind, name, uid } = owner;
  return { apiVersion, kind, name, uid, ...(controller ? { controller: true, blockOwnerDeletion: true } : {}) };
}

export function appLabels(app: App): Record<string, string> {
  return { 'app.kubernetes.io/name': app.name, 'app.kubernetes.io/part-of': app.team };
}

export function namespaceObject(name: string, uid: string, createdMs: number, team: string | undefined): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      uid,
      creationTimestamp: time(createdMs),
      labels: { 'kubernetes.io/metadata.name': name, ...(team === undefined ? {} : { 'example.com/team': team }) },
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

export function serviceAccountObject(app: Pick<App, 'namespace' | 'createdMs'>, name: string, uid: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace: app.namespace, uid, creationTimestamp: time(app.createdMs) },
  };
}

export function rootCertificateObject(namespace: string, uid: string, createdMs: number): KubeObject {
  const body = Buffer.from(digest('root-certificate').repeat(10))
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'kube-root-ca.crt',
      namespace,
      uid,
      creationTimestamp: time(createdMs),
      annotations: {
        'kubernetes.io/description': 'Invented bytes in the shape of a certificate bundle: this is a sample cluster.',
      },
    },
    data: { 'ca.crt': `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n` },
  };
}

export function configMapObject(app: App, uid: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `${app.name}-settings`,
      namespace: app.namespace,
      uid,
      creationTimestamp: time(app.createdMs),
      labels: appLabels(app),
    },
    data: {
      LOG_LEVEL: 'info',
      UPSTREAM_TIMEOUT: '2s',
      'settings.yaml': `listen: 0.0.0.0:8080\nteam: ${app.team}\ncache:\n  entries: 4096\n  maxAge: 30s\nretries: 3\n`,
    },
  };
}

export function secretObject(app: App, uid: string): KubeObject {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name: `${app.name}-credentials`,
      namespace: app.namespace,
      uid,
      creationTimestamp: time(app.createdMs),
      labels: appLabels(app),
    },
    data: { username: base64(`${app.name}-user`), password: base64(digest(uid, 'password').slice(0, 24)) },
  };
}

export function serviceObject(service: ServiceState): KubeObject {
  const headless = service.target.kind === 'StatefulSet';
  const address = headless ? 'None' : service.clusterIp;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: service.name,
      namespace: service.app.namespace,
      uid: service.uid,
      creationTimestamp: time(service.createdMs),
      labels: appLabels(service.app),
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: address,
      clusterIPs: [address],
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      sessionAffinity: 'None',
      selector: selectorOf(service.app),
      ports: [{ name: 'http', port: service.port, protocol: 'TCP', targetPort: 'http' }],
    },
    status: { loadBalancer: {} },
  };
}

/** Both the current EndpointSlice and the Endpoints object that older clients still read. */
export function endpointObjects(service: ServiceState, pods: readonly PodState[]): KubeObject[] {
  const addressed = pods.filter((pod) => pod.address !== 0 && isLive(pod)).sort((a, b) => a.address - b.address);
  const targetRef = (pod: PodState) => ({ kind: 'Pod', name: pod.name, namespace: pod.namespace, uid: pod.uid });
  const hostname = (pod: PodState) => (service.target.kind === 'StatefulSet' ? { hostname: pod.name } : {});
  const address = (pod: PodState) => ({
    ip: ipText(pod.address),
    nodeName: pod.node!.name,
    targetRef: targetRef(pod),
    ...hostname(pod),
  });
  const ready = addressed.filter(isReady).map(address);
  const notReady = addressed.filter((pod) => !isReady(pod)).map(address);
  const port = targetPort(service);
  const labels = {
    ...appLabels(service.app),
    ...(service.target.kind === 'StatefulSet' ? { 'service.kubernetes.io/headless': '' } : {}),
  };
  const common = { namespace: service.app.namespace, creationTimestamp: time(service.createdMs) };
  const slice: KubeObject = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...common,
      name: service.sliceName,
      generateName: `${service.name}-`,
      uid: service.sliceUid,
      generation: service.generation,
      labels: {
        ...labels,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        'kubernetes.io/service-name': service.name,
      },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          name: service.name,
          uid: service.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    addressType: 'IPv4',
    endpoints: addressed.map((pod) => ({
      addresses: [ipText(pod.address)],
      conditions: { ready: isReady(pod), serving: isReady(pod), terminating: false },
      nodeName: pod.node!.name,
      zone: pod.node!.zone,
      targetRef: targetRef(pod),
      ...hostname(pod),
    })),
    ports: [{ name: 'http', port, protocol: 'TCP' }],
  };
  const subset = {
    ...(ready.length > 0 ? { addresses: ready } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
    ports: [{ name: 'http', port, protocol: 'TCP' }],
  };
  const endpoints: KubeObject = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      ...common,
      name: service.name,
      uid: service.endpointsUid,
      labels: { ...labels, 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' },
    },
    ...(addressed.length > 0 ? { subsets: [subset] } : {}),
  };
  return [slice, endpoints];
}

export function selectorOf(app: App): Record<string, string> {
  return { app: app.name };
}

function targetPort(service: ServiceState): number {
  return service.target.template.containers[0]!.port ?? service.port;
}
