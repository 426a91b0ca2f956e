import { parentPort, workerData } from 'node:worker_threads';
import { CodecError, type KindCodec } from '../codec/codec.js';
import { createKindCodec } from '../codec/kind-codec.js';
import { createItemsEncoder } from '../serve/fragment-encoder.js';
import { claim } from './claims.js';
import type { KindMessage, Reply, TaskMessage, WorkerStart } from './messages.js';

/**
 * The entry of an encode worker: it reads items where they lie, in the slabs of the cache's owner, and gives
 * back their JSON. That the bytes stay until the reply is the owner's business (encode-pool.ts).
 */
const { cells, seenCell } = workerData as WorkerStart;
const port = parentPort!;
const codecs: KindCodec[] = [];
const encode = createItemsEncoder();

port.on('message', (message: KindMessage | TaskMessage) => {
  if ('definition' in message) {
    codecs[message.kind] = createKindCodec(message.definition);
    return;
  }
  Atomics.add(cells, seenCell, 1);
  if (!claim(cells, message.cell, message.ticket)) return;
  const { reply, transfer } = replyTo(message);
  port.postMessage(reply, transfer);
});

function replyTo({ ticket, kind, slabs, places }: TaskMessage): { reply: Reply; transfer: ArrayBuffer[] } {
  const buffers = slabs.map((slab) => Buffer.from(slab, 0, slab.byteLength));
  try {
    const { bytes, starts } = encode({
      codec: codecs[kind]!,
      count: places.length / 3,
      at(index, into) {
        into.bytes = buffers[places[index * 3]!]!;
        into.start = into.headerStart = places[index * 3 + 1]!;
        into.end = places[index * 3 + 2]!;
        return into;
      },
    });
    const buffer = bytes.buffer as ArrayBuffer; // exactly as large as `bytes`
    return { reply: { ticket, encoded: { bytes: buffer, starts } }, transfer: [buffer, starts.buffer as ArrayBuffer] };
  } catch (error) {
    if (error instanceof CodecError) return { reply: { ticket, encoded: undefined }, transfer: [] };
    throw error;
  }
}
