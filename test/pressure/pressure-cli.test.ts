import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { totalmem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { resolvePressure } from '../../src/pressure/options.js';
import type { PressureReport } from '../../src/pressure/report.js';
import { deathOf } from '../../src/pressure/run-grid.js';
import { engines } from '../../src/engine/engines.js';
import { representations } from '../../src/pressure/representations.js';
import { eventually, run, start } from '../support/command.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'listwatch-pressure-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const pressure = (...args: string[]) => run(process.execPath, [main, 'pressure', ...args], { timeoutMs: 120_000 });
const reportIn = (output: string) => JSON.parse(readFileSync(join(output, 'report.json'), 'utf8')) as PressureReport;

test('a grid is every combination; each default is a cell of its own', () => {
  const { cells } = resolvePressure({});
  assert.equal(cells.length, 2 * Object.keys(representations).length);
  assert.deepEqual(new Set(cells.map(({ engine }) => engine)), new Set(['cow-btree']));
  const matrix = resolvePressure({ matrix: true, objects: '500' });
  assert.equal(matrix.cells.length, Object.keys(representations).length * Object.keys(engines).length);
  const memory = resolvePressure({
    objects: '5',
    representation: 'slabs',
    'semi-space-mib': '1,16',
    'heap-mib': '256',
  });
  assert.deepEqual(
    memory.cells.map(({ semiSpaceMib, heapMib }) => [semiSpaceMib, heapMib]),
    [
      [1, 256],
      [16, 256],
    ],
  );
  const ramp = resolvePressure({ ramp: '1000:100000:3' }).cells[0]!.load;
  assert.deepEqual(ramp, { kind: 'rates', rates: [1_000, 10_000, 100_000] });
  const quick = resolvePressure({ quick: true, seconds: '2' });
  assert.deepEqual(
    new Set(quick.cells.map(({ representation }) => representation)),
    new Set(['decoded-json', 'slabs']),
  );
  assert.ok(quick.cells.every(({ seconds }) => seconds === 2));
});

/** What a person may get wrong, and what it says. */
const wrong: readonly [flags: Record<string, string | true>, says: RegExp][] = [
  [{ kind: 'secrets' }, /--kind "secrets": expected leases or pods/],
  [{ objects: '0' }, /--objects "0": expected a whole number from 1/],
  [{ objects: '10,10' }, /--objects "10,10": the same twice/],
  [{ objects: '1,,2' }, /--objects "1,,2": expected a comma-separated list/],
  [{ objects: '9999999', 'object-bytes': String(Math.min(1_400_000, totalmem())) }, /their bytes alone take .* GiB/],
  [{ kind: 'pods', 'object-bytes': '10' }, /--object-bytes "10": one of the pods takes \d+ bytes at least/],
  [{ representation: 'cbor' }, /--representation "cbor": expected decoded-json or/],
  [{ engine: 'redis' }, /--engine "redis": expected cow-btree or/],
  [{ matrix: true, engine: 'hash' }, /--matrix stands for every --engine/],
  [{ rate: '0' }, /--rate "0": expected a whole number from 1/],
  [{ rate: '99999999999' }, /--rate "99999999999": expected a whole number from 1 to 10000000/],
  [{ rate: '5', ramp: '1:2:3' }, /--rate and --ramp exclude each other/],
  [{ ramp: '5' }, /--ramp "5": expected from:to:steps/],
  [{ ramp: '100:10:3' }, /--ramp "100:10:3": .*from < to/],
  [{ 'age-bound': '0' }, /--age-bound "0": expected 1ms or more/],
  [{ resolution: '1' }, /--resolution "1": expected a number from 1.01 to 10/],
  [{ seconds: '0' }, /--seconds "0"/],
  [{ 'heap-mib': '1' }, /--heap-mib "1": expected a whole number from 64/],
];
for (const [flags, says] of wrong) {
  test(`pressure ${JSON.stringify(flags)} is refused`, () => {
    assert.throws(
      () => resolvePressure(flags),
      (error) => error instanceof Error && says.test(error.message),
    );
  });
}

test('what became of a process that said nothing', () => {
  const none = { heapMib: undefined };
  assert.match(deathOf(none, null, 'SIGKILL', ''), /killed with SIGKILL: by someone, or for want of memory/);
  assert.match(deathOf({ heapMib: 64 }, 134, null, 'FATAL ERROR: JavaScript heap out of memory'), /heap of 64 MiB/);
  assert.match(deathOf(none, null, 'SIGABRT', 'Reached heap limit'), /V8's default heap limit/);
  assert.match(deathOf(none, 7, null, 'first\nlast line\n'), /exited with code 7: last line/);
});

test('a small grid, as a person runs it: two engines, every representation, watched and listed, at a given rate', async () => {
  const output = join(folder, 'grid');
  const { code, stdout, stderr } = await pressure(
    ...['--engine', 'cow-btree,sorted-array', '--objects', '300', '--rate', '500', '--seconds', '0.5'],
    ...['--watchers', '2', '--readers', '1', '--list-every', '100ms', '--output', output],
  );
  assert.equal(code, 0, stderr);
  const cells = 2 * Object.keys(representations).length;
  assert.match(stderr, new RegExp(`cell ${cells} of ${cells}`));
  const report = reportIn(output);
  assert.equal(report.outcomes.length, cells);
  const rates: number[] = [];
  for (const { cell, status, result, message } of report.outcomes) {
    assert.equal(status, 'done', message);
    const [trial] = result.trials;
    assert.ok(stdout.includes(`leases/${cell.representation}/${cell.engine}/300`));
    assert.ok(trial !== undefined && trial.lists >= 1, `${trial?.lists} lists`);
    rates.push(trial.eventsPerSecond);
    const events = trial.eventsPerSecond * trial.seconds;
    const bytes = 2 * events * result.storedBytesPerObject!;
    assert.ok(trial.watchBytes > bytes * 0.8 && trial.watchBytes < bytes * 3, `${trial.watchBytes} of ${bytes} bytes`);
    assert.ok(trial.memory.length > 5 && trial.memory.every(({ rss }) => rss > 2 ** 20));
    assert.ok(result.allocations !== undefined && result.allocations.objectsPerEvent > 0);
  }
  // A machine with much else to do may stall a cell for most of its half second, but not one after the other.
  assert.ok(Math.min(...rates) > 0 && Math.max(...rates) > 250, `${rates} events/s`);
  const html = readFileSync(join(output, 'report.html'), 'utf8');
  assert.match(html, /<svg class="plot"/);
  assert.doesNotMatch(html, /https?:\/\/|<script|NaN|undefined/);
  const bench = readFileSync(join(output, 'report.txt'), 'utf8');
  assert.match(bench, /^BenchmarkPressure\/leases\/slabs\/cow-btree\/300\/rate:500-\d+\t1\t[\d.]+ age-p50-ms\t/m);
});

test('decoded objects make many times the garbage of slabs', async () => {
  const output = join(folder, 'garbage');
  const { code, stderr } = await pressure(
    ...['--objects', '2000', '--representation', 'decoded-json,decoded-protobuf,slabs'],
    ...['--rate', '2000', '--seconds', '0.5', '--output', output],
  );
  assert.equal(code, 0, stderr);
  const allocated = Object.fromEntries(
    reportIn(output).outcomes.map(({ cell, result }) => [cell.representation, result.allocations!]),
  );
  const slabs = allocated['slabs']!;
  // Code that V8 has not optimised yet, as on a machine with much else to do, boxes numbers: 12 objects an event instead of 7.
  assert.ok(slabs.objectsPerEvent * 1.5 < allocated['decoded-json']!.objectsPerEvent, JSON.stringify(allocated));
  assert.ok(slabs.bytesPerEvent * 2 < allocated['decoded-protobuf']!.bytesPerEvent, JSON.stringify(allocated));
});

test('a cell that runs out of its heap is said to have, the others go on, the exit code is 1', async () => {
  const output = join(folder, 'heap');
  const { code, stdout } = await pressure(
    ...['--objects', '200000', '--representation', 'decoded-json,slabs', '--heap-mib', '64'],
    ...['--rate', '100', '--seconds', '0.5', '--output', output],
  );
  assert.equal(code, 1);
  assert.match(stdout, /failed: the process ran out of its heap of 64 MiB: give it more with --heap-mib, or fewer/);
  const [decoded, slabs] = reportIn(output).outcomes;
  assert.deepEqual([decoded?.status, slabs?.status], ['failed', 'done']);
});

test('ctrl-C: what was measured is in the report, which says that it is not all', async () => {
  const output = join(folder, 'interrupted');
  const command = start(process.execPath, [
    ...[main, 'pressure', '--objects', '100', '--representation', 'slabs', '--engine', 'cow-btree,hash'],
    ...['--rate', '100,101,102,103,104,105,106,107', '--seconds', '1', '--output', output],
  ]);
  await eventually('the first cell begins', () => command.stderr().includes('cell 1 of 2'));
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  command.child.kill('SIGINT');
  assert.equal(await command.exited, 130, command.stderr());
  const report = reportIn(output);
  assert.deepEqual([report.interrupted, report.planned, report.outcomes.length], [true, 2, 1]);
  assert.equal(report.outcomes[0]?.status, 'interrupted');
  assert.ok(report.outcomes[0].result.trials.length < 8);
  assert.match(readFileSync(join(output, 'report.html'), 'utf8'), /Interrupted: 1 of 2 cells were begun/);
});

test('a folder that cannot be written is refused before anything runs', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const { code, stderr } = await pressure('--objects', '10', '--output', join(file, 'below'));
  assert.equal(code, 2);
  assert.match(stderr, /^listwatch: --output ".*below": cannot be written: /);
  assert.ok(!existsSync(join(file, 'below')));
});
