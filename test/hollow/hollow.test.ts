import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isPassed, type Objective } from '../../src/hollow/service-levels.js';
import type { HollowReport } from '../../src/hollow/report.js';
import { eventually, run, start } from '../support/command.js';
import { assertLived, runSmall } from './small-cluster.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'listwatch-hollow-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const output = join(folder, 'report');

for (const encoding of ['protobuf', 'json']) {
  for (const name of ['density', 'load']) {
    test(`the ${name} test over the embedded store, read as ${encoding}`, async () => {
      const ran = await runSmall({ encoding, test: name });
      assert.equal(ran.result.status, 'done', ran.result.message);
      assertLived(ran);
      assert.equal(ran.report.objectives.length, 8);
      assert.match(ran.benchText, /^BenchmarkHollow\/\w+\/nodes:3\/GET\/pods\/resource-\d+\t\d+\t[\d.]+ p50-ms\t/m);
      assert.match(ran.page, /<svg class="plot"/);
      assert.doesNotMatch(ran.page, /<(script|link|img)\b/, 'self-contained');
    });
  }
}

test('a server that is killed: said, with a report of what was measured', async () => {
  let pid = 0;
  const ran = await runSmall(
    { duration: '30s' },
    {
      serving: (server) => {
        pid = server;
      },
      progress: ({ phase, pods }) => {
        if (phase === 'test' && pods > 3 && pid !== 0) {
          process.kill(pid, 'SIGKILL');
          pid = 0;
        }
      },
    },
  );
  assert.equal(ran.result.status, 'failed');
  assert.equal(ran.result.message, 'the server under test was killed with SIGKILL');
  assert.equal(ran.report.passed, false);
  assert.ok(ran.report.pods.started > 3);
  assert.match(ran.page, /was killed with SIGKILL/);
});

const objective = (verdict: Objective['verdict']): Objective => ({
  set: '1.2',
  source: '',
  text: '99% of calls',
  boundMs: 1,
  measuredMs: 1,
  of: '',
  count: 1,
  verdict,
});

test('a run passes when everything was met, and what was not measured is not met', () => {
  assert.equal(isPassed([objective('met'), objective('met')]), true);
  assert.equal(isPassed([objective('met'), objective('missed')]), false);
  assert.equal(isPassed([objective('nothing measured')]), false);
  assert.equal(isPassed([]), false);
});

const wrong: readonly [args: readonly string[], says: RegExp][] = [
  [['--nodes', '0'], /--nodes "0": expected a whole number from 1/],
  [['--nodes', '5000', '--watches-per-node', '100'], /more than 100000 watches/],
  [['--nodes', '5000', '--pods-per-node', '110'], /more than 200000 pods/],
  [['--pod-interval', '0'], /--pod-interval "0": expected 5ms or more/],
  [['--controller-rate', 'fast'], /--controller-rate "fast": expected a whole number/],
  [['--test', 'soak'], /--test "soak": expected density or load/],
  [['--twin', 'none'], /--twin "none": expected/],
  [['--objectives', '1.2,1.7'], /--objectives "1.7": expected 1.2 or/],
  [['--output', '/proc/none'], /--output "\/proc\/none": cannot be written/],
  [['--etcd-servers', 'nowhere'], /--etcd-servers "nowhere": expected URLs/],
  [['--etcd-servers', 'http://127.0.0.1:1', '--output', output], /--etcd-servers: .*127\.0\.0\.1:1/],
];
for (const [args, says] of wrong) {
  test(`listwatch hollow ${args.join(' ').replace(folder, '...')}`, async () => {
    const { code, stderr } = await run(process.execPath, [main, 'hollow', ...args], { cwd: folder, timeoutMs: 60_000 });
    assert.match(stderr, says);
    assert.match(stderr.trim().split('\n').at(-1)!, /^listwatch: /);
    assert.equal(code, 2);
  });
}

test('ctrl-C leaves a valid report, and exit code 130', async () => {
  const command = start(process.execPath, [main, 'hollow', '--nodes', '2', '--duration', '1h', '--output', output]);
  await eventually('the test', () => /0% of the test/.test(command.stderr()), 60_000);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  command.child.kill('SIGINT');
  assert.equal(await command.exited, 130);
  const report = JSON.parse(readFileSync(join(output, 'report.json'), 'utf8')) as HollowReport;
  assert.equal(report.status, 'interrupted');
  assert.equal(report.passed, false);
  assert.ok(report.pods.created > 0);
  assert.match(readFileSync(join(output, 'report.html'), 'utf8'), /The run was interrupted/);
});
