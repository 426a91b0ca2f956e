import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCanonical } from '../../src/codec/canonical.js';
import type { KindCodec, WireObject } from '../../src/codec/codec.js';
import { encodeObject } from '../../src/codec/encode.js';
import { writeVarint } from '../../src/lib/bytes.js';
import { parseJson } from '../../src/codec/json-parse.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { kindByObject } from '../../src/codec/kinds.js';
import { sizeWithoutManagedFields, writeWithoutManagedFields } from '../../src/codec/managed-fields.js';
import { createWriter } from '../../src/codec/writer.js';
import { seededRandom } from '../../src/lib/random.js';
import { readPairs } from './golden.js';

type Json = Record<string, unknown>;

const pairs = readPairs('pairs.ndjson').filter((pair) => kindByObject(pair.apiVersion, pair.kind) !== undefined);

function wireOf(codec: KindCodec, value: Uint8Array, revision: number): WireObject {
  const into = createWriter(64);
  into.position = 7; // behind something that must stay
  into.bytes.fill(0xee, 0, 7);
  codec.toWire(value, 0, value.length, revision, into);
  assert.ok(into.bytes.subarray(0, 7).every((byte) => byte === 0xee));
  return { bytes: into.bytes, headerStart: into.headerStart, start: into.start, end: into.position };
}

const itemOf = ({ bytes, headerStart, end }: WireObject) => Buffer.from(bytes.subarray(headerStart, end));

/** Members that are kept as they were written (defaults in a CustomResourceDefinition) stay so. */
function parsed(codec: KindCodec, { bytes, start, end }: WireObject): Json {
  const into = createWriter();
  codec.toJson(bytes, start, end, true, into);
  return parseJson(into.bytes.toString('utf8', 0, into.position), { keepSource: true }) as unknown as Json;
}

function lengthOf(bytes: Uint8Array): Buffer {
  const varint = Buffer.alloc(10);
  return varint.subarray(0, writeVarint(varint, 0, bytes.length));
}

/** Decoded, without the member, and encoded again: what leaving out the bytes has to equal. */
function without(object: Json): Json {
  const { managedFields: _, ...metadata } = object['metadata'] as Json;
  return { ...object, metadata };
}

function withManagers(object: Json, sizes: readonly number[]): Json {
  const managedFields = sizes.map((size, index) => ({
    manager: `m${index}`,
    operation: 'Update',
    apiVersion: 'v1',
    time: '2026-01-02T03:04:05Z',
    fieldsType: 'FieldsV1',
    fieldsV1: { [`f:${'x'.repeat(size)}`]: {} },
  }));
  return { ...without(object), metadata: { ...(without(object)['metadata'] as Json), managedFields } };
}

test(`managed fields are left out of the ${pairs.length} golden objects as decoding would`, () => {
  const random = seededRandom(11);
  let shorter = 0;
  for (const pair of pairs) {
    const kind = kindByObject(pair.apiVersion, pair.kind)!;
    const plain = createKindCodec(kind);
    const omitting = createKindCodec(kind, { omitManagedFields: true });
    const object = parseJson(pair.json, { keepSource: true }) as unknown as Json;
    // Around the places where a length's varint grows by a byte, and anything.
    const variants = [[], [0], [1, 90], [60, 0, 30], [random.int(200)], [16_300, random.int(200)], [70_000]];
    const values = [...variants.map((sizes) => plain.toStored(withManagers(object, sizes))), pair.stored];
    for (const value of values) {
      const revision = 1 + random.int(2 ** 30);
      const full = wireOf(plain, value, revision);
      const decoded = parsed(plain, full);
      const { bytes } = encodeObject(kind.message, without(decoded));
      const want = Buffer.concat([Buffer.of(0x12), lengthOf(bytes), bytes]);
      const name = `${pair.apiVersion} ${pair.kind}`;
      assert.ok(itemOf(wireOf(omitting, value, revision)).equals(want), `${name}: at ingest`);
      const into = createWriter(64);
      writeWithoutManagedFields(full.bytes, full.start, full.end, into);
      assert.ok(into.bytes.subarray(into.headerStart, into.position).equals(want), `${name}: of what is held`);
      assert.ok(isCanonical(kind.message, into.bytes, into.start, into.position), name);
      assert.equal(sizeWithoutManagedFields(full), want.length, name);
      if (want.length < full.end - full.headerStart) shorter++;
    }
  }
  assert.ok(shorter > pairs.length * 5, `${shorter} objects had managed fields`);
});

test('values of other forms lose their managed fields too', () => {
  for (const pair of readPairs('json-stored.ndjson')) {
    const kind = kindByObject(pair.apiVersion, pair.kind);
    if (kind === undefined) continue; // of another version
    const object = withManagers(JSON.parse(pair.json) as Json, [40]);
    const value = Buffer.from(JSON.stringify(object));
    const wire = wireOf(createKindCodec(kind, { omitManagedFields: true }), value, 9);
    const metadata = (createKindCodec(kind).read(wire.bytes, wire.start, wire.end) as Json)['metadata'] as Json;
    assert.equal(metadata['managedFields'], undefined, pair.kind);
    assert.equal(metadata['resourceVersion'], '9');
  }
});

test('templates inside an object keep theirs', () => {
  const kind = kindByObject('apps/v1', 'Deployment')!;
  const managedFields = [{ manager: 'm', operation: 'Update' }];
  const template = { metadata: { managedFields }, spec: { containers: [] } };
  const object = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', managedFields },
    spec: { template },
  };
  const codec = createKindCodec(kind, { omitManagedFields: true });
  const wire = wireOf(codec, codec.toStored(object), 5);
  const read = codec.read(wire.bytes, wire.start, wire.end) as {
    metadata: Json;
    spec: { template: { metadata: Json } };
  };
  assert.equal(read.metadata['managedFields'], undefined);
  assert.equal((read.spec.template.metadata['managedFields'] as unknown[]).length, 1);
});
