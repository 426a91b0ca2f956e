import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { apiVersionOf } from '../../src/api/gvr.js';
import type { Kind } from '../../src/codec/kind.js';
import { kindByObject, kinds } from '../../src/codec/kinds.js';
import { repositoryRoot } from '../support/command.js';
import type { ControlPlane } from '../support/control-plane.js';

/** With these, kube-apiserver has no opinion about the objects that a manifest does not come with. */
export const ALL_KINDS = [
  '--disable-admission-plugins=ServiceAccount,LimitRanger,ResourceQuota,Priority,RuntimeClass,NamespaceLifecycle',
];

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly status?: object;
  readonly [field: string]: unknown;
}

/** Those of `test/kubectl/manifests`: every kind, with a bit of everything. */
export function manifests(): readonly Manifest[] {
  const folder = join(repositoryRoot, 'test/kubectl/manifests');
  return readdirSync(folder).flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as Manifest),
  );
}

/** Status that controllers of kube-apiserver write themselves, or that it takes only by another way than `status`. */
const OWN_STATUS = [
  'CustomResourceDefinition',
  'FlowSchema',
  'ServiceCIDR',
  'PriorityLevelConfiguration',
  'APIService',
  'CertificateSigningRequest',
  'Job',
];
/** An Event that lacks what new ones must have, and the IPAddress of a Service, which kube-apiserver makes itself. */
export const REFUSED = ['ferry.17b', '10.96.7.1'];

export function collectionOf(kind: Kind, namespace?: string): string {
  const prefix = kind.group === '' ? '/api' : `/apis/${kind.group}`;
  const scope = kind.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : '';
  return `${prefix}/${kind.version}${scope}/${kind.resource}`;
}

/** Creates them through kube-apiserver; what they say of status is put in a second step, since a create drops it. */
export async function createObjects(world: Pick<ControlPlane, 'write'>, objects: readonly Manifest[]): Promise<void> {
  for (const manifest of objects) {
    if (REFUSED.includes(manifest.metadata.name)) continue;
    const kind = kindByObject(manifest.apiVersion, manifest.kind);
    if (kind === undefined) throw new Error(`${manifest.apiVersion} ${manifest.kind} is no kind`);
    const collection = collectionOf(kind, manifest.metadata.namespace);
    const created = await world.write('POST', collection, manifest);
    if (manifest.status === undefined || !kind.subresources.includes('status')) continue;
    if (OWN_STATUS.includes(kind.kind)) continue;
    const path = `${collection}/${manifest.metadata.name}/status`;
    await world.write('PUT', path, { ...created, status: manifest.status });
  }
}

/** What kube-apiserver serves by default. */
export const readKinds: readonly Kind[] = kinds.filter(({ servedByDefault }) => servedByDefault);
export const nameOf = (kind: Kind) => `${apiVersionOf(kind.group, kind.version)} ${kind.kind}`;
