/**
 * What `npm start` and `npm test` run on a clone: installs and builds what is missing or old, then
 * goes on. Plain JavaScript without dependencies, since it runs before there are any.
 *
 *     node src/cli/bootstrap.mjs                    only install and build
 *     node src/cli/bootstrap.mjs serve --sample     then `listwatch serve --sample`, in this process
 *     node src/cli/bootstrap.mjs --node --test x    then `node --test x`
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const lockFile = join(root, 'package-lock.json');
const installed = join(root, 'node_modules', '.package-lock.json'); // npm writes it when an install is complete
const stamp = join(root, 'dist', '.built');
const entry = join(root, 'dist', 'src', 'cli', 'main.js');

function fail(message, code = 2) {
  process.stderr.write(`listwatch: ${message}\n`);
  process.exit(code);
}

function checkNode() {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor = 0] = wanted.split('.').map(Number);
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    fail(`Node ${wanted} or newer is needed, this is ${process.versions.node}`);
  }
}

/** Its output goes to stderr: stdout belongs to the command that follows. */
function run(what, command, args, shell = false) {
  process.stderr.write(`listwatch: ${what}\n`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell });
  if (error !== undefined) fail(`${command}: ${error.message}`, 1);
  if (status !== 0) fail(`${what} failed (exit code ${status})`, 1);
}

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** By content, not by time: a checkout touches the lock file without changing it. */
function isInstalled() {
  if (!existsSync(installed)) return false;
  const wanted = JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  const present = JSON.parse(readFileSync(installed, 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional === true || present[path]?.version === version,
  );
}

function install() {
  if (isInstalled()) return;
  // The build needs the dev dependencies, whatever NODE_ENV says.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  if (npm?.endsWith('.js')) run('installing dependencies (npm ci)', process.execPath, [npm, ...args]);
  else run('installing dependencies (npm ci)', 'npm', args, process.platform === 'win32');
}

function newestMs(folder) {
  let newest = 0;
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, item.name);
    if (item.isDirectory()) newest = Math.max(newest, modifiedMs(path), newestMs(path));
    else if (item.name.endsWith('.ts')) newest = Math.max(newest, modifiedMs(path));
  }
  return newest;
}

function build() {
  const builtMs = modifiedMs(stamp);
  const sources = ['src', 'test', 'bench'].map((name) => join(root, name)).filter((folder) => existsSync(folder));
  const settings = ['tsconfig.json', 'package.json', 'package-lock.json'].map((name) => modifiedMs(join(root, name)));
  if (builtMs > Math.max(...settings, ...sources.map(newestMs)) && existsSync(entry)) return;
  // The stamp's time is that of the start: what is changed while the compiler runs is built next time.
  const begun = join(root, 'dist', `.building-${process.pid}`); // two of us may build at once
  mkdirSync(dirname(begun), { recursive: true });
  writeFileSync(begun, '');
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  run('building (tsc)', process.execPath, [compiler, '-p', 'tsconfig.json']);
  renameSync(begun, stamp);
}

checkNode();
install();
build();

const [first, ...rest] = process.argv.slice(2);
if (first === '--node') {
  const { status, signal } = spawnSync(process.execPath, rest, { cwd: root, stdio: 'inherit' });
  process.exit(status ?? (signal === null ? 1 : 130));
} else if (first !== undefined) {
  process.argv = [process.argv[0], entry, first, ...rest];
  await import(pathToFileURL(entry).href);
}
