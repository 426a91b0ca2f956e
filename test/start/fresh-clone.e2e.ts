import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, repositoryRoot, run } from '../support/command.js';

// What the README promises: clone, `npm start`, and kubectl's line is on the screen.

test('a fresh clone serves a living cluster with npm start alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'listwatch-clone-'));
  try {
    const clone = join(folder, 'listwatch');
    const cloned = await run('git', ['clone', '--quiet', repositoryRoot, clone], { timeoutMs: 120_000 });
    assert.equal(cloned.code, 0, cloned.stderr);
    const child = spawn('npm', ['start'], { cwd: clone, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    try {
      const line = await eventually(
        `the kubectl line (${stderr.slice(-500)})`,
        () => /kubectl .*-s (http:\/\/127\.0\.0\.1:\d+).*$/m.exec(stdout) ?? undefined,
        240_000,
        200,
      );
      const base = line[1] ?? '';
      await eventually('it is ready', async () => (await fetch(`${base}/readyz`)).ok, 30_000);
      const pods = async () =>
        (await (await fetch(`${base}/api/v1/pods`)).json()) as {
          metadata: { resourceVersion: string };
          items: unknown[];
        };
      const first = await pods();
      assert.ok(first.items.length > 1_000, `${first.items.length} pods`);
      await eventually(
        'the cluster lives',
        async () => (await pods()).metadata.resourceVersion !== first.metadata.resourceVersion,
      );
    } finally {
      process.kill(-(child.pid ?? 0), 'SIGTERM');
      await new Promise((resolve) => child.once('close', resolve));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
