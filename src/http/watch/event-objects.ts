import { apiVersionOf } from '../../api/gvr.js';
import type { ModRevision } from '../../api/revision.js';
import type { KindCodec, WireObject } from '../../codec/codec.js';
import { emptyWire } from '../encode/protobuf.js';
import { BufferWriter } from '../encode/writer.js';

/** Marks the bookmark that ends the synthetic events of a WatchList stream (spec 3.5). */
const INITIAL_EVENTS_END = { 'k8s.io/initial-events-end': 'true' };

export interface BookmarkObjects {
  /** An object of the kind with nothing but its resourceVersion, and the annotation. Valid until the next call. */
  at(revision: ModRevision, initialEventsEnd: boolean): WireObject;
}

const made = new WeakMap<KindCodec, BookmarkObjects>();

/** Made once per codec: the empty object goes through the codec as if it had been stored. */
export function bookmarkObjects(codec: KindCodec): BookmarkObjects {
  let objects = made.get(codec);
  if (objects === undefined) made.set(codec, (objects = create(codec)));
  return objects;
}

function create(codec: KindCodec): BookmarkObjects {
  const { group, version, kind } = codec.kind;
  const stored = (metadata: object) => codec.toStored({ kind, apiVersion: apiVersionOf(group, version), metadata });
  const plain = stored({});
  const annotated = stored({ annotations: INITIAL_EVENTS_END });
  const writer = new BufferWriter(1024);
  const wire = emptyWire();
  return {
    at(revision, initialEventsEnd) {
      const value = initialEventsEnd ? annotated : plain;
      writer.position = 0;
      codec.toWire(value, 0, value.length, revision, writer);
      wire.bytes = writer.bytes;
      wire.headerStart = writer.headerStart;
      wire.start = writer.start;
      wire.end = writer.position;
      return wire;
    },
  };
}
