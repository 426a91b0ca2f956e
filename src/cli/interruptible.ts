import { stayAwake } from '../lib/awake.js';

/** Runs what SIGINT and SIGTERM end in its own time, by the signal that it is given; until then the process stays. */
export async function interruptible<T>(run: (stop: AbortController) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const end = () => stop.abort();
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  const rest = stayAwake();
  try {
    return await run(stop);
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
    rest();
  }
}
