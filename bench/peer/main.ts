import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.js';
import { repositoryRoot } from '../../test/support/command.js';
import { htmlReport } from './html.js';
import { goVersion, Lab } from './lab.js';
import type { Sample, Subject } from './measures.js';
import { isPeerMeasured, type Mode, modes } from './modes.js';
import {
  benchstatText,
  type Failure,
  markdownTable,
  reportOf,
  type Setting,
  settingText,
  summaryText,
} from './report.js';

/**
 * listwatch beside the Go original, on one etcd, in alternating runs.
 *
 *     npm run bench:peer                          every mode, 50,000 pods, five runs
 *     npm run bench:peer -- --only list/          modes whose name contains the word; repeatable
 *     npm run bench:peer -- --seconds 10          how long the modes that write do so; default 3
 *     npm run bench:peer -- --small               every mode once, tiny: it works, and says nothing about speed
 *
 * The table goes to standard output, progress to standard error, and JSON, HTML and benchstat's text to
 * bench/results. An interrupt ends what runs and still writes what there is. Exit code 1 when a
 * measurement failed, 130 when interrupted. More: bench/README.md.
 */
const SMALL_PODS = 500;
const usage =
  'usage: bench:peer [--pods N] [--runs N] [--only WORD]... [--seconds N] [--small] [--list] [--output FOLDER]';

function options() {
  try {
    return parseArgs({
      options: {
        pods: { type: 'string' },
        runs: { type: 'string' },
        seconds: { type: 'string' },
        only: { type: 'string', multiple: true },
        small: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        output: { type: 'string', default: join(repositoryRoot, 'bench/results') },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function fail(message: string): never {
  process.stderr.write(`bench:peer: ${message}\n${usage}\n`);
  process.exit(2);
}

function positive(flag: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(value) || value < 1) fail(`--${flag} ${text}: must be a whole number from 1`);
  return value;
}

async function main(): Promise<void> {
  const values = options();
  const { small, only = [] } = values;
  const pods = positive('pods', values.pods, small ? SMALL_PODS : 50_000);
  const runs = positive('runs', values.runs, small ? 1 : 5);
  const writeSeconds = positive('seconds', values.seconds, small ? 1 : 3);
  const chosen = (all: Mode[]) =>
    all.filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)));
  const names = chosen(modes({ small, load: '', storedBytes: 0, writeSeconds })).map(({ name }) => name);
  if (names.length === 0) fail(`--only ${only.join(' ')}: no mode has such a name; --list prints them`);
  if (values.list) return console.log(names.join('\n'));

  const interrupt = new AbortController();
  const { signal } = interrupt;
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt.abort());
  const startMs = systemClock.monotonicMs();
  const progress = (line: string) => {
    const seconds = Math.round((systemClock.monotonicMs() - startMs) / 1000);
    process.stderr.write(`[${String(seconds).padStart(5)} s] ${line}\n`);
  };

  const loadBefore = loadavg();
  const lab = await Lab.open({ pods, padBytes: 0, signal, progress });
  const mine = chosen(modes({ small, load: lab.load, storedBytes: lab.storedBytes, writeSeconds }));
  const samples: Sample[] = [];
  const failures: Failure[] = [];
  try {
    await lab.startServers();
    const baselines = mine.flatMap(({ baseline }) => baseline ?? []);
    if (!signal.aborted) await lab.startBaselines(new Set(baselines));
    for (let run = 0; run < runs; run++) {
      for (const [index, mode] of mine.entries()) {
        progress(`run ${run + 1}/${runs}, mode ${index + 1}/${mine.length}: ${mode.name}`);
        for (const subject of subjectsOf(mode, run)) {
          if (signal.aborted) break;
          try {
            samples.push({ mode: mode.name, subject, run, values: await lab.measure(mode, subject) });
          } catch (error) {
            if (signal.aborted) break;
            const message = error instanceof Error ? error.message : String(error);
            progress(`${mode.name}, ${subject}: ${message}`);
            failures.push({ mode: mode.name, subject, run, message });
          }
        }
        if (signal.aborted) break;
      }
      if (signal.aborted) break;
    }
  } finally {
    progress('ending the servers');
    await lab.close();
  }

  const setting: Setting = {
    date: new Date(systemClock.nowMs()).toISOString(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    loadBefore,
    versions: { Node: process.version, Go: goVersion(), etcd: lab.etcdVersion },
    pods,
    objects: lab.objects,
    storedBytes: lab.storedBytes,
    runsWanted: runs,
    small,
  };
  const report = reportOf(setting, mine, samples, failures, signal.aborted);
  const stem = join(values.output, `peer-${setting.date.replace(/[-:]|\.\d+/g, '')}`);
  mkdirSync(values.output, { recursive: true });
  writeFileSync(`${stem}.json`, `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(`${stem}.html`, htmlReport(report));
  writeFileSync(`${stem}.txt`, benchstatText(report));
  console.log(`${markdownTable(report)}\n\n${settingText(report)}\n${summaryText(report)}`);
  for (const { mode, subject, message } of failures) console.log(`failed: ${mode}, ${subject}: ${message}`);
  progress(`written: ${stem}.json, .html and .txt`);
  process.exitCode = signal.aborted ? 130 : failures.length > 0 ? 1 : 0;
}

/** Whoever went first in one run goes last in the next. */
function subjectsOf(mode: Mode, run: number): Subject[] {
  const { baseline } = mode;
  const peer: Subject[] = isPeerMeasured(mode, run) ? ['peer'] : [];
  const subjects: Subject[] = [...peer, 'listwatch', ...(baseline === undefined ? [] : [baseline])];
  return run % 2 === 0 ? subjects : subjects.reverse();
}

await main();
