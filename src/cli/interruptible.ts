import { MessageChannel } from 'node:worker_threads';

/** Runs what SIGINT and SIGTERM end in its own time, by the signal that it is given; until then the process stays. */
export async function interruptible<T>(run: (stop: AbortController) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const end = () => stop.abort();
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  // The clock's timers do not keep the process alive; an open port does.
  const awake = new MessageChannel();
  awake.port1.on('message', () => {});
  try {
    return await run(stop);
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
    awake.port1.close();
  }
}
