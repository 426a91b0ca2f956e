import type { WatchEventType } from '../../api/watch-event.js';
import type { ByteWriter, KindCodec, WireObject } from '../../codec/codec.js';
import type { WatchFormat } from '../../serve/reader.js';
import { goJson } from '../encode/go-json.js';
import { type MetaVersion, writePartialJson } from '../encode/partial.js';
import { apiVersionOf } from '../../api/gvr.js';
import { utf8 } from '../../lib/bytes.js';
import { writeBytes, writeText } from '../encode/writer.js';
import { toEventStatus } from '../to-status.js';
import { bookmarkObjects } from './event-objects.js';

/** `{"type":"ADDED","object":{...}}`, one event a line (spec 3.3). */
export function jsonFormat(codec: KindCodec): WatchFormat {
  const { group, version, kind } = codec.kind;
  // An item of a list is the object without its type, which comes first in an event; custom resources have it in both.
  const type =
    codec.kind.custom === undefined ? `"kind":"${kind}","apiVersion":"${apiVersionOf(group, version)}",` : '';
  const head = utf8(`{"type":"ADDED","object":{${type}`);
  const tail = utf8('}\n');
  return {
    ...linesFormat(codec, 'json', (wire, into) => codec.toJson(wire.bytes, wire.start, wire.end, true, into)),
    added(json, start, end, into) {
      into.reserve(head.length + end - start + tail.length);
      writeBytes(into, head);
      writeBytes(into, json, start + 1, end);
      writeBytes(into, tail);
    },
  };
}

/** The same with metadata only. */
export function partialJsonFormat(codec: KindCodec, version: MetaVersion): WatchFormat {
  return linesFormat(codec, `partial-json/${version}`, (wire, into) => writePartialJson(codec, version, wire, into));
}

/** Lines of JSON, whatever the object becomes. */
export function linesFormat(
  codec: KindCodec,
  id: string,
  writeObject: (wire: WireObject, into: ByteWriter, first: boolean) => void,
  firstDiffers = false,
): WatchFormat {
  const event = (type: WatchEventType, wire: WireObject, first: boolean, into: ByteWriter) => {
    writeText(into, `{"type":"${type}","object":`);
    writeObject(wire, into, first);
    writeText(into, '}\n');
  };
  return {
    id,
    firstDiffers,
    event: (type, wire, _revision, first, into) => event(type, wire, first, into),
    bookmark: (revision, initialEventsEnd, first, into) =>
      event('BOOKMARK', bookmarkObjects(codec).at(revision, initialEventsEnd), first, into),
    error: (failure, into) => writeText(into, `{"type":"ERROR","object":${goJson(toEventStatus(failure))}}\n`),
  };
}
