import assert from 'node:assert/strict';
import test from 'node:test';
import { linePlot, linePlotFile } from '../../src/report/line-plot.js';

const axes = { title: 'a & b', xLabel: 'x', yLabel: 'y', xScale: 'log', yScale: 'log' } as const;
const points = [1, 10, 1000].map((x) => ({ x, y: x * 2 }));

test('a line plot shows every point inside its frame, and refuses what has no logarithm', () => {
  const svg = linePlot({ ...axes, series: [{ label: 'one', points }] });
  assert.match(svg, /<text class="title"[^>]*>a &amp; b</);
  const dots = [...svg.matchAll(/<circle[^>]* cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)]);
  assert.equal(dots.length, 3);
  assert.ok(dots.every(([x, y]) => x! > 64 && x! < 620 && y! > 60 && y! < 352));
  assert.ok(dots[0]![1]! > dots[1]![1]! && dots[1]![1]! > dots[2]![1]!, 'larger is higher');
  assert.throws(() => linePlot({ ...axes, series: [] }), /nothing to draw/);
  assert.throws(() => linePlot({ ...axes, series: [{ label: 'one', points: [{ x: 1, y: 0 }] }] }), /positive/);
});

test('a series keeps the colour and the dashes that it was given', () => {
  const svg = linePlot({ ...axes, series: [{ label: 'one', color: 4, dashed: true, points }] });
  assert.match(svg, /class="line s4" stroke-dasharray/);
});

test('a plot as a file says what it is and brings its colours', () => {
  const file = linePlotFile({ ...axes, series: [{ label: 'one', points }] });
  assert.match(file, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" class="plot"/);
  assert.match(file, /prefers-color-scheme: dark/);
  assert.match(file, /class="paper"/);
});
