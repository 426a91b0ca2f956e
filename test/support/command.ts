import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository, whether this runs from dist/ or another output folder beside it. */
export const repositoryRoot = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; never rejects for a non-zero exit. */
export function run(
  file: string,
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly input?: string | Uint8Array;
    readonly timeoutMs?: number;
    readonly cwd?: string;
  } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...args],
      {
        env: { ...process.env, ...options.env },
        maxBuffer: 2 ** 30,
        timeout: options.timeoutMs ?? 60_000,
        cwd: options.cwd ?? repositoryRoot,
      },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code === 'string') return reject(error); // could not be started
        resolve({ code: error === null ? 0 : ((error.code as unknown as number) ?? null), stdout, stderr });
      },
    );
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
}

/** Finds a program by name on PATH, or says how to get it. Never skips silently. */
export function requireProgram(name: string, environmentVariable: string, howToInstall: string): string {
  const named = process.env[environmentVariable];
  if (named !== undefined && named !== '') {
    if (existsSync(named)) return named;
    throw new Error(`${environmentVariable}=${named} does not exist; ${howToInstall}`);
  }
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, name);
    if (existsSync(candidate)) return candidate;
  }
  throw new Error(`${name} is not on PATH and ${environmentVariable} is not set; ${howToInstall}`);
}

/** A loopback port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** SIGTERM, then SIGKILL after five seconds; resolves with the exit code. */
  stop(): Promise<number | null>;
  readonly exited: Promise<number | null>;
}

export function start(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
): RunningCommand {
  const child = spawn(file, [...args], {
    env: { ...process.env, ...env },
    cwd: repositoryRoot,
    stdio: [stdin, 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return {
    child,
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    exited,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      const code = await exited;
      clearTimeout(timer);
      return code;
    },
  };
}

/** SIGSTOP. The kernel stops thread by thread after the call: on Linux this waits until none can answer any more. */
export async function pauseProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const threads = `/proc/${pid}/task`;
  if (!existsSync(threads)) return new Promise((resolve) => setTimeout(resolve, 100));
  await eventually(
    `process ${pid} is stopped`,
    () =>
      readdirSync(threads).every((thread) =>
        /^State:\s+[Tt]/m.test(readFileSync(join(threads, thread, 'status'), 'utf8')),
      ),
    5_000,
    2,
  );
}

/** Polls until `probe` returns something, or throws with `what` after the time is over. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
  everyMs = 50,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() > deadline) {
      throw new Error(
        `${what} did not happen within ${timeoutMs} ms${lastError === undefined ? '' : `: ${String(lastError)}`}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
