/**
 * Breaks our own code on purpose, one line at a time, and demands that the tests notice:
 *
 *     npm run test:mutations                       all of them
 *     npm run test:mutations -- --only cow-btree   those whose guard or file contains this
 *     npm run test:mutations -- --jobs 1
 *
 * The compiled tree is copied to `.cache/mutations`, once per job; there each mutant takes the place of its
 * file in turn. A mutant that survives is a missing test. So is a numbered invariant or a validator that no
 * mutation is about, and a mutation whose line is not there any more is an error. Exit code 1 for any of these.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.js';
import { validators } from '../sim/validators.js';
import type { Mutation } from './mutation.js';
import { mutations } from './mutations.js';

const compiled = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const root = dirname(compiled);
const work = join(root, '.cache', 'mutations');
const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, jobs: { type: 'string' } } });
const chosen = mutations.filter(({ guards, file }) => guards.includes(values.only) || file.includes(values.only));
const jobs = Math.max(1, Math.min(Number(values.jobs ?? 2) || 1, availableParallelism(), chosen.length));

/** A test that takes this much longer than without a mutation hangs; to hang is to be noticed. */
const HANG_FACTOR = 5;
const HANG_MIN_MS = 20_000;
const OUTPUT_MAX = 2 ** 20;
/** Enough runs of the simulation for what its mutations break. */
const ENVIRONMENT = { SEEDS: '60' };

interface Outcome {
  readonly caught: boolean;
  readonly by: string;
  readonly ms: number;
}

/** Everything that is wrong with the list itself, before anything runs. */
function problemsOfList(): string[] {
  const problems: string[] = [];
  for (const { file, find, replace, guards } of mutations) {
    const count = readFileSync(join(root, file), 'utf8').split(find).length - 1;
    if (count !== 1) problems.push(`${guards}: the text to replace occurs ${count} times in ${file}: ${find}`);
    if (find === replace) problems.push(`${guards}: nothing is replaced in ${file}`);
  }
  if (values.only !== '') return problems;
  const guarded = new Set(mutations.flatMap(({ guards }) => guards.split(', ')));
  const wanted = [...Object.keys(validators).map((name) => `validator ${name}`), ...invariants()];
  for (const what of wanted) if (!guarded.has(what)) problems.push(`no mutation is about ${what}`);
  for (const what of guarded) {
    if (/^validator |^src\//.test(what) && !wanted.includes(what)) problems.push(`there is no ${what}`);
  }
  return problems;
}

/** `src/engine/cow-btree.ts I4`, for every numbered line of a comment in src. */
function invariants(): string[] {
  const files = readdirSync(join(root, 'src'), { recursive: true }).map(String);
  return files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `src/${file.replaceAll('\\', '/')}`)
    .flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return [...text.matchAll(/^ \* {3}([A-Z][0-9]+) {2}\S/gm)].map(([, name]) => `${file} ${name}`);
    });
}

/** All mutants in one run of the compiler, which neither checks them nor follows their imports. */
function compileMutants(): void {
  const sources = join(work, 'sources');
  for (const [index, { file, find, replace }] of chosen.entries()) {
    const path = join(sources, String(index), file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(
      path,
      readFileSync(join(root, file), 'utf8').replace(find, () => replace),
    );
  }
  const options = { noCheck: true, noResolve: true, rootDir: sources, outDir: join(work, 'compiled'), types: [] };
  const config = { extends: join(root, 'tsconfig.json'), compilerOptions: options, include: [sources] };
  writeFileSync(join(work, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', join(work, 'tsconfig.json')], { encoding: 'utf8' });
  for (const [index, { file, guards }] of chosen.entries()) {
    if (!existsSync(join(work, 'compiled', String(index), emitted(file)))) {
      throw new Error(`the compiler made nothing of ${guards} in ${file}\n${stdout}`);
    }
  }
}

function emitted(file: string): string {
  return file.replace(/\.ts$/, '.js');
}

/** A place that looks like this repository, with a compiled tree of its own. */
function prepareTree(job: number): string {
  const tree = join(work, `tree-${job}`);
  for (const folder of ['src', 'test']) {
    cpSync(join(compiled, folder), join(tree, 'compiled', folder), { recursive: true });
  }
  for (const entry of ['proto', 'fixtures', 'docs', 'src', 'test']) {
    symlinkSync(join(root, entry), join(tree, entry), 'junction');
  }
  cpSync(join(root, 'package.json'), join(tree, 'package.json'));
  return join(tree, 'compiled');
}

const running = new Set<ChildProcess>();

/** Resolves to what one test file says; undefined: it passes. */
function runTest(tree: string, test: string, only: string | undefined, limitMs: number): Promise<string | undefined> {
  const path = join(tree, 'test', `${test}.test.js`);
  const filter = only === undefined ? [] : [`--test-name-pattern=${only}`];
  const args = ['--enable-source-maps', '--expose-gc', '--test-reporter=tap', ...filter, path];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...ENVIRONMENT },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    let hung = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        if (output.length < OUTPUT_MAX) output += text;
      });
    }
    // The process clock's timers hold nobody: the child does.
    const timer = systemClock.setTimer(limitMs, () => {
      hung = true;
      child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (code) => {
      running.delete(child);
      timer.cancel();
      if (hung) resolve(`hangs\n${output}`);
      else resolve(code === 0 ? undefined : output);
    });
  });
}

