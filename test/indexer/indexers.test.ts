import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldRequirement } from '../../src/api/field-selector.js';
import { createWriter } from '../../src/codec/writer.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import type { KindCodec } from '../../src/codec/codec.js';
import { kinds } from '../../src/codec/kinds.js';
import { FieldIndexer } from '../../src/indexer/by-field.js';
import { LabelIndexer } from '../../src/indexer/by-label.js';
import { TermBytes } from '../../src/indexer/dictionary.js';
import { compileLocator } from '../../src/indexer/field-bytes.js';
import type { Indexer, Selector } from '../../src/indexer/indexer.js';
import { type ByteRange, rangeOf } from '../../src/lib/bytes.js';
import { indexerSuite } from '../suites/indexer-suite.js';
import { labelsOf, podCodec, podKind, podValue } from './history.js';

function wireOf(codec: KindCodec, value: Uint8Array): Uint8Array {
  const writer = createWriter();
  codec.toWire(value, 0, value.length, 7, writer);
  return new Uint8Array(writer.bytes.subarray(writer.start, writer.position));
}

const labelled = [
  {},
  { app: 'web' },
  { app: 'web', tier: 'front' },
  { app: 'db', tier: 'back' },
  { app: '', 'example.com/very-long-name-of-a-label': 'x'.repeat(63) },
  { tier: 'front', rank: '7' },
  { tier: 'back', rank: 'x' },
].map((labels) => wireOf(podCodec, podValue(labels)));

const byLabels = (text: string, ...variants: number[]): [string, Selector, number[]] => [
  text,
  { labels: labelsOf(text), fields: [] },
  variants,
];

const labelSelectors = [
  byLabels('app=web', 1, 2),
  byLabels('app=web,tier=front', 2),
  byLabels('app in (web,db)', 1, 2, 3),
  byLabels('app in (web,db),tier in (back)', 3),
  byLabels('app=', 4),
  byLabels('app', 1, 2, 3, 4),
  byLabels('!app', 0, 5, 6),
  byLabels('app!=web', 0, 3, 4, 5, 6),
  byLabels('app notin (web,)', 0, 3, 5, 6),
  byLabels('rank>5', 5),
  byLabels('rank<5'),
  byLabels('nowhere'),
  byLabels('nowhere=x'),
  byLabels('!nowhere', 0, 1, 2, 3, 4, 5, 6),
  byLabels('app=web,app=db'),
];

const noSelector: Selector = { labels: [], fields: [{ field: 'spec.nodeName', operator: '=', value: 'n' }] };

indexerSuite('labels', {
  create: () => new LabelIndexer(new TermBytes(), 1),
  object: (variant) => labelled[variant]!,
  variants: labelled.length,
  selectors: labelSelectors,
  foreign: noSelector,
});

const placed = ['', 'node-1', 'node-10', 'node-2', 'ünï'].map((nodeName) =>
  wireOf(podCodec, podValue({ app: nodeName === '' ? 'a' : 'b' }, { nodeName })),
);
const byNode = (
  operator: FieldRequirement['operator'],
  values: readonly string[],
  ...variants: number[]
): [string, Selector, number[]] => {
  const set = operator === 'in' || operator === 'notin';
  const requirement = { field: 'spec.nodeName', operator, value: set ? '' : (values[0] ?? ''), values };
  return [`spec.nodeName ${operator} ${values}`, { labels: [], fields: [requirement] }, variants];
};

indexerSuite('field spec.nodeName', {
  create: () => fieldIndexer('spec.nodeName'),
  object: (variant) => placed[variant]!,
  variants: placed.length,
  selectors: [
    byNode('=', ['node-1'], 1),
    byNode('==', ['node-10'], 2),
    byNode('=', [''], 0),
    byNode('=', ['ünï'], 4),
    byNode('=', ['nowhere']),
    byNode('!=', ['node-1'], 0, 2, 3, 4),
    byNode('in', ['node-1', 'node-2', 'nowhere'], 1, 3),
    byNode('notin', ['node-1', ''], 2, 3, 4),
    byNode('exists', [], 1, 2, 3, 4),
    byNode('!', [], 0),
  ],
  foreign: { labels: labelsOf('app=web'), fields: [] },
});

function fieldIndexer(field: string): FieldIndexer {
  return new FieldIndexer(field, compileLocator(podKind, field)!, new TermBytes(), 1);
}

