import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort, repositoryRoot, run, start } from '../../test/support/command.js';
import { ETCD_MISSING, type Etcd, findEtcd, startEtcd } from '../../test/support/etcd.js';
import { buildGoPrograms } from '../../test/support/go-programs.js';
import type { Mode } from './modes.js';
import type { Subject } from './measures.js';

/** The kinds that the loader writes, all of them, as --watch-cache-initialization wants them. */
const KINDS = 'pods,nodes,configmaps,secrets,services,namespaces,leases.coordination.k8s.io,deployments.apps';
const READY_TIMEOUT_MS = 600_000;
const BENCH_TIMEOUT_MS = 900_000;

export interface LabOptions {
  readonly pods: number;
  /** Bytes of an annotation that every pod carries besides. */
  readonly padBytes: number;
  /** Aborted: what runs is ended, and nothing else is started. */
  readonly signal: AbortSignal;
  progress(line: string): void;
}

interface Server {
  readonly pid: number;
  readonly http: string;
  readonly https: string;
  stop(): Promise<unknown>;
}

interface Command {
  readonly program: string;
  readonly args: string[];
  readonly port: number;
  readonly tlsPort: number;
}

/**
 * One etcd with a loaded cluster, and the servers that are measured on it. `close` ends all that
 * this started, and nothing else.
 */
export class Lab {
  readonly storedBytes: number;
  readonly objects: number;
  /** Command line of the loader, for the modes that write. */
  readonly load: string;
  readonly #bin: string;
  readonly #etcd: Etcd;
  readonly #folder: string;
  readonly #options: LabOptions;
  readonly #servers = new Map<Subject, Server>();
  readonly #launched: Server[] = [];

  private constructor(
    bin: string,
    etcd: Etcd,
    folder: string,
    options: LabOptions,
    seeded: { objects: number; storedBytes: number },
  ) {
    this.#bin = bin;
    this.#etcd = etcd;
    this.#folder = folder;
    this.#options = options;
    this.objects = seeded.objects;
    this.storedBytes = seeded.storedBytes;
    this.load = loader(bin, etcd, options).map(quoted).join(' ');
  }

  get etcdVersion(): string {
    return this.#etcd.version;
  }

