import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CodecError } from '../../src/codec/codec.js';
import { createKindCodec, messageToJson } from '../../src/codec/kind-codec.js';
import { findKind, kindByObject } from '../../src/codec/kinds.js';
import { transcode } from '../../src/codec/transcode.js';
import { createWriter } from '../../src/codec/writer.js';
import { messageOf, rawOf, readPairs } from './golden.js';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 3_000);
const pairs = [...readPairs('pairs.ndjson'), ...readPairs('one-way.ndjson')];
const registered = pairs.filter((pair) => kindByObject(pair.apiVersion, pair.kind) !== undefined);

/** Runs and accepts CodecError only: no crash, no RangeError, no endless loop (the test would time out). */
function orCodecError(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
  }
}

/** Values with bytes flipped, cut, repeated or swapped. */
const damage = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    byte: fc.oneof(fc.constantFrom(0, 1, 7, 8, 10, 18, 127, 128, 255), fc.integer({ min: 0, max: 255 })),
    how: fc.constantFrom('set', 'cut', 'drop', 'repeat'),
  }),
  { minLength: 1, maxLength: 6 },
);

function damaged(value: Buffer, steps: readonly { at: number; byte: number; how: string }[]): Buffer {
  let bytes: Buffer = Buffer.from(value);
  for (const { at, byte, how } of steps) {
    const index = Math.floor(at * bytes.length);
    if (how === 'set' && bytes.length > 0) bytes[index] = byte;
    else if (how === 'cut') bytes = bytes.subarray(0, index);
    else if (how === 'drop') bytes = Buffer.concat([bytes.subarray(0, index), bytes.subarray(index + 1)]);
    else bytes = Buffer.concat([bytes.subarray(0, index), bytes.subarray(index, index + byte), bytes.subarray(index)]);
  }
  return bytes;
}

test('the transcoder survives any damage and stays in its range', { timeout: 120_000 }, () => {
  const SENTINEL = 0xee;
  fc.assert(
    fc.property(fc.constantFrom(...pairs), damage, (pair, steps) => {
      const raw = damaged(rawOf(pair), steps);
      // Bytes in front and behind belong to other objects.
      const slab = Buffer.concat([Buffer.alloc(50, SENTINEL), raw, Buffer.alloc(50, SENTINEL)]);
      const into = createWriter(64);
      into.position = 3;
      orCodecError(() => {
        transcode(messageOf(pair), slab, 50, 50 + raw.length, into);
        JSON.parse(into.bytes.toString('utf8', 3, into.position));
        const alone = createWriter(64);
        transcode(messageOf(pair), raw, 0, raw.length, alone);
        assert.equal(
          into.bytes.toString('latin1', 3, into.position),
          alone.bytes.toString('latin1', 0, alone.position),
        );
      });
      if (into.position !== 3) return;
    }),
    { numRuns: RUNS },
  );
});

test('a stored value is served or refused, whatever was done to it', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.constantFrom(...registered), damage, (pair, steps) => {
      const value = damaged(pair.stored, steps);
      const codec = createKindCodec(kindByObject(pair.apiVersion, pair.kind)!);
      const wire = createWriter();
      orCodecError(() => {
        codec.toWire(value, 0, value.length, 4_711, wire);
        const { bytes, start, position: end } = wire;
        // What was accepted is canonical: putting it through again changes nothing but the version.
        const again = createWriter();
        codec.resplice({ bytes, headerStart: wire.headerStart, start, end }, 4_711, again);
        assert.ok(
          bytes.subarray(wire.headerStart, end).equals(again.bytes.subarray(again.headerStart, again.position)),
        );
        codec.labels(bytes, start, end);
        codec.field(bytes, start, end, 'metadata.name');
        const json = createWriter();
        codec.toJson(bytes, start, end, true, json);
        const text = json.bytes.toString('utf8', 0, json.position);
        assert.equal((JSON.parse(text) as { metadata: { resourceVersion: string } }).metadata.resourceVersion, '4711');
      });
    }),
    { numRuns: RUNS },
  );
});

