import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KindCodec } from '../../src/codec/codec.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { createWriter } from '../../src/codec/writer.js';
import { writePartialJson, writePartialMessage } from '../../src/http/encode/partial.js';
import { goJson } from '../../src/http/encode/go-json.js';
import { createTableEncoder, writeCells } from '../../src/http/encode/table.js';

const codec = createKindCodec(findKind('', 'v1', 'pods')!);
const metadata = {
  name: 'p',
  namespace: 'n',
  labels: { a: '1' },
  managedFields: [{ manager: 'm', fieldsType: 'FieldsV1', fieldsV1: { 'f:spec': {} } }],
};
const value = codec.toStored({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'x' } });
const wire = createWriter();
codec.toWire(value, 0, value.length, 7, wire);
const object = { bytes: wire.bytes, headerStart: wire.headerStart, start: wire.start, end: wire.position };

/** A codec with which nothing can be decoded, and no object written as a whole. */
const spliceOnly = new Proxy(codec, {
  get(target, member) {
    if (member === 'read' || member === 'toJson') return () => assert.fail(`${member} was called`);
    const found = target[member as keyof KindCodec];
    return typeof found === 'function' ? found.bind(target) : found;
  },
});

function textOf(write: (into: ReturnType<typeof createWriter>) => void, encoding: BufferEncoding = 'latin1'): string {
  const output = createWriter();
  write(output);
  return output.bytes.toString(encoding, 0, output.position);
}

test('PartialObjectMetadata as JSON is made of the bytes of metadata alone', () => {
  const json = JSON.parse(textOf((into) => writePartialJson(spliceOnly, 'v1', object, into))) as {
    metadata: Record<string, unknown>;
  };
  const whole = codec.read(object.bytes, object.start, object.end) as { metadata: unknown };
  assert.deepEqual(json, { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: whole.metadata });
  assert.equal(json.metadata['resourceVersion'], '7');
});

test('PartialObjectMetadata as protobuf is the stored ObjectMeta, byte for byte', () => {
  const { start, end } = codec.metadataRange(object.bytes, object.start, object.end);
  const stored = object.bytes.toString('latin1', start, end);
  const written = textOf((into) => writePartialMessage(spliceOnly, object, into));
  assert.ok(written.startsWith('\n') && written.endsWith(stored) && written.length - stored.length <= 3);
});

test('a Table row decodes no object', () => {
  const encoder = createTableEncoder(spliceOnly, 'v1', 'Metadata', () => 0);
  const row = JSON.parse(textOf((into) => encoder.row(object, into))) as { cells: unknown[] };
  assert.equal(row.cells[0], 'p');
});

const cellsJson = (cells: readonly unknown[]) => textOf((into) => writeCells(cells, into, () => assert.fail()), 'utf8');

test('cells are JSON as Go writes it, whatever is in them', () => {
  for (let unit = 0; unit < 0x2100; unit++) {
    const text = `a${String.fromCharCode(unit)}b`;
    assert.equal(cellsJson([text]), goJson([text]));
  }
  const cells = ['', 0, -1, true, null, undefined, '\ud800', '\ud83d\ude00', '<none>'];
  assert.equal(cellsJson(cells), goJson(cells));
  assert.equal(cellsJson([9_007_199_254_740_993n, 'x']), '[9007199254740993,"x"]');
});
