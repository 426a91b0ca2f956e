import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A cgroup that kills what is started in it when it uses too much memory. Needs root and a cgroup file system that can be written. */
export interface MemoryLimit {
  readonly version: 'v1' | 'v2';
  /** Put in front of a command line, this starts the command inside. */
  readonly prefix: readonly string[];
  /** The most that was in use at any time, page cache included; undefined where the kernel does not say. */
  peakBytes(): number | undefined;
  /** Processes that were killed for their memory. */
  killed(): number;
  /** When everything inside has ended. */
  remove(): void;
}

/** undefined: this machine does not let us. */
export function createMemoryLimit(bytes: number): MemoryLimit | undefined {
  const name = `listwatch-test-${process.pid}`;
  return createV2(join('/sys/fs/cgroup', name), bytes) ?? createV1(join('/sys/fs/cgroup/memory', name), bytes);
}

function createV2(path: string, bytes: number): MemoryLimit | undefined {
  if (!existsSync('/sys/fs/cgroup/cgroup.controllers')) return undefined;
  return create('v2', path, () => {
    writeFileSync(join(path, 'memory.max'), String(bytes));
    if (existsSync(join(path, 'memory.swap.max'))) writeFileSync(join(path, 'memory.swap.max'), '0');
    return {
      peakBytes: () => readNumber(join(path, 'memory.peak')),
      killed: () => readKey(join(path, 'memory.events'), 'oom_kill'),
    };
  });
}

function createV1(path: string, bytes: number): MemoryLimit | undefined {
  return create('v1', path, () => {
    writeFileSync(join(path, 'memory.limit_in_bytes'), String(bytes));
    return {
      peakBytes: () => readNumber(join(path, 'memory.max_usage_in_bytes')),
      killed: () => readKey(join(path, 'memory.oom_control'), 'oom_kill'),
    };
  });
}

function create(
  version: MemoryLimit['version'],
  path: string,
  setUp: () => Pick<MemoryLimit, 'peakBytes' | 'killed'>,
): MemoryLimit | undefined {
  try {
    mkdirSync(path);
  } catch {
    return undefined;
  }
  const remove = () => rmdirSync(path);
  try {
    const readers = setUp();
    const prefix = ['/bin/sh', '-c', `echo $$ > ${join(path, 'cgroup.procs')} && exec "$@"`, 'sh'];
    return { version, prefix, remove, ...readers };
  } catch {
    remove();
    return undefined;
  }
}

function readNumber(file: string): number | undefined {
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
}

function readKey(file: string, key: string): number {
  const match = new RegExp(`^${key} (\\d+)$`, 'm').exec(readFileSync(file, 'utf8'));
  if (match === null) throw new Error(`${file} does not say ${key}`);
  return Number(match[1]);
}
