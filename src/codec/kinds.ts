import { apiVersionOf } from '../api/gvr.js';
import type { Kind, SelectableField } from './kind.js';

/**
 * The kind registry: every kind that kube-apiserver 1.36 persists, one row per served URL, in
 * discovery order (group priority, then name; the preferred version of a group first).
 *
 * Kept by hand, because nothing in the Go types says these things.
 */

interface Row {
  readonly group: string;
  readonly versions: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly resource?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly directory?: string;
  readonly fields?: readonly SelectableField[];
  readonly namespaceSelectable?: boolean;
  readonly fieldLabelError?: Kind['fieldLabelError'];
  readonly subresources?: readonly string[];
  readonly cachedByDefault?: boolean;
  readonly storageVersion?: string;
  readonly storedAs?: NonNullable<Kind['storedAs']>;
  /** By version: the text after `<apiVersion> <Kind> is deprecated in `. */
  readonly deprecated?: Readonly<Record<string, string>>;
}

/** Protobuf packages do not follow from group names: this is where the Go packages live. */
const packages: Readonly<Record<string, string>> = {
  '': 'k8s.io.api.core',
  'apiregistration.k8s.io': 'k8s.io.kube_aggregator.pkg.apis.apiregistration',
  'apiextensions.k8s.io': 'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions',
  'internal.apiserver.k8s.io': 'k8s.io.api.apiserverinternal',
};

/** A field whose path is its own label, absent as ''. */
const text = (...labels: string[]): SelectableField[] => labels.map((label) => ({ label, path: label, absent: '' }));
const aliased = (label: string, path: string, absent = ''): SelectableField => ({ label, path, absent });

const EXTENSION = ['api-extensions'];
const ALL = ['all'];
const STATUS = ['status'];

const core = (kind: string, more: Partial<Row> = {}): Row => ({
  group: '',
  versions: 'v1',
  kind,
  namespaced: true,
  ...more,
});
/** `versions`: space-separated, preferred first; those in parentheses need --runtime-config. */
const named = (group: string, versions: string, kind: string, namespaced: boolean, more: Partial<Row> = {}): Row => ({
  group,
  versions,
  kind,
  namespaced,
  ...more,
});

const involved = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];
const custom = { fieldLabelError: 'custom' } as const;
const withoutNamespace = { fieldLabelError: 'custom', namespaceSelectable: false } as const;
const gone = (since: string, until: string, use?: string) =>
  `${since}+, unavailable in ${until}+${use === undefined ? '' : `; use ${use}`}`;

const autoscalers = { shortNames: ['hpa'], categories: ALL, subresources: STATUS } as const;

