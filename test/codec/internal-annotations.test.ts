import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeMessage } from '../../src/codec/encode.js';
import { withoutInternalAnnotations } from '../../src/codec/internal-annotations.js';
import { kindByObject } from '../../src/codec/kinds.js';

const wireOf = (message: string, object: object) => {
  const bytes = encodeMessage(message, object);
  return { bytes, headerStart: 0, start: 0, end: bytes.length };
};

const rows: readonly [apiVersion: string, kind: string, annotation: string][] = [
  ['apps/v1', 'DaemonSet', 'deprecated.daemonset.template.generation'],
  ['apps/v1', 'Deployment', 'deprecated.deployment.rollback.to'],
];
for (const [apiVersion, kindName, annotation] of rows) {
  test(`${annotation} is not among the metadata of a ${kindName} alone`, () => {
    const kind = kindByObject(apiVersion, kindName)!;
    const metadata = (annotations: object) => ({ metadata: { name: 'a', annotations, finalizers: ['f'] } });
    const wire = wireOf(kind.message, { ...metadata({ a: '1', [annotation]: '3', z: '2' }), spec: {} });
    const { bytes, start, end } = withoutInternalAnnotations(kind, wire);
    const want = encodeMessage(kind.message, metadata({ a: '1', z: '2' }));
    const only = want.subarray(0, end - start);
    assert.deepEqual(Buffer.from(bytes.subarray(start, end)), Buffer.from(only));
    const without = wireOf(kind.message, metadata({ a: '1' }));
    assert.equal(withoutInternalAnnotations(kind, without), without);
  });
}

test('other kinds keep it', () => {
  const kind = kindByObject('v1', 'Pod')!;
  const wire = wireOf(kind.message, { metadata: { annotations: { [rows[0]![2]]: '3' } } });
  assert.equal(withoutInternalAnnotations(kind, wire), wire);
});