test('every prefix of a pod is refused or read', () => {
  const pair = registered.find((candidate) => candidate.kind === 'Pod')!;
  const codec = createKindCodec(findKind('', 'v1', 'pods')!);
  let refused = 0;
  for (let length = 0; length < pair.stored.length; length++) {
    try {
      codec.toWire(pair.stored, 0, length, 1, createWriter());
    } catch (error) {
      assert.ok(error instanceof CodecError, String(error));
      refused++;
    }
  }
  assert.ok(refused > pair.stored.length * 0.95, `only ${refused} of ${pair.stored.length} prefixes were refused`);
});

test('deep nesting is refused, not overflowed', () => {
  const schema = 'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';
  let bytes = Buffer.alloc(0);
  for (let depth = 0; depth < 3_000; depth++) {
    // field 24 (not) is a JSONSchemaProps again
    const length: number[] = [];
    let rest = bytes.length;
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
    length.push(rest);
    bytes = Buffer.concat([Buffer.of(0xe2, 0x01, ...length), bytes]);
  }
  assert.throws(() => messageToJson(schema, bytes), CodecError);
  const raw = Buffer.from('['.repeat(100_000));
  const length = Buffer.of(0x0a, 0xa0 | 0x80, 0x8d, 0x06);
  assert.throws(
    () =>
      transcode(
        'k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1',
        Buffer.concat([length, raw]),
        0,
        raw.length + 4,
        createWriter(),
      ),
    CodecError,
  );
});

const refusals: [name: string, value: Buffer, message: RegExp][] = [
  ['nothing', Buffer.alloc(0), /^the value is empty/],
  ['text', Buffer.from('hello'), /neither protobuf \(k8s\\0\) nor JSON/],
  ['encrypted', Buffer.from('k8s:enc:aescbc:v1:key1:....'), /encrypted at rest \(aescbc:v1\)/],
  ['CBOR', Buffer.of(0xd9, 0xd9, 0xf7, 0xa0), /CBOR/],
  ['another kind', Buffer.from('6b3873000a0c0a02763112064e6f6465581200', 'hex'), /not a v1 Pod|unexpected|illegal/],
  ['broken JSON', Buffer.from('{"kind":"Pod",'), /^invalid JSON: line 1, column 15/],
  ['JSON without a kind', Buffer.from('{}'), /Object 'Kind' is missing/],
  ['a JSON node', Buffer.from('{"kind":"Node","apiVersion":"v1"}'), /^the value is a v1 Node, not a v1 Pod/],
  [
    'a wrong type in JSON',
    Buffer.from('{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"ports":[{"containerPort":"x"}]}]}}'),
    /^spec\.containers\[0\]\.ports\[0\]\.containerPort: expected integer, got string "x"$/,
  ],
];
for (const [name, value, message] of refusals) {
  test(`refused: ${name}`, () => {
    const codec = createKindCodec(findKind('', 'v1', 'pods')!);
    assert.throws(() => codec.toWire(value, 0, value.length, 1, createWriter()), { name: 'CodecError', message });
  });
}

test('a version with another layout is refused, never misread', () => {
  const pair = pairs.find(
    (candidate) => candidate.apiVersion === 'resource.k8s.io/v1beta1' && candidate.kind === 'ResourceClaim',
  )!;
  const codec = createKindCodec(findKind('resource.k8s.io', 'v1', 'resourceclaims')!);
  assert.throws(() => codec.toWire(pair.stored, 0, pair.stored.length, 1, createWriter()), /cannot be served as/);
});

test('a version with the same layout is relabelled', () => {
  const pair = pairs.find(
    (candidate) => candidate.apiVersion === 'resource.k8s.io/v1beta2' && candidate.kind === 'ResourceClaim',
  )!;
  const codec = createKindCodec(findKind('resource.k8s.io', 'v1', 'resourceclaims')!);
  const wire = createWriter();
  codec.toWire(pair.stored, 0, pair.stored.length, 0, wire);
  const json = createWriter();
  codec.toJson(wire.bytes, wire.start, wire.position, true, json);
  assert.equal(
    json.bytes.toString('utf8', 0, json.position),
    pair.json.replace('resource.k8s.io/v1beta2', 'resource.k8s.io/v1'),
  );
});
