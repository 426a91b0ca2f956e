import type { KindCodec } from '../codec/codec.js';
import { protobufType } from '../codec/proto-text.js';
import { createWriter } from '../codec/writer.js';
import { varintSize, writeVarint } from '../lib/bytes.js';
import type { Clock } from '../lib/clock.js';
import { createVersions } from '../versions/create-versions.js';
import type { Versions } from '../versions/versions.js';
import { type HeldForm, HeapVersions } from './heap-versions.js';

/** Field 2 of every list message: what stands in front of an item. */
const ITEM_TAG = 0x12;

/** What a cache can hold an object as. */
export const representations = {
  /** Plain objects, as JSON.parse makes them of a watch event's JSON; written with JSON.stringify. */
  'decoded-json': (codec: KindCodec, clock: Clock): Versions => new HeapVersions(jsonObjects(codec), clock),
  /** Messages that protobufjs decodes, the nearest there is to Go's generated structs; encoded by it. */
  'decoded-protobuf': (codec: KindCodec, clock: Clock): Versions => new HeapVersions(protobufMessages(codec), clock),
  /** The bytes, in a Buffer an object. */
  buffers: (_codec: KindCodec, clock: Clock): Versions => new HeapVersions(buffers, clock),
  /** What listwatch ships: the bytes, outside the heap. */
  slabs: (_codec: KindCodec, clock: Clock): Versions => createVersions({ clock }),
} as const satisfies Record<string, (codec: KindCodec, clock: Clock) => Versions>;

export type RepresentationName = keyof typeof representations;

const buffers: HeldForm<Uint8Array> = {
  hold: (bytes, start, end) => new Uint8Array(bytes.subarray(start, end)),
  wire: (value) => value,
};

function jsonObjects(codec: KindCodec): HeldForm<unknown> {
  const json = createWriter(16_384);
  const wire = createWriter(16_384);
  return {
    hold(bytes, start, end, objectOffset) {
      json.position = 0;
      codec.toJson(bytes, start + objectOffset, end, true, json);
      return JSON.parse(json.bytes.toString('utf8', 0, json.position));
    },
    wire(value) {
      const stored = codec.toStored(value);
      wire.position = 0;
      codec.toWire(stored, 0, stored.length, resourceVersionOf(value), wire);
      return new Uint8Array(wire.bytes.subarray(wire.headerStart, wire.position));
    },
  };
}

function resourceVersionOf(value: unknown): number {
  return Number((value as { readonly metadata: { readonly resourceVersion: string } }).metadata.resourceVersion);
}

function protobufMessages({ kind }: KindCodec): HeldForm<object> {
  const type = protobufType(kind.message);
  return {
    hold: (bytes, start, end, objectOffset) => type.decode(bytes.subarray(start + objectOffset, end)),
    wire(value) {
      const message = type.encode(value).finish();
      const headerSize = 1 + varintSize(message.length);
      const wire = new Uint8Array(headerSize + message.length);
      wire[0] = ITEM_TAG;
      writeVarint(wire, 1, message.length);
      wire.set(message, headerSize);
      return wire;
    },
  };
}
