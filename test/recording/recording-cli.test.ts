import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, freePort, run, start } from '../support/command.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'listwatch-recording-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const listwatch = (...args: string[]) => run(process.execPath, [main, ...args], { timeoutMs: 60_000 });
const recording = join(folder, 'pods.rec');

before(async () => {
  const { code, stdout, stderr } = await listwatch(
    ...['record', '--sample', 'nodes=5,pods=80,churn=300', '--kind', 'pods', '--changes', '200'],
    ...['--output', recording],
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /pods\.rec: \d+ objects, 200 changes, \d+ bytes; 200 changes were recorded/);
});

test('a recording is replayed into any representation and engine, which end with the same state', async () => {
  const results = new Map<string, string>();
  for (const [representation, engine] of [
    ['slabs', 'cow-btree'],
    ['decoded-protobuf', 'hash'],
    ['decoded-json', 'hash+btree'],
  ] as const) {
    const { code, stdout, stderr } = await listwatch(
      ...['replay', recording, '--speed', 'max', '--representation', representation, '--engine', engine],
      ...['--output', 'json'],
    );
    assert.equal(code, 0, stderr);
    const { objects, changes, revisions, endReason, changesPerSecond } = JSON.parse(stdout);
    assert.ok(changesPerSecond > 50);
    results.set(representation, JSON.stringify({ objects, changes, revisions, endReason }));
  }
  assert.equal(new Set(results.values()).size, 1, [...results].join('\n'));
});

test('at a pace, the replay takes as long as the recording, divided; what is due is told apart from what is late', async () => {
  const { stdout } = await listwatch('replay', recording, '--speed', '0.25', '--output', 'json');
  const { recordedSeconds, seconds, ageMs } = JSON.parse(stdout);
  assert.ok(seconds >= recordedSeconds * 4 && seconds < recordedSeconds * 4 + 3, `${seconds} of ${recordedSeconds} s`);
  // The sample writes every 100 ms, now every 400: an age that contained the wait would be as long.
  assert.ok(ageMs.p50 < 250, `p50 ${ageMs.p50} ms`);
  const { stdout: text } = await listwatch('replay', recording, '--speed', '4');
  assert.match(
    text,
    /^pods of embedded, recorded 20.*; as slabs, ordered by cow-btree\n\d+ objects, then 200 changes in/,
  );
});

test('serve --replay: clients see the state, and the changes come', async () => {
  const port = await freePort();
  const server = start(process.execPath, [
    ...[main, 'serve', '--replay', recording, '--replay-speed', '0.5'],
    ...['--insecure-port', String(port), '--secure-port', '0'],
  ]);
  try {
    const list = async () => (await (await fetch(`http://127.0.0.1:${port}/api/v1/pods`)).json()) as PodList;
    const first = await eventually('the server answers', () => list().catch(() => undefined));
    assert.ok(first.items.length >= 70, `${first.items.length} pods`);
    await eventually('a change comes', async () => {
      const { metadata } = await list();
      return metadata.resourceVersion !== first.metadata.resourceVersion;
    });
  } finally {
    assert.equal(await server.stop(), 0, server.stderr());
  }
});

interface PodList {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly unknown[];
}

const cut = join(folder, 'cut.rec');
const none = join(folder, 'none.rec');
/** What a person may get wrong: one line that names it, exit 2. */
const wrong: readonly [args: readonly string[], says: RegExp][] = [
  [['record', '--output', none], /--kind is needed/],
  [['record', '--kind', 'pods'], /--output is needed/],
  [['record', '--kind', 'gadgets', '--output', none], /--kind "gadgets": no such resource/],
  [['record', '--kind', 'secrets', '--sample', '--output', none], /--kind secrets: .*--include-secrets/],
  [['record', '--kind', 'pods', '--sample', '--output', recording], /pods\.rec: exists/],
  [['record', '--kind', 'pods', '--sample', '--output', '/proc/none/x'], /--output \/proc\/none\/x: /],
  [['record', '--kind', 'pods', '--output', none, '--duration', '0'], /--duration "0": expected a duration greater/],
  [['record', '--kind', 'pods', '--output', none, '--changes', '0'], /--changes "0": expected a whole number/],
  [['replay'], /missing required argument/],
  [['replay', none], /none\.rec: ENOENT/],
  [['replay', cut], /cut\.rec: the recording ends before its state is complete/],
  [['replay', recording, '--speed', '0'], /--speed "0": expected a factor/],
  [['replay', recording, '--engine', 'x'], /--engine "x": expected cow-btree or/],
  [['serve', '--replay', none], /--replay .*none\.rec: ENOENT/],
  [['serve', '--replay', cut], /--replay .*cut\.rec: the recording ends before its state is complete/],
  [['serve', '--replay-speed', '2'], /--replay-speed has no effect without --replay/],
  [['serve', '--replay', recording, '--sample'], /--replay and --sample both write/],
  [['serve', '--replay', recording, '--etcd-servers', 'http://127.0.0.1:1'], /--replay fills the embedded store/],
];
for (const [args, says] of wrong) {
  test(`listwatch ${args.map((arg) => arg.replace(folder, '')).join(' ')}`, async () => {
    writeFileSync(cut, readFileSync(recording).subarray(0, 400));
    const { code, stderr } = await listwatch(...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  });
}

test('secrets are recorded when that is asked for, and readable by their owner only', async () => {
  const path = join(folder, 'secrets.rec');
  const { code, stderr } = await listwatch(
    ...['record', '--kind', 'secrets', '--include-secrets', '--sample', '--duration', '200ms', '--output', path],
  );
  assert.equal(code, 0, stderr);
  assert.ok(existsSync(path));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a recorder that is told to end writes what it has', async () => {
  const path = join(folder, 'interrupted.rec');
  const command = start(process.execPath, [
    ...[main, 'record', '--kind', 'pods', '--sample', 'nodes=5,pods=50,churn=300', '--output', path],
  ]);
  await eventually('it records', () => command.stderr().includes('recording their changes'));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  command.child.kill('SIGINT');
  assert.equal(await command.exited, 0, command.stderr());
  assert.match(command.stdout(), /interrupted\.rec: \d+ objects, \d+ changes, \d+ bytes; ended by its user/);
  const { stdout } = await listwatch('replay', path, '--speed', 'max');
  assert.match(stdout, /the recording ends: ended by its user/);
});
