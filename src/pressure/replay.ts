import { createKindCodec } from '../codec/kind-codec.js';
import { findKind } from '../codec/kinds.js';
import type { EngineName } from '../engine/engines.js';
import { type Clock, sleep } from '../lib/clock.js';
import { RecordingError } from '../recording/format.js';
import type { RecordingFile } from '../recording/read-recording.js';
import { RecordedSource } from '../recording/recorded-source.js';
import { type Measured, Meter } from './meter.js';
import type { RepresentationName } from './representations.js';
import { createSubjectCache } from './subject.js';

export interface ReplayOptions {
  readonly representation: RepresentationName;
  readonly engine: EngineName;
  /** How many times as fast as it was recorded; infinity: as fast as it goes. */
  readonly speed: number;
  /** Ends the replay early. */
  readonly signal: AbortSignal;
}

export interface ReplayResult extends Omit<Measured, 'allocatedBytes'> {
  readonly objects: number;
  readonly changes: number;
  readonly revisions: number;
  readonly changesPerSecond: number;
  /** Of the recording: from its state to its last revision. */
  readonly recordedSeconds: number;
  readonly allocatedBytesPerChange: number | undefined;
  /** Why the recording ends where it does; undefined: it was cut off, or the replay was. */
  readonly endReason: string | undefined;
}

const READY_MS = 3_600_000;
/** Revisions in one turn of the event loop, at most. */
const TURN_COUNT_MAX = 110;

/**
 * Feeds a recording to the server's watch cache over a representation and an engine. A revision is due at its recorded
 * time, divided by the speed; its age runs from there to the end of the turn in which it was applied.
 * Rejects with RecordingError when the file cannot be used.
 */
export async function replay(file: RecordingFile, options: ReplayOptions, clock: Clock): Promise<ReplayResult> {
  const { group, version, resource, prefix } = file.header;
  const kind = findKind(group, version, resource);
  if (kind === undefined) throw new RecordingError(`this listwatch has no ${resource} in ${group}/${version}`);
  const source = new RecordedSource(file);
  const subject = { kind, codec: createKindCodec(kind), prefix: Buffer.from(prefix) };
  const cache = createSubjectCache(subject, source, options, clock);
  cache.start();
  await Promise.race([cache.whenReady(READY_MS), source.failed]).catch(async (error: unknown) => {
    await cache.stop();
    throw error instanceof RecordingError ? error : new RecordingError((error as Error).message);
  });
  const objects = cache.stats.objects;

  const meter = new Meter(clock, 10_000);
  let changes = 0;
  let revisions = 0;
  let recordedUs = 0;
  let endReason: string | undefined;
  const due: { revision: number; ms: number }[] = [];
  const endTurn = async (idleMs: number) => {
    if (idleMs > 0) await sleep(clock, idleMs, options.signal);
    else await new Promise((resolve) => setImmediate(resolve));
    const elapsedMs = meter.elapsedMs();
    while (due.length > 0 && due[0]!.revision <= cache.revision) {
      const { ms } = due.shift()!;
      if (Number.isFinite(options.speed)) meter.ages.add(elapsedMs - ms);
    }
  };
  const ended = (reason: string) => {
    endReason = reason;
  };
  for await (const recorded of source.revisions(ended)) {
    if (options.signal.aborted) break;
    const ms = recorded.atUs / 1_000 / options.speed;
    for (let waitMs = ms - meter.elapsedMs(); waitMs > 0; waitMs = ms - meter.elapsedMs()) {
      // What was delivered before is looked at before the wait, not after it.
      await endTurn(due.length > 0 ? 0 : Math.max(1, waitMs));
      if (options.signal.aborted) break;
    }
    source.deliver(recorded);
    due.push({ revision: recorded.revision, ms });
    changes += recorded.changes.length;
    revisions++;
    recordedUs = recorded.atUs;
    if (due.length >= TURN_COUNT_MAX) await endTurn(0);
  }
  await endTurn(0);
  const { allocatedBytes, ...measured } = await meter.finish();
  if (cache.revision !== source.revision) {
    throw new RecordingError(
      `revision ${source.revision} was delivered, ${cache.revision} is reached: ${cache.lastError ?? ''}`,
    );
  }
  cache.verify();
  await cache.stop();
  return {
    ...measured,
    objects,
    changes,
    revisions,
    changesPerSecond: changes / measured.seconds,
    recordedSeconds: recordedUs / 1e6,
    allocatedBytesPerChange: allocatedBytes === undefined || changes === 0 ? undefined : allocatedBytes / changes,
    endReason: file.cutOff ? undefined : endReason,
  };
}
