import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Finished, requireProgram, run } from '../support/command.js';
import type { ControlPlane } from '../support/control-plane.js';

export type Side = 'a' | 'b';
type Words = string | readonly string[];

/** A command of kubectl, typed at both sides. `SIDE` in it, and in its input, is the letter of the side. */
export interface Step {
  /** Split at spaces; a list, where an argument has some. */
  readonly args: Words;
  /** An object, or text. */
  readonly input?: unknown;
  /** Who types; default the admin. */
  readonly user?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Must be part of what is said by listwatch. Without it the command must succeed. */
  readonly fails?: RegExp;
  readonly says?: RegExp;
}

/**
 * kubectl at listwatch in front of kube-apiserver (a) and at kube-apiserver alone (b): the same commands say the same. The two sides
 * work in namespaces (`side-a`, `side-b`) and on cluster-scoped objects of their own, whose names differ in one letter.
 */
export interface Sides {
  type(side: Side, step: Step): Promise<Finished>;
  /** Both sides type the same, and see the same: what listwatch said. */
  both(step: Step): Promise<string>;
  /** One after the other. */
  all(...steps: readonly (Step | string)[]): Promise<void>;
}

/** `program`: a kubectl; default that of the tests. The namespaces are made by the first who asks. */
export async function openSides(world: ControlPlane, program?: string): Promise<Sides> {
  const kubectl = program ?? requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
  const [, { status }] = await world.ask('/api/v1/namespaces/side-b');
  for (const side of status === 200 ? [] : ['a', 'b']) {
    await world.write('POST', '/api/v1/namespaces', { metadata: { name: `side-${side}` } });
  }

  async function type(side: Side, { args, input, user = 'admin', env }: Step): Promise<Finished> {
    const own = (text: string) => text.replaceAll('SIDE', side);
    const words = (typeof args === 'string' ? args.split(' ') : args).map(own);
    const server = side === 'a' ? world.ourUrl : world.theirUrl;
    const cache = join(world.folder, `kubectl-${side}`);
    await mkdir(cache, { recursive: true });
    const connection = [
      ...['--kubeconfig=/dev/null', '-s', server, '--insecure-skip-tls-verify', `--token=t-${user}`],
      ...['--cache-dir', cache],
    ];
    const isScoped = words.some((word) => /^(-n|-A|--all-namespaces|--namespace=.*)$/.test(word));
    const separator = words.indexOf('--');
    const before = separator < 0 ? words : words.slice(0, separator);
    const behind = separator < 0 ? [] : words.slice(separator);
    const text = typeof input === 'string' ? input : JSON.stringify(input);
    return run(kubectl, [...before, ...connection, ...(isScoped ? [] : ['-n', `side-${side}`]), ...behind], {
      timeoutMs: 60_000,
      env: { HOME: cache, ...env },
      ...(input === undefined ? {} : { input: own(text) }),
    });
  }

  async function both(step: Step): Promise<string> {
    const [ours, theirs] = await Promise.all((['a', 'b'] as const).map((side) => type(side, step)));
    const show = (side: Side, { code, stdout, stderr }: Finished) => ({
      code,
      stdout: masked(side, stdout),
      stderr: masked(side, stderr),
    });
    const [seen, want] = [show('a', ours!), show('b', theirs!)];
    const line = `kubectl ${typeof step.args === 'string' ? step.args : step.args.join(' ')}`;
    assert.deepEqual(seen, want, line);
    assert.equal(seen.code === 0, step.fails === undefined, `${line}: ${seen.stdout}${seen.stderr}`);
    if (step.fails !== undefined) assert.match(seen.stderr, step.fails, line);
    if (step.says !== undefined) assert.match(seen.stdout + seen.stderr, step.says, line);
    return ours!.stdout;
  }

  return {
    type,
    both,
    async all(...steps) {
      for (const step of steps) await both(typeof step === 'string' ? { args: step } : step);
    },
  };
}

/** What differs between two objects of the same making, and between two servers. */
export function masked(side: Side, text: string): string {
  return (
    text
      .replaceAll(new RegExp(`\\bside-${side}\\b`, 'g'), 'side-SIDE')
      .replaceAll(new RegExp(`\\b([a-z.]+)-${side}\\b`, 'g'), '$1-SIDE')
      .replaceAll(new RegExp(`\\b${side}\\.example\\.com`, 'g'), 'SIDE.example.com')
      .replaceAll(/https:\/\/127\.0\.0\.1:[0-9]+/g, 'SERVER')
      .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UID')
      .replaceAll(/(resourceVersion"?: )"[0-9]+"/g, '$1"N"')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
      .replaceAll(/\b10\.96\.\d+\.\d+\b/g, 'ADDRESS')
      .replaceAll(/^[EWI]\d{4} \S+ +\d+ /gm, 'LOG ')
      .replaceAll(/\/tmp\/\S+|(?:LIVE|MERGED)-\d+/g, 'FILE')
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+\d{4}/g, 'TIME')
      // How far a rollout had come when somebody looked.
      .replaceAll(/^Waiting for deployment .*\n/gm, '')
      .replaceAll(/\bgen-[a-z0-9]{5}\b/g, 'gen-X')
      .replaceAll(/\b(\d+[hm])?\d+(s|ms|m)\b/g, 'AGE')
      .replaceAll(/ +/g, ' ')
  );
}
