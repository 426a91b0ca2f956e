import assert from 'node:assert/strict';
import test from 'node:test';
import { compileWriter, writeReflectively } from '../../bench/experiments/json-by-schema.js';
import { decodeReflectively } from '../../bench/experiments/reflective-protobuf.js';
import { protobufType } from '../../src/codec/proto-text.js';
import { messageType } from '../../src/codec/schema.js';
import { createWriter } from '../../src/codec/writer.js';
import { manifests, type PressureKind } from '../../src/pressure/manifests.js';
import { ObjectStream } from '../../src/pressure/object-stream.js';

for (const name of Object.keys(manifests) as PressureKind[]) {
  const stream = new ObjectStream(name, undefined, 1);
  const { codec, kind } = stream;
  const { value } = stream.set(3, 5);
  const wire = createWriter();
  codec.toWire(value, 0, value.length, 9, wire);
  const message = wire.bytes.subarray(wire.start, wire.position);

  test(`${name}: decoding by reflection gives what protobufjs' generated code gives`, () => {
    const type = protobufType(kind.message);
    const [reflected, generated] = [decodeReflectively(type, message), type.decode(message)];
    assert.deepEqual(reflected, generated);
    assert.deepEqual(Buffer.from(type.encode(reflected).finish()), Buffer.from(type.encode(generated).finish()));
  });

  test(`${name}: both writers of JSON give what the transcoder and JSON.stringify give`, () => {
    const json = createWriter();
    codec.toJson(wire.bytes, wire.start, wire.position, false, json);
    const text = json.bytes.toString('utf8', 0, json.position).trimEnd();
    const object = JSON.parse(text) as Record<string, unknown>;
    assert.equal(writeReflectively(messageType(kind.message), object), JSON.stringify(object));
    assert.equal(compileWriter(kind.message)(object), JSON.stringify(object));
    assert.equal(JSON.stringify(object), text);
  });
}
