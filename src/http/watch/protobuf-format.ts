import type { WatchEventType } from '../../api/watch-event.js';
import type { ByteWriter, KindCodec, WireObject } from '../../codec/codec.js';
import { ENVELOPE_TAIL } from '../../codec/codec.js';
import { utf8, varintSize, writeVarint } from '../../lib/bytes.js';
import type { WatchFormat } from '../../serve/reader.js';
import { envelopeHead, fieldSize, messageField, writeFieldHeader } from '../encode/envelope.js';
import { statusMessage } from '../encode/messages.js';
import { type MetaVersion, partialEnvelopeHead, partialMessageSize, writePartialMessage } from '../encode/partial.js';
import { writeBytes } from '../encode/writer.js';
import { toEventStatus } from '../to-status.js';
import { bookmarkObjects } from './event-objects.js';

/** Field 1 of WatchEvent, the type, ready to be copied. */
const typeFields: Readonly<Record<WatchEventType, Uint8Array>> = {
  ADDED: messageField(0x0a, utf8('ADDED')),
  MODIFIED: messageField(0x0a, utf8('MODIFIED')),
  DELETED: messageField(0x0a, utf8('DELETED')),
  BOOKMARK: messageField(0x0a, utf8('BOOKMARK')),
  ERROR: messageField(0x0a, utf8('ERROR')),
};
const RAW_TAG = 0x0a;
const OBJECT_TAG = 0x12;

interface Shape {
  readonly id: string;
  /** Bytes of the bare message that `write` appends. */
  size(wire: WireObject): number;
  /** The envelope's head, up to the length of its message. */
  readonly head: Uint8Array;
  write(wire: WireObject, into: ByteWriter): void;
}

/** Frames of full objects, as they are stored. */
export function protobufFormat(codec: KindCodec): WatchFormat {
  return framesFormat(codec, {
    id: 'protobuf',
    size: (wire) => wire.end - wire.start,
    head: withoutLength(codec.envelopeHead(false, 0)),
    write: (wire, into) => writeBytes(into, wire.bytes, wire.start, wire.end),
  });
}

/** The same with metadata only. */
export function partialProtobufFormat(codec: KindCodec, version: MetaVersion): WatchFormat {
  return framesFormat(codec, {
    id: `partial-protobuf/${version}`,
    size: (wire) => partialMessageSize(codec, wire),
    head: withoutLength(partialEnvelopeHead(version, 0)),
    write: (wire, into) => writePartialMessage(codec, wire, into),
  });
}

/** The length of an empty message is one byte, the last one. */
function withoutLength(head: Uint8Array): Uint8Array {
  return head.subarray(0, -1);
}

/**
 * A frame is four bytes of length (big endian) and a bare WatchEvent, whose object is a complete
 * envelope (spec 3.3). All lengths are known before anything is written.
 */
function framesFormat(codec: KindCodec, shape: Shape): WatchFormat {
  const event = (type: WatchEventType, wire: WireObject, into: ByteWriter) => {
    const size = shape.size(wire);
    writeFrameHead(type, shape.head, size, into);
    shape.write(wire, into);
    writeConstant(into, ENVELOPE_TAIL);
  };
  return {
    id: shape.id,
    firstDiffers: false,
    event: (type, wire, _revision, _first, into) => event(type, wire, into),
    bookmark: (revision, initialEventsEnd, _first, into) =>
      event('BOOKMARK', bookmarkObjects(codec).at(revision, initialEventsEnd), into),
    error(failure, into) {
      const status = statusMessage(toEventStatus(failure));
      writeFrameHead('ERROR', STATUS_HEAD, status.length, into);
      writeBytes(into, status);
      writeConstant(into, ENVELOPE_TAIL);
    },
  };
}

const STATUS_HEAD = withoutLength(envelopeHead('v1', 'Status', 0));
/** Tags and lengths of a frame: four bytes, and three varints of at most ten with a tag each. */
const LENGTHS_BYTES_MAX = 4 + 3 * 11;

/** Everything before the message: `size` bytes of it, and the envelope's tail, follow. */
function writeFrameHead(type: WatchEventType, head: Uint8Array, size: number, into: ByteWriter): void {
  const typeField = typeFields[type];
  const envelopeBytes = head.length + varintSize(size) + size + ENVELOPE_TAIL.length;
  const rawBytes = fieldSize(envelopeBytes);
  into.reserve(LENGTHS_BYTES_MAX + typeField.length + head.length + size + ENVELOPE_TAIL.length);
  into.bytes.writeUInt32BE(typeField.length + 1 + varintSize(rawBytes) + rawBytes, into.position);
  into.position += 4;
  writeConstant(into, typeField);
  writeFieldHeader(into, OBJECT_TAG, rawBytes);
  writeFieldHeader(into, RAW_TAG, envelopeBytes);
  writeConstant(into, head);
  into.position = writeVarint(into.bytes, into.position, size);
}

/** A few bytes, for which there is room: a loop is quicker than a call of `set`. */
function writeConstant(into: ByteWriter, constant: Uint8Array): void {
  into.reserve(constant.length);
  const { bytes } = into;
  let at = into.position;
  for (let index = 0; index < constant.length; index++) bytes[at++] = constant[index]!;
  into.position = at;
}
