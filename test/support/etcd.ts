import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pauseProcess } from './command.js';

/**
 * A real etcd for tests: one member on free loopback ports, over a temporary data dir.
 *
 *     await using etcd = await startEtcd();
 *     ... etcd.endpoint ...
 *     await etcd.kill(); await etcd.restart();       // a crash
 *     await etcd.pause(); ... etcd.resume();         // a hang
 *     await etcd.restart({ wipe: true });            // another store at the same address
 *
 * The process dies with the test process, whatever happens to the test.
 */
export interface Etcd extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or https when TLS files were given. */
  readonly endpoint: string;
  /** Plain HTTP, serves /metrics and /health. */
  readonly metricsEndpoint: string;
  /** Of the running process; another one after `restart`. */
  readonly pid: number;
  readonly dataDir: string;
  /** As the binary gives it: `3.5.16`. */
  readonly version: string;
  /** Ends the process gracefully and deletes the data dir if it was ours. Idempotent. */
  stop(): Promise<void>;
  /** kill -9, and waits until the process is gone. The data dir stays. */
  kill(): Promise<void>;
  /** Kills what runs, optionally deletes the data, and starts again on the same ports. */
  restart(how?: { wipe?: boolean }): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): Promise<void>;
  resume(): void;
  /** The last lines that etcd logged. */
  log(): string;
}

export interface EtcdOptions {
  readonly dataDir?: string;
  readonly extraArgs?: readonly string[];
  /** Default: the environment variable ETCD, else `etcd` on PATH. */
  readonly binary?: string;
  /** Serve clients over TLS; with `caFile`, clients must present a certificate signed by it. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile?: string };
  readonly startTimeoutMs?: number;
}

/** The path of the etcd binary, or undefined. */
export function findEtcd(): string | undefined {
  const named = process.env['ETCD'];
  if (named !== undefined && named !== '') return isExecutable(named) ? named : undefined;
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder !== '' && isExecutable(join(folder, 'etcd'))) return join(folder, 'etcd');
  }
  return undefined;
}

export const ETCD_MISSING =
  'these tests need a real etcd and found none: run `apt-get install etcd-server`, or set ETCD to the path of an etcd binary';

const ATTEMPTS_MAX = 5;
const LOG_CHARS_MAX = 20_000;
const STOP_TIMEOUT_MS = 5_000;

export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const binary = options.binary ?? findEtcd();
  if (binary === undefined) throw new Error(ETCD_MISSING);
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'listwatch-etcd-'));
  let failure: unknown;
  // A port that was free when we looked may be taken when etcd binds it, so a failed start is tried on other ports.
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const [clientPort, peerPort, metricsPort] = await freePorts();
    const member = new Member(binary, dataDir, options, clientPort, peerPort, metricsPort);
    try {
      await member.start();
      return member;
    } catch (error) {
      failure = error;
      await member.kill();
      if (!member.log().includes('address already in use')) break;
    }
  }
  if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
  throw failure;
}

class Member implements Etcd {
  readonly endpoint: string;
  readonly metricsEndpoint: string;
  readonly dataDir: string;
  readonly #binary: string;
  readonly #args: readonly string[];
  readonly #ownsDataDir: boolean;
  readonly #startTimeoutMs: number;
  #process: ChildProcess | undefined;
  #log = '';

  constructor(
    binary: string,
    dataDir: string,
    options: EtcdOptions,
    clientPort: number,
    peerPort: number,
    metricsPort: number,
  ) {
    const { tls } = options;
    const peer = `http://127.0.0.1:${peerPort}`;
    this.endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${clientPort}`;
    this.metricsEndpoint = `http://127.0.0.1:${metricsPort}`;
    this.dataDir = dataDir;
    this.#binary = binary;
    this.#ownsDataDir = options.dataDir === undefined;
    this.#startTimeoutMs = options.startTimeoutMs ?? 30_000;
    this.#args = [
      ...['--name', 'test', '--data-dir', join(dataDir, 'data'), '--unsafe-no-fsync', '--log-level', 'warn'],
      ...['--listen-client-urls', this.endpoint, '--advertise-client-urls', this.endpoint],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `test=${peer}`],
      ...['--listen-metrics-urls', this.metricsEndpoint],
      ...(tls === undefined ? [] : ['--cert-file', tls.certFile, '--key-file', tls.keyFile]),
      ...(tls?.caFile === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', tls.caFile]),
      ...(options.extraArgs ?? []),
    ];
  }

  get version(): string {
    return etcdVersion(this.#binary);
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('etcd does not run');
    return pid;
  }

  async start(): Promise<void> {
    const child = spawn(this.#binary, this.#args, { stdio: ['ignore', 'pipe', 'pipe'], env: withoutEtcdVariables() });
    this.#process = child;
    running.add(child);
    let exited: string | undefined;
    const collect = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_CHARS_MAX);
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    child.once('error', (error) => {
      exited = error.message;
      running.delete(child);
    });
    child.once('exit', (code, signal) => {
      exited = `exit code ${code}, signal ${signal}`;
      running.delete(child);
    });
    const deadlineMs = performance.now() + this.#startTimeoutMs;
    while (performance.now() < deadlineMs) {
      if (exited !== undefined) throw new Error(`etcd ended before it was healthy (${exited}):\n${this.#log}`);
      if (await isHealthy(this.metricsEndpoint)) return;
      await delay(50);
    }
    throw new Error(`etcd was not healthy within ${this.#startTimeoutMs} ms:\n${this.#log}`);
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    if (this.#ownsDataDir) rmSync(this.dataDir, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async restart(how: { wipe?: boolean } = {}): Promise<void> {
    await this.kill();
    if (how.wipe === true) rmSync(join(this.dataDir, 'data'), { recursive: true, force: true });
    await this.start();
  }

  pause(): Promise<void> {
    return pauseProcess(this.pid);
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  log(): string {
    return this.#log;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    if (signal === 'SIGTERM') {
      child.kill('SIGCONT'); // a paused process would never see the first signal
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(force);
    } else {
      await gone;
    }
  }
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

async function isHealthy(metricsEndpoint: string): Promise<boolean> {
  try {
    const response = await fetch(`${metricsEndpoint}/health`, { signal: AbortSignal.timeout(1_000) });
    const { health } = (await response.json()) as { health?: string };
    return health === 'true';
  } catch {
    return false;
  }
}

function etcdVersion(binary: string): string {
  const text = execFileSync(binary, ['--version'], { encoding: 'utf8', env: withoutEtcdVariables() });
  const version = /^etcd Version: (\S+)$/m.exec(text)?.[1];
  if (version === undefined) throw new Error(`${binary} does not say its version: ${text}`);
  return version;
}

/** ETCD_* variables would override our flags' defaults, and ETCDCTL_* are not for the server. */
function withoutEtcdVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ETCD')));
}

/** Three ports that are free now; all are held open together, so that they differ. */
async function freePorts(): Promise<[number, number, number]> {
  const servers = await Promise.all([0, 1, 2].map(() => listen()));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports as [number, number, number];
}

function listen(): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
