import { availableParallelism } from 'node:os';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { createWriter } from '../../src/codec/writer.js';
import { rangeOf } from '../../src/lib/bytes.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { type FragmentEncoder, InThreadEncoder, type ItemsToEncode } from '../../src/serve/fragment-encoder.js';
import { createVersions } from '../../src/versions/create-versions.js';
import { EncodePool } from '../../src/workers/encode-pool.js';
import { pods } from '../corpus.js';
import type { BenchCases } from '../bench.js';

/** As many neighbours as a leaf of the default engine holds. */
const TASK_ITEMS = 64;

/**
 * The JSON of a LIST of pods, none of it encoded before, in tasks as a LIST makes them. One operation is one pod.
 * The naive baseline is Go's way: every object is decoded to a graph, and the graph is encoded.
 */
export function setup(smoke: boolean): BenchCases {
  const count = smoke ? 200 : 50_000;
  const filled = () => fill(count);
  const list = (encoder: () => { encoder: FragmentEncoder; close?: () => unknown }) => () => {
    const tasks = tasksOf(filled());
    const { encoder: chosen, close } = encoder();
    return { ops: count, run: () => encodeAll(chosen, tasks), dispose: () => void close?.() };
  };
  const pool = (workers: number) => () => {
    const onCrash = (error: unknown) => {
      throw error;
    };
    const encoder = new EncodePool({ workers, limits: defaultLimits, clock: systemClock, onCrash });
    return { encoder, close: () => encoder.close() };
  };
  return {
    'workers/list-json/in-thread': list(() => ({ encoder: new InThreadEncoder() })),
    [`workers/list-json/pool-${Math.max(1, availableParallelism() - 1)}`]: list(
      pool(Math.max(1, availableParallelism() - 1)),
    ),
    'workers/list-json/pool-2': list(pool(2)),
    'workers/list-json/object-graphs': () => {
      const { codec, versions, ids } = filled();
      const range = rangeOf(new Uint8Array(0));
      const run = () => {
        let bytes = 0;
        for (const id of ids) {
          const { bytes: b, start, end } = versions.object(id, range);
          bytes += Buffer.byteLength(JSON.stringify(codec.read(b, start, end)));
        }
        return bytes;
      };
      return { ops: count, run };
    },
  };
}

type Filled = ReturnType<typeof fill>;

function fill(count: number) {
  const codec = createKindCodec(findKind('', 'v1', 'pods')!);
  const versions = createVersions();
  const into = createWriter();
  const ids = pods(count).map(({ key, value }, index) => {
    into.position = 0;
    codec.toWire(value, 0, value.length, index + 1, into);
    const wire = { bytes: into.bytes, start: into.headerStart, end: into.position };
    return versions.add(rangeOf(key), wire, into.start - into.headerStart, index + 1, index + 1);
  });
  return { codec, versions, ids: Int32Array.from(ids) };
}

function tasksOf({ codec, versions, ids }: Filled): ItemsToEncode[] {
  const tasks: ItemsToEncode[] = [];
  for (let first = 0; first < ids.length; first += TASK_ITEMS) {
    tasks.push({
      codec,
      count: Math.min(TASK_ITEMS, ids.length - first),
      at(index, into) {
        versions.object(ids[first + index]!, into);
        return into;
      },
      hold: () => versions.pin(ids.length, 'bench'),
    });
  }
  return tasks;
}

async function encodeAll(encoder: FragmentEncoder, tasks: readonly ItemsToEncode[]): Promise<number> {
  const started = tasks.slice(0, encoder.ahead).map((items) => encoder.start(items));
  let bytes = 0;
  for (let index = 0; index < tasks.length; index++) {
    const task = started.shift() ?? encoder.start(tasks[index]!);
    const coming = tasks[index + encoder.ahead];
    if (encoder.ahead > 0 && coming !== undefined) started.push(encoder.start(coming));
    const taken = task.take();
    const encoded = taken instanceof Promise ? await taken : taken;
    bytes += encoded.bytes.length;
  }
  return bytes;
}
