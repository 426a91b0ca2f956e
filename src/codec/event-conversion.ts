import { assert } from '../lib/assert.js';
import type { Conversion } from './conversion.js';
import type { JsonObject } from './json-parse.js';
import { type Field, messageType } from './schema.js';
import { after, readTag, skipField } from './wire.js';

/** Members of a core v1 Event that have another name in events.k8s.io/v1. All others have the same one in both. */
const renamed: ReadonlyMap<string, string> = new Map([
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
]);
const storedNames: ReadonlyMap<string, string> = new Map([...renamed].map(([stored, served]) => [served, stored]));

/** An Event has the same members in both groups, under other names and numbers: their bytes only change places. */
export const eventConversion: Conversion = {
  toServed(bytes, start, end) {
    const order = servedOrder();
    for (let at = start; at < end; ) {
      const tag = readTag(bytes, at, end);
      const from = after.at;
      at = skipField(bytes, from, end, tag);
      const place = order.byStoredTag[tag];
      if (place === undefined) continue; // canonical bytes have no such field
      place.start = from;
      place.end = at;
    }
    const served = Buffer.allocUnsafe(end - start);
    let size = 0;
    for (const place of order.places) {
      if (place.start === ABSENT) continue;
      served[size++] = place.tag;
      for (let from = place.start; from < place.end; from++) served[size++] = bytes[from]!;
      place.start = ABSENT;
    }
    return served.subarray(0, size);
  },

  toStored({ apiVersion: _, ...event }) {
    const stored: JsonObject = { apiVersion: 'v1' };
    for (const [name, value] of Object.entries(event)) stored[storedNames.get(name) ?? name] = value;
    return stored;
  },
};

const ABSENT = -1;
const ONE_BYTE_TAG_MAX = 127;

/** A field of the served message, and where its value lies in the stored one that is converted. */
interface Place {
  readonly tag: number;
  start: number;
  end: number;
}

interface Order {
  /** In the order in which they are written. */
  readonly places: readonly Place[];
  readonly byStoredTag: readonly (Place | undefined)[];
}

let made: Order | undefined;

function servedOrder(): Order {
  return (made ??= orderOf('k8s.io.api.core.v1.Event', 'k8s.io.api.events.v1.Event'));
}

function orderOf(storedMessage: string, servedMessage: string): Order {
  const stored = new Map(messageType(storedMessage).fields.map((field) => [field.json, field]));
  const byStoredTag: Place[] = [];
  const places = messageType(servedMessage).byNumber.map(({ json, tag }: Field): Place => {
    const storedTag = stored.get(storedNames.get(json) ?? json)!.tag;
    assert(Math.max(tag, storedTag) <= ONE_BYTE_TAG_MAX, `the tag of ${json} has one byte`);
    return (byStoredTag[storedTag] = { tag, start: ABSENT, end: ABSENT });
  });
  return { places, byStoredTag };
}
