import type { KindCodec } from '../codec/codec.js';
import type { ObjectAnswer } from '../serve/reader.js';
import { at, text } from './encode/table/json-path.js';
import { labelPairs, selector } from './encode/table/phrases.js';
import type { PlainDocument } from './respond.js';

/** autoscaling/v1 Scale of an object that can be scaled: what `GET .../scale` shows (spec 1.2). */
export function scaleOf(codec: KindCodec, answer: ObjectAnswer): PlainDocument {
  const { bytes, start, end } = answer.wire;
  const object = codec.read(bytes, start, end);
  const metadata: Record<string, string> = {};
  for (const member of ['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp']) {
    const value = text(object, `metadata.${member}`);
    if (value !== '') metadata[member] = value;
  }
  const replicas = at(object, 'spec.replicas') ?? 1;
  // ReplicationControllers select by a plain map.
  const selected = at(object, 'spec.selector.matchLabels') ?? at(object, 'spec.selector.matchExpressions');
  const selectorText = (selected === undefined ? labelPairs : selector)(object, 'spec.selector');
  return {
    json: {
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata,
      spec: replicas === 0 ? {} : { replicas },
      status: {
        replicas: at(object, 'status.replicas') ?? 0,
        ...(selectorText === '<none>' ? {} : { selector: selectorText }),
      },
    },
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    messageName: 'k8s.io.api.autoscaling.v1.Scale',
  };
}
