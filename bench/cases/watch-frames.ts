import { BufferWriter } from '../../src/http/encode/writer.js';
import { jsonFormat } from '../../src/http/watch/json-format.js';
import { protobufFormat } from '../../src/http/watch/protobuf-format.js';
import type { WatchFormat } from '../../src/serve/reader.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { podCodec, podVariants } from '../indexed-pods.js';

/**
 * One event of a pod, from its stored wire form to the bytes of the stream: what a group pays for a change, and a
 * WatchList for each object.
 *
 *     baseline   the bytes copied, and nothing else
 */
export function setup(smoke: boolean): BenchCases {
  const count = smoke ? 20 : 1_000;
  return {
    'watch/frame/baseline-copy': () => framing(count, copying),
    'watch/frame/protobuf': () => framing(count, protobufFormat(podCodec)),
    'watch/frame/json': () => framing(count, jsonFormat(podCodec)),
  };
}

const copying: Pick<WatchFormat, 'event'> = {
  event(_type, { bytes, start, end }, _revision, _first, into) {
    into.reserve(end - start);
    into.bytes.set(bytes.subarray(start, end), into.position);
    into.position += end - start;
  },
};

function framing(count: number, format: Pick<WatchFormat, 'event'>): BenchCase {
  const writer = new BufferWriter(64 * 2 ** 10);
  const objects = podVariants()
    .slice(0, count)
    .map((value) => {
      writer.position = 0;
      podCodec.toWire(value, 0, value.length, 7, writer);
      const { headerStart, start } = writer;
      return { bytes: Buffer.from(writer.written()), headerStart, start, end: writer.position };
    });
  const into = new BufferWriter(2 ** 20);
  return {
    ops: count,
    run() {
      let bytes = 0;
      for (const wire of objects) {
        into.position = 0;
        format.event('ADDED', wire, 7, false, into);
        bytes += into.position;
      }
      return bytes;
    },
  };
}
