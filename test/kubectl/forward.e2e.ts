import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { type Forwarding, startForwarding } from '../http/forward/serving.js';
import { pod } from '../http/serving.js';
import { requireProgram, run } from '../support/command.js';

// `kubectl exec`, `attach` and `logs`: the pod is read from listwatch, the rest comes from a target that speaks the protocol of
// kubelets' streams (v5.channel.k8s.io) without being one.

const kubectl = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
const [STDIN, STDOUT, STDERR, STATUS, CLOSE] = [0, 1, 2, 3, 255];
let forwarding: Forwarding;

before(async () => {
  forwarding = await startForwarding();
  const { serving, target } = forwarding;
  await serving.put('pods', pod('web'));
  const webSockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has('v5.channel.k8s.io') ? 'v5.channel.k8s.io' : false),
  });
  target.upgrade = (request, socket, head) => {
    const command = new URL(request.url!, 'http://x').searchParams.getAll('command').join(' ');
    webSockets.handleUpgrade(request, socket, head, (stream) => {
      const send = (channel: number, text: string) =>
        stream.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
      const end = (status: object) => {
        send(STATUS!, JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, ...status }));
        stream.close(1000);
      };
      stream.on('message', (message: Buffer) => {
        if (message[0] === STDIN) send(STDOUT!, message.subarray(1).toString().toUpperCase());
        else if (message[0] === CLOSE) end({ status: 'Success' });
      });
      if (command === 'fail') {
        send(STDERR!, 'no such thing\n');
        const causes = [{ reason: 'ExitCode', message: '7' }];
        end({ status: 'Failure', reason: 'NonZeroExitCode', message: 'command failed', details: { causes } });
      } else if (command === 'ls') {
        send(STDOUT!, 'bin\netc\n');
        end({ status: 'Success' });
      }
    });
  };
  target.answer = (request, response) => {
    if (request.url!.includes('/log')) response.end('first line\nsecond line\n');
    else response.writeHead(404).end();
  };
});
after(() => forwarding.close());

function call(args: readonly string[], input?: string) {
  const server = `https://127.0.0.1:${forwarding.port}`;
  const connection = ['--kubeconfig=/dev/null', '-s', server, '--insecure-skip-tls-verify', '--token=t-jane'];
  return run(kubectl, [...connection, ...args], { timeoutMs: 60_000, ...(input === undefined ? {} : { input }) });
}

test('kubectl exec shows what the command says, and its exit code', async () => {
  assert.deepEqual(await call(['exec', 'web', '--', 'ls']), { code: 0, stdout: 'bin\netc\n', stderr: '' });
  const failed = await call(['exec', 'web', '--', 'fail']);
  assert.equal(failed.code, 7);
  assert.match(failed.stderr, /^no such thing\n/);
  const upgraded = forwarding.target.seen.filter(({ headers }) => headers.upgrade !== undefined);
  assert.ok(upgraded.length >= 2);
  for (const { headers } of upgraded) assert.equal(headers['x-remote-user'], 'jane');
});

test('kubectl exec -i sends what it reads, to the end', async () => {
  const { code, stdout } = await call(['exec', '-i', 'web', '--', 'cat'], 'hello there\n');
  assert.deepEqual([code, stdout], [0, 'HELLO THERE\n']);
});

test('kubectl logs', async () => {
  const { code, stdout } = await call(['logs', 'web']);
  assert.deepEqual([code, stdout], [0, 'first line\nsecond line\n']);
});
