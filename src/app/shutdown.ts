import { InvariantError } from '../lib/assert.js';
import { type Clock, sleep } from '../lib/clock.js';
import type { Log } from './log.js';

export interface Stoppable {
  /** /readyz fails from now on; everything is still answered. */
  beginShutdown(): void;
  /** Ends watches cleanly, lets other responses finish, and releases everything. */
  stop(): Promise<void>;
}

/** Ctrl-C under npm arrives twice: from the terminal, and passed on by npm. */
const SAME_SIGNAL_MS = 300;

/** What a client or the network did to a socket that nobody listened to any more. It says nothing about our state. */
const NETWORK_CODES = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ETIMEDOUT',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_HTTP2_INVALID_STREAM',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_HTTP2_SESSION_ERROR',
]);

/**
 * How the process ends (spec 9.4):
 *   SIGTERM, SIGINT      /readyz fails; after the delay, the listeners close, watches end, the rest drains; exit 0
 *   a second signal      exit 1, at once
 *   uncaught exception   exit 1: what was being changed may be half changed. Stray socket errors are only logged.
 *   unhandled rejection  a broken invariant: exit 1. Anything else is a forgotten answer, not a broken state: logged.
 */
export function superviseProcess(server: Stoppable, delayMs: number, log: Log, clock: Clock): void {
  let firstMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstMs !== undefined) {
      if (clock.monotonicMs() - firstMs < SAME_SIGNAL_MS) return;
      log.warn({ signal }, 'second signal: exiting at once');
      process.exit(1);
    }
    firstMs = clock.monotonicMs();
    log.info({ signal }, 'shutting down');
    stopGracefully(server, delayMs, clock).then(
      () => process.exit(0),
      (error: unknown) => die(log, error, 'shutdown failed'),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
    if (error.code !== undefined && NETWORK_CODES.has(error.code)) log.error({ err: error }, 'stray network error');
    else die(log, error, 'uncaught exception');
  });
  process.on('unhandledRejection', (reason) => {
    if (reason instanceof InvariantError) die(log, reason, 'broken invariant');
    log.error({ err: reason }, 'unhandled rejection');
  });
}

export async function stopGracefully(server: Stoppable, delayMs: number, clock: Clock): Promise<void> {
  server.beginShutdown();
  if (delayMs > 0) await sleep(clock, delayMs); // the open listeners keep the process alive meanwhile
  await server.stop();
}

function die(log: Log, error: unknown, what: string): never {
  log.fatal({ err: error }, what);
  process.exit(1);
}
