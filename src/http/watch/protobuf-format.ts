import type { WatchEventType } from '../../api/watch-event.js';
import type { ByteWriter, KindCodec, WireObject } from '../../codec/codec.js';
import { ENVELOPE_TAIL } from '../../codec/codec.js';
import { utf8, varintSize } from '../../lib/bytes.js';
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
  head(rawLength: number): Uint8Array;
  write(wire: WireObject, into: ByteWriter): void;
}

/** Frames of full objects, as they are stored. */
export function protobufFormat(codec: KindCodec): WatchFormat {
  return framesFormat(codec, {
    id: 'protobuf',
    size: (wire) => wire.end - wire.start,
    head: (rawLength) => codec.envelopeHead(false, rawLength),
    write: (wire, into) => writeBytes(into, wire.bytes, wire.start, wire.end),
  });
}

/** The same with metadata only. */
export function partialProtobufFormat(codec: KindCodec, version: MetaVersion): WatchFormat {
  return framesFormat(codec, {
    id: `partial-protobuf/${version}`,
    size: (wire) => partialMessageSize(codec, wire),
    head: (rawLength) => partialEnvelopeHead(version, rawLength),
    write: (wire, into) => writePartialMessage(codec, wire, into),
  });
}

/**
 * A frame is four bytes of length (big endian) and a bare WatchEvent, whose object is a complete
 * envelope (spec 3.3). All lengths are known before anything is written.
 */
function framesFormat(codec: KindCodec, shape: Shape): WatchFormat {
  const event = (type: WatchEventType, wire: WireObject, into: ByteWriter) => {
    const size = shape.size(wire);
    const head = shape.head(size);
    writeFrameHead(type, head.length + size + ENVELOPE_TAIL.length, into);
    writeBytes(into, head);
    shape.write(wire, into);
    writeBytes(into, ENVELOPE_TAIL);
  };
  return {
    id: shape.id,
    firstDiffers: false,
    event: (type, wire, _revision, _first, into) => event(type, wire, into),
    bookmark: (revision, initialEventsEnd, _first, into) =>
      event('BOOKMARK', bookmarkObjects(codec).at(revision, initialEventsEnd), into),
    error(failure, into) {
      const status = statusMessage(toEventStatus(failure));
      const head = envelopeHead('v1', 'Status', status.length);
      writeFrameHead('ERROR', head.length + status.length + ENVELOPE_TAIL.length, into);
      writeBytes(into, head);
      writeBytes(into, status);
      writeBytes(into, ENVELOPE_TAIL);
    },
  };
}

function writeFrameHead(type: WatchEventType, objectBytes: number, into: ByteWriter): void {
  const typeField = typeFields[type];
  const rawBytes = fieldSize(objectBytes);
  into.reserve(4);
  into.bytes.writeUInt32BE(typeField.length + 1 + varintSize(rawBytes) + rawBytes, into.position);
  into.position += 4;
  writeBytes(into, typeField);
  writeFieldHeader(into, OBJECT_TAG, rawBytes);
  writeFieldHeader(into, RAW_TAG, objectBytes);
}
