import assert from 'node:assert/strict';
import { test } from 'node:test';
import { htmlReport } from '../../bench/peer/html.js';
import {
  type Comparison,
  compare,
  figure,
  type Measure,
  median,
  ratioText,
  type Sample,
  type Subject,
  type Target,
  targetText,
} from '../../bench/peer/measures.js';
import { isPeerMeasured, modes } from '../../bench/peer/modes.js';
import { benchstatText, markdownTable, type Report, reportOf, type Setting } from '../../bench/peer/report.js';

const MODE = { name: 'list/protobuf', title: 'LIST <all> pods' };
const CPU = 'server CPU ms/list';

function samples(column: string, figures: Partial<Record<Subject, readonly number[]>>, mode = MODE.name): Sample[] {
  return Object.entries(figures).flatMap(([subject, values]) =>
    values.map((value, run) => ({ mode, subject: subject as Subject, run, values: { [column]: value } })),
  );
}

function verdict(target: Target, better: Measure['better'], all: readonly Sample[]): Comparison['verdict'] {
  return compare(MODE, { column: CPU, better, target }, all).verdict;
}

test('the median is the middle run, or the mean of the middle two', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([9, 1, 5, 3]), 4);
  assert.throws(() => median([]), /median of nothing/);
});

test('a ratio is that of the medians, and met at its limit exactly', () => {
  const target: Target = { kind: 'ratio', against: 'peer', limit: 1 / 4 };
  const all = samples(CPU, { peer: [400, 100, 4000], listwatch: [100, 1, 9000] });
  const compared = compare(MODE, { column: CPU, better: 'lower', target }, all);
  assert.deepEqual(compared.medians, { peer: 400, listwatch: 100 });
  assert.equal(compared.ratio, 0.25);
  assert.equal(compared.verdict, 'met');
  assert.equal(verdict(target, 'lower', samples(CPU, { peer: [400], listwatch: [101] })), 'not met');
  assert.equal(verdict(target, 'higher', samples(CPU, { peer: [400], listwatch: [99] })), 'not met');
});

test('what was measured of one server only, or of another mode, is not judged', () => {
  const target: Target = { kind: 'ratio', against: 'peer', limit: 1 };
  assert.equal(verdict(target, 'lower', samples(CPU, { listwatch: [1] })), 'not measured');
  assert.equal(verdict(target, 'lower', samples(CPU, { peer: [1], listwatch: [1] }, 'other')), 'not measured');
  assert.equal(verdict({ kind: 'absolute', limit: 1 }, 'lower', samples(CPU, { peer: [1] })), 'not measured');
  assert.equal(verdict(target, 'lower', samples(CPU, { peer: [0], listwatch: [0] })), 'not measured');
});

test('a target may name another program, and another of its columns', () => {
  const target: Target = { kind: 'ratio', against: 'paged-read', column: 'paged read ms', limit: 1.5 };
  const all = [...samples(CPU, { listwatch: [140], peer: [1] }), ...samples('paged read ms', { 'paged-read': [100] })];
  const compared = compare(MODE, { column: CPU, better: 'lower', target }, all);
  assert.deepEqual(compared.other, { subject: 'paged-read', value: 100 });
  assert.equal(compared.verdict, 'met');
});

test('a baseline is shown where no target names it, and is not what the ratio is of', () => {
  const all = samples(CPU, { peer: [100], listwatch: [50], 'raw-socket': [10] });
  const compared = compare(MODE, { column: CPU, better: 'lower', target: { kind: 'report' } }, all);
  assert.deepEqual(compared.other, { subject: 'raw-socket', value: 10 });
  assert.equal(compared.ratio, 0.5);
  assert.equal(compared.verdict, 'reported');
});

test('figures and targets read as the table of targets writes them', () => {
  assert.equal(ratioText(1 / 30), '1/30');
  assert.equal(ratioText(2), '2x');
  assert.equal(ratioText(undefined), '');
  assert.equal(figure(1234.5), '1235');
  assert.equal(figure(0.456), '0.46');
  const ratio: Target = { kind: 'ratio', against: 'raw-socket', limit: 0.9 };
  assert.equal(targetText({ column: 'MB/s', better: 'higher', target: ratio }), '>= 0.90x of raw-socket');
});

