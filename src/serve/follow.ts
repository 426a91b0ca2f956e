import { StringDecoder } from 'node:string_decoder';
import { parseListOptions } from '../api/list-options.js';
import type { ModRevision } from '../api/revision.js';
import type { ByteWriter } from '../codec/codec.js';
import { parseExact } from '../codec/json-parse.js';
import { type Clock, sleep } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Failure } from './failure.js';
import type { Reader, WatchFormat } from './reader.js';

/** Hears of one kind's objects. */
export interface Follower {
  /** `object`: as JSON has it, with integers that are too large for a number as bigint. */
  put(object: unknown, name: FollowedName, revision: ModRevision): void;
  remove(name: FollowedName, revision: ModRevision): void;
  /** The first state is complete, or a later one that was read anew. */
  synced(): void;
  /** The watch did not begin, or broke; it is tried again. */
  failed?(message: string): void;
}

export interface FollowedName {
  /** '' of what has none. */
  readonly namespace: string;
  readonly name: string;
}

interface Line {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly revision: ModRevision;
  readonly object?: { readonly metadata: { readonly name: string; readonly namespace?: string } };
  /** Of a bookmark: the state is complete. */
  readonly complete?: boolean;
  /** Of an error. */
  readonly message?: string;
}

export interface Following {
  stop(): void;
}

let follows = 0;

/**
 * Follows one kind through its reader, as a client's informer would: the state, then every change, and anew when the watch
 * ends. Until a new state is complete the old one holds; what it does not have any more is removed then.
 */
export function follow(reader: Reader, follower: Follower, clock: Clock, limits: Limits): Following {
  const over = new AbortController();
  const { signal } = over;
  const known = new Map<string, FollowedName>();
  const format = lines(reader);
  const run = async () => {
    for (let backoffMs = limits.backoffMinMs; !signal.aborted; ) {
      const began = await watchOnce(reader, format, follower, known, signal).catch((error: unknown) => {
        follower.failed?.(String(error));
        return false;
      });
      backoffMs = began ? limits.backoffMinMs : Math.min(backoffMs * 2, limits.backoffMaxMs);
      await sleep(clock, backoffMs, signal);
    }
  };
  void run();
  return { stop: () => over.abort() };
}

/** Follows several kinds. `synced` is called once: the first state of all of them is complete. */
export function followAll(
  followed: readonly (readonly [Reader, Omit<Follower, 'synced'>])[],
  synced: () => void,
  clock: Clock,
  limits: Limits,
): Following {
  const missing = new Set<number>(followed.keys());
  const followings = followed.map(([reader, follower], index) => {
    const known = () => {
      if (missing.delete(index) && missing.size === 0) synced();
    };
    return follow(reader, { ...follower, synced: known }, clock, limits);
  });
  return {
    stop() {
      for (const following of followings) following.stop();
    },
  };
}

const WITH_STATE = new Map([
  ['watch', 'true'],
  ['sendInitialEvents', 'true'],
  ['resourceVersion', '0'],
  ['resourceVersionMatch', 'NotOlderThan'],
  ['allowWatchBookmarks', 'true'],
]);

/** Resolves when the watch has ended; true: it had told the whole state. */
async function watchOnce(
  reader: Reader,
  format: WatchFormat,
  follower: Follower,
  known: Map<string, FollowedName>,
  signal: AbortSignal,
): Promise<boolean> {
  const options = parseListOptions(WITH_STATE);
  if (!options.ok) throw new Error(options.message);
  const result = await reader.watch({
    namespace: undefined,
    options: options.value,
    signal,
    legacyPath: false,
    format,
    ofServer: true,
  });
  if (!result.ok) {
    if (!signal.aborted) follower.failed?.(describe(result.failure));
    return false;
  }
  const session = result.value;
  if (signal.aborted) {
    session.cancel();
    return false;
  }
  /** Not seen again since the watch began. */
  const old = new Map(known);
  let complete = false;
  const hear = ({ type, revision, object, complete: whole, message }: Line) => {
    if (type === 'ERROR') follower.failed?.(message ?? '');
    if (type === 'BOOKMARK' && whole === true) {
      for (const [key, name] of old) {
        known.delete(key);
        follower.remove(name, revision);
      }
      old.clear();
      complete = true;
      follower.synced();
    }
    if (object === undefined) return;
    const { namespace = '', name } = object.metadata;
    const key = `${namespace}/${name}`;
    old.delete(key);
    if (type === 'DELETED') {
      known.delete(key);
      follower.remove({ namespace, name }, revision);
    } else {
      known.set(key, { namespace, name });
      follower.put(object, { namespace, name }, revision);
    }
  };
  await new Promise<void>((resolve) => {
    let unfinished = '';
    const decoder = new StringDecoder('utf8');
    const running = session.start({
      write(chunk, done) {
        const texts = (unfinished + decoder.write(Buffer.from(chunk))).split('\n');
        done?.();
        unfinished = texts.pop()!;
        for (const text of texts) hear(parseExact(text) as Line);
        return true;
      },
      end: ended,
      fail(message) {
        follower.failed?.(message);
        ended();
      },
    });
    const stop = () => {
      running.close();
      ended();
    };
    function ended(): void {
      signal.removeEventListener('abort', stop);
      resolve();
    }
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });
  return complete;
}

function describe(failure: Failure): string {
  return 'message' in failure ? failure.message : failure.kind;
}

/** Lines of JSON that only this file reads. */
function lines({ codec }: Reader): WatchFormat {
  const text = (into: ByteWriter, value: string) => {
    const bytes = Buffer.from(value);
    into.reserve(bytes.length);
    bytes.copy(into.bytes, into.position);
    into.position += bytes.length;
  };
  return {
    id: `follow-${follows++}`,
    firstDiffers: false,
    event(type, wire, revision, _first, into) {
      text(into, `{"type":"${type}","revision":${revision},"object":`);
      codec.toJson(wire.bytes, wire.start, wire.end, true, into);
      text(into, '}\n');
    },
    bookmark: (revision, complete, _first, into) =>
      text(into, `{"type":"BOOKMARK","revision":${revision},"complete":${complete}}\n`),
    error: (failure, into) =>
      text(into, `{"type":"ERROR","revision":0,"message":${JSON.stringify(describe(failure))}}\n`),
  };
}
