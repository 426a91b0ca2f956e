import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { protobufType } from '../../src/codec/proto-text.js';
import { createWriter } from '../../src/codec/writer.js';
import type { BenchCases } from '../bench.js';
import { sampleLease, samplePod } from '../sample-objects.js';

/** Bytes in to bytes out, beside what one would write first: decode with protobufjs and print. */
export function setup(smoke: boolean): BenchCases {
  const ops = smoke ? 20 : 500;
  const pods = createKindCodec(findKind('', 'v1', 'pods')!);
  const leases = createKindCodec(findKind('coordination.k8s.io', 'v1', 'leases')!);
  const podType = protobufType('k8s.io.api.core.v1.Pod');
  const storedPods = Array.from({ length: ops }, (_, index) => pods.toStored(samplePod(index)));
  const storedLeases = Array.from({ length: ops }, (_, index) => leases.toStored(sampleLease(index)));
  const wire = createWriter(4 * 2 ** 20);
  const leaseType = protobufType('k8s.io.api.coordination.v1.Lease');
  const rangesOf = (codec: typeof pods, stored: readonly Uint8Array[]) =>
    stored.map((value, index) => {
      codec.toWire(value, 0, value.length, 1_000_000 + index, wire);
      return { start: wire.start, end: wire.position };
    });
  const ranges = rangesOf(pods, storedPods);
  const leaseRanges = rangesOf(leases, storedLeases);
  const output = createWriter(2 ** 16);
  /** `work` returns how many bytes it made. */
  const each = <T>(items: readonly T[], work: (item: T) => number) => ({
    ops,
    run: () => {
      let checksum = 0;
      for (const item of items) checksum += work(item);
      return checksum;
    },
  });
  const ingest = (codec: typeof pods) => (value: Uint8Array) => {
    output.position = 0;
    codec.toWire(value, 0, value.length, 1_234_567, output);
    return output.position;
  };
  type Decoded = { metadata: { resourceVersion: string; labels: Record<string, string> }; spec: { nodeName: string } };
  const decoded = (type: typeof podType, { start, end }: { start: number; end: number }) =>
    type.decode(wire.bytes.subarray(start, end)) as unknown as Decoded;
  const decodeAndEncode = (type: typeof podType) => (range: { start: number; end: number }) => {
    const object = decoded(type, range);
    object.metadata.resourceVersion = '1234567';
    return type.encode(object as never).finish().length;
  };
  return {
    'codec/pod-to-json/generated': each(ranges, ({ start, end }) => {
      output.position = 0;
      pods.toJson(wire.bytes, start, end, false, output);
      return output.position;
    }),
    'codec/pod-to-json/protobufjs-stringify': each(ranges, ({ start, end }) => {
      const message = podType.decode(wire.bytes.subarray(start, end));
      return Buffer.byteLength(JSON.stringify(podType.toObject(message, { longs: Number, bytes: String })));
    }),
    'codec/pod-to-wire/check-and-splice': each(storedPods, ingest(pods)),
    'codec/pod-to-wire/protobufjs-decode-encode': each(ranges, decodeAndEncode(podType)),
    'codec/lease-to-wire/check-and-splice': each(storedLeases, ingest(leases)),
    'codec/lease-to-wire/protobufjs-decode-encode': each(leaseRanges, decodeAndEncode(leaseType)),
    'codec/pod-label/scan': each(
      ranges,
      ({ start, end }) => pods.label(wire.bytes, start, end, 'release')?.length ?? 0,
    ),
    'codec/pod-label/protobufjs-decode': each(
      ranges,
      (range) => decoded(podType, range).metadata.labels['release']?.length ?? 0,
    ),
    'codec/pod-field/scan': each(
      ranges,
      ({ start, end }) => pods.field(wire.bytes, start, end, 'spec.nodeName').length,
    ),
    'codec/pod-field/protobufjs-decode': each(ranges, (range) => decoded(podType, range).spec.nodeName.length),
  };
}
