import { apiVersionOf } from '../api/gvr.js';
import { CodecError, type KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import { kindByObject } from '../codec/kinds.js';
import { utf8 } from '../lib/bytes.js';
import type { WritableStore, WriteOperation } from '../source/source.js';

/** Turns objects into keys and stored values: the write path of --load and --sample. */
export interface ObjectStore {
  /** Throws CodecError naming the field. The object has no resourceVersion and is complete otherwise. */
  encode(object: unknown): WriteOperation & { readonly type: 'put' };
  keyOf(kind: Kind, namespace: string | undefined, name: string): Uint8Array;
  readonly store: WritableStore;
}

export function createObjectStore(
  store: WritableStore,
  prefix: string,
  codecOf: (kind: Kind) => KindCodec,
): ObjectStore {
  /** kube-apiserver writes every version of an object as the one that it stores. */
  const keyOf = (kind: Kind, namespace: string | undefined, name: string) => {
    const place = kind.namespaced && namespace !== undefined ? `${namespace}/${name}` : name;
    return utf8(`${prefix}/${kind.directory}/${place}`);
  };
  return {
    store,
    keyOf,
    encode(object) {
      const { apiVersion, kind: name, metadata } = object as KubeIdentity;
      const kind = kindByObject(apiVersion, name);
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