  /** Builds the Go programs, starts etcd and loads it; the servers follow in `startServers`. */
  static async open(options: LabOptions): Promise<Lab> {
    if (findEtcd() === undefined) throw new Error(ETCD_MISSING.replace('these tests need', 'this bench needs'));
    options.progress('building the Go peer, the loader and the load bench');
    const bin = await buildGoPrograms('peer');
    const etcd = await startEtcd({ extraArgs: ['--quota-backend-bytes', String(8 * 2 ** 30)] });
    const folder = mkdtempSync(join(tmpdir(), 'listwatch-bench-peer-'));
    try {
      options.progress(`loading ${options.pods} pods and what belongs to them into etcd ${etcd.version}`);
      const [program, ...args] = loader(bin, etcd, options);
      const { code, stdout, stderr } = await run(program!, args, { timeoutMs: READY_TIMEOUT_MS });
      if (code !== 0) throw new Error(`the loader failed: ${stderr}`);
      return new Lab(bin, etcd, folder, options, seededFrom(stdout));
    } catch (error) {
      await etcd.stop();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The peer and listwatch, ready: that is, with every kind filled. */
  async startServers(): Promise<void> {
    for (const subject of ['peer', 'listwatch'] as const) {
      this.#options.progress(`starting ${subject === 'peer' ? 'the Go peer' : 'listwatch'}`);
      await this.#start(subject, await this.#command(subject));
    }
  }

  /** What the modes' baselines need to run all the time. */
  async startBaselines(wanted: ReadonlySet<Subject>): Promise<void> {
    if (wanted.has('raw-socket') || wanted.has('node-https')) await this.#startRawServer();
    if (wanted.has('bare-watch')) await this.#startBareWatch();
  }

  async #startBareWatch(): Promise<void> {
    const port = await freePort();
    const args = [join(repositoryRoot, 'dist/bench/peer/bare-watch.js')];
    args.push('--etcd', this.#etcd.endpoint, '--port', `${port}`);
    await this.#start('bare-watch', { program: process.execPath, args, port, tlsPort: port }, '/');
  }

  /** The baselines over sockets; they send what listwatch answers to a protobuf LIST of all pods. */
  async #startRawServer(): Promise<void> {
    const { http } = this.#servers.get('listwatch')!;
    const response = await fetch(`${http}/api/v1/pods?resourceVersion=0`, {
      headers: { accept: 'application/vnd.kubernetes.protobuf' },
    });
    if (!response.ok) throw new Error(`listwatch answered ${response.status} to the LIST for the baselines`);
    const body = join(this.#folder, 'body');
    writeFileSync(body, Buffer.from(await response.arrayBuffer()));
    const [port, tlsPort] = [await freePort(), await freePort()];
    const args = ['--body', body, '--port', `${port}`, '--tls-port', `${tlsPort}`, '--cert-dir', this.#folder];
    const program = join(repositoryRoot, 'dist/bench/peer/raw-server.js');
    const server = await this.#start(
      'raw-socket',
      { program: process.execPath, args: [program, ...args], port, tlsPort },
      '/',
    );
    this.#servers.set('node-https', server);
  }

  /** One measurement: the load bench's row of it. Throws what it says when it fails. */
  async measure(mode: Mode, subject: Subject): Promise<Readonly<Record<string, number>>> {
    if (subject === 'paged-read') return this.#pagedRead();
    const common = ['-json', '-runs', '1', '-title', mode.name, '-etcd-pid', String(this.#etcd.pid)];
    if (mode.over === 'start') {
      const { program, args, port } = await this.#command(subject);
      if (mode.warm === true && subject === 'listwatch') args.push('--cache-dir', await this.#leaveCheckpoints());
      const command = [program, ...args].map(quoted).join(' ');
      const rest = mode.args.includes('-formats') ? '3s' : '0s';
      const output = await this.#bench([
        ...common,
        ...[
          '-mode',
          'startup',
          '-settle',
          rest,
          '-cmd',
          `${command} >/dev/null 2>&1`,
          '-url',
          `http://127.0.0.1:${port}`,
        ],
        ...mode.args,
      ]);
      return rowOf(output);
    }
    const apart = subject === 'listwatch' && mode.flags !== undefined;
    const server = apart ? await this.#launchWith(mode.flags) : this.#servers.get(subject);
    if (server === undefined) throw new Error(`${subject} does not run`);
    try {
      return rowOf(await this.#bench([...common, '-pid', `${server.pid}`, '-url', server[mode.over], ...mode.args]));
    } finally {
      if (apart) await server.stop();
    }
  }

  async close(): Promise<void> {
    for (const server of this.#launched) await server.stop();
    await this.#etcd.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #command(subject: Subject): Promise<Command> {
    const [port, tlsPort] = [await freePort(), await freePort()];
    if (subject === 'peer') {
      const args = ['-etcd', this.#etcd.endpoint, '-http', `127.0.0.1:${port}`, '-tls-port', `${tlsPort}`];
      return { program: join(this.#bin, 'peer'), args, port, tlsPort };
    }
    const args = [
      join(repositoryRoot, 'dist/src/cli/main.js'),
      ...['serve', '--etcd-servers', this.#etcd.endpoint, `--watch-cache-initialization=${KINDS}`],
      ...[
        '--insecure-port',
        `${port}`,
        '--secure-port',
        `${tlsPort}`,
        '--cert-dir',
        join(this.#folder, 'certificates'),
      ],
    ];
    return { program: process.execPath, args, port, tlsPort };
  }

  /** A folder with new checkpoints, of what KINDS names and may have one among them; who wrote them has ended. */
  async #leaveCheckpoints(): Promise<string> {
    const folder = join(this.#folder, 'checkpoints');
    rmSync(folder, { recursive: true, force: true });
    const server = await this.#launchWith(['--cache-dir', folder, '--checkpoint-interval', '1s']);
    try {
      const wanted = KINDS.split(',').filter((kind) => kind !== 'secrets');
      const isWritten = () => {
        const files = readdirSync(folder).filter((name) => name.endsWith('.checkpoint'));
        return wanted.every((kind) => files.some((name) => name.startsWith(`${kind}.v1.`)));
      };
      await eventually('checkpoints are written', () => this.#options.signal.aborted || isWritten(), READY_TIMEOUT_MS);
    } finally {
      await server.stop();
    }
    return folder;
  }

  async #launchWith(flags: readonly string[]): Promise<Server> {
    const command = await this.#command('listwatch');
    return this.#launch('listwatch', { ...command, args: [...command.args, ...flags] });
  }

  async #start(subject: Subject, command: Command, probe?: string): Promise<Server> {
    const server = await this.#launch(subject, command, probe);
    this.#servers.set(subject, server);
    return server;
  }

  async #launch(subject: Subject, { program, args, port, tlsPort }: Command, probe = '/readyz'): Promise<Server> {
    const command = start(program, args);
    const http = `http://127.0.0.1:${port}`;
    const server = { pid: command.pid, http, https: `https://127.0.0.1:${tlsPort}`, stop: () => command.stop() };
    this.#launched.push(server);
    await eventually(
      `${subject} is ready`,
      async () => {
        if (this.#options.signal.aborted || command.child.exitCode !== null) return true;
        return (await fetch(`${http}${probe}`)).ok;
      },
      READY_TIMEOUT_MS,
    );
    if (command.child.exitCode !== null) throw new Error(`${subject} ended: ${command.stderr().slice(-2000)}`);
    return server;
  }

  async #pagedRead(): Promise<Readonly<Record<string, number>>> {
    const [program, ...args] = loader(this.#bin, this.#etcd, this.#options);
    const { code, stdout, stderr } = await run(program!, [...args, '-mode', 'read'], { timeoutMs: BENCH_TIMEOUT_MS });
    if (code !== 0) throw new Error(`the paged read failed: ${stderr}`);
    const { seconds, keys, bytes } = JSON.parse(stdout) as { seconds: number; keys: number; bytes: number };
    return { 'paged read ms': seconds * 1000, keys, 'MB/s': bytes / seconds / 1e6 };
  }

  /** Ends with SIGTERM when the lab is interrupted: the load bench then ends the server that it started. */
  #bench(args: readonly string[]): Promise<string> {
    const { signal } = this.#options;
    return new Promise((resolve, reject) => {
      const child = spawn(join(this.#bin, 'bench'), args, {
        signal,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: BENCH_TIMEOUT_MS,
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk) => {
        stdout += chunk;
      });
      child.stderr.on('data', (chunk) => {
        stderr = (stderr + chunk).slice(-2000);
      });
      child.once('error', reject);
      child.once('close', (code) =>
        code === 0 ? resolve(stdout) : reject(new Error(lastLine(stderr) || `exit code ${code}`)),
      );
    });
  }
}

export function goVersion(): string {
  return execFileSync('go', ['env', 'GOVERSION'], { encoding: 'utf8' }).trim();
}

function loader(bin: string, etcd: Etcd, { pods, padBytes }: LabOptions): string[] {
  return [join(bin, 'load'), '-endpoints', etcd.endpoint, '-pods', String(pods), '-pad', String(padBytes)];
}

/** Adds up the loader's table: resource, objects, stored bytes an object, JSON bytes an object. */
function seededFrom(table: string): { objects: number; storedBytes: number } {
  let objects = 0;
  let storedBytes = 0;
  for (const line of table.trim().split('\n').slice(1)) {
    const [, count, bytes] = line.trim().split(/\s+/);
    objects += Number(count);
    storedBytes += Number(count) * Number(bytes);
  }
  return { objects, storedBytes };
}

function rowOf(output: string): Readonly<Record<string, number>> {
  const lines = output.trim().split('\n');
  if (lines.length !== 1) throw new Error(`the load bench gave ${lines.length} rows instead of one`);
  return (JSON.parse(lines[0]!) as { values: Record<string, number> }).values;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

/** As one word of the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
