/** Kinds of which a kubelet reads only what it is concerned with. */
export type NodeRelated =
  | 'pods'
  | 'secrets'
  | 'configmaps'
  | 'persistentvolumeclaims'
  | 'persistentvolumes'
  | 'serviceaccounts'
  | 'resourceclaims'
  | 'volumeattachments'
  | 'resourceslices';

/** An object that a pod refers to, in the pod's namespace. */
export interface PodReference {
  readonly resource: 'secrets' | 'configmaps' | 'persistentvolumeclaims' | 'serviceaccounts' | 'resourceclaims';
  readonly name: string;
}

interface Name {
  readonly namespace: string;
  readonly name: string;
}

interface BoundPod {
  readonly node: string;
  /** Keys of what it refers to, itself included. */
  readonly keys: readonly string[];
}

interface Volume {
  readonly claim: string;
  readonly secrets: readonly string[];
}

/**
 * Which objects a node is concerned with (https://kubernetes.io/docs/reference/access-authn-authz/node/):
 *
 *     node <- pod <- secret, configmap, service account, resource claim
 *     node <- pod <- claim <- volume <- secret
 *     node <- volume attachment, resource slice
 *
 * A pod's references are counted by node, so that it takes a look-up to answer, and a pod's own references to change it. Only
 * volumes are followed when somebody asks: a claim may come and go before, after or without its volume.
 */
export class NodeGraph {
  readonly #pods = new Map<string, BoundPod>();
  /** What is referred to -> node -> how often. */
  readonly #nodes = new Map<string, Map<string, number>>();
  readonly #volumes = new Map<string, Volume>();
  /** Secret -> names of volumes. */
  readonly #volumesOf = new Map<string, Set<string>>();
  /** Of attachments and slices. */
  readonly #owners = new Map<string, string>();

  /** `node`: '' while the pod is not bound: it says nothing then. */
  setPod({ namespace, name }: Name, node: string, references: readonly PodReference[]): void {
    this.deletePod({ namespace, name });
    if (node === '') return;
    const own = keyOf('pods', namespace, name);
    const keys = [
      ...new Set([own, ...references.map((reference) => keyOf(reference.resource, namespace, reference.name))]),
    ];
    this.#pods.set(own, { node, keys });
    for (const key of keys) {
      let nodes = this.#nodes.get(key);
      if (nodes === undefined) this.#nodes.set(key, (nodes = new Map()));
      nodes.set(node, (nodes.get(node) ?? 0) + 1);
    }
  }

  deletePod({ namespace, name }: Name): void {
    const own = keyOf('pods', namespace, name);
    const pod = this.#pods.get(own);
    if (pod === undefined) return;
    this.#pods.delete(own);
    for (const key of pod.keys) {
      const nodes = this.#nodes.get(key)!;
      const count = nodes.get(pod.node)!;
      if (count > 1) nodes.set(pod.node, count - 1);
      else {
        nodes.delete(pod.node);
        if (nodes.size === 0) this.#nodes.delete(key);
      }
    }
  }

  /** `claim`: undefined while it has none. */
  setVolume(name: string, claim: Name | undefined, secrets: readonly Name[]): void {
    this.deleteVolume(name);
    if (claim === undefined) return;
    const keys = secrets.map((secret) => keyOf('secrets', secret.namespace, secret.name));
    this.#volumes.set(name, { claim: keyOf('persistentvolumeclaims', claim.namespace, claim.name), secrets: keys });
    for (const key of keys) {
      let volumes = this.#volumesOf.get(key);
      if (volumes === undefined) this.#volumesOf.set(key, (volumes = new Set()));
      volumes.add(name);
    }
  }

  deleteVolume(name: string): void {
    const volume = this.#volumes.get(name);
    if (volume === undefined) return;
    this.#volumes.delete(name);
    for (const key of volume.secrets) {
      const volumes = this.#volumesOf.get(key);
      volumes?.delete(name);
      if (volumes?.size === 0) this.#volumesOf.delete(key);
    }
  }

  /** `node`: '' when it is of no single node. */
  setOwner(resource: 'volumeattachments' | 'resourceslices', name: string, node: string): void {
    if (node === '') this.#owners.delete(keyOf(resource, '', name));
    else this.#owners.set(keyOf(resource, '', name), node);
  }

  /** Whether the node is concerned with the object; `namespace` is '' of what has none. */
  relates(node: string, resource: NodeRelated, namespace: string, name: string): boolean {
    const key = keyOf(resource, namespace, name);
    switch (resource) {
      case 'volumeattachments':
      case 'resourceslices':
        return this.#owners.get(key) === node;
      case 'persistentvolumes':
        return namespace === '' && this.#hasVolume(node, name);
      case 'secrets': {
        if (this.#nodes.get(key)?.has(node) === true) return true;
        for (const volume of this.#volumesOf.get(key) ?? []) if (this.#hasVolume(node, volume)) return true;
        return false;
      }
      default:
        return this.#nodes.get(key)?.has(node) === true;
    }
  }

  #hasVolume(node: string, name: string): boolean {
    const volume = this.#volumes.get(name);
    return volume !== undefined && this.#nodes.get(volume.claim)?.has(node) === true;
  }
}

/** Names of objects hold no slash. */
function keyOf(resource: NodeRelated, namespace: string, name: string): string {
  return `${resource}/${namespace}/${name}`;
}
