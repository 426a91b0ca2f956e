import assert from 'node:assert/strict';
import { eventually, type RunningCommand } from '../support/command.js';
import { parseLines, type Programs } from './programs.js';

/** A line of the program `informer` (README.md has all members). */
export interface InformerLine {
  readonly type: string;
  readonly key: string;
  readonly resourceVersion: string;
  readonly initial?: boolean;
  readonly stale?: boolean;
  readonly digest?: string;
  readonly metadataDigest?: string;
  readonly query?: string;
  readonly error?: string;
  readonly lists?: number;
  readonly watchLists?: number;
  readonly watches?: number;
}
interface Change {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly modRevision: number;
  readonly prevModRevision?: number;
}

/** Runs one, and waits until it is synced. */
export async function startInformer(programs: Programs, ...args: readonly string[]): Promise<RunningCommand> {
  const informer = programs.start('informer', ['-duration', '240s', '-dump', ...args]);
  try {
    await eventually('the informer is synced', () => {
      if (informer.child.exitCode !== null) throw new Error(informer.stderr());
      return informer.stdout().includes('"type":"synced"');
    });
  } catch (error) {
    await informer.stop();
    throw error;
  }
  return informer;
}

/** key -> what a handler must have been told of it, in order. `prefix`: of the kind's keys. */
export async function toldByEtcd(
  programs: Programs,
  from: number,
  to: number,
  prefix = '/registry/pods/',
): Promise<Map<string, string[]>> {
  const byKey = new Map<string, string[]>();
  for (const { type, key, modRevision, prevModRevision } of await history(programs, from, to, prefix)) {
    const name = key.slice(prefix.length);
    const what = type === 'delete' ? 'delete' : prevModRevision === undefined ? 'add' : 'update';
    byKey.set(name, [...(byKey.get(name) ?? []), `${what}@${modRevision}`]);
  }
  return byKey;
}

/** Both revisions included. */
function history(programs: Programs, from: number, to: number, prefix: string): Promise<Change[]> {
  const range = ['-prefix', prefix, '-from-revision', String(from), '-to-revision', String(to)];
  return programs.lines<Change>('etcd-history', ['-endpoints', programs.etcd.endpoint, ...range]);
}

export function toldByInformer(lines: readonly InformerLine[]): Map<string, string[]> {
  const byKey = new Map<string, string[]>();
  for (const { type, key, resourceVersion, initial, stale } of lines) {
    if (initial === true || !/^(add|update|delete)$/.test(type)) continue;
    const line = `${type}@${resourceVersion}${stale === true ? ' (found by a relist)' : ''}`;
    byKey.set(key, [...(byKey.get(key) ?? []), line]);
  }
  return byKey;
}

/** Waits until the informer has been told of the last change, stops it, and returns all it wrote. */
export async function finishInformer(
  programs: Programs,
  informer: RunningCommand,
  prefix = '/registry/pods/',
): Promise<InformerLine[]> {
  const stored = new Map<string, number>();
  for (const { type, key, modRevision } of await history(programs, 1, await programs.revision(), prefix)) {
    if (type === 'put') stored.set(key.slice(prefix.length), modRevision);
    else stored.delete(key.slice(prefix.length));
  }
  const want = shown(stored);
  const state = () => {
    const known = new Map<string, string>();
    const whole = informer.stdout().slice(0, informer.stdout().lastIndexOf('\n') + 1);
    for (const { type, key, resourceVersion } of parseLines<InformerLine>(whole)) {
      if (type === 'add' || type === 'update') known.set(key, resourceVersion);
      else if (type === 'delete') known.delete(key);
    }
    return shown(known);
  };
  await eventually('the informer has what etcd has', () => state() === want, 30_000, 300).catch(() => undefined);
  assert.equal(await informer.stop(), 0, informer.stderr().slice(0, 2_000));
  const lines = parseLines<InformerLine>(informer.stdout());
  assert.equal(state(), want);
  return lines;
}

function shown(versions: Iterable<readonly [key: string, version: string | number]>): string {
  return [...versions]
    .map(([key, version]) => `${key}@${version}`)
    .sort()
    .join();
}

export function summaryOf(lines: readonly InformerLine[]): InformerLine {
  return lines.find(({ type }) => type === 'summary')!;
}
