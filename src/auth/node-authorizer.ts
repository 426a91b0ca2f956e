import { isExact } from '../api/field-selector.js';
import { quoteGo } from '../api/go-text.js';
import type { Attributes, ResourceAttributes } from './attributes.js';
import type { Authorizer, Decision, Rules } from './authorizer.js';
import type { Identity } from './identity.js';
import type { NodeGraph, NodeRelated } from './node-graph.js';
import { type ResourceRule, ruleConcerns } from './policy.js';

const NODES = 'system:nodes';
const PREFIX = 'system:node:';
const NODE_LEASES = 'kube-node-lease';

const ALLOWED: Decision = { allowed: true, reason: '' };
const NO_OPINION: Decision = { allowed: false, reason: '' };

/** The name of the node whose kubelet this is: '' when it does not say; undefined: it is none. */
export function nodeOf({ name, groups }: Identity): string | undefined {
  return name.startsWith(PREFIX) && groups.includes(NODES) ? name.slice(PREFIX.length) : undefined;
}

/**
 * `--authorization-mode=Node`: a kubelet reads its own Node, and what the pods on it need (spec 8.5,
 * https://kubernetes.io/docs/reference/access-authn-authz/node/). Reasons are kube-apiserver's own. It denies nothing: what it does not
 * allow, RBAC may.
 */
export class NodeAuthorizer implements Authorizer {
  ready = false;
  readonly #graph: NodeGraph;

  constructor(graph: NodeGraph) {
    this.#graph = graph;
  }

  rulesFor(user: Identity): Rules {
    const rules = { resourceRules: [], nonResourceRules: [] };
    if (nodeOf(user) === undefined) return { ...rules, error: '' };
    return { ...rules, error: 'node authorizer does not support user rule resolution', incomplete: true };
  }

  authorize(attributes: Attributes): Decision {
    const node = nodeOf(attributes.user);
    if (node === undefined) return NO_OPINION;
    if (node === '') return refused(`unknown node for user ${quoteGo(attributes.user.name)}`);
    if (attributes.path !== undefined) return NO_OPINION;
    const { group, resource, subresource } = attributes;
    switch (group === '' ? resource : `${resource}.${group}`) {
      case 'secrets':
      case 'configmaps':
        return this.#named(node, resource as NodeRelated, attributes);
      case 'persistentvolumeclaims':
        if (subresource === 'status') return this.#status(node, 'persistentvolumeclaims', attributes);
        return this.#get(node, 'persistentvolumeclaims', attributes);
      case 'persistentvolumes':
      case 'resourceclaims.resource.k8s.io':
      case 'volumeattachments.storage.k8s.io':
        return this.#get(node, resource as NodeRelated, attributes);
      case 'serviceaccounts':
        if (attributes.verb === 'get' && subresource === '') return this.#named(node, 'serviceaccounts', attributes);
        return this.#token(node, attributes);
      case 'leases.coordination.k8s.io':
        return lease(node, attributes);
      case 'csinodes.storage.k8s.io':
        return csiNode(node, attributes);
      case 'resourceslices.resource.k8s.io':
        return this.#slice(node, attributes);
      case 'nodes':
        return ownNode(node, attributes);
      case 'pods':
        return this.#pod(node, attributes);
      default:
        return rules.some((rule) => ruleConcerns(rule, attributes)) ? ALLOWED : NO_OPINION;
    }
  }

