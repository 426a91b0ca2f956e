import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Finished, type RunningCommand, requireProgram, run, start } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { buildGoPrograms } from '../support/go-programs.js';

/** The Go programs of this folder, at one etcd. */
export interface Programs extends AsyncDisposable {
  readonly etcd: Etcd;
  /** Runs a program to its end; it must succeed. */
  run(program: string, args: readonly string[], input?: string): Promise<Finished>;
  /** The same, as one JSON value a line of stdout. */
  lines<T>(program: string, args: readonly string[], input?: string): Promise<T[]>;
  start(program: string, args: readonly string[], env?: NodeJS.ProcessEnv, stdin?: 'ignore' | 'pipe'): RunningCommand;
  /** Makes the changes of each step at one revision, encoded as kube-apiserver stores them; returns the revisions. */
  write(...steps: readonly (readonly StoredChange[])[]): Promise<number[]>;
  /** Random changes of 300 pods. */
  writeRandom(count: number, seed: number, ratePerSecond?: number): Promise<{ lastRevision: number }>;
  revision(): Promise<number>;
  compact(revision: number): Promise<void>;
  /** What existed below /registry/pods/ at a revision, in key order. */
  podsAt(revision: number): Promise<StoredPod[]>;
}
export interface StoredChange {
  readonly key: string;
  /** Absent: the key is deleted. */
  readonly object?: object;
}
export interface StoredPod {
  readonly key: string;
  readonly modRevision: string;
  readonly digest: string;
}

const RUN_TIMEOUT_MS = 240_000;

export async function startPrograms(): Promise<Programs> {
  const bin = await buildGoPrograms('client-go');
  const etcd = await startEtcd();
  const etcdctl = requireProgram('etcdctl', 'ETCDCTL', 'install it with: apt-get install etcd-client');
  const control = async (...args: string[]) => {
    const finished = await run(etcdctl, ['--endpoints', etcd.endpoint, ...args], { env: { ETCDCTL_API: '3' } });
    assert.equal(finished.code, 0, finished.stderr);
    return finished.stdout;
  };
  const programs: Programs = {
    etcd,
    async run(program, args, input) {
      const finished = await run(join(bin, program), args, {
        timeoutMs: RUN_TIMEOUT_MS,
        ...(input === undefined ? {} : { input }),
      });
      assert.equal(finished.code, 0, `${program} ${args.join(' ')}: ${finished.stderr}`);
      return finished;
    },
    async lines<T>(program: string, args: readonly string[], input?: string) {
      return parseLines<T>((await programs.run(program, args, input)).stdout);
    },
    start: (program, ...how) => start(join(bin, program), ...how),
    async write(...steps) {
      const script = steps.map((step) => `${JSON.stringify(step)}\n`).join('');
      return programs.lines<number>('etcd-write', ['-endpoints', etcd.endpoint], script);
    },
    async writeRandom(count, seed, ratePerSecond = 0) {
      const options = ['-random', String(count), '-seed', String(seed), '-rate', String(ratePerSecond)];
      const [summary] = await programs.lines<{ lastRevision: number }>('etcd-write', [
        '-endpoints',
        etcd.endpoint,
        ...options,
      ]);
      assert.ok(summary);
      return summary;
    },
    revision: async () => JSON.parse(await control('get', 'x', '-w', 'json')).header.revision as number,
    compact: async (revision) => void (await control('compact', String(revision))),
    podsAt: (revision) =>
      programs.lines<StoredPod>('etcd-history', [
        '-endpoints',
        etcd.endpoint,
        '-state',
        '-to-revision',
        String(revision),
      ]),
    [Symbol.asyncDispose]: () => etcd.stop(),
  };
  return programs;
}

export function parseLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** A small complete pod, as a step of `write` and as its key. */
export function pod(
  namespace: string,
  name: string,
  parts: { labels?: Record<string, string>; nodeName?: string; phase?: string } = {},
): { readonly key: string; readonly object: object } {
  return {
    key: `/registry/pods/${namespace}/${name}`,
    object: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name, uid: `uid-${namespace}-${name}`, labels: parts.labels ?? {} },
      spec: {
        containers: [{ name: 'main', image: 'registry.example.com/app:1' }],
        ...(parts.nodeName === undefined ? {} : { nodeName: parts.nodeName }),
      },
      status: { phase: parts.phase ?? 'Pending' },
    },
  };
}
