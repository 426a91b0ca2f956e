import { kindByObject } from '../../codec/kinds.js';
import type { Clock, Timer } from '../../lib/clock.js';
import { seededRandom } from '../../lib/random.js';
import type { WriteOperation } from '../../source/source.js';
import type { ObjectStore } from '../object-store.js';
import type { SampleOptions } from './options.js';
import { createSampleCluster } from './sample-cluster.js';
import type { SampleChange } from './world.js';

export interface RunningSample {
  stop(): Promise<void>;
}

const TICK_MS = 100;
/** kube-apiserver shares a TTL lease among events for a minute, or a thousand of them (spec 1.7). */
const LEASE_SHARED_MS = 60_000;
const LEASE_SHARED_COUNT = 1_000;

/** Between turns of the event loop, so that a large burst does not keep readers waiting. */
const WRITES_A_TURN = 128;

/**
 * Fills the store and keeps the cluster alive, every write a revision of its own, as in a real
 * cluster. The next tick waits until the writes of the last are done, so a slow store slows the
 * cluster down instead of growing a queue.
 */
export async function runSample(
  objects: ObjectStore,
  options: SampleOptions,
  clock: Clock,
  failed: (error: unknown) => void,
): Promise<RunningSample> {
  let changes: SampleChange[] = [];
  const cluster = createSampleCluster(options, seededRandom(options.seed), clock.nowMs(), (change) =>
    changes.push(change),
  );
  const eventLease = sharedLease(objects, options.eventTtlSeconds, clock);
  let stopped = false;
  let timer: Timer | undefined;
  let writing: Promise<void> = Promise.resolve();

  const flush = async () => {
    const batch = changes;
    changes = [];
    for (const [index, change] of batch.entries()) {
      if (stopped) return;
      if (index % WRITES_A_TURN === WRITES_A_TURN - 1) await nextTurn();
      await objects.store.write([await operationOf(objects, change, eventLease)]);
    }
  };
  const tick = () => {
    timer = clock.setTimer(TICK_MS, () => {
      if (stopped) return;
      cluster.advance(clock.nowMs());
      writing = flush().then(tick, (error: unknown) => {
        if (!stopped) failed(error);
      });
    });
  };

  cluster.fill();
  await flush();
  tick();
  return {
    async stop() {
      stopped = true;
      timer?.cancel();
      await writing;
    },
  };
}

async function operationOf(
  objects: ObjectStore,
  change: SampleChange,
  eventLease: () => Promise<bigint>,
): Promise<WriteOperation> {
  if (change.type === 'put') {
    const put = objects.encode(change.object);
    return change.expires ? { ...put, lease: await eventLease() } : put;
  }
  const kind = kindByObject(change.apiVersion, change.kind)!;
  return { type: 'delete', key: objects.keyOf(kind, change.namespace, change.name) };
}

function sharedLease(objects: ObjectStore, ttlSeconds: number, clock: Clock): () => Promise<bigint> {
  let lease: bigint | undefined;
  let grantedMs = 0;
  let used = 0;
  const sharedMs = Math.min(LEASE_SHARED_MS, ttlSeconds * 50); // at most a twentieth of the TTL
  return async () => {
    if (lease === undefined || used >= LEASE_SHARED_COUNT || clock.nowMs() - grantedMs >= sharedMs) {
      lease = await objects.store.grantLease(ttlSeconds + Math.ceil(sharedMs / 1_000));
      grantedMs = clock.nowMs();
      used = 0;
    }
    used++;
    return lease;
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
