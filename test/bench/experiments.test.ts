import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { experimentNames, loadExperiment } from '../../bench/experiments/catalogue.js';
import { type Experiment, mediansOf, summarize } from '../../bench/experiments/experiment.js';
import { brokenDirections, type ExperimentReport, reportFiles } from '../../bench/experiments/report.js';
import { repositoryRoot } from '../support/command.js';

const samples = [1, 9, 2].map((value) => [
  { figure: 'cost', line: 'a', at: 10, value },
  { figure: 'cost', line: 'a', at: 20, value: value * 2 },
  { figure: 'cost', line: 'b', at: 10, value: 5 },
]);

const experiment: Experiment = {
  title: 'A against b',
  claim: 'a is cheaper.',
  source: [{ title: 'a book', url: 'https://example.com' }],
  method: ['Both are tried.'],
  xLabel: 'objects',
  figures: { cost: { label: 'cost', unit: 'us' } },
  plots: [{ figure: 'cost', title: 'Cost', xScale: 'log', yScale: 'log' }],
  directions: [
    { says: 'a is cheaper than b', holds: (medians) => medians.of('cost', 'a', 10) < medians.of('cost', 'b', 10) },
    { says: 'a is free', holds: (medians) => medians.of('cost', 'a', 10) === 0 },
  ],
  measure: () => Promise.resolve([]),
  verdict: (medians) => ({ reproduces: 'yes', text: [`It took ${medians.of('cost', 'a', 10)} us.`] }),
};

const report: ExperimentReport = {
  name: 'a-against-b',
  setting: {
    date: '2026-01-01T00:00:00.000Z',
    command: 'npm run experiment -- a-against-b --runs 3',
    seed: 0,
    processor: 'one',
    cores: 2,
    memoryGib: 8,
    versions: { node: '20' },
  },
  size: 'full',
  runs: 3,
  interrupted: false,
  failures: [],
  loadBefore: 0.1,
  samples,
};

test('runs are summed up by their median, lowest and highest, and a figure that is not there is an error', () => {
  const summaries = summarize(samples.flat());
  assert.deepEqual(summaries[0], { figure: 'cost', line: 'a', at: 10, median: 2, low: 1, high: 9, runs: 3 });
  const medians = mediansOf(summaries);
  assert.deepEqual(medians.places('cost', 'a'), [10, 20]);
  assert.throws(() => medians.of('price', 'a', 10), /no figure price of a at 10/);
  assert.equal(mediansOf(summarize(samples.slice(0, 2).flat())).of('cost', 'a', 10), 5);
});

test('a direction that does not hold is named', () => {
  assert.deepEqual(brokenDirections(experiment, report), ['a is free']);
});

test('a report has the claim, the figures of every line and what they say, and its plots as files', () => {
  const files = reportFiles(experiment, report);
  assert.deepEqual(
    [...files.keys()].sort(),
    ['html', 'json', 'md', 'svg', 'txt'].map((end) => `a-against-b.${end}`),
  );
  const page = files.get('a-against-b.md')!;
  for (const text of [
    'a is cheaper.',
    '| a | 10 | 2 (1 to 9) |',
    '| b | 10 | 5 |',
    'It reproduces.',
    'It took 2 us.',
  ]) {
    assert.ok(page.includes(text), `${text} in ${page}`);
  }
  assert.match(files.get('a-against-b.txt')!, /^BenchmarkExperiment\/a-against-b\/a\/10\/cost-2\t1\t1 us$/m);
});

test('a small or unfinished report is not judged, and says what it lacks', () => {
  const small = reportFiles(experiment, { ...report, size: 'small' }).get('a-against-b.md')!;
  assert.match(small, /Not judged: a small pass/);
  const failed = { ...report, samples: [], failures: ['no etcd'], interrupted: true };
  const page = reportFiles(experiment, failed).get('a-against-b.md')!;
  for (const text of ['no etcd', 'Interrupted', 'Not judged: no run']) assert.ok(page.includes(text), text);
});

for (const name of experimentNames()) {
  test(`${name}: its committed page is what its runs and its text give`, async () => {
    const folder = join(repositoryRoot, 'docs', 'experiments');
    const committed = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as ExperimentReport;
    assert.equal(committed.size, 'full');
    assert.ok(committed.samples.length >= 5, `${committed.samples.length} runs`);
    const loaded = await loadExperiment(name);
    assert.deepEqual(brokenDirections(loaded, committed), []);
    for (const [path, text] of reportFiles(loaded, committed)) {
      if (/\.(md|svg)$/.test(path)) assert.equal(readFileSync(join(folder, path), 'utf8'), text, path);
    }
  });
}
