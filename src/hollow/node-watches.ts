import {
  CONFIG_MAPS,
  CSI_DRIVERS,
  ENDPOINT_SLICES,
  NAMESPACES,
  NETWORK_POLICIES,
  NODES,
  PODS,
  RUNTIME_CLASSES,
  SECRETS,
  SERVICES,
} from './kinds.js';
import { KUBELET_POD } from './kubelet.js';
import type { Selected } from './informer.js';

/**
 * What a node keeps open: the kubelet's, the proxy's and the network agent's watches, and one for each ConfigMap and
 * Secret that its pods mount. The published figure, 18 a node, does not say which: this is our division of it. The first
 * is the kubelet's own, of its pods; more than 18 are more mounted objects.
 */
export function nodeWatches(node: string, namespace: string, count: number): readonly Selected[] {
  const self = { fieldSelector: `metadata.name=${node}`, members: '' };
  const watches: Selected[] = [
    { kind: PODS, fieldSelector: `spec.nodeName=${node}`, members: KUBELET_POD },
    { kind: NODES, ...self }, // kubelet
    { kind: SERVICES, members: '' },
    { kind: RUNTIME_CLASSES, members: '' },
    { kind: CSI_DRIVERS, members: '' },
    { kind: NODES, ...self }, // proxy
    { kind: SERVICES, members: '' },
    { kind: ENDPOINT_SLICES, members: '' },
    { kind: NODES, members: '' }, // network agent
    { kind: NAMESPACES, members: '' },
    { kind: NETWORK_POLICIES, members: '' },
    { kind: PODS, fieldSelector: `spec.nodeName=${node}`, members: '' },
  ];
  for (let mounted = 0; watches.length < count; mounted++) {
    const kind = mounted % 2 === 0 ? CONFIG_MAPS : SECRETS;
    const fieldSelector = `metadata.name=mounted-${Math.floor(mounted / 2)}`;
    watches.push({ kind, namespace, fieldSelector, members: '' });
  }
  return watches.slice(0, count);
}
