import type { Kind } from '../codec/kind.js';
import { findKind } from '../codec/kinds.js';
import { assert } from '../lib/assert.js';

function builtIn(group: string, version: string, resource: string): Kind {
  const kind = findKind(group, version, resource);
  assert(kind !== undefined, `there is no kind ${resource}`);
  return kind;
}

/** What the hollow cluster reads and writes. */
export const PODS = builtIn('', 'v1', 'pods');
export const NODES = builtIn('', 'v1', 'nodes');
export const NAMESPACES = builtIn('', 'v1', 'namespaces');
export const SERVICES = builtIn('', 'v1', 'services');
export const CONFIG_MAPS = builtIn('', 'v1', 'configmaps');
export const SECRETS = builtIn('', 'v1', 'secrets');
export const LEASES = builtIn('coordination.k8s.io', 'v1', 'leases');
export const REPLICA_SETS = builtIn('apps', 'v1', 'replicasets');
export const ENDPOINT_SLICES = builtIn('discovery.k8s.io', 'v1', 'endpointslices');
export const RUNTIME_CLASSES = builtIn('node.k8s.io', 'v1', 'runtimeclasses');
export const CSI_DRIVERS = builtIn('storage.k8s.io', 'v1', 'csidrivers');
export const NETWORK_POLICIES = builtIn('networking.k8s.io', 'v1', 'networkpolicies');

export const NODE_LEASE_NAMESPACE = 'kube-node-lease';
