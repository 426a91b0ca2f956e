import { groupResourceOf } from '../api/gvr.js';
import { findKind } from '../codec/kinds.js';
import { utf8 } from '../lib/bytes.js';
import { sleep } from '../lib/clock.js';
import { type RecordingEntry, RecordingError } from '../recording/format.js';
import { RecordingFile } from '../recording/read-recording.js';
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
    let operations: WriteOperation[] = [];
    let revisions = 0;
    for await (const entry of entries) {
      if (stop.signal.aborted) return;
      if (entry.type === 'put') operations.push({ type: 'put', key: move(entry.key), value: entry.value });
      else if (entry.type === 'delete') operations.push({ type: 'delete', key: move(entry.key) });
      else if (entry.type === 'end') log.info({ resource: name, reason: entry.reason }, 'the recording ends');
      else if (entry.type === 'commit') {
        const waitMs = startMs + entry.atUs / 1_000 / speed - clock.monotonicMs();
        if (waitMs > 0) await sleep(clock, waitMs, stop.signal);
        else if (revisions % WRITES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
        if (stop.signal.aborted) return;
        await store.write(operations);
        operations = [];
        revisions++;
      } else throw new RecordingError(`a ${entry.type} stands among the changes`);
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

async function writeState(
  store: WritableStore,
  entries: AsyncGenerator<RecordingEntry>,
  move: (key: Uint8Array) => Uint8Array,
): Promise<number> {
  let batch: WriteOperation[] = [];
  let objects = 0;
  for (;;) {
    const { value: entry, done } = await entries.next();
    if (done === true) throw new RecordingError('the recording ends before its state is complete');
    if (entry.type === 'object') {
      batch.push({ type: 'put', key: move(entry.key), value: entry.value });
      objects++;
    } else if (entry.type !== 'state') throw new RecordingError(`a ${entry.type} stands within the state`);
    if (batch.length === BATCH || (entry.type === 'state' && batch.length > 0)) {
      await store.write(batch);
      batch = [];
    }
    if (entry.type === 'state') return objects;
  }
}
