import assert from 'node:assert/strict';
import test from 'node:test';
import { cpuMicros, cpuMsOf } from '../../bench/experiments/cpu-time.js';

function burn(ms: number): void {
  for (const start = performance.now(); performance.now() - start < ms; );
}

test('the CPU time of a call grows with what it does', () => {
  const [little, much] = [cpuMicros(20, () => burn(0.2)), cpuMicros(20, () => burn(2))];
  assert.ok(little > 0 && much > 2 * little, `${little} and ${much} us`);
});

test('the CPU time of a process is what it knows itself, to a few ticks', () => {
  burn(50);
  const { user, system } = process.cpuUsage();
  const seen = cpuMsOf(process.pid);
  assert.ok(Math.abs(seen - (user + system) / 1_000) <= 40, `${seen} and ${(user + system) / 1_000} ms`);
});

test('a process that has ended has no CPU time', () => {
  assert.throws(() => cpuMsOf(2 ** 22 + 1), /ENOENT/);
});
