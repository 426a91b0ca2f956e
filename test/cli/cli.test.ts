import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { eventually, freePort, type RunningCommand, run, start } from '../support/command.js';

/** The real binary, of the build that this test is part of. */
const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'listwatch-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const env = { HOME: folder, XDG_STATE_HOME: '', ETCDCTL_USER: '', ETCDCTL_PASSWORD: '' };
const listwatch = (...args: string[]) => run(process.execPath, [main, ...args], { env, timeoutMs: 30_000 });

const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const notPem = file('not.pem', 'hello');
const badManifest = file(
  'bad.yaml',
  'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a/b\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers: 7\n',
);

const open = join(folder, 'open');
mkdirSync(open);
chmodSync(open, 0o755);

/** What a person may get wrong: one line that names it, exit 2, no stack. */
const wrong: readonly [args: readonly string[], says: RegExp][] = [
  [['frobnicate'], /unknown command 'frobnicate'/],
  [['help', 'frobnicate'], /unknown command 'frobnicate'/],
  [['serve', '--secureport', '1'], /unknown option '--secureport'; did you mean --secure-port\?/],
  [['serve', 'now'], /too many arguments/],
  [['serve', '--secure-port'], /argument missing/],
  [['serve', '--bind-address', '0.0.0.0'], /--bind-address "0.0.0.0": only loopback addresses/],
  [['serve', '--secure-port', 'https'], /--secure-port "https": expected a port/],
  [['serve', '--load', join(folder, 'none')], /none: no such file or folder/],
  [['serve', '--tls-cert-file', notPem, '--tls-private-key-file', notPem], /not\.pem: not a certificate in PEM form/],
  [['serve', '--etcd-servers', 'https://127.0.0.1:1', '--etcd-cafile', notPem], /--etcd-cafile .*not a certificate/],
  [
    ['serve', '--etcd-servers', 'https://127.0.0.1:1', '--etcd-cafile', '/nonexistent'],
    /--etcd-cafile \/nonexistent: no such file/,
  ],
  [
    ['serve', '--etcd-servers', 'http://127.0.0.1:1', '--cache-dir', '/proc/none'],
    /--cache-dir \/proc\/none: .*checkpoints/,
  ],
  [['serve', '--etcd-servers', 'http://127.0.0.1:1', '--cache-dir', notPem], /--cache-dir .*not\.pem: .*checkpoints/],
  [
    ['serve', '--etcd-servers', 'http://127.0.0.1:1', '--cache-dir', open],
    /--cache-dir .*open: others can get in \(mode 755\); expected mode 700/,
  ],
  [['serve', '--cert-dir', '/proc/none'], /--cert-dir \/proc\/none: .*self-signed certificate/],
  [['kubeconfig', '--server', 'nowhere'], /--server "nowhere": expected a URL such as/],
  [['kubeconfig', '--cert-dir', folder], /no certificate in .*--certificate-authority/],
  [
    ['kubeconfig', '--server', 'http://127.0.0.1:1', '--output', '/nonexistent/config'],
    /--output \/nonexistent\/config: no such file/,
  ],
  [['version', '--short'], /unknown option '--short'/],
];

for (const [args, says] of wrong) {
  test(`listwatch ${args.map((arg) => arg.replace(folder, '...')).join(' ')}`, async () => {
    const { code, stdout, stderr } = await listwatch(...args);
    assert.equal(stdout, '');
    assert.match(stderr, says);
    assert.match(stderr, /^listwatch: [^\n]+\n$/, 'one line');
    assert.equal(code, 2);
  });
}

test('every rejected object is named, with its file, document and field', async () => {
  const { code, stderr } = await listwatch(
    'serve',
    '--load',
    badManifest,
    '--secure-port',
    '0',
    '--insecure-port',
    '0',
  );
  assert.equal(code, 2);
  assert.match(stderr, /leave no listener/);
  const loaded = await listwatch('serve', '--load', badManifest, '--secure-port', '0');
  assert.equal(loaded.code, 2);
  const lines = loaded.stderr.split('\n').filter((line) => line.startsWith('listwatch: '));
  assert.equal(lines.length, 3, loaded.stderr);
  assert.match(lines[0]!, /bad\.yaml: document 1 \(line 1\): metadata\.name "a\/b"/);
  assert.match(lines[1]!, /bad\.yaml: document 2 \(line 6\): Pod p: .*spec\.containers/);
  assert.match(lines[2]!, /2 of 2 objects rejected; --load-ignore-errors/);
});

test('a port that is asked for and in use is said, before anything is loaded', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    const { code, stderr } = await listwatch('serve', '--secure-port', '0', '--insecure-port', String(port));
    assert.equal(
      stderr,
      `listwatch: --insecure-port ${port}: in use by another process; give another one, or 0 for none\n`,
    );
    assert.equal(code, 2);
  } finally {
    other.close();
  }
});

