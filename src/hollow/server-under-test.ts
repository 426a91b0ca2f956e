import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FlagValues } from '../app/config.js';
import { UsageError } from '../app/usage-error.js';
import type { Clock } from '../lib/clock.js';
import type { WritableStore, WriteOperation } from '../source/source.js';
import type { ServerReport, ServerRequest } from './server-process.js';

export interface ServerUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

const SERVER_PROCESS = fileURLToPath(new URL('./server-process.js', import.meta.url));
const STDERR_KEPT = 8_192;

/** A listwatch server in a process of its own, and the way to its embedded store. */
export class ServerUnderTest {
  readonly url: string;
  readonly pid: number;
  /** Aborted, with what happened to it as the reason, when it ends before it is stopped. */
  readonly ended = new AbortController();
  readonly #child: ChildProcess;
  readonly #writes = new Map<number, { resolve(revision: number): void; reject(error: Error): void }>();
  #id = 0;
  #usage: ((usage: ServerUsage | undefined) => void) | undefined;
  #stopping = false;

  private constructor(child: ChildProcess, url: string, stderr: () => string) {
    this.#child = child;
    this.url = url;
    this.pid = child.pid ?? 0;
    child.on('message', (report: ServerReport) => this.#receive(report));
    child.once('close', (code, signal) => {
      const text = deathOf(code, signal, stderr());
      for (const { reject } of this.#writes.values()) reject(new Error(text));
      this.#writes.clear();
      this.#usage?.(undefined);
      if (!this.#stopping) this.ended.abort(new Error(text));
    });
  }

  /** Rejects with UsageError for what the flags have wrong. */
  static start(flags: FlagValues, version: string, clock: Clock, timeoutMs: number): Promise<ServerUnderTest> {
    const child = fork(SERVER_PROCESS, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_KEPT);
    });
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        timer.cancel();
        child.kill('SIGKILL');
        reject(error);
      };
      const timer = clock.setTimer(timeoutMs, () =>
        fail(new UsageError(`the server under test was not ready within ${timeoutMs / 1000} s`)),
      );
      child.once('error', (error) => fail(error));
      child.once('close', (code, signal) => fail(new Error(deathOf(code, signal, stderr))));
      child.once('message', (report: ServerReport) => {
        if (report.type !== 'serving') return fail(new UsageError(report.type === 'refused' ? report.message : ''));
        timer.cancel();
        child.removeAllListeners('close');
        resolve(new ServerUnderTest(child, report.url, () => stderr));
      });
      const request: ServerRequest = { type: 'start', flags, version };
      child.send(request, () => {}); // a process that dies before it has read this says so in other ways
    });
  }

  /** The embedded store, from here: writes only. */
  readonly store: Pick<WritableStore, 'write'> = {
    write: (operations) => this.#write(operations),
  };

  /** What the process has used so far; undefined when it is gone. */
  usage(): Promise<ServerUsage | undefined> {
    if (!this.#child.connected) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#usage = resolve;
      this.#send({ type: 'usage' });
    });
  }

  stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.kill('SIGKILL'); // nothing of it is kept
    });
  }

  #write(operations: readonly WriteOperation[]): Promise<number> {
    const id = this.#id++;
    return new Promise((resolve, reject) => {
      this.#writes.set(id, { resolve, reject });
      this.#send({ type: 'write', id, operations });
    });
  }

  #send(request: ServerRequest): void {
    this.#child.send(request, (error) => {
      if (error === null || request.type !== 'write') return;
      this.#writes.get(request.id)?.reject(error);
      this.#writes.delete(request.id);
    });
  }

  #receive(report: ServerReport): void {
    if (report.type === 'usage') this.#usage?.(report);
    else if (report.type === 'written') this.#writes.get(report.id)?.resolve(report.revision);
    else if (report.type === 'failed') this.#writes.get(report.id)?.reject(new Error(report.message));
    if ('id' in report) this.#writes.delete(report.id);
  }
}

function deathOf(code: number | null, signal: NodeJS.Signals | null, stderr: string): string {
  if (signal !== null) return `the server under test was killed with ${signal}`;
  const last = stderr.trim().split('\n').at(-1) ?? '';
  return `the server under test exited with code ${code}${last === '' ? '' : `: ${last}`}`;
}
