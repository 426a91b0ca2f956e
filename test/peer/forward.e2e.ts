import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { requireProgram, run } from '../support/command.js';
import { type ForwardingServers, startForwardingServers } from '../support/forwarding.js';

// One server for kubectl: what it reads is listwatch's, what it writes is the apiserver's, and what was written is read at once.

let servers: ForwardingServers;
const kubectl = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');

before(async () => {
  servers = await startForwardingServers();
});
after(() => servers?.stop());

function as(user: string, args: readonly string[], input?: string) {
  const connection = ['--kubeconfig=/dev/null', '-s', servers.url, '--insecure-skip-tls-verify', `--token=t-${user}`];
  return run(kubectl, [...connection, ...args], { timeoutMs: 60_000, ...(input === undefined ? {} : { input }) });
}

async function jane(command: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await as('jane', command.split(' '), input);
  assert.equal(code, 0, `kubectl ${command}: ${stderr}`);
  return stdout;
}

const config = (value: string) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'n' }, data: { value } });
const shownValue = (name = 'c') => jane(`get configmap -n n ${name} -o jsonpath={.data.value}`);

test('create, apply, patch, label, replace, delete, and each is seen by the next read', async () => {
  assert.equal(await jane('create namespace n'), 'namespace/n created\n');
  assert.equal(await jane('create configmap -n n made --from-literal=value=1'), 'configmap/made created\n');
  assert.equal(await shownValue('made'), '1');
  assert.equal(await jane('apply -f -', config('one')), 'configmap/c created\n');
  assert.equal(await shownValue(), 'one');
  assert.equal(await jane('apply -f -', config('one')), 'configmap/c unchanged\n');
  assert.equal(await jane('apply -f -', config('two')), 'configmap/c configured\n');
  assert.equal(await shownValue(), 'two');
  assert.equal(
    await jane('apply --server-side --force-conflicts -f -', config('three')),
    'configmap/c serverside-applied\n',
  );
  assert.equal(await shownValue(), 'three');
  assert.equal(await jane('patch configmap -n n c --type=merge -p {"data":{"value":"four"}}'), 'configmap/c patched\n');
  assert.equal(await shownValue(), 'four');
  assert.equal(await jane('label configmap -n n c tier=db'), 'configmap/c labeled\n');
  assert.match(await jane('get configmap -n n -l tier=db -o name'), /^configmap\/c\n$/);
  assert.equal(await jane('replace -f -', config('five')), 'configmap/c replaced\n');
  assert.equal(await shownValue(), 'five');
  assert.match(await jane('diff -f -', config('five')), /^$/);
  assert.match(await jane('delete configmap -n n c'), /configmap "c" deleted/);
  assert.match((await as('jane', ['get', 'configmap', '-n', 'n', 'c'])).stderr, /configmaps "c" not found/);
  assert.match(await jane('delete configmaps -n n --all'), /configmap "made" deleted/);
  assert.match(await jane('get configmaps -n n -o name'), /^$/);
});

test('a deployment is made and changed', async () => {
  await jane('create namespace d');
  assert.match(await jane('create deployment -n d web --image=nginx'), /deployment.apps\/web created/);
  assert.match(await jane('set image -n d deployment/web nginx=nginx:2'), /image updated/);
  assert.equal(await jane('get deployment -n d web -o jsonpath={..image}'), 'nginx:2');
  assert.match(await jane('delete -n d deployment web --wait=false'), /deleted/);
});

test('conflicts and existing objects are told by the apiserver', async () => {
  await jane('create namespace x');
  const again = await as('jane', ['create', 'namespace', 'x']);
  assert.match(again.stderr, /\(AlreadyExists\): namespaces "x" already exists/);
  const stale = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x', resourceVersion: '1' } });
  assert.match((await as('jane', ['replace', '-f', '-'], stale)).stderr, /\(Conflict\).*the object has been modified/);
});

test('users are passed on: who may not write is refused by name, and so is who acts as such a one', async () => {
  const bob = await as('bob', ['create', 'namespace', 'y']);
  assert.match(
    bob.stderr,
    /namespaces is forbidden: User "bob" cannot create resource "namespaces" in API group "" at the cluster scope/,
  );
  assert.equal((await as('bob', ['get', 'namespaces'])).code, 0);
  const acting = await as('ann', ['create', 'namespace', 'y', '--as=bob']);
  assert.match(acting.stderr, /User "bob" cannot create/);
  assert.match((await as('bob', ['create', 'namespace', 'y', '--as=jane', '--as-group=writers'])).stdout, /created/);
  // listwatch has no authorizer here, so bob may act as jane; the apiserver hears of jane alone.
  assert.notEqual((await as('nobody', ['create', 'namespace', 'z'])).code, 0);
});

test('discovery tells what can be done', async () => {
  const writable = (await jane('api-resources --verbs=create,delete --no-headers -o name')).trim().split('\n');
  assert.ok(writable.includes('configmaps') && writable.includes('deployments.apps'), writable.join());
  assert.ok(!writable.includes('daemonsets.apps'), 'the peer does not have them');
  const readable = (await jane('api-resources --verbs=list --no-headers -o name')).trim().split('\n');
  assert.ok(readable.includes('daemonsets.apps') && readable.includes('configmaps'));
});

test('while the apiserver is away reads go on, and writes say why they fail', async () => {
  await servers.peer.kill();
  const failed = await as('jane', ['create', 'namespace', 'later']);
  assert.match(
    failed.stderr,
    /error trying to reach service: dial tcp 127\.0\.0\.1:[0-9]+: connect: connection refused/,
  );
  assert.match(await jane('get namespaces -o name'), /namespace\/x\n/);
  assert.match(await jane('api-resources --verbs=list --no-headers -o name'), /^configmaps$/m);
  await servers.peer.start();
  assert.match(await jane('create namespace later'), /created/);
});
