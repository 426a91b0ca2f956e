import { groupResourceOf } from '../api/gvr.js';
import { findKind } from '../codec/kinds.js';
import { utf8 } from '../lib/bytes.js';
import { sleep } from '../lib/clock.js';
import { type RecordingEntry, RecordingError } from '../recording/format.js';
import { readRevisions, readState, type RecordedChange, RecordingFile } from '../recording/read-recording.js';
import type { WritableStore, WriteOperation } from '../source/source.js';
import type { FillParts, Running } from './fill-store.js';
import { oneLine, UsageError } from './usage-error.js';

export interface ReplayConfig {
  readonly path: string;
  /** How many times as fast as it was recorded; infinity: as fast as it goes. */
  readonly speed: number;
}

/** Objects of the state that are written at one revision. */
const BATCH = 500;
/** Between turns of the event loop, so that readers have theirs. */
const WRITES_A_TURN = 64;

/**
 * Puts the state of a recording into the store, and goes on with its changes in the background, each revision at its time;
 * revisions are the store's own. Rejects with UsageError when the recording cannot be used.
 */
export async function startReplay(
  store: WritableStore,
  storePrefix: string,
  { path, speed }: ReplayConfig,
  { clock, log }: FillParts,
): Promise<Running> {
  const file = await open(path);
  const { group, version, resource, prefix } = file.header;
  const name = groupResourceOf(group, resource);
  const kind = findKind(group, version, resource);
  if (kind === undefined) {
    await file.close();
    throw new UsageError(`--replay ${path}: this listwatch has no ${resource} in ${group}/${version}`);
  }
  const here = `${storePrefix}/${kind.directory}/`;
  const move = (key: Uint8Array) => Buffer.concat([utf8(here), key.subarray(prefix.length)]);
  const entries = file.entries();
  let objects = 0;
  try {
    objects = await writeState(store, entries, move);
  } catch (error) {
    await file.close();
    throw error instanceof RecordingError ? new UsageError(`--replay ${path}: ${error.message}`) : error;
  }
  log.info({ resource: name, objects, recorded: file.header.startedAt }, 'the state of the recording is there');

  const stop = new AbortController();
  const startMs = clock.monotonicMs();
  const run = async () => {
    let revisions = 0;
    const ended = (reason: string) => log.info({ resource: name, reason }, 'the recording ends');
    for await (const { atUs, changes } of readRevisions(entries, ended)) {
      if (stop.signal.aborted) return;
      const waitMs = startMs + atUs / 1_000 / speed - clock.monotonicMs();
      if (waitMs > 0) await sleep(clock, waitMs, stop.signal);
      else if (revisions % WRITES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      if (stop.signal.aborted) return;
      await store.write(changes.map((change) => operationOf(change, move)));
      revisions++;
    }
    if (file.cutOff) log.warn({ resource: name }, 'the recording was cut off: its last changes are missing');
    log.info({ resource: name, revisions }, 'the recording is replayed');
  };
  const running = run()
    .catch((error: unknown) => {
      if (!stop.signal.aborted)
        log.error({ resource: name, replay: path }, `the replay has stopped: ${oneLine(error)}`);
    })
    .finally(() => file.close());
  return {
    async stop() {
      stop.abort();
      await running;
    },
  };
}

async function open(path: string): Promise<RecordingFile> {
  try {
    return await RecordingFile.open(path);
  } catch (error) {
    throw new UsageError(`--replay ${path}: ${oneLine(error)}`);
  }
}

type Move = (key: Uint8Array) => Uint8Array;

function operationOf(change: RecordedChange, move: Move): WriteOperation {
  const key = move(change.key);
  return change.type === 'delete' ? { type: 'delete', key } : { type: 'put', key, value: change.value };
}

async function writeState(store: WritableStore, entries: AsyncGenerator<RecordingEntry>, move: Move): Promise<number> {
  let batch: WriteOperation[] = [];
  let objects = 0;
  const flush = async () => {
    await store.write(batch);
    batch = [];
  };
  await readState(entries, (object) => {
    batch.push(operationOf(object, move));
    objects++;
    return batch.length === BATCH ? flush() : undefined;
  });
  if (batch.length > 0) await flush();
  return objects;
}
