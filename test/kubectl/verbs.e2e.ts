import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, repositoryRoot, run, start } from '../support/command.js';
import { startEtcd } from '../support/etcd.js';
import { etcdKv } from '../support/etcd-kv.js';
import { type RunningServer, startServer } from '../support/server.js';
import { kubectlFor, linesOf } from './support.js';

// kubectl's other reading commands, and the writing ones, which must say why they fail.

let server: RunningServer;
let folder: string;
let configMap: string;
const kubectl = kubectlFor(() => server.url);

before(async () => {
  server = await startServer(['--load', join(repositoryRoot, 'test/kubectl/manifests')]);
  folder = await mkdtemp(join(tmpdir(), 'listwatch-kubectl-'));
  configMap = join(folder, 'configmap.yaml');
  await writeFile(configMap, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: harbour}\n');
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

const READ_ONLY =
  /listwatch is read-only and does not serve (POST|PUT|PATCH|DELETE): the server does not allow this method/;
const DEED = /listwatch is read-only and does not serve pods\/(exec|log|attach|portforward)/;
const writes: readonly (readonly [command: string, says: RegExp])[] = [
  ['apply --validate=false -f FILE', READ_ONLY],
  ['apply --server-side --validate=false -f FILE', READ_ONLY],
  ['create --validate=false -f FILE', READ_ONLY],
  ['create namespace new', READ_ONLY],
  ['run new --image=example.com/x', READ_ONLY],
  ['expose deployment/lighthouse --port=80', READ_ONLY],
  ['delete pod ferry-0', READ_ONLY],
  ['delete pods --all', READ_ONLY],
  ['delete configmaps -l a=b --now', /No resources found/], // reads first, finds nothing to delete, and succeeds
  ['scale deployment/lighthouse --replicas=3', READ_ONLY],
  ['set image deployment/lighthouse lamp=example.com/x', READ_ONLY],
  ['rollout restart deployment/lighthouse', READ_ONLY],
  ['label pod ferry-0 a=b', READ_ONLY],
  ['annotate pod ferry-0 a=b', READ_ONLY],
  ['patch pod ferry-0 -p {"metadata":{"labels":{"a":"b"}}}', READ_ONLY],
  ['taint node pier-1 a=b:NoSchedule', READ_ONLY],
  ['uncordon pier-1', READ_ONLY], // whose exit status is 0 all the same
  ['exec ferry-0 -- ls', DEED],
  ['logs ferry-0', DEED],
  ['attach ferry-0', DEED],
  ['port-forward pod/ferry-0 8080', DEED],
];
for (const [command, says] of writes) {
  test(`${command}: refused, and told why`, async () => {
    const args = ['-n', 'harbour', ...command.split(' ').map((word) => (word === 'FILE' ? configMap : word))];
    const { code, stdout, stderr } = await run(kubectl.program, [...kubectl.args, ...args]);
    assert.match(stderr + stdout, says);
    assert.equal(code === 0, /^(delete configmaps|uncordon)/.test(command), `exit status ${code}`);
  });
}

test('apply without --validate=false, edit: refused as well, and nothing changes', async () => {
  const before = await kubectl.succeed('get', 'configmap', 'timetable', '-n', 'harbour', '-o', 'json');
  assert.match(await kubectl.fail('apply', '-f', configMap), READ_ONLY);
  const { code, stderr } = await run(
    kubectl.program,
    [...kubectl.args, 'edit', '--validate=false', 'configmap', 'timetable', '-n', 'harbour'],
    { env: { EDITOR: 'sed -i s/info/debug/', TMPDIR: folder } },
  );
  assert.notEqual(code, 0);
  assert.match(stderr, READ_ONLY);
  assert.equal(await kubectl.succeed('get', 'configmap', 'timetable', '-n', 'harbour', '-o', 'json'), before);
});

test('top: there is no metrics API', async () => {
  for (const what of ['pods', 'nodes'])
    assert.match(await kubectl.fail('top', what), /^error: Metrics API not available$/m);
});

test('get all -A: the kinds of the category, one table each', async () => {
  const text = await kubectl.succeed('get', 'all', '-A');
  const found = linesOf(text).flatMap((line) => /^harbour +(\S+)\//.exec(line)?.[1] ?? []);
  assert.deepEqual([...new Set(found)].sort(), [
    'cronjob.batch',
    'daemonset.apps',
    'deployment.apps',
    'horizontalpodautoscaler.autoscaling',
    'job.batch',
    'pod',
    'replicaset.apps',
    'replicationcontroller',
    'service',
    'statefulset.apps',
  ]);
});

test('what is stored as another type: events of the other group, autoscalers of the other version', async () => {
  const get = (...args: string[]) => kubectl.succeed('get', '-n', 'harbour', ...args);
  const named = 'events.v1.events.k8s.io';
  assert.deepEqual(linesOf(await get(named, '-o', 'name')), [
    'event.events.k8s.io/ferry-0.17a',
    'event.events.k8s.io/ferry.17b',
  ]);
  const selected = await get(
    named,
    '--field-selector',
    'regarding.name=ferry-0,type=Warning',
    '-o',
    'jsonpath={..note}',
  );
  assert.equal(selected, 'Back-off restarting failed container');
  assert.equal(await get(named, '-o', 'wide'), await get('events', '-o', 'wide'));
  const autoscalers = await get('horizontalpodautoscalers.v1.autoscaling');
  assert.match(autoscalers, /cpu: 35%\/60%, memory: <unknown>\/200Mi \+ 1 more/);
  assert.equal(autoscalers, await get('horizontalpodautoscalers.v2.autoscaling'));
  assert.equal(
    await get('horizontalpodautoscalers.v1.autoscaling', '-o', 'jsonpath={..targetCPUUtilizationPercentage}'),
    '60',
  );
  const explained = await kubectl.succeed('explain', 'events.regarding', '--api-version=events.k8s.io/v1');
  assert.match(explained, /GROUP: +events\.k8s\.io[\s\S]*FIELD: regarding <ObjectReference>/);
  assert.match(
    await kubectl.succeed('explain', 'hpa.spec.targetCPUUtilizationPercentage', '--api-version=autoscaling/v1'),
    /FIELD: targetCPUUtilizationPercentage <integer>/,
  );
});

test('events: of all, of one object, of one type', async () => {
  assert.equal(linesOf(await kubectl.succeed('events', '-A')).length, 3);
  const ofPod = linesOf(await kubectl.succeed('events', '-n', 'harbour', '--for', 'pod/ferry-0', '--no-headers'));
  assert.equal(ofPod.length, 1);
  assert.match(
    ofPod[0]!,
    /^\S+ \(x7 over \S+\) +Warning +BackOff +Pod\/ferry-0 +Back-off restarting failed container$/,
  );
  const normal = linesOf(await kubectl.succeed('events', '-n', 'harbour', '--types=Normal', '--no-headers'));
  assert.match(normal.join(), /ScalingReplicaSet +Deployment\/lighthouse/);
  const sorted = await kubectl.succeed(
    'get',
    'events',
    '-n',
    'harbour',
    '--field-selector',
    'involvedObject.name=ferry-0,type=Warning',
    '-o',
    'name',
  );
  assert.equal(sorted.trim(), 'event/ferry-0.17a');
});

test('rollout status and history', async () => {
  const status = await kubectl.succeed('rollout', 'status', 'deployment/lighthouse', '-n', 'harbour');
  assert.equal(status, 'deployment "lighthouse" successfully rolled out\n');
  const waiting = await run(kubectl.program, [
    ...kubectl.args,
    'rollout',
    'status',
    'sts/ferry',
    '-n',
    'harbour',
    '--timeout=1s',
  ]);
  assert.equal(waiting.code, 1);
  assert.match(waiting.stdout, /^Waiting for 1 pods to be ready\.\.\.$/m);
  assert.match(await kubectl.succeed('rollout', 'history', 'deployment/lighthouse', '-n', 'harbour'), /^2 +<none>$/m);
});

test('wait: for what holds, for what does not, for what is not there', async () => {
  const wait = (...args: string[]) => ['wait', '-n', 'harbour', '--timeout=2s', ...args];
  assert.match(await kubectl.succeed(...wait('--for=condition=Ready', 'pod/ferry-0')), /condition met/);
  assert.match(
    await kubectl.succeed(...wait('--for=condition=Available', 'deployment', '--all')),
    /lighthouse condition met/,
  );
  assert.match(await kubectl.succeed(...wait('--for=jsonpath={.status.phase}=Bound', 'pvc/charts')), /condition met/);
  assert.match(await kubectl.succeed(...wait('--for=create', 'pod/tug')), /condition met/);
  await kubectl.succeed(...wait('--for=delete', 'pod/nobody'));
  assert.match(
    await kubectl.fail(...wait('--for=condition=Ready', 'pod/tug')),
    /timed out waiting for the condition on pods\/tug/,
  );
  assert.match(await kubectl.fail(...wait('--for=condition=Ready', 'pod/nobody')), /pods "nobody" not found/);
});

test('wait and -w see a pod come, become ready and go', async () => {
  await using etcd = await startEtcd();
  const store = etcdKv(etcd.endpoint);
  const living = await startServer(['--etcd-servers', etcd.endpoint]);
  const pod = (ready: string) =>
    store.put(
      '/registry/pods/harbour/barge',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'barge', namespace: 'harbour', uid: 'u', labels: { app: 'barge' } },
        spec: { containers: [{ name: 'hull', image: 'registry.example.com/hull:1' }] },
        status: { phase: ready === 'True' ? 'Running' : 'Pending', conditions: [{ type: 'Ready', status: ready }] },
      }),
    );
  const begin = (...args: string[]) =>
    start(kubectl.program, ['--kubeconfig=/dev/null', '-s', living.url, '-n', 'harbour', ...args]);
  const commands = [
    begin('get', 'pods', '-w', '--no-headers', '-o', 'custom-columns=N:.metadata.name,P:.status.phase'),
    begin('get', 'pods', '-w', '--output-watch-events', '-l', 'app=barge'),
    begin(
      'get',
      'pods',
      '--watch-only',
      '-o',
      'jsonpath={.metadata.name}={.status.phase}{"\\n"}',
      '--field-selector',
      'status.phase=Running',
    ),
    begin('get', 'pods', '-w', '-o', 'json', '--output-watch-events'),
    begin('get', 'pods', '-w', '-o', 'name'),
  ];
  const created = begin('wait', '--for=create', 'pod/barge', '--timeout=20s');
  try {
    const metrics = async () => (await fetch(`${living.url}/metrics`)).text();
    await eventually('all watch', async () =>
      /apiserver_longrunning_requests\{[^}]*resource="pods"[^}]*\} [56]/.test(await metrics()),
    );
    await pod('False');
    assert.equal(await created.exited, 0, created.stderr());
    const ready = begin('wait', '--for=condition=Ready', 'pod/barge', '--timeout=20s');
    const gone = begin('wait', '--for=delete', 'pod/barge', '--timeout=20s');
    await eventually('they watch, too', async () =>
      /apiserver_longrunning_requests\{[^}]*resource="pods"[^}]*\} 7/.test(await metrics()),
    );
    await pod('True');
    assert.equal(await ready.exited, 0, ready.stderr());
    await store.delete('/registry/pods/harbour/barge');
    assert.equal(await gone.exited, 0, gone.stderr());
    const [columns, events, running, json, names] = commands;
    await eventually('all are told', () =>
      commands.every((command) => linesOf(command.stdout()).length >= (command === running ? 2 : 3)),
    );
    assert.deepEqual(
      linesOf(columns!.stdout()).map((line) => line.split(/ +/)),
      [
        ['barge', 'Pending'],
        ['barge', 'Running'],
        ['barge', 'Running'],
      ],
    );
    assert.deepEqual(
      linesOf(events!.stdout()).map((line) => line.split(/ +/).slice(0, 4)),
      [
        ['EVENT', 'NAME', 'READY', 'STATUS'],
        ['ADDED', 'barge', '0/1', 'Pending'],
        ['MODIFIED', 'barge', '0/1', 'Running'],
        ['DELETED', 'barge', '0/1', 'Running'],
      ],
    );
    assert.equal(running!.stdout(), 'barge=Running\nbarge=Running\n'); // ADDED when it began to match, DELETED
    assert.deepEqual(linesOf(names!.stdout()), ['pod/barge', 'pod/barge', 'pod/barge']);
    await eventually('the last event as JSON', () => /"type": *"DELETED"/.test(json!.stdout()));
  } finally {
    for (const command of [...commands, created]) await command.stop();
    await living.stop();
  }
});
