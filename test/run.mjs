/**
 * Runs the compiled test files whose names end in one of the given suffixes:
 *
 *     node test/run.mjs .test.js            what `npm test` runs
 *     node test/run.mjs peer/peer.e2e.js    one file
 *     node test/run.mjs kubectl/            every end-to-end file of a folder
 *
 * With TEST_FILES, only those of them are run that it names, separated by spaces: TEST_FILES="http/list.test.js".
 *
 * A file that takes longer than a quarter of an hour, or does not end, has failed.
 *
 * Node 20's own runner takes no patterns, and a run that matches nothing must fail.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FILE_TIMEOUT_MS = 900_000;

function isMeant(file, suffix) {
  if (suffix.endsWith('/')) return file.startsWith(suffix) && file.endsWith('.e2e.js');
  return file.endsWith(suffix);
}

const compiled = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'test');
const suffixes = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const [major, minor] = process.versions.node.split('.').map(Number);
if (major > 20 || minor >= 11) options.unshift(`--test-timeout=${FILE_TIMEOUT_MS}`); // Node 20.10 has no such option
const only = process.env.TEST_FILES?.split(' ');
const files = readdirSync(compiled, { recursive: true })
  .map(String)
  .filter((file) => suffixes.some((suffix) => isMeant(file, suffix)) && (only?.includes(file) ?? true))
  .sort()
  .map((file) => join(compiled, file));
if (files.length === 0) {
  process.stderr.write(
    `no test file below dist/test ends in ${suffixes.join(' or ')}${only ? ` and is one of ${only}` : ''}\n`,
  );
  process.exit(2);
}
const { status } = spawnSync(
  process.execPath,
  ['--enable-source-maps', '--expose-gc', ...options, '--test', ...files],
  {
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
