import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeMessage } from '../../src/codec/encode.js';
import { isCanonical } from '../../src/codec/canonical.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { spliceJson, spliceProtobuf } from '../../src/codec/splice.js';
import { createWriter } from '../../src/codec/writer.js';

const POD = 'k8s.io.api.core.v1.Pod';
const LIST = 'k8s.io.api.core.v1.PodList';

function pod(annotation: number, resourceVersion?: string): Record<string, unknown> {
  return {
    metadata: {
      name: 'web',
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      annotations: { a: 'x'.repeat(annotation) },
    },
    spec: { containers: [{ name: 'c' }] },
  };
}

// Lengths around the places where a length's varint grows by a byte.
for (const annotation of [
  0, 20, 60, 66, 67, 68, 69, 70, 71, 72, 73, 74, 90, 127, 128, 16_250, 16_290, 16_300, 16_310, 16_384, 100_000,
]) {
  test(`splicing is what Go would write with that resourceVersion (annotation of ${annotation} bytes)`, () => {
    for (const revision of [1, 9, 10, 99, 100, 123_456, 2 ** 31, 2 ** 53 - 1]) {
      const stored = encodeMessage(POD, pod(annotation));
      const into = createWriter(64);
      into.position = 5;
      spliceProtobuf(stored, 0, stored.length, revision, into);
      const want = encodeMessage(POD, pod(annotation, String(revision)));
      assert.ok(into.bytes.subarray(into.start, into.position).equals(want));
      assert.ok(isCanonical(POD, into.bytes, into.start, into.position));
      // With its header, it is an item of a list (whose first field is the ListMeta).
      const list = encodeMessage(LIST, { items: [pod(annotation, String(revision))] });
      assert.ok(into.bytes.subarray(into.headerStart, into.position).equals(list.subarray(2 + list[1]!)));
      // And again, over the one that is there.
      const again = createWriter(64);
      spliceProtobuf(into.bytes, into.start, into.position, 77, again);
      assert.ok(again.bytes.subarray(again.start, again.position).equals(encodeMessage(POD, pod(annotation, '77'))));
    }
  });
}

test('a DELETED object keeps everything but its version', () => {
  const codec = createKindCodec(findKind('', 'v1', 'pods')!);
  const value = codec.toStored({ apiVersion: 'v1', kind: 'Pod', ...pod(10, '999') });
  const wire = createWriter();
  codec.toWire(value, 0, value.length, 41, wire);
  const deleted = createWriter();
  codec.resplice(
    { bytes: wire.bytes, headerStart: wire.headerStart, start: wire.start, end: wire.position },
    4_200,
    deleted,
  );
  assert.ok(deleted.bytes.subarray(deleted.start, deleted.position).equals(encodeMessage(POD, pod(10, '4200'))));
});

const json: [name: string, stored: string, served: string][] = [
  [
    'in the middle',
    '{"a":1,"metadata":{"name":"x","uid":"u"}}\n',
    '{"a":1,"metadata":{"name":"x","resourceVersion":"57","uid":"u"}}',
  ],
  [
    'at the end',
    '{"metadata":{"annotations":{"z":"}"},"name":"x"},"z":[]}',
    '{"metadata":{"annotations":{"z":"}"},"name":"x","resourceVersion":"57"},"z":[]}',
  ],
  ['at the start', '{"metadata":{"uid":"u"}}', '{"metadata":{"resourceVersion":"57","uid":"u"}}'],
  ['into nothing', '{"metadata":{}}', '{"metadata":{"resourceVersion":"57"}}'],
  [
    'replaced',
    '{"metadata":{"name":"x","resourceVersion":"123456","uid":"u"}}',
    '{"metadata":{"name":"x","resourceVersion":"57","uid":"u"}}',
  ],
  [
    'replaced out of order',
    '{"metadata":{"uid":"u","resourceVersion":""}}',
    '{"metadata":{"uid":"u","resourceVersion":"57"}}',
  ],
  [
    'behind a prefix of its name',
    '{"metadata":{"resource":1,"self":2}}',
    '{"metadata":{"resource":1,"resourceVersion":"57","self":2}}',
  ],
  [
    'before a longer name',
    '{"metadata":{"resourceVersions":1}}',
    '{"metadata":{"resourceVersion":"57","resourceVersions":1}}',
  ],
  [
    'strings that look like structure',
    '{"a":"\\"metadata\\":{","metadata":{"name":"\\\\"}}',
    '{"a":"\\"metadata\\":{","metadata":{"name":"\\\\","resourceVersion":"57"}}',
  ],
  [
    'white space is kept inside',
    ' { "metadata" : { "uid" : 1.0e3 } } \n',
    '{ "metadata" : { "resourceVersion":"57","uid" : 1.0e3 } }',
  ],
];
for (const [name, stored, served] of json) {
  test(`JSON: ${name}`, () => {
    const value = Buffer.from(stored);
    const into = createWriter(64);
    into.position = 2;
    spliceJson(value, 0, value.length, 57, into);
    assert.equal(into.bytes.toString('utf8', into.start, into.position), served);
    assert.equal((JSON.parse(served) as { metadata: { resourceVersion: string } }).metadata.resourceVersion, '57');
  });
}

for (const stored of [
  '',
  '{',
  '[]',
  '{"metadata"',
  '{"metadata":',
  '{"metadata":{"a',
  '{}',
  '{"metadata":{}',
  '{"metadata":{}} x',
  '{"metadata":1}',
]) {
  test(`JSON refused: ${stored}`, () => {
    const value = Buffer.from(stored);
    assert.throws(() => spliceJson(value, 0, value.length, 57, createWriter()), { name: 'CodecError' });
  });
}
