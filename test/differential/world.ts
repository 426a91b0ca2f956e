/** What the requests are about: kinds that both servers have, what is stored, and how far back it can be read. */
export interface World {
  readonly kinds: readonly KindUnderTest[];
  readonly revisions: Revisions;
  /** Continue tokens that the oracle handed out. */
  readonly tokens: HarvestedToken[];
}

export interface KindUnderTest {
  /** `/api/v1` or `/apis/<group>/<version>`. */
  readonly root: string;
  readonly resource: string;
  readonly namespaced: boolean;
  /** Some of the stored objects. */
  readonly objects: readonly { readonly namespace: string | undefined; readonly name: string }[];
  /** Fields that a selector may name, with values that occur. The peer's set, which is a part of kube-apiserver's. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
  /** Fields that kube-apiserver selects by and the peer does not know: never asked for. */
  readonly fieldsOnlyOurs: readonly string[];
  /** kube-apiserver has the default error for unknown fields here, the peer one of its own: none is asked for. */
  readonly defaultFields?: true;
}

export interface Revisions {
  /** Older than what etcd keeps. */
  readonly compacted: number;
  /** etcd has it, the caches started later. */
  readonly beforeCaches: number;
  /** Some in the caches' history. */
  readonly history: readonly number[];
  readonly now: number;
}

export interface HarvestedToken {
  readonly path: string;
  readonly token: string;
}

const TOKENS_MAX = 400;

export function harvest(world: World, path: string, body: string): void {
  const token = /"continue":\s?"([^"]+)"/.exec(body)?.[1];
  if (token === undefined) return;
  if (world.tokens.length >= TOKENS_MAX) world.tokens.shift();
  world.tokens.push({ path: path.split('?', 1)[0]!, token });
}

/** The kinds of the peer (test/peer/main.go) with their selectable fields. */
export const peerKinds: readonly Omit<KindUnderTest, 'objects'>[] = [
  {
    root: '/api/v1',
    resource: 'pods',
    namespaced: true,
    fields: {
      'spec.nodeName': ['node-00000.example.internal', 'node-00003.example.internal', ''],
      'spec.restartPolicy': ['Always', 'Never'],
      'spec.schedulerName': ['default-scheduler', 'x'],
      'spec.serviceAccountName': ['default', ''],
      'spec.hostNetwork': ['false', 'true'],
      'status.phase': ['Running', 'Pending', 'running'],
      'status.podIP': ['10.64.0.2', '10.64.3.7', ''],
      'status.nominatedNodeName': ['', 'x'],
    },
    fieldsOnlyOurs: ['spec.host', 'status.podIPs'],
  },
  {
    root: '/api/v1',
    resource: 'nodes',
    namespaced: false,
    fields: { 'spec.unschedulable': ['true', 'false', ''] },
    fieldsOnlyOurs: [],
  },
  { root: '/api/v1', resource: 'configmaps', namespaced: true, fields: {}, fieldsOnlyOurs: [], defaultFields: true },
  {
    root: '/api/v1',
    resource: 'secrets',
    namespaced: true,
    fields: { type: ['Opaque', 'kubernetes.io/tls', ''] },
    fieldsOnlyOurs: [],
  },
  {
    root: '/api/v1',
    resource: 'services',
    namespaced: true,
    fields: {},
    fieldsOnlyOurs: ['spec.clusterIP', 'spec.type'],
  },
  {
    root: '/api/v1',
    resource: 'namespaces',
    namespaced: false,
    fields: { 'status.phase': ['Active', 'Terminating'] },
    fieldsOnlyOurs: [],
  },
  { root: '/api/v1', resource: 'events', namespaced: true, fields: {}, fieldsOnlyOurs: ['type', 'reason', 'source'] },
  {
    root: '/apis/coordination.k8s.io/v1',
    resource: 'leases',
    namespaced: true,
    fields: {},
    fieldsOnlyOurs: [],
    defaultFields: true,
  },
  {
    root: '/apis/apps/v1',
    resource: 'deployments',
    namespaced: true,
    fields: {},
    fieldsOnlyOurs: [],
    defaultFields: true,
  },
];
