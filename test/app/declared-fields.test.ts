import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveConfig } from '../../src/app/config.js';
import { declaredOf, withDeclaredFields } from '../../src/app/declared-fields.js';
import { UsageError } from '../../src/app/usage-error.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { customField } from '../../src/codec/custom-kind.js';
import type { CustomKind } from '../../src/codec/kind.js';
import { createWriter } from '../../src/codec/writer.js';

const fieldsOf = (text: string) => resolveConfig({ 'index-fields': text }, { HOME: '/home/ada' }).indexFields;

test('--index-fields declares paths by resource', () => {
  const fields = fieldsOf(
    'pods=spec.priorityClassName,pods=spec.nodeName,deployments.apps=spec.paused,pods=spec.nodeName',
  );
  assert.deepEqual(
    [...fields],
    [
      ['pods', ['spec.priorityClassName', 'spec.nodeName']],
      ['deployments.apps', ['spec.paused']],
    ],
  );
});

for (const [text, message] of [
  ['pods', /expected resource\[\.group\]=path/],
  ['pods=spec.color', /Pod v1 has no text, bool or integer there/],
  ['pods=spec.containers', /Pod v1 has no text, bool or integer there/],
  ['pods=spec.containers.name', /Pod v1 has no text, bool or integer there/],
  ['podz=spec.nodeName', /no such resource/],
  ['foos.ex.io=spec.list[0]', /expected names joined by dots/],
] as const) {
  test(`--index-fields ${text} is a mistake`, () => {
    assert.throws(
      () => fieldsOf(text),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  });
}

test('a field that only one version has is declared for that one', () => {
  const fields = fieldsOf('horizontalpodautoscalers.autoscaling=spec.targetCPUUtilizationPercentage');
  const labelsOf = (version: string) =>
    withDeclaredFields(findKind('autoscaling', version, 'horizontalpodautoscalers')!, fields).selectableFields;
  assert.deepEqual([labelsOf('v1').length, labelsOf('v2').length], [1, 0]);
});

test('fields of custom resources are numbered behind those of the CRD', () => {
  const custom = findKind('', 'v1', 'pods')!;
  const foo = {
    ...custom,
    group: 'ex.io',
    resource: 'foos',
    selectableFields: [customField('spec.color', 0)],
    custom: {} as CustomKind,
  };
  const { selectableFields } = withDeclaredFields(
    foo,
    fieldsOf('foos.ex.io=spec.color,foos.ex.io=spec.size,foos.ex.io=status.two_words'),
  );
  assert.deepEqual(
    selectableFields.map(({ label, tag }) => [label, tag! >> 3]),
    [
      ['spec.color', 4],
      ['spec.size', 5],
      ['status.two_words', 6],
    ],
  );
});

test('declared fields can be selected by, and those that kube-apiserver knows stay as they are', () => {
  const pods = findKind('', 'v1', 'pods')!;
  const fields = fieldsOf('pods=spec.priorityClassName,pods=spec.hostNetwork,pods=spec.terminationGracePeriodSeconds');
  const kind = withDeclaredFields(pods, fields);
  assert.deepEqual(declaredOf(kind, fields).length, 3);
  assert.equal(kind.selectableFields.length, pods.selectableFields.length + 2);
  assert.equal(withDeclaredFields(findKind('', 'v1', 'nodes')!, fields), findKind('', 'v1', 'nodes'));
  const codec = createKindCodec(kind);
  const writer = createWriter();
  const spec = { priorityClassName: 'high', terminationGracePeriodSeconds: 70 };
  const stored = codec.toStored({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec });
  codec.toWire(stored, 0, stored.length, 5, writer);
  const text = (label: string) => codec.field(writer.bytes, writer.start, writer.position, label);
  assert.equal(text('spec.priorityClassName'), 'high');
  assert.equal(text('spec.terminationGracePeriodSeconds'), '70');
  assert.equal(text('spec.hostNetwork'), 'false', 'absent, as kube-apiserver has it');
});