test('a label that is left out is not spoken of, and all others are as before', () => {
  const indexer = new LabelIndexer(new TermBytes(), 1, ['tier']);
  for (const [variant, object] of labelled.entries()) indexer.put(variant, rangeOf(object));
  indexer.verify();
  assert.equal(indexer.lookup({ labels: labelsOf('tier=front'), fields: [] }), undefined);
  const lookup = indexer.lookup({ labels: labelsOf('tier=front,app=web'), fields: [] })!;
  assert.equal(lookup.decided, 1);
  assert.equal(lookup.estimate, 2);
  for (const [text, selector, variants] of labelSelectors) {
    if (text.includes('tier')) continue;
    const rows: number[] = [];
    indexer.lookup(selector)!.visit((row) => rows.push(row));
    assert.deepEqual(rows.sort(), variants, text);
  }
});

test('a text that is not UTF-8 is found under what it reads as', () => {
  const [before, after] = Buffer.from(placed[1]!).toString('latin1').split('node-1');
  const broken = Buffer.from(`${before}node-\xff${after}`, 'latin1');
  const indexer = fieldIndexer('spec.nodeName');
  indexer.put(0, rangeOf(broken));
  const text = podCodec.field(broken, 0, broken.length, 'spec.nodeName');
  assert.equal(text, 'node-\ufffd');
  const requirement = { field: 'spec.nodeName', operator: '=', value: text } as const;
  const rows: number[] = [];
  indexer.lookup({ labels: [], fields: [requirement] })!.visit((row) => rows.push(row));
  assert.deepEqual(rows, [0]);
});

test('the estimate of many terms is an upper bound', () => {
  const indexer: Indexer = fieldIndexer('spec.nodeName');
  for (let row = 0; row < 2_000; row++) {
    indexer.put(row, rangeOf(wireOf(podCodec, podValue({}, { nodeName: `node-${row}` }))));
  }
  const requirement = { field: 'spec.nodeName', operator: '!=', value: 'node-7' } as const;
  const lookup = indexer.lookup({ labels: [], fields: [requirement] })!;
  let count = 0;
  lookup.visit(() => count++);
  assert.equal(count, 1_999);
  assert.ok(lookup.estimate >= count);
});

/** What a text field, a bool and a number may hold, absence included, by label. */
const samples: Record<string, object[]> = {
  Pod: [
    { spec: {}, status: {} },
    { spec: { nodeName: 'n', hostNetwork: true, restartPolicy: 'Never' }, status: { phase: 'Failed' } },
    { spec: { hostNetwork: false }, status: { podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }], podIP: '10.9.9.9' } },
  ],
  Node: [{}, { spec: { unschedulable: true } }],
  ReplicationController: [{}, { status: { replicas: 3 } }, { status: { replicas: 70_000 } }],
  Job: [{ spec: { template: {} } }, { spec: { template: {} }, status: { succeeded: 12 } }],
  Event: [
    { involvedObject: { kind: 'Pod', name: 'x' }, reason: 'Killing', source: { component: 'kubelet' } },
    { involvedObject: {}, reportingComponent: 'scheduler', type: 'Warning' },
  ],
  Secret: [{ type: 'Opaque' }, {}],
  Service: [{ spec: { type: 'ClusterIP', clusterIP: '10.0.0.1' } }, {}],
};

for (const kind of kinds.filter(({ servedByDefault }) => servedByDefault)) {
  test(`${kind.kind} ${kind.version}: an index reads the very text that a selector compares`, () => {
    const codec = createKindCodec(kind);
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
    const namespace = kind.namespaced ? { namespace: 'ns' } : {};
    const labels = [...kind.selectableFields.map(({ label }) => label), 'metadata.name'];
    if (kind.namespaceSelectable) labels.push('metadata.namespace');
    const into: ByteRange = rangeOf(new Uint8Array(0));
    for (const sample of samples[kind.kind] ?? [{}]) {
      const metadata = { name: 'a-name', ...namespace };
      const wire = wireOf(codec, codec.toStored({ apiVersion, kind: kind.kind, metadata, ...sample }));
      for (const label of labels) {
        compileLocator(kind, label)!(rangeOf(wire), into);
        const text = Buffer.from(into.bytes.subarray(into.start, into.end)).toString();
        assert.equal(text, codec.field(wire, 0, wire.length, label), label);
      }
    }
    assert.equal(compileLocator(kind, 'spec.color'), undefined);
  });
}
