import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCanonical } from '../../src/codec/canonical.js';
import { encodeMessage } from '../../src/codec/encode.js';
import { createKindCodec, messageToJson } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { normalize } from '../../src/codec/normalize.js';
import { transcode } from '../../src/codec/transcode.js';
import { after, readTag, skipField } from '../../src/codec/wire.js';
import { createWriter } from '../../src/codec/writer.js';
import { messageOf, rawOf, readPairs } from './golden.js';

const pairs = readPairs('pairs.ndjson');

/** The top-level fields of a message, tag included. */
function fieldsOf(message: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at < message.length; ) {
    const tag = readTag(message, at, message.length);
    const next = skipField(message, after.at, message.length, tag);
    fields.push(message.subarray(at, next));
    at = next;
  }
  return fields;
}

function jsonOf(messageName: string, bytes: Buffer): string {
  const writer = createWriter();
  transcode(messageName, bytes, 0, bytes.length, writer);
  return writer.bytes.toString('utf8', 0, writer.position);
}

/** Order between different fields means nothing, order within one does. */
function reordered(fields: Buffer[], order: readonly number[]): Buffer[] {
  const keyed = fields.map((field, index) => ({ field, index, tag: readTag(field, 0, field.length) }));
  const rank = new Map<number, number>();
  for (const { tag } of keyed) if (!rank.has(tag)) rank.set(tag, order[rank.size % order.length]!);
  return keyed.sort((a, b) => rank.get(a.tag)! - rank.get(b.tag)! || a.index - b.index).map(({ field }) => field);
}

test('any order of fields, with unknown ones between, reads the same and normalizes to the same', () => {
  const unknown = fc.constantFrom(
    '',
    'ca3e00',
    'c83e05',
    'c93e0102030405060708',
    'cd3e01020304',
    'cb3ecc3e',
    'ca3e03616263',
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...pairs),
      fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 8, maxLength: 8 }),
      fc.array(unknown, { minLength: 1, maxLength: 5 }),
      (pair, order, extra) => {
        const message = messageOf(pair);
        const raw = rawOf(pair);
        const fields = reordered(fieldsOf(raw), order);
        const mixed = Buffer.concat(
          fields.flatMap((field, index) => [Buffer.from(extra[index % extra.length]!, 'hex'), field]),
        );
        assert.ok(normalize(message, mixed, 0, mixed.length).equals(raw));
        assert.equal(jsonOf(message, mixed), jsonOf(message, raw));
        assert.equal(isCanonical(message, mixed, 0, mixed.length), mixed.equals(raw));
      },
    ),
    { numRuns: 600 },
  );
});

const META = 'k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const LEASE = 'k8s.io.api.coordination.v1.Lease';
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

// Ways to write a message that the current marshaller does not use, and what they mean.
const rows: [name: string, message: string, bytes: Buffer, json: string][] = [
  ['nothing written', META, hex(''), '{}'],
  ['the last string wins', META, hex('0a0161 0a0162'), '{"name":"b"}'],
  ['map entries out of order', META, hex('5a060a01621201 32 5a060a01611201 31'), '{"labels":{"a":"1","b":"2"}}'],
  ['a key twice: the last wins', META, hex('5a060a0161120131 5a060a0161120132'), '{"labels":{"a":"2"}}'],
  ['an entry without a value', META, hex('5a030a0161'), '{"labels":{"a":""}}'],
  ['an entry without anything', META, hex('5a00'), '{"labels":{"":""}}'],
  ['a varint that is longer than it need be', META, hex('3885 8000'), '{"generation":5}'],
  ['a time with nanoseconds', META, hex('4204 0801 1005'), '{"creationTimestamp":"1970-01-01T00:00:01Z"}'],
  ["Go's zero time, spelled out", META, hex('420b 0880 92b8 c398 feff ffff 01'), '{}'],
  [
    'a message in two parts merges',
    LEASE,
    hex('0a03 0a0161 0a03 1a0162'),
    '{"metadata":{"name":"a","namespace":"b"},"spec":{}}',
  ],
];
for (const [name, message, bytes, json] of rows) {
  test(`not canonical: ${name}`, () => {
    assert.equal(isCanonical(message, bytes, 0, bytes.length), false);
    assert.equal(messageToJson(message, bytes), json);
    const canonical = normalize(message, bytes, 0, bytes.length);
    assert.ok(isCanonical(message, canonical, 0, canonical.length));
    assert.ok(canonical.equals(encodeMessage(message, JSON.parse(json))));
  });
}