const rows: readonly Row[] = [
  core('ConfigMap', { shortNames: ['cm'] }),
  core('Endpoints', {
    resource: 'endpoints',
    shortNames: ['ep'],
    directory: 'services/endpoints',
    deprecated: { v1: 'v1.33+; use discovery.k8s.io/v1 EndpointSlice' },
  }),
  core('Event', {
    shortNames: ['ev'],
    cachedByDefault: false,
    ...custom,
    fields: [
      ...text(...involved.map((name) => `involvedObject.${name}`)),
      ...text('reason', 'reportingComponent'),
      { label: 'source', path: 'source.component', absent: '', fallbackPath: 'reportingComponent' },
      ...text('type'),
    ],
  }),
  core('LimitRange', { shortNames: ['limits'] }),
  core('Namespace', {
    namespaced: false,
    shortNames: ['ns'],
    subresources: STATUS,
    ...withoutNamespace,
    fields: text('status.phase'),
  }),
  core('Node', {
    namespaced: false,
    shortNames: ['no'],
    directory: 'minions',
    subresources: STATUS,
    ...withoutNamespace,
    fields: [aliased('spec.unschedulable', 'spec.unschedulable', 'false')],
  }),
  core('PersistentVolumeClaim', { shortNames: ['pvc'], subresources: STATUS }),
  core('PersistentVolume', { namespaced: false, shortNames: ['pv'], subresources: STATUS }),
  core('Pod', {
    shortNames: ['po'],
    categories: ALL,
    subresources: ['ephemeralcontainers', 'resize', 'status'],
    ...custom,
    fields: [
      ...text('spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName'),
      aliased('spec.host', 'spec.nodeName'),
      aliased('spec.hostNetwork', 'spec.hostNetwork', 'false'),
      ...text('status.phase', 'status.nominatedNodeName'),
      aliased('status.podIP', 'status.podIPs[0].ip'),
      aliased('status.podIPs', ''), // accepted by kube-apiserver, but never filled in
    ],
  }),
  core('PodTemplate'),
  core('ReplicationController', {
    shortNames: ['rc'],
    categories: ALL,
    directory: 'controllers',
    subresources: ['scale', 'status'],
    ...custom,
    fields: [aliased('status.replicas', 'status.replicas', '0')],
  }),
  core('ResourceQuota', { shortNames: ['quota'], subresources: STATUS }),
  core('Secret', { ...custom, fields: text('type') }),
  core('ServiceAccount', { shortNames: ['sa'] }),
  core('Service', {
    shortNames: ['svc'],
    categories: ALL,
    directory: 'services/specs',
    subresources: STATUS,
    ...custom,
    fields: text('spec.clusterIP', 'spec.type'),
  }),

  named('apiregistration.k8s.io', 'v1', 'APIService', false, {
    categories: EXTENSION,
    directory: 'apiregistration.k8s.io/apiservices',
    subresources: STATUS,
  }),

  named('apps', 'v1', 'ControllerRevision', true),
  named('apps', 'v1', 'DaemonSet', true, { shortNames: ['ds'], categories: ALL, subresources: STATUS }),
  named('apps', 'v1', 'Deployment', true, {
    shortNames: ['deploy'],
    categories: ALL,
    subresources: ['scale', 'status'],
  }),
  named('apps', 'v1', 'ReplicaSet', true, { shortNames: ['rs'], categories: ALL, subresources: ['scale', 'status'] }),
  named('apps', 'v1', 'StatefulSet', true, { shortNames: ['sts'], categories: ALL, subresources: ['scale', 'status'] }),

  named('events.k8s.io', 'v1', 'Event', true, {
    shortNames: ['ev'],
    cachedByDefault: false,
    ...custom,
    storedAs: { group: '', version: 'v1' },
    fields: text(...involved.map((name) => `regarding.${name}`), 'reason', 'reportingController', 'type'),
  }),

  named('autoscaling', 'v2', 'HorizontalPodAutoscaler', true, autoscalers),
  named('autoscaling', 'v1', 'HorizontalPodAutoscaler', true, {
    ...autoscalers,
    storedAs: { group: 'autoscaling', version: 'v2' },
  }),

  named('batch', 'v1', 'CronJob', true, { shortNames: ['cj'], categories: ALL, subresources: STATUS }),
  named('batch', 'v1', 'Job', true, {
    categories: ALL,
    subresources: STATUS,
    fieldLabelError: 'job',
    fields: [aliased('status.successful', 'status.succeeded', '0')],
  }),

  named('certificates.k8s.io', 'v1', 'CertificateSigningRequest', false, {
    shortNames: ['csr'],
    subresources: ['approval', 'status'],
    ...withoutNamespace,
    fields: text('spec.signerName'),
  }),
  named('certificates.k8s.io', '(v1beta1) (v1alpha1)', 'ClusterTrustBundle', false, {
    ...withoutNamespace,
    storageVersion: 'v1beta1',
    fields: text('spec.signerName'),
    deprecated: { v1alpha1: gone('v1.34', 'v1.37') },
  }),
  named('certificates.k8s.io', '(v1beta1)', 'PodCertificateRequest', true, {
    subresources: STATUS,
    ...withoutNamespace,
    fields: text('spec.signerName', 'spec.podName', 'spec.nodeName'),
  }),

  named('networking.k8s.io', 'v1', 'IngressClass', false, { resource: 'ingressclasses' }),
  named('networking.k8s.io', 'v1', 'Ingress', true, {
    resource: 'ingresses',
    shortNames: ['ing'],
    directory: 'ingress',
    subresources: STATUS,
  }),
  named('networking.k8s.io', 'v1 (v1beta1)', 'IPAddress', false, {
    resource: 'ipaddresses',
    shortNames: ['ip'],
    storageVersion: 'v1',
    deprecated: { v1beta1: gone('v1.34', 'v1.37') },
  }),
  named('networking.k8s.io', 'v1', 'NetworkPolicy', true, { resource: 'networkpolicies', shortNames: ['netpol'] }),
  named('networking.k8s.io', 'v1 (v1beta1)', 'ServiceCIDR', false, {
    storageVersion: 'v1',
    subresources: STATUS,
    deprecated: { v1beta1: gone('v1.34', 'v1.37') },
  }),

  named('policy', 'v1', 'PodDisruptionBudget', true, { shortNames: ['pdb'], subresources: STATUS }),

  named('rbac.authorization.k8s.io', 'v1', 'ClusterRoleBinding', false),
  named('rbac.authorization.k8s.io', 'v1', 'ClusterRole', false),
  named('rbac.authorization.k8s.io', 'v1', 'RoleBinding', true),
  named('rbac.authorization.k8s.io', 'v1', 'Role', true),

  named('storage.k8s.io', 'v1', 'CSIDriver', false),
  named('storage.k8s.io', 'v1', 'CSINode', false),
  named('storage.k8s.io', 'v1', 'CSIStorageCapacity', true, { resource: 'csistoragecapacities' }),
  named('storage.k8s.io', 'v1', 'StorageClass', false, { resource: 'storageclasses', shortNames: ['sc'] }),
  named('storage.k8s.io', 'v1', 'VolumeAttachment', false, { subresources: STATUS }),
  named('storage.k8s.io', 'v1 (v1beta1)', 'VolumeAttributesClass', false, {
    resource: 'volumeattributesclasses',
    shortNames: ['vac'],
    storageVersion: 'v1',
    deprecated: { v1beta1: gone('v1.34', 'v1.37', 'storage.k8s.io/v1 VolumeAttributesClass') },
  }),

  named('admissionregistration.k8s.io', 'v1 (v1beta1) (v1alpha1)', 'MutatingAdmissionPolicy', false, {
    resource: 'mutatingadmissionpolicies',
    categories: EXTENSION,
    storageVersion: 'v1beta1',
    deprecated: { v1alpha1: gone('v1.35', 'v1.38') },
  }),
  named('admissionregistration.k8s.io', 'v1 (v1beta1) (v1alpha1)', 'MutatingAdmissionPolicyBinding', false, {
    categories: EXTENSION,
    storageVersion: 'v1beta1',
    deprecated: { v1alpha1: gone('v1.35', 'v1.38') },
  }),
  named('admissionregistration.k8s.io', 'v1', 'MutatingWebhookConfiguration', false, { categories: EXTENSION }),
  named('admissionregistration.k8s.io', 'v1', 'ValidatingAdmissionPolicy', false, {
    resource: 'validatingadmissionpolicies',
    categories: EXTENSION,
    subresources: STATUS,
  }),
  named('admissionregistration.k8s.io', 'v1', 'ValidatingAdmissionPolicyBinding', false, { categories: EXTENSION }),
  named('admissionregistration.k8s.io', 'v1', 'ValidatingWebhookConfiguration', false, { categories: EXTENSION }),

  named('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', false, {
    shortNames: ['crd', 'crds'],
    categories: EXTENSION,
    directory: 'apiextensions.k8s.io/customresourcedefinitions',
    subresources: STATUS,
    storageVersion: 'v1beta1',
  }),

  named('scheduling.k8s.io', 'v1', 'PriorityClass', false, { resource: 'priorityclasses', shortNames: ['pc'] }),
  named('scheduling.k8s.io', '(v1alpha2)', 'PodGroup', true, { subresources: STATUS }),
  named('scheduling.k8s.io', '(v1alpha2)', 'Workload', true),

  named('coordination.k8s.io', 'v1', 'Lease', true),
  named('coordination.k8s.io', '(v1beta1) (v1alpha2)', 'LeaseCandidate', true, {
    storageVersion: 'v1beta1',
    deprecated: { v1beta1: gone('v1.36', 'v1.39'), v1alpha2: gone('v1.35', 'v1.38') },
  }),

  named('node.k8s.io', 'v1', 'RuntimeClass', false, { resource: 'runtimeclasses' }),

  named('discovery.k8s.io', 'v1', 'EndpointSlice', true),

  named('resource.k8s.io', 'v1 (v1beta2)', 'DeviceClass', false, {
    resource: 'deviceclasses',
    storageVersion: 'v1',
    deprecated: { v1beta2: gone('v1.36', 'v1.39') },
  }),
  named('resource.k8s.io', '(v1beta2) (v1alpha3)', 'DeviceTaintRule', false, {
    subresources: STATUS,
    storageVersion: 'v1alpha3',
    deprecated: { v1alpha3: gone('v1.36', 'v1.39') },
  }),
  named('resource.k8s.io', 'v1 (v1beta2)', 'ResourceClaim', true, {
    subresources: STATUS,
    storageVersion: 'v1',
    deprecated: { v1beta2: gone('v1.36', 'v1.39') },
  }),
  named('resource.k8s.io', 'v1 (v1beta2)', 'ResourceClaimTemplate', true, {
    storageVersion: 'v1',
    deprecated: { v1beta2: gone('v1.36', 'v1.39') },
  }),
  named('resource.k8s.io', '(v1alpha3)', 'ResourcePoolStatusRequest', false, { subresources: STATUS }),
  named('resource.k8s.io', 'v1 (v1beta2)', 'ResourceSlice', false, {
    storageVersion: 'v1',
    namespaceSelectable: false,
    fieldLabelError: 'resourceslice',
    fields: text('spec.nodeName', 'spec.driver'),
    deprecated: { v1beta2: gone('v1.36', 'v1.39') },
  }),

  named('flowcontrol.apiserver.k8s.io', 'v1', 'FlowSchema', false, { subresources: STATUS }),
  named('flowcontrol.apiserver.k8s.io', 'v1', 'PriorityLevelConfiguration', false, { subresources: STATUS }),

  named('internal.apiserver.k8s.io', '(v1alpha1)', 'StorageVersion', false, { subresources: STATUS }),

  named('storagemigration.k8s.io', '(v1beta1)', 'StorageVersionMigration', false, { subresources: STATUS }),
];

