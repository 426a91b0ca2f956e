import type { Kind } from '../codec/kind.js';
import { type Clock, sleep } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { ReadObject } from './answers.js';
import { type ApiClient, ApiError, type ListQuery } from './api-client.js';
import type { Meters } from './meters.js';

export interface InformerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly meters: Meters;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

export interface Selected {
  readonly kind: Kind;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Members besides the identity, as codec/projector.ts has them. */
  readonly members: string;
}

/** What an informer tells: all objects there are, then each change. Both are called in order. */
export interface InformerHandler {
  replace(objects: readonly ReadObject[]): void;
  put(object: ReadObject): void;
  remove(object: ReadObject): void;
}

const WATCH_SECONDS_MIN = 300;
const WATCH_SECONDS_SPREAD = 300;

/**
 * client-go's reflector: a LIST of any state, then a WATCH from there, again from where it ended, and a new LIST when that
 * is too long ago. Runs until the signal; what fails is tried again, later and later.
 */
export async function runInformer(
  client: ApiClient,
  selected: Selected,
  handler: InformerHandler,
  parts: InformerParts,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, meters, backoffMinMs, backoffMaxMs } = parts;
  const { kind, members, ...rest } = selected;
  const query: ListQuery = rest;
  let resourceVersion = '';
  let backoffMs = backoffMinMs;
  while (!signal.aborted) {
    try {
      if (resourceVersion === '') {
        const listed = await client.list(kind, { ...query, resourceVersion: '0' }, members);
        handler.replace(listed.items);
        resourceVersion = listed.resourceVersion;
      }
      const timeoutSeconds = WATCH_SECONDS_MIN + random.int(WATCH_SECONDS_SPREAD);
      await client.watch(
        kind,
        { ...query, resourceVersion, timeoutSeconds },
        members,
        ({ type, object }) => {
          if (type === 'ERROR') throw new ApiError(Number(object['code'] ?? 0), String(object['message']));
          resourceVersion = object.metadata.resourceVersion;
          backoffMs = backoffMinMs;
          if (type === 'BOOKMARK') {
            meters.counts.bookmarks++;
            return;
          }
          meters.counts.events++;
          meters.lags.observed(resourceVersion, clock.monotonicMs());
          if (type === 'DELETED') handler.remove(object);
          else handler.put(object);
        },
        signal,
      );
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 410) {
        meters.counts.relists++;
        resourceVersion = '';
        continue;
      }
      meters.problem(`watching ${kind.resource}: ${error.message}`);
      await sleep(clock, backoffMs * (1 + random.float()), signal);
      backoffMs = Math.min(backoffMaxMs, backoffMs * 2);
    }
  }
}

/** For watches that cost what they cost, and tell their component nothing that it acts on. */
export const onlooker: InformerHandler = { replace() {}, put() {}, remove() {} };
