import { apiVersionOf } from '../../api/gvr.js';
import type { ModRevision } from '../../api/revision.js';
import type { KindCodec, WireObject, WireWriter } from '../../codec/codec.js';
import { encodeMessage } from '../../codec/encode.js';
import { spliceProtobuf } from '../../codec/splice.js';
import { utf8 } from '../../lib/bytes.js';
import { emptyWire } from '../encode/protobuf.js';
import { BufferWriter } from '../encode/writer.js';

/** Marks the bookmark that ends the synthetic events of a WatchList stream (spec 3.5). */
const INITIAL_EVENTS_END = { 'k8s.io/initial-events-end': 'true' };

export interface BookmarkObjects {
  /** An object of the kind with nothing but its resourceVersion, and the annotation. Valid until the next call. */
  at(revision: ModRevision, initialEventsEnd: boolean): WireObject;
}

const made = new WeakMap<KindCodec, BookmarkObjects>();

/** Made once per codec. */
export function bookmarkObjects(codec: KindCodec): BookmarkObjects {
  let objects = made.get(codec);
  if (objects === undefined) made.set(codec, (objects = create(codec)));
  return objects;
}

function create(codec: KindCodec): BookmarkObjects {
  const [plain, annotated] = [writerOf(codec, {}), writerOf(codec, { annotations: INITIAL_EVENTS_END })];
  const writer = new BufferWriter(1024);
  const wire = emptyWire();
  return {
    at(revision, initialEventsEnd) {
      writer.position = 0;
      (initialEventsEnd ? annotated : plain)(revision, writer);
      wire.bytes = writer.bytes;
      wire.headerStart = writer.headerStart;
      wire.start = writer.start;
      wire.end = writer.position;
      return wire;
    },
  };
}

/** Nothing was stored, so nothing is filled in or converted. A custom resource has its text besides, which its codec makes. */
function writerOf(codec: KindCodec, metadata: object): (revision: ModRevision, into: WireWriter) => void {
  const { group, version, kind, message, custom } = codec.kind;
  if (custom === undefined) {
    const bytes = encodeMessage(message, { metadata });
    return (revision, into) => spliceProtobuf(bytes, 0, bytes.length, revision, into);
  }
  const value = utf8(JSON.stringify({ apiVersion: apiVersionOf(group, version), kind, metadata }));
  return (revision, into) => codec.toWire(value, 0, value.length, revision, into);
}