export const kinds: readonly Kind[] = rows.flatMap(expand);

const byResource = new Map(kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.resource}`, kind]));
const byObject = new Map(kinds.map((kind) => [`${apiVersionOf(kind.group, kind.version)} ${kind.kind}`, kind]));
const byDirectory = new Map<string, Kind>();
for (const kind of kinds) if (!byDirectory.has(kind.directory)) byDirectory.set(kind.directory, kind);

/** The row behind `/apis/<group>/<version>/<resource>`; the core group is ''. */
export function findKind(group: string, version: string, resource: string): Kind | undefined {
  return byResource.get(`${group}/${version}/${resource}`);
}

/** The row of an object with this `apiVersion` and `kind`. */
export function kindByObject(apiVersion: string, kind: string): Kind | undefined {
  return byObject.get(`${apiVersion} ${kind}`);
}

/** The row of the preferred version for an etcd directory such as `services/specs`. */
export function kindByDirectory(directory: string): Kind | undefined {
  return byDirectory.get(directory);
}

/**
 * Older versions whose objects may still lie in etcd and mean the same as today's: upstream converts
 * them field by field, changing nothing. Other old versions (policy/v1beta1 selectors, say) do not.
 */
const equivalent: Readonly<Record<string, readonly string[]>> = {
  'admissionregistration.k8s.io': ['v1beta1'],
  batch: ['v1beta1'],
  'coordination.k8s.io': ['v1beta1'],
  'node.k8s.io': ['v1beta1'],
  'rbac.authorization.k8s.io': ['v1beta1'],
  'scheduling.k8s.io': ['v1beta1'],
  'storage.k8s.io': ['v1beta1'],
};

/** Whether values stored with this apiVersion may be served as `kind`, if the layouts are the same. */
export function isServedFrom(kind: Kind, apiVersion: string): boolean {
  const versions = [kind.version, kind.storageVersion, ...(equivalent[kind.group] ?? [])];
  for (const row of kinds) if (row.directory === kind.directory && row.group === kind.group) versions.push(row.version);
  return versions.some((version) => version !== undefined && apiVersionOf(kind.group, version) === apiVersion);
}

function expand(row: Row): Kind[] {
  return row.versions.split(' ').map((notation): Kind => {
    const servedByDefault = !notation.startsWith('(');
    const version = servedByDefault ? notation : notation.slice(1, -1);
    const singular = row.kind.toLowerCase();
    const resource = row.resource ?? `${singular}s`;
    const packageName = packages[row.group] ?? `k8s.io.api.${row.group.split('.')[0]}`;
    const message = `${packageName}.${version}.${row.kind}`;
    const deprecated = row.deprecated?.[version];
    return {
      group: row.group,
      version,
      servedByDefault,
      resource,
      kind: row.kind,
      listKind: `${row.kind}List`,
      singular,
      shortNames: row.shortNames ?? [],
      categories: row.categories ?? [],
      namespaced: row.namespaced,
      directory: row.directory ?? resource,
      message,
      listMessage: `${message}List`,
      selectableFields: row.fields ?? [],
      namespaceSelectable: row.namespaceSelectable ?? true,
      fieldLabelError: row.fieldLabelError ?? 'default',
      subresources: row.subresources ?? [],
      cachedByDefault: row.cachedByDefault ?? true,
      ...(row.storedAs === undefined ? {} : { storedAs: row.storedAs }),
      ...(row.storageVersion !== undefined && row.storageVersion !== version
        ? { storageVersion: row.storageVersion }
        : {}),
      ...(deprecated === undefined
        ? {}
        : { deprecation: `${apiVersionOf(row.group, version)} ${row.kind} is deprecated in ${deprecated}` }),
    };
  });
}