  #related(node: string, resource: NodeRelated, { namespace, name }: ResourceAttributes): Decision {
    if (name === '') return refused('No Object name found');
    return this.#graph.relates(node, resource, namespace, name) ? ALLOWED : unrelated(node);
  }

  /** One object, which may also be listed and watched by its name. */
  #named(node: string, resource: NodeRelated, attributes: ResourceAttributes): Decision {
    if (!READ.has(attributes.verb)) return refused('can only read resources of this type');
    if (attributes.subresource !== '') return refused('cannot read subresource');
    if (attributes.namespace === '') return refused('can only read namespaced object of this type');
    return this.#related(node, resource, attributes);
  }

  #get(node: string, resource: NodeRelated, attributes: ResourceAttributes): Decision {
    if (attributes.verb !== 'get') return refused('can only get individual resources of this type');
    if (attributes.subresource !== '') return refused('cannot get subresource');
    return this.#related(node, resource, attributes);
  }

  #status(node: string, resource: NodeRelated, attributes: ResourceAttributes): Decision {
    if (!MODIFY.has(attributes.verb)) return refused('can only get/update/patch this type');
    return this.#related(node, resource, attributes);
  }

  #token(node: string, { verb, subresource, namespace, name }: ResourceAttributes): Decision {
    if (verb !== 'create' || name === '') return refused('can only create tokens for individual service accounts');
    if (subresource !== 'token') return refused('can only create token subresource of serviceaccount');
    return this.#graph.relates(node, 'serviceaccounts', namespace, name) ? ALLOWED : unrelated(node);
  }

  #slice(node: string, attributes: ResourceAttributes): Decision {
    if (attributes.subresource !== '') return refused('cannot authorize ResourceSlice subresources');
    switch (attributes.verb) {
      case 'create':
        return ALLOWED;
      case 'get':
      case 'update':
      case 'patch':
      case 'delete':
        return this.#related(node, 'resourceslices', attributes);
      case 'list':
      case 'watch':
      case 'deletecollection':
        return selects(attributes, 'spec.nodeName', node)
          ? ALLOWED
          : refused('can only list/watch/deletecollection resourceslices with nodeName field selector');
      default:
        return refused(
          'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
        );
    }
  }

  #pod(node: string, attributes: ResourceAttributes): Decision {
    const { verb, subresource, name } = attributes;
    if (subresource === 'status') return MODIFY.has(verb) ? ALLOWED : NO_OPINION;
    if (subresource === 'eviction') return verb === 'create' ? ALLOWED : NO_OPINION;
    if (subresource !== '') return NO_OPINION;
    switch (verb) {
      case 'get':
        return this.#related(node, 'pods', attributes);
      case 'list':
      case 'watch':
        if (selects(attributes, 'spec.nodeName', node)) return ALLOWED;
        if (name !== '') return this.#related(node, 'pods', attributes);
        return refused('can only list/watch pods with spec.nodeName field selector');
      case 'create':
      case 'delete':
        return ALLOWED;
      default:
        return NO_OPINION;
    }
  }
}

const READ: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
const MODIFY: ReadonlySet<string> = new Set(['update', 'patch']);
const ALL_BUT_LISTS: ReadonlySet<string> = new Set(['get', 'create', 'update', 'patch', 'delete']);

function lease(node: string, { verb, namespace, name }: ResourceAttributes): Decision {
  if (!ALL_BUT_LISTS.has(verb)) return refused('can only get, create, update, patch, or delete a node lease');
  if (namespace !== NODE_LEASES) {
    return refused(`can only access leases in the ${quoteGo(NODE_LEASES)} system namespace`);
  }
  // Who creates has no name yet.
  if (verb !== 'create' && name !== node) {
    return refused('can only access node lease with the same name as the requesting node');
  }
  return ALLOWED;
}

function csiNode(node: string, { verb, subresource, name }: ResourceAttributes): Decision {
  if (!ALL_BUT_LISTS.has(verb)) return refused('can only get, create, update, patch, or delete a CSINode');
  if (subresource !== '') return refused('cannot authorize CSINode subresources');
  if (verb !== 'create' && name !== node) {
    return refused('can only access CSINode with the same name as the requesting node');
  }
  return ALLOWED;
}

function ownNode(node: string, { verb, subresource, name }: ResourceAttributes): Decision {
  if (subresource === 'status') return MODIFY.has(verb) ? ALLOWED : NO_OPINION;
  if (subresource !== '') return NO_OPINION;
  if (verb === 'create' || MODIFY.has(verb)) return ALLOWED;
  if (!READ.has(verb)) return NO_OPINION;
  // By name, and not by the graph: a kubelet asks for its Node before that is there.
  if (name === node) return ALLOWED;
  return refused(
    name === ''
      ? `node '${node}' cannot read all nodes, only its own Node object`
      : `node '${node}' cannot read '${name}', only its own Node object`,
  );
}

function selects({ fields = [] }: ResourceAttributes, field: string, value: string): boolean {
  return fields.some((term) => term.field === field && isExact(term) && term.value === value);
}

function refused(reason: string): Decision {
  return { allowed: false, reason };
}

function unrelated(node: string): Decision {
  return refused(`no relationship found between node '${node}' and this object`);
}

/** Of the ClusterRole system:node: what every kubelet may do, where no object of its own decides. */
const rules: readonly ResourceRule[] = [
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews localsubjectaccessreviews'),
  rule('get list watch', '', 'services'),
  rule('create update patch', '', 'events'),
  rule('get', '', 'endpoints'),
  rule('create get list watch', 'certificates.k8s.io', 'certificatesigningrequests'),
  rule('get list watch', 'storage.k8s.io', 'csidrivers'),
  rule('get list watch', 'node.k8s.io', 'runtimeclasses'),
];

function rule(verbs: string, group: string, resources: string): ResourceRule {
  return { verbs: verbs.split(' '), apiGroups: [group], resources: resources.split(' '), resourceNames: [] };
}
