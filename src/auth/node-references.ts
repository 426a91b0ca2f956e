import type { PodReference } from './node-graph.js';

type Named = { readonly name?: string; readonly namespace?: string } | null;
type Ref = { readonly secretRef?: Named };

interface Container {
  readonly env?: readonly {
    readonly valueFrom?: { readonly secretKeyRef?: Named; readonly configMapKeyRef?: Named };
  }[];
  readonly envFrom?: readonly { readonly secretRef?: Named; readonly configMapRef?: Named }[];
}

interface PodVolume {
  readonly name?: string;
  readonly azureFile?: { readonly secretName?: string };
  readonly cephfs?: Ref;
  readonly cinder?: Ref;
  readonly flexVolume?: Ref;
  readonly rbd?: Ref;
  readonly scaleIO?: Ref;
  readonly iscsi?: Ref;
  readonly storageos?: Ref;
  readonly csi?: { readonly nodePublishSecretRef?: Named };
  readonly secret?: { readonly secretName?: string };
  readonly configMap?: Named;
  readonly projected?: { readonly sources?: readonly { readonly secret?: Named; readonly configMap?: Named }[] };
  readonly persistentVolumeClaim?: { readonly claimName?: string };
  readonly ephemeral?: object;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly imagePullSecrets?: readonly Named[];
    readonly volumes?: readonly PodVolume[];
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly ephemeralContainers?: readonly Container[];
    readonly resourceClaims?: readonly { readonly name?: string; readonly resourceClaimName?: string }[];
  };
  readonly status?: {
    readonly resourceClaimStatuses?: readonly { readonly name?: string; readonly resourceClaimName?: string }[];
    readonly extendedResourceClaimStatus?: { readonly resourceClaimName?: string };
  };
}

const MIRROR = 'kubernetes.io/config.mirror';

/** What a pod, as JSON has it, lets its node read: the members that kube-apiserver's graph is made from. */
export function podReferences(object: unknown): PodReference[] {
  const { metadata, spec = {}, status = {} } = object as Pod;
  // A mirror pod is what a node says itself: it opens nothing.
  if (metadata.annotations?.[MIRROR] !== undefined) return [];
  const found: PodReference[] = [];
  const add = (resource: PodReference['resource'], name: string | undefined) => {
    if (name !== undefined && name !== '') found.push({ resource, name });
  };
  add('serviceaccounts', spec.serviceAccountName);
  for (const secret of spec.imagePullSecrets ?? []) add('secrets', secret?.name);
  for (const containers of [spec.initContainers, spec.containers, spec.ephemeralContainers]) {
    for (const { env, envFrom } of containers ?? []) {
      for (const { valueFrom } of env ?? []) {
        add('secrets', valueFrom?.secretKeyRef?.name);
        add('configmaps', valueFrom?.configMapKeyRef?.name);
      }
      for (const { secretRef, configMapRef } of envFrom ?? []) {
        add('secrets', secretRef?.name);
        add('configmaps', configMapRef?.name);
      }
    }
  }
  for (const volume of spec.volumes ?? []) {
    add('secrets', volume.secret?.secretName);
    add('secrets', volume.azureFile?.secretName);
    add('secrets', volume.csi?.nodePublishSecretRef?.name);
    for (const part of partsWithSecret(volume)) add('secrets', part?.secretRef?.name);
    add('configmaps', volume.configMap?.name);
    for (const { secret, configMap } of volume.projected?.sources ?? []) {
      add('secrets', secret?.name);
      add('configmaps', configMap?.name);
    }
    if (volume.persistentVolumeClaim !== undefined) {
      add('persistentvolumeclaims', volume.persistentVolumeClaim.claimName);
    } else if (volume.ephemeral !== undefined) {
      add('persistentvolumeclaims', `${metadata.name}-${volume.name}`);
    }
  }
  for (const { name, resourceClaimName } of spec.resourceClaims ?? []) {
    // One that is made from a template has the name that the status says.
    const made = status.resourceClaimStatuses?.find((claim) => claim.name === name)?.resourceClaimName;
    add('resourceclaims', resourceClaimName ?? made);
  }
  add('resourceclaims', status.extendedResourceClaimStatus?.resourceClaimName);
  return found;
}

type SecretParts = 'cephfs' | 'cinder' | 'flexVolume' | 'rbd' | 'scaleIO' | 'iscsi' | 'storageos';

function partsWithSecret(volume: { readonly [part in SecretParts]?: Ref }): (Ref | undefined)[] {
  const { cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos } = volume;
  return [cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos];
}

interface PersistentVolume {
  readonly spec?: { readonly [part in SecretParts]?: Ref } & {
    readonly claimRef?: Named;
    readonly azureFile?: { readonly secretName?: string; readonly secretNamespace?: string };
    readonly csi?: {
      readonly nodePublishSecretRef?: Named;
      readonly nodeStageSecretRef?: Named;
      readonly nodeExpandSecretRef?: Named;
    };
  };
}

interface FullName {
  readonly namespace: string;
  readonly name: string;
}

/** The claim that a PersistentVolume, as JSON has it, is bound to, and the Secrets that a kubelet needs to mount it. */
export function volumeReferences(object: unknown): {
  readonly claim: FullName | undefined;
  readonly secrets: readonly FullName[];
} {
  const { spec = {} } = object as PersistentVolume;
  const { claimRef, azureFile, csi } = spec;
  if (claimRef === undefined || claimRef === null) return { claim: undefined, secrets: [] };
  const claim = { namespace: claimRef.namespace ?? '', name: claimRef.name ?? '' };
  const secrets: FullName[] = [];
  const add = (secret: Named | undefined) => {
    // Where no namespace is said it is the claim's.
    if (secret?.name) secrets.push({ namespace: secret.namespace || claim.namespace, name: secret.name });
  };
  if (azureFile !== undefined) {
    add({ name: azureFile.secretName ?? '', namespace: azureFile.secretNamespace ?? '' });
  }
  for (const part of partsWithSecret(spec)) add(part?.secretRef);
  add(csi?.nodePublishSecretRef);
  add(csi?.nodeStageSecretRef);
  add(csi?.nodeExpandSecretRef);
  return { claim, secrets };
}

/** The node of a Pod, VolumeAttachment or ResourceSlice, as JSON has them; '' when there is none. */
export function nodeNameOf(object: unknown): string {
  return (object as { readonly spec?: { readonly nodeName?: string } }).spec?.nodeName ?? '';
}
