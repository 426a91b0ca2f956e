import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeGraph, type NodeRelated, type PodReference } from '../../src/auth/node-graph.js';
import { podReferences, volumeReferences } from '../../src/auth/node-references.js';
import type { Random } from '../../src/lib/random.js';
import { withSeed } from '../engine/with-seed.js';

interface ModelPod {
  readonly node: string;
  readonly references: readonly PodReference[];
}
interface ModelVolume {
  readonly claim: { readonly namespace: string; readonly name: string } | undefined;
  readonly secrets: readonly { readonly namespace: string; readonly name: string }[];
}

/** The rules said plainly: everything is gone through for each question. */
class Model {
  readonly pods = new Map<string, ModelPod>();
  readonly volumes = new Map<string, ModelVolume>();
  readonly owners = new Map<string, string>();

  relates(node: string, resource: NodeRelated, namespace: string, name: string): boolean {
    if (resource === 'volumeattachments' || resource === 'resourceslices') {
      return this.owners.get(`${resource} ${name}`) === node;
    }
    if (resource === 'pods') return this.pods.get(`${namespace} ${name}`)?.node === node;
    if (resource === 'persistentvolumes') {
      const claim = this.volumes.get(name)?.claim;
      return claim !== undefined && this.#refers(node, 'persistentvolumeclaims', claim.namespace, claim.name);
    }
    if (this.#refers(node, resource, namespace, name)) return true;
    if (resource !== 'secrets') return false;
    return [...this.volumes].some(
      ([volume, { secrets }]) =>
        secrets.some((secret) => secret.namespace === namespace && secret.name === name) &&
        this.relates(node, 'persistentvolumes', '', volume),
    );
  }

  #refers(node: string, resource: NodeRelated, namespace: string, name: string): boolean {
    return [...this.pods].some(
      ([key, pod]) =>
        pod.node === node &&
        key.startsWith(`${namespace} `) &&
        pod.references.some((reference) => reference.resource === resource && reference.name === name),
    );
  }
}

const NODES = ['n1', 'n2', 'n3'];
const NAMESPACES = ['a', 'b'];
const NAMES = ['x', 'y', 'z'];
const REFERRED = ['secrets', 'configmaps', 'persistentvolumeclaims', 'serviceaccounts', 'resourceclaims'] as const;
const NAMESPACED: readonly NodeRelated[] = ['pods', ...REFERRED];
const GLOBAL: readonly NodeRelated[] = ['persistentvolumes', 'volumeattachments', 'resourceslices'];

function step(random: Random, graph: NodeGraph, model: Model): void {
  const pick = <T>(from: readonly T[]): T => from[random.int(from.length)]!;
  const some = <T>(make: () => T, max: number) => Array.from({ length: random.int(max + 1) }, make);
  const full = () => ({ namespace: pick(NAMESPACES), name: pick(NAMES) });
  switch (random.int(6)) {
    case 0:
    case 1: {
      const pod = full();
      const node = pick(['', ...NODES]);
      const references = some(() => ({ resource: pick(REFERRED), name: pick(NAMES) }), 4);
      graph.setPod(pod, node, references);
      if (node === '') model.pods.delete(`${pod.namespace} ${pod.name}`);
      else model.pods.set(`${pod.namespace} ${pod.name}`, { node, references });
      return;
    }
    case 2: {
      const pod = full();
      graph.deletePod(pod);
      model.pods.delete(`${pod.namespace} ${pod.name}`);
      return;
    }
    case 3: {
      const name = pick(NAMES);
      const claim = pick([undefined, full(), full()]);
      const secrets = some(full, 2);
      graph.setVolume(name, claim, secrets);
      model.volumes.set(name, { claim, secrets: claim === undefined ? [] : secrets });
      return;
    }
    case 4: {
      const name = pick(NAMES);
      graph.deleteVolume(name);
      model.volumes.delete(name);
      return;
    }
    default: {
      const resource = pick(['volumeattachments', 'resourceslices'] as const);
      const name = pick(NAMES);
      const node = pick(['', ...NODES]);
      graph.setOwner(resource, name, node);
      model.owners.set(`${resource} ${name}`, node);
    }
  }
}

test('the graph agrees with rules that are gone through one by one', () =>
  withSeed((random) => {
    const graph = new NodeGraph();
    const model = new Model();
    for (let round = 0; round < 1_500; round++) {
      step(random, graph, model);
      for (const node of NODES) {
        for (const resource of [...NAMESPACED, ...GLOBAL]) {
          for (const namespace of GLOBAL.includes(resource) ? [''] : NAMESPACES) {
            for (const name of NAMES) {
              assert.equal(
                graph.relates(node, resource, namespace, name),
                model.relates(node, resource, namespace, name),
                `step ${round}: ${node} ${resource} ${namespace}/${name}`,
              );
            }
          }
        }
      }
    }
  }));

