import { utf8, varintSize, writeVarint } from '../lib/bytes.js';
import type { WireObject } from './codec.js';
import type { Kind } from './kind.js';
import { metadataRange } from './scan.js';
import { after, readEnd, readTag, skipField } from './wire.js';

const METADATA = 10; // field 1 of every kind
const ANNOTATIONS = 98; // field 12 of ObjectMeta
const KEY = 10; // of an entry of a map

/**
 * Annotations that are fields of kube-apiserver's own types, and annotations only in what it serves: an object has them, and what is made of
 * it before it is converted, its metadata alone, does not.
 */
const INTERNAL: ReadonlyMap<string, Uint8Array> = new Map([
  ['k8s.io.api.apps.v1.DaemonSet', utf8('deprecated.daemonset.template.generation')],
  ['k8s.io.api.apps.v1.Deployment', utf8('deprecated.deployment.rollback.to')],
]);

/** The object, or, where it has such an annotation, a message of its other metadata. */
export function withoutInternalAnnotations({ message }: Kind, wire: WireObject): WireObject {
  const internal = INTERNAL.get(message);
  if (internal === undefined) return wire;
  const { bytes } = wire;
  const metadata = metadataRange(bytes, wire.start, wire.end);
  for (let at = metadata.start; at < metadata.end; ) {
    const start = at;
    const tag = readTag(bytes, at, metadata.end);
    const content = after.at;
    at = skipField(bytes, content, metadata.end, tag);
    if (tag === ANNOTATIONS && isKey(bytes, content, at, internal)) return metadataWithout(wire, metadata, start, at);
  }
  return wire;
}

function isKey(bytes: Uint8Array, start: number, end: number, key: Uint8Array): boolean {
  readEnd(bytes, start, end);
  if (readTag(bytes, after.at, end) !== KEY) return false;
  const keyEnd = readEnd(bytes, after.at, end);
  return keyEnd - after.at === key.length && key.every((byte, index) => byte === bytes[after.at + index]);
}

function metadataWithout(
  { bytes }: WireObject,
  metadata: { readonly start: number; readonly end: number },
  start: number,
  end: number,
): WireObject {
  const size = metadata.end - metadata.start - (end - start);
  const made = new Uint8Array(1 + varintSize(size) + size);
  made[0] = METADATA;
  const at = writeVarint(made, 1, size);
  made.set(bytes.subarray(metadata.start, start), at);
  made.set(bytes.subarray(end, metadata.end), at + start - metadata.start);
  return { bytes: made, headerStart: 0, start: 0, end: made.length };
}
