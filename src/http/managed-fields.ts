import type { Kind } from '../codec/kind.js';
import type { WireObject } from '../codec/codec.js';
import {
  customSizeWithoutManagedFields,
  sizeWithoutManagedFields,
  writeCustomWithoutManagedFields,
  writeWithoutManagedFields,
} from '../codec/managed-fields.js';
import { createWriter } from '../codec/writer.js';
import { nextTurn } from '../lib/line.js';
import type { ListAnswer, ObjectAnswer, WatchFormat } from '../serve/reader.js';
import { emptyWire } from './encode/protobuf.js';
import type { Exchange } from './exchange.js';
import type { WriteContext } from './objects.js';
import { isSet } from './query.js';

/**
 * A client that asks for objects without `metadata.managedFields`, which take a third of a usual pod. Neither the
 * header nor the parameter means anything to kube-apiserver: it answers the same with them.
 */
export function omitsManagedFields({ request }: Exchange): boolean {
  return (
    request.headers['x-listwatch-omit-managed-fields'] === '1' || isSet(request.query.get('listwatchOmitManagedFields'))
  );
}

export function objectWithoutManagedFields(kind: Kind, answer: ObjectAnswer): ObjectAnswer {
  const { revision, staleMs } = answer;
  return { wire: stripper(kind)(answer.wire, emptyWire()), revision, staleMs, [Symbol.dispose]: () => undefined };
}

const MEASURED_PER_TURN = 4_096;

/**
 * The same list; its objects are cut down when they are read, and each is valid until the next one is. The caller
 * goes on disposing `answer`. undefined: the client left while the objects were measured.
 */
export async function listWithoutManagedFields(
  { clock, limits }: WriteContext,
  kind: Kind,
  answer: ListAnswer,
  gone: () => boolean,
): Promise<ListAnswer | undefined> {
  const item = emptyWire();
  const sizeOf = kind.custom === undefined ? sizeWithoutManagedFields : customSizeWithoutManagedFields;
  let itemBytes = 0;
  let sliceStartMs = clock.monotonicMs();
  for (let index = 0; index < answer.count; index++) {
    itemBytes += sizeOf(answer.at(index, item));
    if (index % MEASURED_PER_TURN !== 0 || clock.monotonicMs() - sliceStartMs < limits.listSliceMs) continue;
    await nextTurn();
    sliceStartMs = clock.monotonicMs();
    if (gone()) return undefined;
  }
  const { resourceVersion, remainingItemCount, shard, count, staleMs, plan } = answer;
  const strip = stripper(kind);
  return {
    resourceVersion,
    continue: answer.continue,
    remainingItemCount,
    shard,
    count,
    itemBytes,
    staleMs,
    plan,
    runs: undefined,
    at: (index, into) => strip(answer.at(index, item), into),
    [Symbol.dispose]: () => undefined,
  };
}

export function formatWithoutManagedFields(kind: Kind, format: WatchFormat): WatchFormat {
  const strip = stripper(kind);
  const stripped = emptyWire();
  return {
    ...format,
    id: `${format.id}/omit-managed-fields`,
    event: (type, wire, revision, first, into) => format.event(type, strip(wire, stripped), revision, first, into),
  };
}

/** Of one response, whose objects it writes into one buffer, one after the other. */
function stripper({ custom }: Kind): (wire: WireObject, into: WireObject) => WireObject {
  const writer = createWriter();
  const write = custom === undefined ? writeWithoutManagedFields : writeCustomWithoutManagedFields;
  return ({ bytes, start, end }, into) => {
    writer.position = 0;
    write(bytes, start, end, writer);
    into.bytes = writer.bytes;
    into.headerStart = writer.headerStart;
    into.start = writer.start;
    into.end = writer.position;
    return into;
  };
}
