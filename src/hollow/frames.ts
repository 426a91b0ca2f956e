import type { WatchEventType } from '../api/watch-event.js';
import { openEnvelope } from '../codec/envelope.js';
import type { Kind } from '../codec/kind.js';
import { projectorOf } from '../codec/projector.js';
import { after, readEnd, readTag, skipField, textOf } from '../codec/wire.js';
import { IDENTITY, type ReadObject } from './answers.js';

export type Encoding = 'json' | 'protobuf';

export interface WatchedEvent {
  readonly type: WatchEventType;
  /** Of BOOKMARK: only the resourceVersion says something. Of ERROR: a Status. */
  readonly object: ReadObject;
}

/** Takes the bytes of a watch as they come, and returns the events that are complete. */
export function createFrameReader(
  encoding: Encoding,
  kind: Kind,
  members: string,
): (chunk: Buffer) => readonly WatchedEvent[] {
  return encoding === 'json' ? jsonReader() : protobufReader(kind, members);
}

const LINE_FEED = 0x0a;

function jsonReader(): (chunk: Buffer) => readonly WatchedEvent[] {
  let rest: Buffer[] = [];
  return (chunk) => {
    const events: WatchedEvent[] = [];
    let from = 0;
    for (let to = chunk.indexOf(LINE_FEED); to >= 0; to = chunk.indexOf(LINE_FEED, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, to)]).toString('utf8');
      rest = [];
      from = to + 1;
      if (line.trim() !== '') events.push(JSON.parse(line) as WatchedEvent);
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
    return events;
  };
}

const LENGTH_BYTES = 4;
const STATUS = 'k8s.io.apimachinery.pkg.apis.meta.v1.Status';

/** Frames are four bytes of length (big endian) and a bare WatchEvent, whose object is an envelope. */
function protobufReader(kind: Kind, members: string): (chunk: Buffer) => readonly WatchedEvent[] {
  const project = projectorOf(kind.message, `${IDENTITY} ${members}`);
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const events: WatchedEvent[] = [];
    let at = 0;
    while (pending.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + pending.readUInt32BE(at);
      if (end > pending.length) break;
      events.push(readEvent(pending, at + LENGTH_BYTES, end, project));
      at = end;
    }
    pending = pending.subarray(at);
    return events;
  };
}

/** WatchEvent: type is field 1, object (a RawExtension, whose raw is field 1) is field 2. */
function readEvent(
  bytes: Buffer,
  start: number,
  end: number,
  project: (bytes: Uint8Array, start: number, end: number) => Record<string, unknown>,
): WatchedEvent {
  let type = '';
  let object: Record<string, unknown> = {};
  for (let at = start; at < end; ) {
    const tag = readTag(bytes, at, end);
    if (tag !== 10 && tag !== 18) {
      at = skipField(bytes, after.at, end, tag);
      continue;
    }
    const to = readEnd(bytes, after.at, end);
    const from = after.at;
    if (tag === 10) type = textOf(bytes, from, to);
    else {
      readTag(bytes, from, to);
      const rawEnd = readEnd(bytes, after.at, to);
      const envelope = openEnvelope(bytes, after.at, rawEnd);
      const read = type === 'ERROR' ? projectorOf(STATUS, 'message code reason') : project;
      object = read(bytes, envelope.rawStart, envelope.rawEnd);
    }
    at = to;
  }
  return { type: type as WatchEventType, object: object as unknown as ReadObject };
}
