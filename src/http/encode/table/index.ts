import type { CustomKind, Kind } from '../../../codec/kind.js';
import { groupResourceOf } from '../../../api/gvr.js';
import { customTable } from './custom.js';
import * as cluster from './cluster.js';
import { items, present, text } from './json-path.js';
import * as network from './network.js';
import { age } from './phrases.js';
import * as pods from './pods.js';
import * as policy from './policy.js';
import * as storage from './storage.js';
import { columns, type TableKind } from './table-kind.js';
import * as workloads from './workloads.js';

export { COMMON } from './table-kind.js';
export type { Column, Row, TableKind } from './table-kind.js';

const nameAndAge: TableKind = {
  columns: columns('Age'),
  reads: '',
  row: (object) => ({ cells: [text(object, 'metadata.name'), age(object)] }),
};

/** What kube-apiserver shows for kinds without a printer of their own: the raw creation time. */
const nameAndCreation: TableKind = {
  columns: columns('Created At:date'),
  reads: '',
  row: (object) => ({ cells: [text(object, 'metadata.name'), text(object, 'metadata.creationTimestamp')] }),
};

const resourceClaims: TableKind = {
  columns: columns('State', 'Age'),
  reads: 'metadata{deletionTimestamp} status{allocation{} reservedFor{}}',
  row(object) {
    const deleted = present(object, 'metadata.deletionTimestamp');
    const parts = deleted ? ['deleted'] : [];
    if (present(object, 'status.allocation')) {
      parts.push('allocated');
      if (items(object, 'status.reservedFor').length > 0) parts.push('reserved');
    } else if (!deleted) parts.push('pending');
    return { cells: [text(object, 'metadata.name'), parts.join(','), age(object)] };
  },
};

const resourceSlices: TableKind = {
  columns: columns('Node', 'Driver', 'Pool', 'Age'),
  reads: 'spec{nodeName driver pool{name}}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'spec.nodeName'),
      text(object, 'spec.driver'),
      text(object, 'spec.pool.name'),
      age(object),
    ],
  }),
};

/** By `resource.group`; kinds that are absent here show what kube-apiserver's default convertor shows. */
const tables: Readonly<Record<string, TableKind>> = {
  pods: pods.pods,
  podtemplates: pods.podTemplates,
  replicationcontrollers: workloads.replicationControllers,
  'replicasets.apps': workloads.replicaSets,
  'deployments.apps': workloads.deployments,
  'statefulsets.apps': workloads.statefulSets,
  'daemonsets.apps': workloads.daemonSets,
  'controllerrevisions.apps': workloads.controllerRevisions,
  'jobs.batch': workloads.jobs,
  'cronjobs.batch': workloads.cronJobs,
  'horizontalpodautoscalers.autoscaling': workloads.horizontalPodAutoscalers,
  nodes: cluster.nodes,
  namespaces: cluster.namespaces,
  events: cluster.events,
  'events.events.k8s.io': cluster.namedEvents,
  secrets: cluster.secrets,
  configmaps: cluster.configMaps,
  serviceaccounts: cluster.serviceAccounts,
  resourcequotas: cluster.resourceQuotas,
  'leases.coordination.k8s.io': cluster.leases,
  'leasecandidates.coordination.k8s.io': cluster.leaseCandidates,
  'priorityclasses.scheduling.k8s.io': cluster.priorityClasses,
  'runtimeclasses.node.k8s.io': cluster.runtimeClasses,
  'storageversionmigrations.storagemigration.k8s.io': cluster.storageVersionMigrations,
  services: network.services,
  endpoints: network.endpoints,
  'endpointslices.discovery.k8s.io': network.endpointSlices,
  'ingresses.networking.k8s.io': network.ingresses,
  'ingressclasses.networking.k8s.io': network.ingressClasses,
  'networkpolicies.networking.k8s.io': network.networkPolicies,
  'servicecidrs.networking.k8s.io': network.serviceCidrs,
  'ipaddresses.networking.k8s.io': network.ipAddresses,
  persistentvolumes: storage.persistentVolumes,
  persistentvolumeclaims: storage.persistentVolumeClaims,
  'storageclasses.storage.k8s.io': storage.storageClasses,
  'volumeattributesclasses.storage.k8s.io': storage.volumeAttributesClasses,
  'volumeattachments.storage.k8s.io': storage.volumeAttachments,
  'csinodes.storage.k8s.io': storage.csiNodes,
  'csidrivers.storage.k8s.io': storage.csiDrivers,
  'csistoragecapacities.storage.k8s.io': storage.csiStorageCapacities,
  'rolebindings.rbac.authorization.k8s.io': policy.bindings,
  'clusterrolebindings.rbac.authorization.k8s.io': policy.bindings,
  'poddisruptionbudgets.policy': policy.podDisruptionBudgets,
  'certificatesigningrequests.certificates.k8s.io': policy.certificateSigningRequests,
  'clustertrustbundles.certificates.k8s.io': policy.clusterTrustBundles,
  'mutatingwebhookconfigurations.admissionregistration.k8s.io': policy.webhookConfigurations,
  'validatingwebhookconfigurations.admissionregistration.k8s.io': policy.webhookConfigurations,
  'validatingadmissionpolicies.admissionregistration.k8s.io': policy.validatingAdmissionPolicies,
  'mutatingadmissionpolicies.admissionregistration.k8s.io': policy.mutatingAdmissionPolicies,
  'validatingadmissionpolicybindings.admissionregistration.k8s.io': policy.admissionPolicyBindings,
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io': policy.admissionPolicyBindings,
  'flowschemas.flowcontrol.apiserver.k8s.io': policy.flowSchemas,
  'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io': policy.priorityLevelConfigurations,
  'apiservices.apiregistration.k8s.io': policy.apiServices,
  'deviceclasses.resource.k8s.io': nameAndAge,
  'resourceclaimtemplates.resource.k8s.io': nameAndAge,
  'resourceclaims.resource.k8s.io': resourceClaims,
  'resourceslices.resource.k8s.io': resourceSlices,
  'podcertificaterequests.certificates.k8s.io': nameAndAge,
  'devicetaintrules.resource.k8s.io': nameAndAge,
  'resourcepoolstatusrequests.resource.k8s.io': nameAndAge,
  'workloads.scheduling.k8s.io': nameAndAge,
  'podgroups.scheduling.k8s.io': nameAndAge,
};

/** Of kinds that come and go: what is made for one goes with it. */
const customTables = new WeakMap<CustomKind, TableKind>();

export function tableFor(kind: Pick<Kind, 'group' | 'resource' | 'custom'>): TableKind {
  const { custom } = kind;
  if (custom !== undefined) {
    let table = customTables.get(custom);
    if (table === undefined) customTables.set(custom, (table = customTable(custom)));
    return table;
  }
  return tables[groupResourceOf(kind.group, kind.resource)] ?? nameAndCreation;
}