const SETTING: Setting = {
  date: '2026-01-02T03:04:05.000Z',
  processor: 'Some Processor',
  cores: 2,
  memoryGib: 4,
  loadBefore: [1, 2, 3],
  versions: { etcd: '3.5.16' },
  pods: 10,
  objects: 20,
  storedBytes: 1e6,
  runsWanted: 2,
  small: false,
};

function sampleReport(interrupted = false): Report {
  const target: Target = { kind: 'ratio', against: 'peer', limit: 1 / 30 };
  const measure: Measure = { column: CPU, better: 'lower', target };
  const mode = { ...MODE, over: 'http', args: [], measures: [measure] } as const;
  const all = samples(CPU, { peer: [90, 110], listwatch: [2, 4] });
  const failure = { mode: MODE.name, subject: 'peer', run: 1, message: 'a <b> & c' };
  return reportOf(SETTING, [mode], all, [failure], interrupted);
}

test('the page needs nothing from elsewhere, escapes what it shows, and shows every run', () => {
  const page = htmlReport(sampleReport());
  assert.doesNotMatch(page, /https?:|src=|url\(|@import|<script/);
  assert.match(page, /LIST &lt;all&gt; pods/);
  assert.match(page, /a &lt;b&gt; &amp; c/);
  assert.equal(page.match(/class="tick"/g)?.length, 4);
  assert.match(page, /prefers-color-scheme: dark/);
  assert.match(page, /name="viewport"/);
});

test('an interrupted run says so, whatever shows it', () => {
  assert.match(htmlReport(sampleReport(true)), /INTERRUPTED/);
  assert.doesNotMatch(htmlReport(sampleReport()), /INTERRUPTED/);
});

test("benchstat's text has a line a run, a unit without blanks, and the server as a sub-benchmark", () => {
  const lines = benchstatText(sampleReport()).trim().split('\n');
  const runs = lines.filter((line) => line.startsWith('Benchmark'));
  assert.equal(runs.length, 4);
  assert.equal(runs[0], 'BenchmarkList/protobuf/server=peer-2\t1\t90 server-CPU-ms/list');
});

test('the Markdown table has as many cells in every line', () => {
  const lines = markdownTable(sampleReport()).split('\n');
  assert.equal(lines.length, 3);
  assert.deepEqual(new Set(lines.map((line) => line.split('|').length)).size, 1);
  assert.match(lines[2]!, /\| 100 +\| 3 +\|.*1\/33.*<= 1\/30.*met/);
});

test('names of modes differ, and small ones are judged by no target', () => {
  const whole = modes({ small: false, load: 'load', storedBytes: 1e6, writeSeconds: 1 });
  const small = modes({ small: true, load: 'load', storedBytes: 1e6, writeSeconds: 1 });
  assert.equal(new Set(whole.map(({ name }) => name)).size, whole.length);
  assert.deepEqual(
    small.map(({ name }) => name),
    whole.map(({ name }) => name),
  );
  assert.ok(whole.some(({ measures }) => measures.some(({ target }) => target.kind !== 'report')));
  assert.ok(small.every(({ measures }) => measures.every(({ target }) => target.kind === 'report')));
});

test('the peer is measured in every run of a mode that is judged by its figures, and in some of those that only show them', () => {
  const all = modes({ small: false, load: '', storedBytes: 1, writeSeconds: 1 });
  const runsOf = (name: string) =>
    [0, 1, 2, 3, 4].filter((run) => isPeerMeasured(all.find((mode) => mode.name === name)!, run));
  assert.deepEqual(runsOf('list/protobuf'), [0, 1, 2, 3, 4]);
  assert.deepEqual(runsOf('watchlist/protobuf-1'), [0, 1, 2, 3, 4]);
  assert.deepEqual(runsOf('watchlist/json-10'), [0, 3]);
  assert.deepEqual(runsOf('memory'), [0, 3]);
  assert.deepEqual(runsOf('start'), [0, 3]);
  assert.deepEqual(runsOf('throughput/http'), []);
  for (const mode of all) {
    const judged = mode.measures.some(({ target }) => target.kind === 'ratio' && target.against === 'peer');
    assert.ok(!(judged && mode.withoutPeer), `${mode.name} is judged by the peer's figures, and has none`);
  }
});