function baselineKey(test: string, only: string | undefined): string {
  return `${test} ${only ?? ''}`;
}

/** Without a mutation every test passes; how long each takes. */
async function baseline(trees: readonly string[]): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  const todo = new Map<string, { test: string; only: string | undefined }>();
  for (const { tests, only } of chosen) {
    for (const test of tests) todo.set(baselineKey(test, only), { test, only });
  }
  const queue = [...todo];
  await Promise.all(
    trees.map(async (tree) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [key, { test, only }] = next;
        const startMs = systemClock.monotonicMs();
        const output = await runTest(tree, test, only, HANG_MIN_MS * HANG_FACTOR);
        if (output !== undefined) throw new Error(`${key} fails without any mutation:\n${tail(output)}`);
        times.set(key, systemClock.monotonicMs() - startMs);
      }
    }),
  );
  return times;
}

async function tryMutant(tree: string, mutation: Mutation, times: ReadonlyMap<string, number>): Promise<Outcome> {
  const { file, tests, only, shows } = mutation;
  const target = join(tree, emitted(file));
  const original = readFileSync(target);
  const startMs = systemClock.monotonicMs();
  const outcome = (caught: boolean, by: string) => ({ caught, by, ms: systemClock.monotonicMs() - startMs });
  writeFileSync(target, readFileSync(join(work, 'compiled', String(chosen.indexOf(mutation)), emitted(file))));
  let besides = '';
  try {
    for (const test of tests) {
      const usualMs = times.get(baselineKey(test, only))!;
      const output = await runTest(tree, test, only, Math.max(HANG_MIN_MS, usualMs * HANG_FACTOR));
      if (output === undefined) continue;
      const how = output.startsWith('hangs') ? `${test} hangs` : test;
      if (shows === undefined || shows.test(output)) return outcome(true, how);
      besides += `\n${how} fails, but does not show ${shows}:\n${tail(output)}`;
    }
    return outcome(false, besides);
  } finally {
    writeFileSync(target, original);
  }
}

function tail(output: string): string {
  const failures = output.split('\n').filter((line) => /^\s*(not ok|error:|failureType)/.test(line));
  return (failures.length > 0 ? failures : output.split('\n').slice(-15)).slice(0, 15).join('\n');
}

async function main(): Promise<number> {
  const problems = problemsOfList();
  if (problems.length > 0) {
    process.stdout.write(`${problems.join('\n')}\n`);
    return 1;
  }
  const startMs = systemClock.monotonicMs();
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  compileMutants();
  const trees = Array.from({ length: jobs }, (_, job) => prepareTree(job));
  const times = await baseline(trees);
  const seconds = (ms: number) => (ms / 1_000).toFixed(1).padStart(5);
  process.stdout.write(
    `${chosen.length} mutations; the tests pass without any (${seconds(systemClock.monotonicMs() - startMs).trim()} s)\n`,
  );
  const outcomes = new Map<Mutation, Outcome>();
  const queue = [...chosen];
  const width = Math.max(...chosen.map(({ guards }) => guards.length));
  await Promise.all(
    trees.map(async (tree) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const outcome = await tryMutant(tree, next, times);
        outcomes.set(next, outcome);
        const said = outcome.caught ? `caught by ${outcome.by}` : 'SURVIVES';
        process.stdout.write(`${seconds(outcome.ms)} s  ${next.guards.padEnd(width)}  ${said}\n`);
      }
    }),
  );
  const survivors = [...outcomes].filter(([, { caught }]) => !caught);
  for (const [{ guards, file, find, replace, tests }, { by }] of survivors) {
    process.stdout.write(`\nSURVIVES ${tests.join(', ')}: ${guards}\n  ${file}\n  - ${find}\n  + ${replace}${by}\n`);
  }
  const tookMs = systemClock.monotonicMs() - startMs;
  process.stdout.write(
    `\n${chosen.length - survivors.length} of ${chosen.length} caught in ${seconds(tookMs).trim()} s\n`,
  );
  return survivors.length > 0 ? 1 : 0;
}

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
process.exit(await main());
