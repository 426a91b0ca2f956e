import { at, flag, items, type Json, present, text } from './json-path.js';
import { age, annotation, joined, nameWithDefault, orElse } from './phrases.js';
import { columns, type TableKind } from './table-kind.js';

const MODE_NAMES: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};
const MODE_ORDER = ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod'];
const BETA_CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class';

/** Each mode once, in the order of the table above. */
function accessModes(object: Json, path: string): string {
  const modes = items(object, path).map(String);
  return MODE_ORDER.filter((mode) => modes.includes(mode))
    .map((mode) => MODE_NAMES[mode])
    .join(',');
}

function storageClassOf(object: Json): string {
  return annotation(object, BETA_CLASS_ANNOTATION) ?? text(object, 'spec.storageClassName');
}

function attributesClassOf(object: Json): string {
  const name = 'spec.volumeAttributesClassName';
  return present(object, name) ? text(object, name) : '<unset>';
}

function phaseOf(object: Json): string {
  return present(object, 'metadata.deletionTimestamp') ? 'Terminating' : text(object, 'status.phase');
}

export const persistentVolumes: TableKind = {
  columns: columns(
    'Capacity',
    'Access Modes',
    'Reclaim Policy',
    'Status',
    'Claim',
    'StorageClass',
    'VolumeAttributesClass',
    'Reason',
    'Age',
    'VolumeMode*',
  ),
  reads:
    'metadata{deletionTimestamp annotations} spec{capacity accessModes persistentVolumeReclaimPolicy claimRef{namespace name} storageClassName volumeAttributesClassName volumeMode} status{phase reason}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      orElse(text(object, 'spec.capacity.storage'), '0'),
      accessModes(object, 'spec.accessModes'),
      text(object, 'spec.persistentVolumeReclaimPolicy'),
      phaseOf(object),
      claimOf(object),
      storageClassOf(object),
      attributesClassOf(object),
      text(object, 'status.reason'),
      age(object),
      orElse(text(object, 'spec.volumeMode'), '<unset>'),
    ],
  }),
};

function claimOf(object: Json): string {
  if (!present(object, 'spec.claimRef')) return '';
  return `${text(object, 'spec.claimRef.namespace')}/${text(object, 'spec.claimRef.name')}`;
}

export const persistentVolumeClaims: TableKind = {
  columns: columns(
    'Status',
    'Volume',
    'Capacity',
    'Access Modes',
    'StorageClass',
    'VolumeAttributesClass',
    'Age',
    'VolumeMode*',
  ),
  reads:
    'metadata{deletionTimestamp annotations} spec{volumeName storageClassName volumeAttributesClassName volumeMode} status{phase capacity accessModes}',
  row(object) {
    const bound = text(object, 'spec.volumeName') !== '';
    return {
      cells: [
        text(object, 'metadata.name'),
        phaseOf(object),
        text(object, 'spec.volumeName'),
        bound ? orElse(text(object, 'status.capacity.storage'), '0') : '',
        bound ? accessModes(object, 'status.accessModes') : '',
        storageClassOf(object),
        attributesClassOf(object),
        age(object),
        orElse(text(object, 'spec.volumeMode'), '<unset>'),
      ],
    };
  },
};

export const storageClasses: TableKind = {
  columns: columns('Provisioner', 'ReclaimPolicy', 'VolumeBindingMode', 'AllowVolumeExpansion', 'Age'),
  reads: 'metadata{annotations} provisioner reclaimPolicy volumeBindingMode allowVolumeExpansion',
  row: (object) => ({
    cells: [
      nameWithDefault(
        object,
        'storageclass.kubernetes.io/is-default-class',
        'storageclass.beta.kubernetes.io/is-default-class',
      ),
      text(object, 'provisioner'),
      orElse(text(object, 'reclaimPolicy'), 'Delete'),
      orElse(text(object, 'volumeBindingMode'), 'Immediate'),
      flag(object, 'allowVolumeExpansion'),
      age(object),
    ],
  }),
};

export const volumeAttributesClasses: TableKind = {
  columns: columns('DriverName', 'Age'),
  reads: 'metadata{annotations} driverName',
  row: (object) => ({
    cells: [
      nameWithDefault(object, 'storageclass.kubernetes.io/is-default-class'),
      text(object, 'driverName'),
      age(object),
    ],
  }),
};

export const volumeAttachments: TableKind = {
  columns: columns('Attacher', 'PV', 'Node', 'Attached:boolean', 'Age'),
  reads: 'spec{attacher source{persistentVolumeName} nodeName} status{attached}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'spec.attacher'),
      text(object, 'spec.source.persistentVolumeName'),
      text(object, 'spec.nodeName'),
      flag(object, 'status.attached'),
      age(object),
    ],
  }),
};

export const csiNodes: TableKind = {
  columns: columns('Drivers:integer', 'Age'),
  reads: 'spec{drivers{}}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), items(object, 'spec.drivers').length, age(object)],
  }),
};

export const csiDrivers: TableKind = {
  columns: columns(
    'AttachRequired:boolean',
    'PodInfoOnMount:boolean',
    'StorageCapacity:boolean',
    'TokenRequests',
    'RequiresRepublish:boolean',
    'Modes',
    'Age',
  ),
  reads:
    'spec{attachRequired podInfoOnMount storageCapacity tokenRequests{audience} requiresRepublish volumeLifecycleModes}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      at(object, 'spec.attachRequired') !== false,
      flag(object, 'spec.podInfoOnMount'),
      flag(object, 'spec.storageCapacity'),
      joined(
        items(object, 'spec.tokenRequests').map((request) => text(request, 'audience')),
        '<unset>',
      ),
      flag(object, 'spec.requiresRepublish'),
      joined(items(object, 'spec.volumeLifecycleModes').map(String), '<none>'),
      age(object),
    ],
  }),
};

export const csiStorageCapacities: TableKind = {
  columns: columns('StorageClassName', 'Capacity', 'Age'),
  reads: 'storageClassName capacity',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'storageClassName'),
      orElse(text(object, 'capacity'), '<unset>'),
      age(object),
    ],
  }),
};
