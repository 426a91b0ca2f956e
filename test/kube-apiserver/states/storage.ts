import type { Manifest } from '../objects.js';
import { state } from './stored.js';

const MODES = ['ReadWriteOncePod', 'ReadWriteMany', 'ReadOnlyMany', 'ReadWriteOnce', 'ReadWriteMany', 'Other'];
const classAnnotation = (value: string) => ({
  metadata: { annotations: { 'volume.beta.kubernetes.io/storage-class': value } },
});
const isDefault = (prefix: string, value = 'true') => ({
  metadata: { annotations: { [`${prefix}.kubernetes.io/is-default-class`]: value } },
});

const volume = (name: string, content: object, isDeleted = false) =>
  state('v1', 'PersistentVolume', name, content, isDeleted);
const claimRef = { namespace: 'n', name: 'c' };
const volumes = [
  volume('bare', {}),
  volume('full', {
    spec: {
      ...{ capacity: { storage: '1.5Ti' }, accessModes: MODES, persistentVolumeReclaimPolicy: 'Recycle', claimRef },
      ...{ storageClassName: 'fast', volumeAttributesClassName: 'gold', volumeMode: 'Block' },
    },
    status: { phase: 'Failed', reason: 'Why <not>' },
  }),
  volume('deleted', { status: { phase: 'Released' } }, true),
  volume('annotated', { ...classAnnotation('old'), spec: { storageClassName: 'new' }, status: { phase: 'Available' } }),
  volume('no-class', { ...classAnnotation(''), spec: { storageClassName: 'new', volumeAttributesClassName: '' } }),
];

const claim = (name: string, content: object, isDeleted = false) =>
  state('v1', 'PersistentVolumeClaim', name, content, isDeleted);
const status = { phase: 'Bound', capacity: { storage: '3072Mi' }, accessModes: MODES };
const claims = [
  claim('bare', {}),
  claim('pending', { spec: { storageClassName: '', accessModes: MODES }, status: { ...status, phase: 'Pending' } }),
  claim('bound', { spec: { volumeName: 'full', storageClassName: 'fast', volumeMode: 'Block' }, status }),
  claim('sizeless', { spec: { volumeName: 'full', volumeAttributesClassName: 'gold' }, status: { phase: 'Lost' } }),
  claim('deleted', { spec: { volumeName: 'full' }, status }, true),
  claim('annotated', { ...classAnnotation('old'), spec: { storageClassName: 'new' } }),
  claim('no-class', { ...classAnnotation(''), spec: { storageClassName: 'new', volumeAttributesClassName: '' } }),
];

const storageClass = (name: string, content: object = {}) =>
  state('storage.k8s.io/v1', 'StorageClass', name, { provisioner: 'a.io/p', ...content });
const attributesClass = (name: string, content: object = {}) =>
  state('storage.k8s.io/v1', 'VolumeAttributesClass', name, { driverName: 'd.io', ...content });
const driver = (name: string, spec: object) => state('storage.k8s.io/v1', 'CSIDriver', name, { spec });
const attachment = (name: string, source: object, attached: boolean) =>
  state('storage.k8s.io/v1', 'VolumeAttachment', name, {
    spec: { attacher: 'a.io', nodeName: 'n', source },
    status: { attached },
  });
const capacity = (name: string, content: object) => state('storage.k8s.io/v1', 'CSIStorageCapacity', name, content);

const request = { requests: [{ name: 'r', exactly: { deviceClassName: 'c' } }] };
const allocation = { devices: { results: [] } };
const resourceClaim = (name: string, status: object, isDeleted = false) =>
  state('resource.k8s.io/v1', 'ResourceClaim', name, { spec: { devices: request }, status }, isDeleted);
const reservedFor = [{ resource: 'pods', name: 'p', uid: 'u' }];

export const storageStates: readonly Manifest[] = [
  ...volumes,
  ...claims,
  storageClass('bare'),
  storageClass('default', isDefault('storageclass')),
  storageClass('beta-default', isDefault('storageclass.beta')),
  storageClass('not-default', isDefault('storageclass', 'yes')),
  storageClass('full', {
    reclaimPolicy: 'Retain',
    volumeBindingMode: 'WaitForFirstConsumer',
    allowVolumeExpansion: true,
  }),
  attributesClass('bare'),
  attributesClass('default', isDefault('storageclass')),
  driver('bare', {}),
  driver('all', {
    ...{ attachRequired: true, podInfoOnMount: true, storageCapacity: true, requiresRepublish: true },
    ...{ tokenRequests: [{ audience: 'a' }, { audience: '' }], volumeLifecycleModes: ['Persistent', 'Ephemeral'] },
  }),
  driver('none', {
    ...{ attachRequired: false, podInfoOnMount: false, storageCapacity: false, requiresRepublish: false },
    ...{ tokenRequests: [], volumeLifecycleModes: [] },
  }),
  attachment('attached', { persistentVolumeName: 'full' }, true),
  attachment('inline', {}, false),
  capacity('bare', { storageClassName: 'fast' }),
  capacity('full', { storageClassName: 'fast', capacity: '0.5Gi', maximumVolumeSize: '1' }),
  state('storage.k8s.io/v1', 'CSINode', 'bare', { spec: { drivers: null } }),
  state('storage.k8s.io/v1', 'CSINode', 'two', {
    spec: {
      drivers: [
        { name: 'a', nodeID: 'n' },
        { name: 'b', nodeID: 'n' },
      ],
    },
  }),
  resourceClaim('pending', {}),
  resourceClaim('deleted', {}, true),
  resourceClaim('allocated', { allocation }),
  resourceClaim('reserved', { allocation, reservedFor }),
  resourceClaim('reserved-only', { reservedFor }),
  resourceClaim('deleted-reserved', { allocation, reservedFor }, true),
];
