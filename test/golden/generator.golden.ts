import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot, requireProgram, run } from '../support/command.js';

test('the committed schemas are what the generator writes today', async () => {
  const go = requireProgram('go', 'GO', 'install Go 1.26 or newer, e.g. apt-get install -t sid golang-go');
  const { code, stdout, stderr } = await run(go, ['run', '.', '-check'], {
    cwd: join(repositoryRoot, 'proto/gen'),
    timeoutMs: 600_000,
  });
  assert.equal(code, 0, `regenerate with: (cd proto/gen && go run .)\n${stdout}${stderr}`);
});