test('every member of a pod that refers to something is read', () => {
  const secretRef = (name: string) => ({ secretRef: { name } });
  const pod = {
    metadata: { name: 'web' },
    spec: {
      nodeName: 'n1',
      serviceAccountName: 'sa',
      imagePullSecrets: [{ name: 's1' }],
      initContainers: [{ env: [{ valueFrom: { secretKeyRef: { name: 's2' } } }] }],
      containers: [{ env: [{ valueFrom: { configMapKeyRef: { name: 'c1' } } }], envFrom: [secretRef('s3')] }],
      ephemeralContainers: [{ envFrom: [{ configMapRef: { name: 'c2' } }] }],
      volumes: [
        { name: 'v', secret: { secretName: 's4' } },
        { name: 'v', azureFile: { secretName: 's5' } },
        { name: 'v', csi: { nodePublishSecretRef: { name: 's6' } } },
        { name: 'v', cephfs: secretRef('s7') },
        { name: 'v', cinder: secretRef('s8') },
        { name: 'v', flexVolume: secretRef('s9') },
        { name: 'v', rbd: secretRef('s10') },
        { name: 'v', scaleIO: secretRef('s11') },
        { name: 'v', iscsi: secretRef('s12') },
        { name: 'v', storageos: secretRef('s13') },
        { name: 'v', projected: { sources: [{ secret: { name: 's14' } }, { configMap: { name: 'c3' } }] } },
        { name: 'v', configMap: { name: 'c4' } },
        { name: 'v', persistentVolumeClaim: { claimName: 'p1' } },
        { name: 'scratch', ephemeral: {} },
      ],
      resourceClaims: [{ name: 'r', resourceClaimName: 'r1' }, { name: 't' }, { name: 'none' }],
    },
    status: {
      resourceClaimStatuses: [{ name: 't', resourceClaimName: 'web-t-1' }],
      extendedResourceClaimStatus: { resourceClaimName: 'r3' },
    },
  };
  const found = (resource: string) =>
    podReferences(pod)
      .filter((reference) => reference.resource === resource)
      .map(({ name }) => name);
  assert.deepEqual(found('secrets').sort(), Array.from({ length: 14 }, (_, index) => `s${index + 1}`).sort());
  assert.deepEqual(found('configmaps').sort(), ['c1', 'c2', 'c3', 'c4']);
  assert.deepEqual(found('persistentvolumeclaims'), ['p1', 'web-scratch']);
  assert.deepEqual(found('resourceclaims'), ['r1', 'web-t-1', 'r3']);
  assert.deepEqual(found('serviceaccounts'), ['sa']);
  const mirror = { ...pod, metadata: { name: 'web', annotations: { 'kubernetes.io/config.mirror': 'x' } } };
  assert.deepEqual(podReferences(mirror), []);
});

test('Secrets of a volume are those that its kubelet needs', () => {
  const ref = (name: string) => ({ name, namespace: 'other' });
  const { claim, secrets } = volumeReferences({
    spec: {
      claimRef: { namespace: 'a', name: 'c' },
      azureFile: { secretName: 's1' },
      rbd: { secretRef: { name: 's2' } },
      csi: {
        nodePublishSecretRef: ref('s3'),
        nodeStageSecretRef: ref('s4'),
        nodeExpandSecretRef: ref('s5'),
        controllerPublishSecretRef: ref('no'),
        controllerExpandSecretRef: ref('no'),
      },
    },
  });
  assert.deepEqual(claim, { namespace: 'a', name: 'c' });
  assert.deepEqual(
    secrets.map(({ namespace, name }) => `${namespace}/${name}`),
    ['a/s1', 'a/s2', 'other/s3', 'other/s4', 'other/s5'],
  );
  assert.deepEqual(volumeReferences({ spec: { csi: { nodeStageSecretRef: ref('s') } } }).secrets, []);
});

test('a volume lies in no namespace, whatever a review says', () => {
  const graph = new NodeGraph();
  graph.setPod({ namespace: 'a', name: 'p' }, 'n1', [{ resource: 'persistentvolumeclaims', name: 'c' }]);
  graph.setVolume('v', { namespace: 'a', name: 'c' }, []);
  assert.equal(graph.relates('n1', 'persistentvolumes', '', 'v'), true);
  assert.equal(graph.relates('n1', 'persistentvolumes', 'a', 'v'), false);
});
