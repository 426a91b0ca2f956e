import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { createWriter } from '../../src/codec/writer.js';
import { partialMessageSize, writePartialJson, writePartialMessage } from '../../src/http/encode/partial.js';
import { tableFor } from '../../src/http/encode/table/index.js';
import { createTableEncoder, tableProjector } from '../../src/http/encode/table.js';
import type { BenchCases } from '../bench.js';
import { samplePod } from '../sample-objects.js';

const NOW = 1_770_000_000_000;

/** Rows and metadata of pods, from their wire bytes; beside what one would write first: decode each object. */
export function setup(smoke: boolean): BenchCases {
  const ops = smoke ? 20 : 500;
  const codec = createKindCodec(findKind('', 'v1', 'pods')!);
  const writer = createWriter(4 * 2 ** 20);
  const ranges = Array.from({ length: ops }, (_, index) => {
    const stored = codec.toStored(samplePod(index));
    codec.toWire(stored, 0, stored.length, 1_000_000 + index, writer);
    return { headerStart: writer.headerStart, start: writer.start, end: writer.position };
  });
  const bytes = new Uint8Array(new SharedArrayBuffer(writer.position));
  bytes.set(writer.bytes.subarray(0, writer.position));
  const objects = ranges.map((range) => ({ bytes, ...range }));
  const output = createWriter(2 ** 16);
  const each = (work: (object: (typeof objects)[number]) => number) => ({
    ops,
    run: () => {
      let checksum = 0;
      for (const object of objects) {
        output.position = 0;
        checksum += work(object);
      }
      return checksum;
    },
  });

  const table = tableFor(codec.kind);
  const project = tableProjector(codec.kind);
  const rows = (includeObject: 'None' | 'Metadata') => {
    const encoder = createTableEncoder(codec, 'v1', includeObject, () => NOW);
    return each((object) => {
      encoder.row(object, output);
      return output.position;
    });
  };
  return {
    'http/table-row/cells/projected': each(
      ({ start, end }) => table.row(project(bytes, start, end)).cells.join().length,
    ),
    'http/table-row/cells/decoded': each(
      ({ start, end }) => table.row(codec.read(bytes, start, end)).cells.join().length,
    ),
    'http/table-row/row/none': rows('None'),
    'http/table-row/row/metadata': rows('Metadata'),
    'http/partial/json/spliced': each((object) => {
      writePartialJson(codec, 'v1', object, output);
      return output.position;
    }),
    'http/partial/json/decoded': each(({ start, end }) => {
      const { metadata } = codec.read(bytes, start, end) as { metadata: unknown };
      return Buffer.byteLength(
        JSON.stringify({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }),
      );
    }),
    'http/partial/protobuf/spliced': each((object) => {
      writePartialMessage(codec, object, output);
      return output.position + partialMessageSize(codec, object);
    }),
  };
}