test('help and version go to stdout and succeed', async () => {
  for (const [args, says] of [
    [[], /Usage: listwatch/],
    [['--help'], /Commands:/],
    [['help', 'serve'], /--etcd-servers <urls>/],
    [['serve', '--help'], /--sample \[spec\]/],
    [['version'], /^listwatch \d+\.\d+\.\d+ \(Node v/],
  ] as const) {
    const { code, stdout, stderr } = await listwatch(...args);
    assert.match(stdout, says);
    assert.equal(stderr, '');
    assert.equal(code, 0);
  }
});

test('a kubeconfig for plain HTTP needs no certificate; the file is private even when it was not', async () => {
  const path = file('kubeconfig', 'old');
  chmodSync(path, 0o644);
  const { code, stdout } = await listwatch('kubeconfig', '--server', 'http://127.0.0.1:8080/', '--output', path);
  assert.equal(code, 0);
  assert.match(stdout, /^Wrote .*kubectl --kubeconfig=/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const config = parse(readFileSync(path, 'utf8'));
  assert.deepEqual(config.clusters, [{ name: 'listwatch', cluster: { server: 'http://127.0.0.1:8080' } }]);
  assert.equal(config['current-context'], 'listwatch');
});

/** Starts `serve` on a free plain port and waits for its start text. */
async function serving(...args: string[]): Promise<RunningCommand & { readonly url: string }> {
  const command = start(
    process.execPath,
    [main, 'serve', '--secure-port', '0', '--insecure-port', String(await freePort()), ...args],
    env,
  );
  const [, url] = await eventually('the start text', () => {
    if (command.child.exitCode !== null) throw new Error(command.stderr());
    return /-s (http:\/\/127\.0\.0\.1:\d+) get pods/.exec(command.stdout()) ?? undefined;
  });
  return { ...command, url: url! };
}

test('SIGTERM: /readyz fails during the delay, then exit 0', async () => {
  const { url, child, exited } = await serving('--sample', 'nodes=1,pods=5,churn=5', '--shutdown-delay-duration', '1s');
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
  child.kill('SIGTERM');
  await eventually('/readyz fails', async () => (await fetch(`${url}/readyz`)).status === 500, 900, 10);
  assert.equal((await fetch(`${url}/api/v1/pods`)).status, 200);
  assert.equal(await exited, 0);
});

test('a second signal exits with 1 at once; the same Ctrl-C twice does not', async () => {
  const twice = await serving('--shutdown-delay-duration', '30s');
  twice.child.kill('SIGINT');
  twice.child.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(twice.child.exitCode, null, 'still in its delay');
  twice.child.kill('SIGINT');
  assert.equal(await twice.exited, 1);
});

test('logs: text and JSON lines on stderr, nothing but the start text on stdout', async () => {
  for (const [format, line] of [
    ['text', /^I \d{4}-\d\d-\d\dT[\d:.]+Z serving http=http:\/\/127\.0\.0\.1:\d+ source=embedded$/m],
    ['json', /^\{"level":30,"time":"[^"]+","http":"http:\/\/127\.0\.0\.1:\d+","source":"embedded","msg":"serving"\}$/m],
  ] as const) {
    const command = await serving('--logging-format', format);
    assert.equal(await command.stop(), 0);
    assert.match(command.stderr(), line);
    assert.match(command.stdout(), /^listwatch serves an empty store, embedded in this process\n/);
    assert.doesNotMatch(command.stdout(), /serving/);
  }
});

test('--load reports progress in tenths where there is no terminal', async () => {
  const documents = Array.from(
    { length: 3_000 },
    (_, index) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c${index}}\ndata: {k: "${'x'.repeat(60)}"}`,
  );
  const command = await serving('--load', file('many.yaml', documents.join('\n---\n')));
  const maps = (await (await fetch(`${command.url}/api/v1/configmaps?limit=1`)).json()) as {
    metadata: { remainingItemCount: number };
  };
  assert.equal(maps.metadata.remainingItemCount, 2_999);
  assert.equal(await command.stop(), 0);
  const lines = command
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('loading '));
  assert.ok(lines.length >= 2 && lines.length <= 10, `${lines.length} lines`);
  assert.match(lines.at(-1)!, /^loading 100% \(3000 objects\)$/);
});

test('the default port moves when it is in use, and says so', async () => {
  const taken = createServer();
  // When another program has it already, that serves as well.
  await new Promise<void>((resolve) => taken.once('error', () => resolve()).listen(8080, '127.0.0.1', resolve));
  const command = start(process.execPath, [main, 'serve', '--secure-port', '0'], env);
  try {
    const [, port] = await eventually(
      'the start text',
      () => /http:\/\/127\.0\.0\.1:(\d+) {3}plain HTTP \(port 8080 is in use\)/.exec(command.stdout()) ?? undefined,
    );
    assert.notEqual(port, '8080');
    assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
  } finally {
    await command.stop();
    taken.close();
  }
});
