import type { Clock, Timer } from '../../lib/clock.js';
import type { WatchRun, WatchSession } from '../../serve/reader.js';
import type { ByteSink } from '../sinks.js';

export interface WatchStreamOptions {
  readonly session: WatchSession;
  readonly sink: ByteSink;
  readonly clock: Clock;
  /** A client that does not take the end of its stream within this time is cut off. */
  readonly lingerMs: number;
  /** Called with every chunk before it is written. */
  readonly sent: (chunk: Uint8Array) => void;
}

/**
 * Joins a watch and its transport. The watch writes until the transport is full and goes on when
 * it has drained; either side may end: the watch (timeout, history lost), the client (it left), or
 * the server (the returned function). Whatever comes first, `run.close()` follows exactly once per
 * cause and is idempotent, so nothing stays pinned.
 */
export function streamWatch({ session, sink, clock, lingerMs, sent }: WatchStreamOptions): () => void {
  let run: WatchRun | undefined;
  let ended = false;
  let linger: Timer | undefined;
  const end = () => {
    if (ended) return;
    ended = true;
    sink.end();
    if (!sink.closed) linger = clock.setTimer(lingerMs, () => sink.destroy());
  };
  sink.onClose(() => {
    ended = true;
    linger?.cancel();
    run?.close();
  });
  sink.onDrain(() => {
    if (!ended) run?.drained();
  });
  run = session.start({
    write(chunk, done) {
      if (ended) return false;
      sent(chunk);
      return sink.write(chunk, done);
    },
    end,
  });
  if (sink.closed) run.close();
  return () => {
    run.close();
    end();
  };
}
