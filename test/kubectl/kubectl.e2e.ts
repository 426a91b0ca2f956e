import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, requireProgram, run, start } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';

// The real kubectl against the sample cluster, as a user would after `npm start`.

const kubectl = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
let server: RunningServer;

before(async () => {
  server = await startServer(['--sample', 'nodes=10,pods=120,churn=0', '--sample-seed', '7']);
});
after(async () => {
  assert.equal(await server.stop(), 0, 'the server ends cleanly on SIGTERM');
});

const plainHttp = () => ['--kubeconfig=/dev/null', '-s', server.url];
async function get(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(kubectl, [...plainHttp(), ...args]);
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}
async function refused(...args: string[]): Promise<string> {
  const { code, stderr } = await run(kubectl, [...plainHttp(), ...args]);
  assert.notEqual(code, 0, `kubectl ${args.join(' ')} must fail`);
  return stderr;
}
const lines = (text: string) => text.trimEnd().split('\n');

test('get pods -A shows the columns of kube-apiserver', async () => {
  const [header, ...rows] = lines(await get('get', 'pods', '-A'));
  assert.match(header ?? '', /^NAMESPACE +NAME +READY +STATUS +RESTARTS +AGE$/);
  assert.ok(rows.length >= 100, `${rows.length} pods`);
  for (const row of rows) assert.match(row, /^\S+ +\S+ +\d+\/\d+ +\S+ +\d+( \(\S+ ago\))? +\S+$/);
});

test('get pods -o wide adds IP, node and gates', async () => {
  const [header] = lines(await get('get', 'pods', '-A', '-o', 'wide'));
  assert.match(header ?? '', /AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/);
});

