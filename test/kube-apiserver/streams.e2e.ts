import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, requireProgram, type RunningCommand, run, start } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { send } from '../support/http-client.js';

// kubectl, listwatch, kube-apiserver and a kubelet (`kubelet/`), one behind the other; and the same without listwatch.

const kubectl = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
const script = requireProgram('script', 'SCRIPT', 'install it with: apt-get install bsdutils');
const WAYS = ['true', 'false'].map((isWebSocket) => ({
  KUBECTL_REMOTE_COMMAND_WEBSOCKETS: isWebSocket,
  KUBECTL_PORT_FORWARD_WEBSOCKETS: isWebSocket,
}));
const nameOf = (way: (typeof WAYS)[number]) =>
  way.KUBECTL_REMOTE_COMMAND_WEBSOCKETS === 'true' ? 'WebSocket' : 'SPDY';
let world: ControlPlane;
let kubelet: RunningCommand;
let kubeletUrl: string;
let folder: string;
let echo: Server;

before(async () => {
  world = await startControlPlane({ forward: true });
  folder = await mkdtemp(join(tmpdir(), 'listwatch-streams-'));
  kubelet = start(join(dirname(world.program), 'kubelet-streams'), []);
  const port = Number(await eventually('the kubelet listens', () => /^[0-9]+\n/.exec(kubelet.stdout())?.[0]));
  kubeletUrl = `https://127.0.0.1:${port}`;
  await world.write('POST', '/api/v1/nodes', {
    metadata: { name: 'node' },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    },
  });
  await world.write('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  for (const [name, tty] of [
    ['p', false],
    ['terminal', true],
  ] as const) {
    await world.write('POST', '/api/v1/namespaces/default/pods', {
      metadata: { name },
      spec: { nodeName: 'node', containers: [{ name: 'main', image: 'x', stdin: true, tty }] },
    });
    await world.write('PATCH', `/api/v1/namespaces/default/pods/${name}/status`, {
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    });
  }
  echo = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  echo?.close();
  await kubelet?.stop();
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

const echoPort = () => (echo.address() as { port: number }).port;
const connection = (server: string) => [
  ...['--kubeconfig=/dev/null', '-s', server, '--insecure-skip-tls-verify', '--token=t-admin'],
];

/** Of the same words to listwatch and to kube-apiserver: what both said. */
async function both(args: readonly string[], env: NodeJS.ProcessEnv, input?: string) {
  const [ours, theirs] = await Promise.all(
    [world.ourUrl, world.theirUrl].map((url) =>
      run(kubectl, [...connection(url), ...args], { env: { HOME: folder, ...env }, input: input ?? '' }),
    ),
  );
  assert.deepEqual(ours, theirs, args.join(' '));
  return ours!;
}

/** A kubectl that goes on, to listwatch. */
const begin = (args: readonly string[], env: NodeJS.ProcessEnv) =>
  start(kubectl, [...connection(world.ourUrl), ...args], { HOME: folder, ...env }, 'pipe');

const openStreams = async () => Number((await send(kubeletUrl, { path: '/open' })).body.toString());
const nothingIsOpen = () => eventually('no stream is open', async () => (await openStreams()) === 0);

for (const way of WAYS) {
  test(`exec over ${nameOf(way)}: output, exit codes and input to its end`, async () => {
    const script = 'echo out; echo problem >&2; exit 7';
    const failed = await both(['exec', 'p', '--', 'sh', '-c', script], way);
    assert.deepEqual([failed.code, failed.stdout], [7, 'out\n']);
    assert.match(failed.stderr, /^problem$/m);
    const text = 'some text\n'.repeat(100_000);
    assert.equal((await both(['exec', '-i', 'p', '--', 'tr', 'a-z', 'A-Z'], way, text)).stdout, text.toUpperCase());
    assert.notEqual((await both(['exec', 'p', '--', '/no/such/program'], way)).code, 0);
    await nothingIsOpen();
  });

  test(`cp over ${nameOf(way)}, there and back`, async () => {
    const [from, to, back] = ['from', 'to', 'back'].map((name) => join(folder, `${name}-${nameOf(way)}`));
    const content = 'line of a file\n'.repeat(200_000);
    await writeFile(from!, content);
    const copy = (...args: string[]) =>
      run(kubectl, [...connection(world.ourUrl), 'cp', ...args], { env: { HOME: folder, ...way } });
    const sent = await copy(from!, `default/p:${to}`);
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(await readFile(to!, 'utf8'), content);
    const fetched = await copy(`default/p:${to}`, back!);
    assert.equal(fetched.code, 0, fetched.stderr);
    assert.equal(await readFile(back!, 'utf8'), content);
  });

  test(`attach over ${nameOf(way)}`, async () => {
    assert.equal((await both(['attach', '-i', 'p'], way, 'hello\n')).stdout, 'attached\nhello\n');
  });

  test(`port-forward over ${nameOf(way)}: several connections, each to its end`, async () => {
    const forwarding = begin(['port-forward', 'pod/p', `:${echoPort()}`], way);
    try {
      const port = Number(
        await eventually('kubectl listens', () => /127\.0\.0\.1:([0-9]+) ->/.exec(forwarding.stdout())?.[1]),
      );
      const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(300_000));
      assert.deepEqual(await Promise.all(texts.map((text) => echoed(port, text))), texts);
    } finally {
      await forwarding.stop();
    }
    await nothingIsOpen();
  });

  test(`a terminal over ${nameOf(way)}: its size, and one that it is given later`, async () => {
    const [ours, theirs] = await Promise.all(
      [world.ourUrl, world.theirUrl].map((url, side) => inTerminal(url, `${nameOf(way)}-${side}`, way)),
    );
    assert.deepEqual(ours, theirs);
    await nothingIsOpen();
  });

  test(`a client that dies takes its stream with it, over ${nameOf(way)}`, async () => {
    const cat = begin(['exec', '-i', 'p', '--', 'cat'], way);
    cat.child.stdin!.write('hello\n');
    await eventually('cat answers', () => cat.stdout() === 'hello\n');
    assert.equal(await openStreams(), 1);
    cat.child.kill('SIGKILL');
    await nothingIsOpen();
  });
}

