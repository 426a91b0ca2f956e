import { printGo, quoteGo } from '../api/go-text.js';
import type { KindCodec } from '../codec/codec.js';
import type { CustomKind } from '../codec/kind.js';
import { isObject } from '../lib/is-object.js';
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
  const replicas = nested(object, paths.specReplicas, 'int64');
  const current = nested(object, paths.statusReplicas, 'int64');
  const selected = nested(object, paths.labelSelector, 'string');
  for (const { problem } of [replicas, current, selected]) {
    if (problem !== undefined) return failed({ kind: 'unclassified', message: problem });
  }
  if (replicas.value === undefined) {
    const message = `the spec replicas field ${quoteGo(paths.specReplicas)} does not exist`;
    return failed({ kind: 'internal', message });
  }
  const selectorText = String(selected.value ?? '');
  return success(scaleDocument(object, int32Of(replicas.value), int32Of(current.value ?? 0), selectorText));
}

interface Nested {
  /** undefined: the object does not have it. */
  readonly value?: unknown;
  readonly problem?: string;
}

/** What is at `.spec.replicas`, and upstream's words where something else is on the way there, or at its end. */
function nested(object: unknown, path: string, wanted: 'int64' | 'string'): Nested {
  if (path === '') return {};
  const problem = (at: string, value: unknown, expected: string) => ({
    problem: `${at} accessor error: ${printGo(value)} is of the type ${goTypeOf(value)}, expected ${expected}`,
  });
  let value = object;
  let at = '';
  for (const member of path.slice(1).split('.')) {
    at += `.${member}`;
    if (value === null) return {};
    if (!isObject(value)) return problem(at, value, 'map[string]interface{}');
    if (!Object.hasOwn(value, member)) return {};
    value = value[member];
  }
  return goTypeOf(value) === wanted ? { value } : problem(at, value, wanted);
}

/** What holds a value in Go, once it is read from JSON. */
function goTypeOf(value: unknown): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  const types: Readonly<Record<string, string>> = { bigint: 'int64', boolean: 'bool', string: 'string' };
  return types[typeof value] ?? 'map[string]interface {}';
}

/** The lower half of an int64, as Go's conversion leaves it. */
function int32Of(value: unknown): number {
  return Number(BigInt.asIntN(32, BigInt(value as number | bigint)));
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
