import { cpus, totalmem } from 'node:os';

/** Where and how figures were taken: in every report, so that it can be taken again. */
export interface Setting {
  /** ISO 8601. */
  readonly date: string;
  readonly command: string;
  readonly seed: number;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly versions: Readonly<Record<string, string>>;
}

export function settingOf(command: string, seed: number, version: string, nowMs: number): Setting {
  const processors = cpus();
  return {
    date: new Date(nowMs).toISOString(),
    command,
    seed,
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    versions: { listwatch: version, node: process.versions.node, v8: process.versions.v8 },
  };
}

export function settingLines({ date, command, seed, processor, cores, memoryGib, versions }: Setting): string[] {
  return [
    command,
    [
      date,
      `${cores} cores (${processor}), ${memoryGib} GiB`,
      ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
      `seed ${seed}`,
    ].join('; '),
  ];
}
