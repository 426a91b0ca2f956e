import { after, before, test } from 'node:test';
import type { Random } from '../../src/lib/random.js';
import { eventually } from '../support/command.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { Differences, freshRandom, Posts } from './access-answers.js';

// What kubelets may, by the pods that are bound to their nodes: both servers follow the same objects, and are asked the same.

const QUESTIONS = 1_500;
const REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const { seed, random } = freshRandom();
const posts = new Posts();
let world: ControlPlane;

const pod = (name: string, nodeName?: string) => ({
  metadata: { name },
  spec: {
    ...(nodeName === undefined ? {} : { nodeName }),
    serviceAccountName: 'bot',
    automountServiceAccountToken: false,
    imagePullSecrets: [{ name: `pull-${name}` }],
    resourceClaims: [{ name: 'r', resourceClaimName: `claim-${name}` }],
    containers: [
      {
        name: 'c',
        image: 'i',
        resources: { claims: [{ name: 'r' }] },
        envFrom: [{ secretRef: { name: `env-${name}` } }, { configMapRef: { name: `config-${name}` } }],
      },
    ],
    volumes: [
      { name: 's', secret: { secretName: `secret-${name}` } },
      { name: 'p', persistentVolumeClaim: { claimName: `pvc-${name}` } },
    ],
  },
});
const PODS = ['p1', 'p2', 'p3'];

before(async () => {
  world = await startControlPlane();
  const namespaced = '/api/v1/namespaces/default';
  await world.write('POST', `${namespaced}/serviceaccounts`, { metadata: { name: 'bot' } });
  for (const name of ['n1', 'n2']) await world.write('POST', '/api/v1/nodes', { metadata: { name } });
  for (const name of PODS) {
    const capacity = { storage: '1Gi' };
    await world.write('POST', '/api/v1/persistentvolumes', {
      metadata: { name: `pv-${name}` },
      spec: {
        capacity,
        accessModes: ['ReadWriteOnce'],
        claimRef: { namespace: 'default', name: `pvc-${name}` },
        csi: { driver: 'd', volumeHandle: 'h', nodePublishSecretRef: { namespace: 'default', name: `volume-${name}` } },
      },
    });
  }
  await world.write('POST', `${namespaced}/pods`, pod('p1', 'n1'));
  await world.write('POST', `${namespaced}/pods`, pod('p2', 'n2'));
  await world.write('POST', `${namespaced}/pods`, pod('p3'));
  await world.write('POST', '/apis/storage.k8s.io/v1/volumeattachments', {
    metadata: { name: 'va-n1' },
    spec: { attacher: 'd', nodeName: 'n1', source: { persistentVolumeName: 'pv-p1' } },
  });
  await decided('n1', 'secrets', 'secret-p1', true);
  await decided('n2', 'secrets', 'volume-p2', true);
});
after(async () => {
  posts.close();
  await world?.stop();
});

const kubelet = (node: string) => ({ user: `system:node:${node}`, groups: ['system:nodes', 'system:authenticated'] });

/** Both say so; the graphs follow their objects. */
async function decided(node: string, resource: string, name: string, allowed: boolean): Promise<void> {
  const spec = { ...kubelet(node), resourceAttributes: { verb: 'get', resource, namespace: 'default', name } };
  for (const url of [world.theirUrl, world.ourUrl]) {
    await eventually(`${node} ${allowed ? 'gets' : 'does not get'} ${name} of ${url}`, async () => {
      return (await posts.post(url, REVIEWS, { spec })).status.allowed === allowed;
    });
  }
}

