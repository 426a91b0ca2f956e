/**
 * The simulation for as long as one likes, with fresh seeds:
 *
 *     npm run sim -- --seconds 60
 *     npm run sim -- --hours 8 --seed 1000     seeds 1000, 1001, ...
 *     npm run sim -- --seed 1234 --runs 1      one run again
 *
 * Exits with 1 and the seed when what clients saw is not what was written, with 2 when the command
 * is wrong, and with 3 when a minute and more brought too little to be worth anything.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.js';
import { systemRandom } from '../../src/lib/random.js';
import { Tally } from './tally.js';

/** What a run of a minute must bring; longer ones bring more. */
const EVENTS_MIN = 200_000;
const FAULTS_MIN = 500;
const REPORT_EVERY_MS = 10_000;

function numberOf(flag: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= max) return value;
  process.stderr.write(`--${flag} ${JSON.stringify(text)}: expected a number from 0 to ${max}\n`);
  process.exit(2);
}

function options() {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({ options: { seconds: text, hours: text, seed: text, runs: text } });
    const hours = numberOf('hours', values.hours, 10_000);
    const seconds = numberOf('seconds', values.seconds, 1e8) ?? (hours === undefined ? undefined : 0);
    const runs = numberOf('runs', values.runs, 1e9);
    return {
      durationMs:
        seconds === undefined
          ? runs === undefined
            ? 60_000
            : Number.POSITIVE_INFINITY
          : seconds * 1_000 + (hours ?? 0) * 3_600_000,
      seed: numberOf('seed', values.seed, 2 ** 32 - 1) ?? systemRandom.int(2 ** 31),
      runs: runs ?? Number.POSITIVE_INFINITY,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(2);
  }
}

const { durationMs, seed: first, runs } = options();
const startMs = systemClock.monotonicMs();
const elapsedMs = () => systemClock.monotonicMs() - startMs;
const tally = new Tally();

function report(): void {
  const counts = Object.entries({ ...tally.seen, ...tally.happened });
  const width = Math.max(...counts.map(([what]) => what.length));
  process.stdout.write(
    `${tally.runs} runs in ${(elapsedMs() / 1_000).toFixed(1)} s, seeds ${first} to ${first + tally.runs - 1}\n`,
  );
  for (const [title, part] of [
    ['seen', tally.seen],
    ['faults', tally.happened],
  ] as const) {
    process.stdout.write(`${title}\n`);
    for (const [what, times] of Object.entries(part)) {
      process.stdout.write(`  ${what.padEnd(width)} ${times.toLocaleString('en-US').padStart(12)}\n`);
    }
  }
}

function fail(seed: number, problems: readonly string[]): never {
  report();
  process.stdout.write(`FAILED with seed ${seed}; again with: npm run sim -- --seed ${seed} --runs 1\n`);
  for (const problem of problems.slice(0, 20)) process.stdout.write(`  ${problem}\n`);
  process.exit(1);
}

/** Where nobody waits for it, a bug ends the process: it must name its seed, too. */
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => fail(first + tally.runs - 1, [textOf(error)]));
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

let reportedMs = 0;
for (let seed = first; tally.runs < runs && elapsedMs() < durationMs; seed++) {
  const problems = await tally.run(seed).catch((error: unknown) => [textOf(error)]);
  if (problems.length > 0) fail(seed, problems);
  if (process.stderr.isTTY && elapsedMs() - reportedMs >= REPORT_EVERY_MS) {
    reportedMs = elapsedMs();
    process.stderr.write(`${Math.round(reportedMs / 1_000)} s: ${tally.runs} runs, ${tally.seen.events} events\n`);
  }
}
report();
const lacking = [
  ...(tally.seen.events < EVENTS_MIN ? [`${tally.seen.events} events, fewer than ${EVENTS_MIN}`] : []),
  ...Object.entries(tally.happened).flatMap(([fault, times]) =>
    times < FAULTS_MIN ? [`${times} of ${fault}, fewer than ${FAULTS_MIN}`] : [],
  ),
];
if (durationMs >= 60_000 && runs === Number.POSITIVE_INFINITY && lacking.length > 0) {
  process.stdout.write(`too little happened: ${lacking.join('; ')}\n`);
  process.exit(3);
}