test('an oversized map out of order does not stall', { timeout: 20_000 }, () => {
  const data: Record<string, string> = {};
  for (let index = 0; index < 50_000; index++) data[`k${index}`] = 'v';
  const entries = fieldsOf(encodeMessage(META, { labels: data }));
  const reversed = Buffer.concat(entries.reverse());
  assert.equal(messageToJson(META, reversed), jsonOf(META, reversed));
});

test('slow decodes are counted, quick ones are not', () => {
  const codec = createKindCodec(findKind('', 'v1', 'configmaps')!);
  const stored = Buffer.from(codec.toStored({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }));
  codec.toWire(stored, 0, stored.length, 1, createWriter());
  assert.equal(codec.slowDecodes, 0);
  const json = Buffer.from('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}\n');
  const fromJson = createWriter();
  codec.toWire(json, 0, json.length, 1, fromJson);
  assert.equal(codec.slowDecodes, 1);
  const fromProtobuf = createWriter();
  codec.toWire(stored, 0, stored.length, 1, fromProtobuf);
  assert.ok(
    fromJson.bytes.subarray(0, fromJson.position).equals(fromProtobuf.bytes.subarray(0, fromProtobuf.position)),
  );
});

test('volume claim templates are shown with their type', () => {
  const codec = createKindCodec(findKind('apps', 'v1', 'statefulsets')!);
  const stored = codec.toStored({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'a' },
    spec: {
      volumeClaimTemplates: [{ metadata: { name: 'data' } }, { apiVersion: 'v1', kind: 'PersistentVolumeClaim' }],
    },
  });
  const wire = createWriter();
  codec.toWire(stored, 0, stored.length, 5, wire);
  const json = createWriter();
  codec.toJson(wire.bytes, wire.start, wire.position, true, json);
  const claim = '{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":';
  const rest = '"spec":{"resources":{}},"status":{}}';
  assert.ok(
    json.bytes
      .toString('utf8', 0, json.position)
      .includes(`"volumeClaimTemplates":[${claim}{"name":"data"},${rest},${claim}{},${rest}],"serviceName":""`),
  );
});

test('defaults that are newer than the object are filled in on read', () => {
  const codec = createKindCodec(findKind('batch', 'v1', 'jobs')!);
  const stored = codec.toStored({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'a' },
    spec: { suspend: true },
  });
  const wire = createWriter();
  codec.toWire(stored, 0, stored.length, 5, wire);
  const job = codec.read(wire.bytes, wire.start, wire.position) as { spec: unknown; metadata: unknown };
  assert.deepEqual(job.spec, {
    suspend: true,
    completionMode: 'NonIndexed',
    template: { metadata: {}, spec: { containers: null } },
  });
  assert.deepEqual(job.metadata, { name: 'a', resourceVersion: '5' });
  assert.equal(codec.slowDecodes, 1);
});

test('a PersistentVolumeClaim that nobody has looked at yet is pending', () => {
  const codec = createKindCodec(findKind('', 'v1', 'persistentvolumeclaims')!);
  const phaseOf = (status: object) => {
    const stored = codec.toStored({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'a' }, status });
    const wire = createWriter();
    codec.toWire(stored, 0, stored.length, 5, wire);
    return (codec.read(wire.bytes, wire.start, wire.position) as { status: { phase?: string } }).status.phase;
  };
  assert.deepEqual([{}, { phase: '' }, { phase: 'Bound' }].map(phaseOf), ['Pending', 'Pending', 'Bound']);
});

test('a Job without labels has those of its template on read; one with labels keeps them', () => {
  const codec = createKindCodec(findKind('batch', 'v1', 'jobs')!);
  const read = (own: object, template: object) => {
    const spec = {
      suspend: true,
      completionMode: 'Indexed',
      template: { metadata: template, spec: { containers: null } },
    };
    const stored = codec.toStored({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'a', ...own }, spec });
    const wire = createWriter();
    codec.toWire(stored, 0, stored.length, 5, wire);
    const { metadata } = codec.read(wire.bytes, wire.start, wire.position) as { metadata: object };
    assert.equal(
      codec.label(wire.bytes, wire.start, wire.position, 'x'),
      (metadata as { labels?: { x?: string } }).labels?.x,
    );
    return metadata;
  };
  const name = { name: 'a', resourceVersion: '5' };
  assert.deepEqual(read({}, { labels: { x: 'y', z: '' } }), { ...name, labels: { x: 'y', z: '' } });
  assert.deepEqual(read({ labels: { own: '1' } }, { labels: { x: 'y' } }), { ...name, labels: { own: '1' } });
  assert.deepEqual(read({}, {}), name);
  assert.equal(codec.slowDecodes, 1);
});
