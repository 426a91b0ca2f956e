import { apiVersionOf } from '../api/gvr.js';
import { CodecError, type KindCodec } from '../codec/codec.js';
import { toCustomResourceDefinitionV1 } from '../codec/custom-resource-definition.js';
import type { Kind } from '../codec/kind.js';
import type { KindSet } from '../codec/kind-set.js';
import { kindByObject } from '../codec/kinds.js';
import { utf8 } from '../lib/bytes.js';
import type { WritableStore, WriteOperation } from '../source/source.js';

/** Turns objects into keys and stored values: the write path of --load and --sample. */
export interface ObjectStore {
  /** Throws CodecError naming the field. The object has no resourceVersion and is complete otherwise. */
  encode(object: unknown): WriteOperation & { readonly type: 'put' };
  keyOf(kind: Kind, namespace: string | undefined, name: string): Uint8Array;
  /** Among the built-in kinds, and those that `define` or the store's own CRDs have made. */
  kindOf(apiVersion: string, name: string): Kind | undefined;
  /** Makes the kinds of a CustomResourceDefinition known, as the server does some time after it was stored. */
  define(crd: unknown): void;
  readonly store: WritableStore;
}

export function createObjectStore(
  store: WritableStore,
  prefix: string,
  codecOf: (kind: Kind) => KindCodec,
  kinds: KindSet,
): ObjectStore {
  /** kube-apiserver writes every version of an object as the one that it stores. */
  const keyOf = (kind: Kind, namespace: string | undefined, name: string) => {
    const place = kind.namespaced && namespace !== undefined ? `${namespace}/${name}` : name;
    return utf8(`${prefix}/${kind.directory}/${place}`);
  };
  const kindOf = (apiVersion: string, name: string) =>
    kindByObject(apiVersion, name) ?? kinds.customByObject(apiVersion, name);
  return {
    store,
    keyOf,
    kindOf,
    define: (crd) => void kinds.define((crd as KubeIdentity).metadata.name, toCustomResourceDefinitionV1(crd)),
    encode(object) {
      const { apiVersion, kind: name, metadata } = object as KubeIdentity;
      const kind = kindOf(apiVersion, name);
      if (kind === undefined) throw new CodecError(`no kind ${name} in version ${apiVersion}`);
      return {
        type: 'put',
        key: keyOf(kind, metadata.namespace, metadata.name),
        value: codecOf(kind).toStored(object),
      };
    },
  };
}

export function describeKind(kind: Kind): string {
  return `${apiVersionOf(kind.group, kind.version)} ${kind.kind}`;
}

interface KubeIdentity {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}