const KINDS: readonly (readonly [group: string, resource: string, names: readonly string[]])[] = [
  ['', 'pods', PODS],
  ['', 'secrets', PODS.flatMap((name) => [`pull-${name}`, `env-${name}`, `secret-${name}`, `volume-${name}`])],
  ['', 'configmaps', PODS.map((name) => `config-${name}`)],
  ['', 'persistentvolumeclaims', PODS.map((name) => `pvc-${name}`)],
  ['', 'persistentvolumes', PODS.map((name) => `pv-${name}`)],
  ['', 'serviceaccounts', ['bot', 'default']],
  ['', 'nodes', ['n1', 'n2', 'n3']],
  ['', 'services', ['kubernetes']],
  ['', 'events', ['e']],
  ['', 'endpoints', ['kubernetes']],
  ['', 'namespaces', ['default']],
  ['storage.k8s.io', 'volumeattachments', ['va-n1']],
  ['storage.k8s.io', 'csinodes', ['n1', 'n2']],
  ['storage.k8s.io', 'csidrivers', ['d']],
  ['storage.k8s.io', 'storageclasses', ['s']],
  ['node.k8s.io', 'runtimeclasses', ['r']],
  ['coordination.k8s.io', 'leases', ['n1', 'n2']],
  ['resource.k8s.io', 'resourceclaims', PODS.map((name) => `claim-${name}`)],
  ['resource.k8s.io', 'resourceslices', ['s1']],
  ['resource.k8s.io', 'deviceclasses', ['d']],
  ['certificates.k8s.io', 'certificatesigningrequests', ['c']],
  ['certificates.k8s.io', 'podcertificaterequests', ['c']],
  ['certificates.k8s.io', 'clustertrustbundles', ['c']],
  ['authentication.k8s.io', 'tokenreviews', ['']],
  ['authorization.k8s.io', 'subjectaccessreviews', ['']],
  ['policy', 'poddisruptionbudgets', ['p']],
];
const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection', 'odd'];
const SUBRESOURCES = ['status', 'token', 'eviction', 'binding', 'finalizers', 'proxy'];

function question(random: Random): object {
  const [group, resource, names] = random.pick(KINDS);
  const name = random.chance(0.8) ? random.pick(names) : random.pick(['', 'other']);
  const namespace = random.chance(0.8) ? 'default' : random.pick(['', 'kube-node-lease', 'other']);
  const subresource = random.chance(0.2) ? random.pick(SUBRESOURCES) : '';
  const requirement = {
    key: random.pick(['spec.nodeName', 'metadata.name', 'nodeName']),
    operator: random.pick(['In', 'In', 'NotIn']),
    values: [random.pick(['n1', 'n2', 'p1', ''])],
  };
  const attributes = { verb: random.pick(VERBS), group, resource, subresource, namespace, name };
  const given = Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== ''));
  const fieldSelector = random.chance(0.4) ? { fieldSelector: { requirements: [requirement] } } : {};
  return { resourceAttributes: { ...given, ...fieldSelector } };
}

async function agree(differences: Differences, spec: object): Promise<void> {
  const [theirs, ours] = await Promise.all(
    [world.theirUrl, world.ourUrl].map((url) => posts.post(url, REVIEWS, { spec })),
  );
  differences.add(`SEED=${seed} ${JSON.stringify(spec)}`, theirs, ours);
}

async function askAll(): Promise<void> {
  const differences = new Differences();
  const users = [
    ...['n1', 'n2', 'n3', ''].map(kubelet),
    { user: 'system:node:n1', groups: ['system:authenticated'] },
    { user: 'kubelet', groups: ['system:nodes'] },
  ];
  const asked = Array.from({ length: QUESTIONS }, () => {
    return { ...(random.chance(0.8) ? users[0]! : random.pick(users)), ...question(random) };
  }).values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const spec of asked) await agree(differences, spec);
    }),
  );
  differences.assertNone();
}

test('kubelets with their pods', askAll);

test('a pod is bound to a node', async () => {
  await world.write('POST', '/api/v1/namespaces/default/pods/p3/binding', {
    metadata: { name: 'p3' },
    target: { kind: 'Node', name: 'n1' },
  });
  await decided('n1', 'secrets', 'secret-p3', true);
  await decided('n1', 'secrets', 'volume-p3', true);
  await askAll();
});

test('a pod is gone', async () => {
  await world.write('DELETE', '/api/v1/namespaces/default/pods/p1?gracePeriodSeconds=0');
  await decided('n1', 'secrets', 'secret-p1', false);
  await askAll();
});