test('chunked lists return every pod once', async () => {
  const names = ['-o', 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'];
  const all = lines(await get('get', 'pods', '-A', ...names, '--chunk-size=0'));
  const chunked = lines(await get('get', 'pods', '-A', ...names, '--chunk-size=7'));
  assert.deepEqual(chunked, all);
  assert.equal(new Set(all).size, all.length);
});

test('nodes, namespaces, workloads, configuration and leases have their own columns', async () => {
  const expectations: [resource: string, header: RegExp][] = [
    ['nodes', /^NAME +STATUS +ROLES +AGE +VERSION$/],
    ['namespaces', /^NAME +STATUS +AGE$/],
    ['services', /^NAMESPACE +NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE$/],
    ['configmaps', /^NAMESPACE +NAME +DATA +AGE$/],
    ['secrets', /^NAMESPACE +NAME +TYPE +DATA +AGE$/],
    ['deployments', /^NAMESPACE +NAME +READY +UP-TO-DATE +AVAILABLE +AGE$/],
    ['replicasets', /^NAMESPACE +NAME +DESIRED +CURRENT +READY +AGE$/],
    ['statefulsets', /^NAMESPACE +NAME +READY +AGE$/],
    ['daemonsets', /^NAMESPACE +NAME +DESIRED +CURRENT +READY +UP-TO-DATE +AVAILABLE +NODE SELECTOR +AGE$/],
    ['jobs', /^NAMESPACE +NAME +STATUS +COMPLETIONS +DURATION +AGE$/],
    ['cronjobs', /^NAMESPACE +NAME +SCHEDULE +TIMEZONE +SUSPEND +ACTIVE +LAST SCHEDULE +AGE$/],
    ['leases', /^NAMESPACE +NAME +HOLDER +AGE$/],
    ['endpointslices', /^NAMESPACE +NAME +ADDRESSTYPE +PORTS +ENDPOINTS +AGE$/],
  ];
  for (const [resource, header] of expectations) {
    const [first, ...rows] = lines(
      await get('get', resource, ...(/^(nodes|namespaces)$/.test(resource) ? [] : ['-A'])),
    );
    assert.match(first ?? '', header, resource);
    assert.ok(rows.length > 0, `${resource} has rows`);
  }
});

test('describe node shows its pods, conditions and lease', async () => {
  const [node] = lines(await get('get', 'nodes', '-o', 'name'));
  const text = await get('describe', node ?? '');
  assert.match(text, /^Conditions:/m);
  assert.match(text, /^Non-terminated Pods: +\(\d+ in total\)/m);
  assert.match(text, /RenewTime: +\w+/);
  assert.match(text, /^Allocated resources:/m);
});

test('describe pod and deployment', async () => {
  const [namespace, name] = (lines(await get('get', 'pods', '-A', '--no-headers'))[0] ?? '').split(/ +/);
  assert.match(await get('describe', 'pod', '-n', namespace ?? '', name ?? ''), /^Containers:/m);
  const [group, deployment] = (lines(await get('get', 'deployments', '-A', '--no-headers'))[0] ?? '').split(/ +/);
  assert.match(await get('describe', 'deployment', '-n', group ?? '', deployment ?? ''), /^Replicas: /m);
});

test('-o json and -o yaml give the same complete object', async () => {
  const json = JSON.parse(await get('get', 'nodes', '-o', 'json'));
  assert.equal(json.kind, 'List');
  const [first] = json.items;
  assert.equal(first.kind, 'Node');
  assert.ok(Number(first.metadata.resourceVersion) > 0);
  assert.match(await get('get', 'node', first.metadata.name, '-o', 'yaml'), /^apiVersion: v1\nkind: Node\n/);
});

test('label and field selectors', async () => {
  const [node] = lines(await get('get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}'))[0]?.split(' ') ?? [];
  const onNode = lines(await get('get', 'pods', '-A', '-o', 'name', '--field-selector', `spec.nodeName=${node}`));
  const all = JSON.parse(await get('get', 'pods', '-A', '-o', 'json')).items as { spec: { nodeName?: string } }[];
  assert.equal(onNode.length, all.filter((pod) => pod.spec.nodeName === node).length);
  const running = lines(await get('get', 'pods', '-A', '-o', 'name', '--field-selector', 'status.phase!=Running'));
  assert.ok(running.length < all.length);
  const labelled = JSON.parse(await get('get', 'pods', '-A', '-o', 'json', '-l', 'app')).items;
  assert.ok(labelled.length > 0);
  assert.match(
    await refused('get', 'pods', '-A', '--field-selector', 'spec.color=red'),
    /field label not supported: spec.color/,
  );
  assert.match(await refused('get', 'pods', '-A', '-l', 'a b'), /found 'b', expected: in, notin, =, ==, !=, gt, lt/);
});

test('errors read as kube-apiserver says them', async () => {
  assert.match(
    await refused('get', 'pod', 'nope', '-n', 'default'),
    /Error from server \(NotFound\): pods "nope" not found/,
  );
  assert.match(await refused('get', 'nonsense'), /the server doesn't have a resource type "nonsense"/);
  assert.match(await refused('delete', 'node', 'x'), /Error from server \((MethodNotAllowed|NotFound)\)/);
});

test('discovery: api-resources, api-versions, version', async () => {
  const resources = await get('api-resources');
  assert.match(resources, /^pods +po +v1 +true +Pod$/m);
  assert.match(resources, /^deployments +deploy +apps\/v1 +true +Deployment$/m);
  assert.match(await get('api-versions'), /^coordination\.k8s\.io\/v1$/m);
  assert.match(await get('version'), /^Server Version: v1\.36\./m);
});

test('-w follows the living cluster and ends when asked; its events are listed', async () => {
  const living = await startServer(['--sample', 'nodes=5,pods=40,churn=20', '--sample-seed', '3']);
  const watching = start(kubectl, ['--kubeconfig=/dev/null', '-s', living.url, 'get', 'pods', '-A', '-w']);
  try {
    await eventually('60 lines of pods', () => lines(watching.stdout()).length > 60, 30_000);
    assert.equal(watching.child.exitCode, null, watching.stderr());
    const { stdout } = await run(kubectl, ['--kubeconfig=/dev/null', '-s', living.url, 'get', 'events', '-A']);
    const [header, ...events] = lines(stdout);
    assert.match(header ?? '', /^NAMESPACE +LAST SEEN +TYPE +REASON +OBJECT +MESSAGE$/);
    assert.ok(events.length > 10, `${events.length} events`);
    await watching.stop();
    assert.equal(watching.stderr(), '');
  } finally {
    await watching.stop();
    await living.stop();
  }
});

test('the kubeconfig that listwatch writes works over HTTPS', async () => {
  const { mkdtemp } = await import('node:fs/promises');
  const { tmpdir } = await import('node:os');
  const { join } = await import('node:path');
  const { repositoryRoot } = await import('../support/command.js');
  const folder = await mkdtemp(join(tmpdir(), 'listwatch-'));
  const file = join(folder, 'config');
  const main = join(repositoryRoot, 'dist/src/cli/main.js');
  const written = await run(process.execPath, [main, 'kubeconfig', '--server', server.secureUrl, '--output', file]);
  assert.equal(written.code, 0, written.stderr);
  const { code, stdout, stderr } = await run(kubectl, ['--kubeconfig', file, 'get', 'nodes']);
  assert.equal(code, 0, stderr);
  assert.equal(lines(stdout).length, 11);
});