/** What `exec -it` and `attach -it` show in a terminal that is made wider; the former goes to its end. */
async function inTerminal(url: string, name: string, env: NodeJS.ProcessEnv): Promise<(string | number | null)[]> {
  const shown: (string | number | null)[] = [];
  for (const args of [
    ['exec', '-it', 'terminal', '--', 'head', '-n', '1'],
    ['attach', '-it', 'terminal'],
  ]) {
    const tty = join(folder, `tty-${name}-${args[0]}`);
    const typed = [kubectl, ...connection(url), ...args].join(' ');
    const command = `tty >${tty}; stty rows 33 cols 101; exec ${typed}`;
    const terminal = start(script, ['-qefc', command, '/dev/null'], { HOME: folder, SHELL: '/bin/sh', ...env }, 'pipe');
    const shows = (text: string) => eventually(`shown: ${text}`, () => terminal.stdout().includes(`${text}\n`));
    try {
      await shows('size 101x33');
      const device = (await readFile(tty, 'utf8')).trim();
      assert.equal((await run('stty', ['-F', device, 'cols', '120'])).code, 0);
      await shows('size 120x33');
      terminal.child.stdin!.write('hello\n');
      await shows('hello');
      if (args[0] === 'exec') shown.push(await terminal.exited);
      shown.push(terminal.stdout());
    } finally {
      await terminal.stop();
    }
  }
  return shown;
}

/** Sends a text and its end, and reads to the end. */
function echoed(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.end(text));
    let got = '';
    socket.on('data', (chunk) => (got += String(chunk)));
    socket.on('error', reject);
    socket.on('end', () => resolve(got));
  });
}

test('logs, and logs that are followed', async () => {
  assert.equal((await both(['logs', 'p'], {})).stdout, 'line 0\nline 1\nline 2\n');
  const following = begin(['logs', '-f', 'p'], {});
  await eventually('lines come', () => following.stdout().includes('line 20\n'));
  await following.stop();
  await nothingIsOpen();
});

test('kubectl proxy', async () => {
  const proxy = begin(['proxy', '--port=0'], {});
  try {
    const port = await eventually('kubectl listens', () => /127\.0\.0\.1:([0-9]+)/.exec(proxy.stdout())?.[1]);
    const base = `http://127.0.0.1:${port}`;
    const read = await send(base, { path: '/api/v1/namespaces/default/pods/p' });
    assert.equal(read.status, 200);
    const body = '{"metadata":{"name":"by-proxy"}}';
    const headers = { 'content-type': 'application/json' };
    const path = '/api/v1/namespaces/default/configmaps';
    assert.equal((await send(base, { method: 'POST', path, headers, body })).status, 201);
    assert.match((await send(base, { path: '/api/v1/namespaces/default/pods/p/log' })).body.toString(), /^line 0\n/);
  } finally {
    await proxy.stop();
  }
});

test('who may not exec is told so by kube-apiserver', async () => {
  const args = (url: string) => [...connection(url).slice(0, -1), '--token=t-bob', 'exec', 'p', '--', 'ls'];
  const [ours, theirs] = await Promise.all(
    [world.ourUrl, world.theirUrl].map((url) => run(kubectl, args(url), { env: { HOME: folder } })),
  );
  assert.deepEqual(ours, theirs);
  assert.match(ours!.stderr, /User "bob" cannot get resource "pods"/);
});

// The last one: there is no kube-apiserver any more.
test('a kube-apiserver that dies takes streams with it, and clients are told', async () => {
  const cats = WAYS.map((way) => begin(['exec', '-i', 'p', '--', 'cat'], way));
  for (const cat of cats) {
    cat.child.stdin!.write('hello\n');
    await eventually('cat answers', () => cat.stdout() === 'hello\n');
  }
  const following = begin(['logs', '-f', 'p'], {});
  await eventually('lines come', () => following.stdout().includes('line 3\n'));
  world.theirs.child.kill('SIGKILL');
  for (const ended of await Promise.all([...cats, following].map(({ exited }) => exited))) assert.notEqual(ended, null);
  await nothingIsOpen();
  const read = await send(world.ourUrl, { path: '/api/v1/namespaces/default/pods/p', headers: ADMIN });
  assert.equal(read.status, 200);
});
