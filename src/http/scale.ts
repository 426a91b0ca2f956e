import { quoteGo } from '../api/go-text.js';
import type { KindCodec } from '../codec/codec.js';
import type { CustomKind } from '../codec/kind.js';
import { failed, type Result, success } from '../serve/failure.js';
import type { ObjectAnswer } from '../serve/reader.js';
import { at, text } from './encode/table/json-path.js';
import { labelPairs, selector } from './encode/table/phrases.js';
import type { PlainDocument } from './respond.js';

/** autoscaling/v1 Scale of an object that can be scaled: what `GET .../scale` shows (spec 1.2). */
export function scaleOf(codec: KindCodec, answer: ObjectAnswer): PlainDocument {
  const { bytes, start, end } = answer.wire;
  const object = codec.read(bytes, start, end);
  const replicas = at(object, 'spec.replicas') ?? 1;
  // ReplicationControllers select by a plain map.
  const selected = at(object, 'spec.selector.matchLabels') ?? at(object, 'spec.selector.matchExpressions');
  const selectorText = (selected === undefined ? labelPairs : selector)(object, 'spec.selector');
  return scaleDocument(
    object,
    replicas,
    at(object, 'status.replicas') ?? 0,
    selectorText === '<none>' ? '' : selectorText,
  );
}

/** The same of a custom resource, by the paths of its CRD. Upstream fails where the object does not say its replicas. */
export function customScaleOf(
  codec: KindCodec,
  answer: ObjectAnswer,
  paths: NonNullable<CustomKind['scale']>,
): Result<PlainDocument> {
  const { bytes, start, end } = answer.wire;
  const object = codec.read(bytes, start, end);
  const value = (path: string) => (path === '' ? undefined : at(object, path.slice(1)));
  const replicas = value(paths.specReplicas);
  if (replicas === undefined) {
    const message = `the spec replicas field ${quoteGo(paths.specReplicas)} does not exist`;
    return failed({ kind: 'internal', message });
  }
  const selected = value(paths.labelSelector);
  const selectorText = typeof selected === 'string' ? selected : '';
  return success(scaleDocument(object, replicas, value(paths.statusReplicas) ?? 0, selectorText));
}

function scaleDocument(object: unknown, replicas: unknown, current: unknown, selectorText: string): PlainDocument {
  const metadata: Record<string, string> = {};
  for (const member of ['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp']) {
    const value = text(object, `metadata.${member}`);
    if (value !== '') metadata[member] = value;
  }
  return {
    json: {
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata,
      spec: replicas === 0 ? {} : { replicas },
      status: { replicas: current, ...(selectorText === '' ? {} : { selector: selectorText }) },
    },
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    messageName: 'k8s.io.api.autoscaling.v1.Scale',
  };
}
