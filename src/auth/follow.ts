import { StringDecoder } from 'node:string_decoder';
import { parseListOptions } from '../api/list-options.js';
import type { ByteWriter } from '../codec/codec.js';
import { type Clock, sleep } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Reader, WatchFormat } from '../serve/reader.js';

/** Hears of one kind's objects, as JSON has them. */
export interface Follower {
  put(object: FollowedObject): void;
  remove(object: FollowedObject): void;
  /** The first state is complete, or a later one that was read anew. */
  synced(): void;
}

export interface FollowedObject {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Line {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object?: FollowedObject;
  /** Of a bookmark: the state is complete. */
  readonly complete?: boolean;
}

export interface Following {
  stop(): void;
}

/**
 * Follows one kind through its reader, as a client's informer would: the state, then every change, and anew when the watch
 * ends. Until a new state is complete the old one holds; what it does not have any more is removed then.
 */
export function follow(reader: Reader, follower: Follower, clock: Clock, limits: Limits): Following {
  const over = new AbortController();
  const objects = new Map<string, FollowedObject>();
  const run = async () => {
    let backoffMs = limits.backoffMinMs;
    while (!over.signal.aborted) {
      const began = await watchOnce(reader, follower, objects, over.signal);
      backoffMs = began ? limits.backoffMinMs : Math.min(backoffMs * 2, limits.backoffMaxMs);
      await sleep(clock, backoffMs, over.signal);
    }
  };
  void run();
  return { stop: () => over.abort() };
}

/** Resolves when the watch has ended; true: it had told the whole state. */
async function watchOnce(
  reader: Reader,
  follower: Follower,
  objects: Map<string, FollowedObject>,
  signal: AbortSignal,
): Promise<boolean> {
  const options = parseListOptions(WITH_STATE);
  if (!options.ok) throw new Error(options.message);
  const format = lines(reader);
  const result = await reader.watch({
    namespace: undefined,
    options: options.value,
    signal,
    legacyPath: false,
    format,
    ofServer: true,
  });
  if (!result.ok || signal.aborted) {
    if (result.ok) result.value.cancel();
    return false;
  }
  const session = result.value;
  const old = new Set(objects.keys());
  let complete = false;
  const hear = (line: Line) => {
    const { type, object } = line;
    if (type === 'BOOKMARK' && line.complete === true) {
      for (const key of old) {
        follower.remove(objects.get(key)!);
        objects.delete(key);
      }
      old.clear();
      complete = true;
      follower.synced();
    }
    if (object === undefined) return;
    const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    old.delete(key);
    if (type === 'DELETED') {
      objects.delete(key);
      follower.remove(object);
    } else {
      objects.set(key, object);
      follower.put(object);
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
        for (const text of texts) hear(JSON.parse(text) as Line);
        return true;
      },
      end: resolve,
    });
    if (signal.aborted) running.close();
    signal.addEventListener('abort', () => {
      running.close();
      resolve();
    });
  });
  return complete;
}

const WITH_STATE = new Map([
  ['watch', 'true'],
  ['sendInitialEvents', 'true'],
  ['resourceVersion', '0'],
  ['resourceVersionMatch', 'NotOlderThan'],
  ['allowWatchBookmarks', 'true'],
]);

/** Lines of JSON that only this file reads. */
function lines({ codec }: Reader): WatchFormat {
  const text = (into: ByteWriter, value: string) => {
    const bytes = Buffer.from(value);
    into.reserve(bytes.length);
    bytes.copy(into.bytes, into.position);
    into.position += bytes.length;
  };
  return {
    id: 'follow',
    firstDiffers: false,
    event(type, wire, _revision, _first, into) {
      text(into, `{"type":"${type}","object":`);
      codec.toJson(wire.bytes, wire.start, wire.end, false, into);
      text(into, '}\n');
    },
    bookmark: (_revision, complete, _first, into) => text(into, `{"type":"BOOKMARK","complete":${complete}}\n`),
    error: (_failure, into) => text(into, '{"type":"ERROR"}\n'),
  };
}
