import type { ByteWriter, KindCodec, WireObject } from '../codec/codec.js';
import { createWriter } from '../codec/writer.js';
import { mappedBytes } from '../lib/mapped-memory.js';

/** Objects of one kind that are encoded together. */
export interface ItemsToEncode {
  readonly codec: KindCodec;
  readonly count: number;
  /** Points `into` at item `index`. Called when a task is started, when it is taken, or both. */
  at(index: number, into: WireObject): WireObject;
  /** Keeps the items' bytes where they are until it is disposed, whatever becomes of the LIST. */
  hold(): Disposable;
}

/** Items as JSON, a comma between two. */
export interface EncodedItems {
  readonly bytes: Buffer;
  /** Item i begins at `starts[i]` and ends before the comma in front of `starts[i + 1]`; one more than there are items. */
  readonly starts: Uint32Array;
}

/** Items on their way. Either `take` or `cancel` is called, once. */
export interface EncodeTask {
  /** At once, unless another thread is busy with them. Throws, or rejects, as `KindCodec.toJson` throws. */
  take(): EncodedItems | Promise<EncodedItems>;
  /** Nobody will take them. */
  cancel(): void;
}

/**
 * Who encodes the items of a LIST. Whoever writes one starts tasks for what comes next and takes them in order:
 *
 *     start 0, start 1, start 2;  take 0, start 3;  take 1, start 4;  ...
 */
export interface FragmentEncoder {
  /** How many tasks it is worth having started before the one that is taken. */
  readonly ahead: number;
  start(items: ItemsToEncode): EncodeTask;
}

/** Of an encoder that uses other threads. Counters since the start, unless they say otherwise. */
export interface EncodeStats {
  /** Running now. */
  readonly workers: number;
  readonly workersStarted: number;
  readonly workersCrashed: number;
  /** Encoded by workers. */
  readonly tasksByWorkers: number;
  /** Encoded by the owner: no worker had come to them, or the pool was full. */
  readonly tasksByOwner: number;
  /** Of these, what was not offered to a worker because the queue was full. */
  readonly tasksRefused: number;
  /** Now: wire bytes of tasks that are started and not taken. */
  readonly aheadBytes: number;
}

/** Encodes in the thread that asks, when the task is taken. */
export class InThreadEncoder implements FragmentEncoder {
  readonly ahead = 0;
  readonly #encode = createItemsEncoder();

  start(items: ItemsToEncode): EncodeTask {
    return { take: () => this.#encode(items), cancel: () => {} };
  }
}

const SCRATCH_BYTES_MAX = 4 * 2 ** 20;

/** The encoder of one thread: it writes into a buffer that is used again, and gives copies of the exact size. */
export function createItemsEncoder(): (items: Pick<ItemsToEncode, 'codec' | 'count' | 'at'>) => EncodedItems {
  const wire: WireObject = { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
  let scratch: ByteWriter = createWriter();
  return ({ codec, count, at }) => {
    const into = scratch;
    into.position = 0;
    const starts = new Uint32Array(count + 1);
    for (let index = 0; index < count; index++) {
      if (index > 0) {
        into.reserve(1);
        into.bytes[into.position++] = 0x2c;
      }
      starts[index] = into.position;
      const { bytes, start, end } = at(index, wire);
      codec.toJson(bytes, start, end, false, into);
    }
    starts[count] = into.position + 1;
    const bytes = mappedBytes(into.position);
    into.bytes.copy(bytes, 0, 0, into.position);
    if (into.bytes.length > SCRATCH_BYTES_MAX) scratch = createWriter();
    return { bytes, starts };
  };
}
