import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { eventually, type RunningCommand, start } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { send } from '../support/http-client.js';
import { masked, openSides, type Sides, type Step } from './sides.js';

// The same commands of kubectl, once to listwatch in front of kube-apiserver and once to kube-apiserver alone, say the same.

/** What needs to run for rollouts, cascades and namespaces to go on. */
const CONTROLLERS = [
  ...['namespace-controller', 'deployment-controller', 'replicaset-controller', 'garbage-collector-controller'],
  ...['serviceaccount-controller', 'validatingadmissionpolicy-status-controller', 'disruption-controller'],
  ...['certificatesigningrequest-signing-controller', 'horizontal-pod-autoscaler-controller'],
];
let world: ControlPlane;
let sides: Sides;
const type: Sides['type'] = (side, step) => sides.type(side, step);
const all: Sides['all'] = (...steps) => sides.all(...steps);
let controllers: RunningCommand;

before(async () => {
  world = await startControlPlane({
    forward: true,
    apiserver: ['--requestheader-uid-headers', 'X-Remote-Uid'],
  });
  sides = await openSides(world);
  await writeFile(join(world.folder, 'admin.yaml'), kubeconfig(world.ourUrl, 't-admin'));
  controllers = start(world.program, [
    ...['kube-controller-manager', '--kubeconfig', join(world.folder, 'admin.yaml'), '--leader-elect=false'],
    ...['--controllers', CONTROLLERS.join(), '--secure-port=0', '--concurrent-gc-syncs=2'],
  ]);
  await eventually('the default service accounts', async () => {
    const answers = await Promise.all(
      ['a', 'b'].map((side) => send(world.theirUrl, { path: serviceAccount(side), headers: ADMIN })),
    );
    return answers.every(({ status }) => status === 200);
  });
});
after(async () => {
  await controllers?.stop();
  await world?.stop();
});

const serviceAccount = (side: string) => `/api/v1/namespaces/side-${side}/serviceaccounts/default`;

function kubeconfig(server: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

const configMap = (value: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', ...more },
  data: { value },
});
const shown = (value: string): Step => ({
  args: 'get configmap c -o jsonpath={.data.value}',
  says: new RegExp(`^${value}$`),
});
const editor = (from: string, to: string) => ({ KUBE_EDITOR: `sed -i s/${from}/${to}/` });

test('create, apply, patch, edit, replace and delete', async () => {
  await all(
    { args: 'create configmap made --from-literal=value=1', says: /^configmap\/made created/ },
    { args: 'create configmap made --from-literal=value=1', fails: /already exists/ },
    { args: 'create secret generic s --from-literal=password=x', says: /created/ },
    { args: 'apply -f -', input: configMap('one'), says: /created/ },
    shown('one'),
    { args: 'apply -f -', input: configMap('one'), says: /unchanged/ },
    { args: 'diff -f -', input: configMap('one') },
    { args: 'diff -f -', input: configMap('two'), fails: /^/, says: /\+ *value: two/ },
    { args: 'apply -f - --dry-run=server', input: configMap('two'), says: /server dry run/ },
    shown('one'),
    { args: 'apply -f - --dry-run=client', input: configMap('two'), says: /dry run/ },
    { args: 'apply -f - -o yaml', input: configMap('two'), says: /value: two/ },
    shown('two'),
    { args: 'apply --server-side -f -', input: configMap('three'), says: /serverside-applied/ },
    { args: 'apply --server-side --force-conflicts -f -', input: configMap('three'), says: /serverside-applied/ },
    shown('three'),
    { args: 'apply --server-side --field-manager=other -f -', input: configMap('4'), fails: /conflict with "kubectl"/ },
    { args: 'get configmap c -o yaml --show-managed-fields', says: /manager: kubectl/ },
    { args: ['patch', 'configmap', 'c', '--type=merge', '-p', '{"data":{"value":"merged"}}'], says: /patched/ },
    shown('merged'),
    { args: ['patch', 'configmap', 'c', '--type=merge', '-p', '{"data":{"value":"merged"}}'], says: /no change/ },
    { args: ['patch', 'configmap', 'c', '--type=json', '-p', '[{"op":"replace","path":"/data/value","value":"j"}]'] },
    shown('j'),
    {
      args: ['patch', 'configmap', 'c', '--type=json', '-p', '[{"op":"test","path":"/data/value","value":"x"}]'],
      fails: /./,
    },
    { args: ['patch', 'configmap', 'c', '-p', '{"data":{"value":"strategic"}}'], says: /patched/ },
    shown('strategic'),
    { args: 'edit configmap c', env: editor('strategic', 'edited'), says: /edited/ },
    shown('edited'),
    { args: 'edit configmap c', env: editor('never', 'there'), says: /cancelled|no changes/ },
    { args: 'replace -f -', input: configMap('six'), says: /replaced/ },
    { args: 'replace -f -', input: configMap('7', { resourceVersion: '1' }), fails: /\(Conflict\).*has been modified/ },
    { args: 'replace --force -f -', input: configMap('eight'), says: /replaced/ },
    shown('eight'),
    { args: 'label configmap c tier=db', says: /labeled/ },
    { args: 'label configmap c tier=web', fails: /already has a value/ },
    { args: 'label configmap c tier=web --overwrite', says: /labeled/ },
    { args: 'get configmaps -l tier=web', says: /^c /m },
    { args: ['annotate', 'configmap', 'c', 'note=a b'], says: /annotated/ },
    { args: 'annotate configmap c note-', says: /annotated/ },
    { args: 'get configmaps,secrets --show-labels', says: /tier=web/ },
    { args: 'delete configmap c --wait', says: /deleted/ },
    { args: 'get configmap c', fails: /\(NotFound\)/ },
    { args: 'delete configmap c', fails: /\(NotFound\)/ },
    'delete configmap c --ignore-not-found',
    { args: 'create -f -', input: { ...configMap('x'), metadata: { generateName: 'gen-' } }, says: /^configmap\/gen-/ },
    { args: 'delete configmaps --all', says: /deleted/ },
    { args: 'wait --for=delete configmap/made --timeout=20s' },
  );
});

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'one' }] } },
  },
};
const image = (value: string): Step => ({
  args: 'get deployment web -o jsonpath={.spec.template.spec.containers[0].image}',
  says: new RegExp(`^${value}$`),
});

test('deployments are made, changed, rolled back and scaled', async () => {
  await all(
    { args: 'apply -f -', input: deployment, says: /created/ },
    { args: 'rollout status deployment/web --timeout=20s', says: /successfully rolled out/ },
    { args: 'set image deployment/web main=two', says: /image updated/ },
    { args: 'rollout status deployment/web --timeout=20s', says: /successfully rolled out/ },
    image('two'),
    { args: 'rollout history deployment/web', says: /REVISION/ },
    { args: 'rollout undo deployment/web', says: /rolled back/ },
    image('one'),
    { args: 'rollout restart deployment/web', says: /restarted/ },
    { args: 'rollout status deployment/web --timeout=20s', says: /successfully rolled out/ },
    { args: 'rollout pause deployment/web', says: /paused/ },
    { args: 'rollout resume deployment/web', says: /resumed/ },
    { args: 'set env deployment/web A=b', says: /env updated/ },
    { args: 'set resources deployment/web --limits=cpu=1', says: /resource requirements updated/ },
    { args: 'set serviceaccount deployment/web default', says: /serviceaccount updated/ },
    { args: 'scale deployment/web --replicas=0 --current-replicas=0', says: /scaled/ },
    { args: 'scale deployment/web --replicas=3 --current-replicas=1', fails: /Expected replicas to be 1/ },
    { args: 'patch deployment web --subresource=scale --type=merge -p {"spec":{"replicas":1}}', says: /patched/ },
    { args: 'scale deployment/web --replicas=0', says: /scaled/ },
    { args: 'rollout status deployment/web --timeout=20s', says: /successfully rolled out/ },
    { args: 'get deployment web --subresource=scale -o yaml', says: /kind: Scale/ },
    { args: 'get deployment web --subresource=scale', says: /DESIRED +AVAILABLE/ },
    { args: 'autoscale deployment/web --min=1 --max=3 --cpu=80%', says: /autoscaled/ },
    { args: 'expose deployment/web --port=80 --target-port=8080', says: /exposed/ },
    { args: 'get service web -o wide', says: /80\/TCP/ },
    { args: 'create job j --image=x', says: /created/ },
    { args: 'create cronjob cj --image=x --schedule=@daily', says: /created/ },
    { args: 'create job from --from=cronjob/cj', says: /created/ },
    { args: 'delete deployment web --cascade=foreground --timeout=20s', says: /deleted/ },
    { args: 'get replicasets -l app=web -o name' },
    { args: 'create deployment d --image=x --replicas=0', says: /created/ },
    { args: 'rollout status deployment/d --timeout=20s', says: /rolled out/ },
    { args: 'delete deployment d --cascade=orphan', says: /deleted/ },
    { args: ['get', 'replicasets', '-l', 'app=d', '-o', 'jsonpath={.items[*].spec.replicas}'], says: /^0$/ },
    { args: 'delete replicasets,services,jobs,cronjobs,horizontalpodautoscalers --all', says: /deleted/ },
  );
});

test('apply --prune deletes what is no longer there', async () => {
  const one = configMap('1', { name: 'p1', labels: { set: 'p' } });
  const two = configMap('2', { name: 'p2', labels: { set: 'p' } });
  const list = (...items: object[]) => ({ apiVersion: 'v1', kind: 'List', items });
  const prune = 'apply -f - --prune -l set=p --prune-allowlist=core/v1/ConfigMap';
  await all(
    { args: prune, input: list(one, two), says: /p2 created/ },
    { args: prune, input: list(one), says: /p2 pruned/ },
    { args: 'get configmaps -l set=p -o name', says: /^configmap\/p1\n$/ },
  );
  const env = { KUBECTL_APPLYSET: 'true' };
  const set = 'apply -f - --prune --applyset=configmaps/set --server-side';
  await all(
    { args: set, env, input: list({ ...one, metadata: { name: 'q1' } }, { ...two, metadata: { name: 'q2' } }) },
    { args: set, env, input: list({ ...one, metadata: { name: 'q1' } }), says: /q2 pruned/ },
    { args: 'delete configmaps --all', says: /q1/ },
  );
});

test('nodes are tainted, cordoned and drained, with evictions that a budget forbids', async () => {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-SIDE' } };
  const pod = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: { nodeName: 'node-SIDE', terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: 'x' }] },
  });
  const budget = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'keep' },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'kept' } } },
  };
  await all(
    { args: 'create -f -', input: node, says: /created/ },
    { args: 'taint node node-SIDE dedicated=x:NoSchedule', says: /tainted/ },
    { args: 'taint node node-SIDE dedicated=x:NoSchedule', fails: /already has/ },
    { args: 'taint node node-SIDE dedicated-', says: /untainted/ },
    { args: 'cordon node-SIDE', says: /cordoned/ },
    { args: 'cordon node-SIDE', says: /already cordoned/ },
    { args: 'uncordon node-SIDE', says: /uncordoned/ },
    { args: 'create -f -', input: pod('gone'), says: /created/ },
    { args: 'create -f -', input: pod('kept'), says: /created/ },
    { args: 'create -f -', input: budget, says: /created/ },
    { args: 'wait --for=jsonpath={.status.observedGeneration}=1 pdb/keep --timeout=20s', says: /met/ },
    { args: 'patch pod kept --subresource=status --type=merge -p {"status":{"phase":"Running"}}', says: /patched/ },
    {
      args: 'drain node-SIDE --force --timeout=2s',
      fails: /Cannot evict pod as it would violate the pod's disruption budget/,
    },
    { args: 'delete pdb keep', says: /deleted/ },
    { args: 'drain node-SIDE --force --timeout=20s', says: /node\/node-SIDE drained/ },
    { args: 'get pods', says: /No resources found/ },
    { args: 'delete node node-SIDE', says: /deleted/ },
  );
});

test('tokens, certificates, roles and what one may do', async () => {
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'reader', namespace: 'side-SIDE' },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }],
  };
  const request = {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'csr-SIDE' },
    spec: { request: SIGNING_REQUEST, signerName: 'example.com/x', usages: ['client auth'] },
  };
  await all(
    { args: 'create serviceaccount robot', says: /created/ },
    { args: 'auth reconcile -f -', input: role, says: /reconciled/ },
    { args: 'auth reconcile -f -', input: { ...role, rules: [] }, says: /reconciled/ },
    { args: 'create rolebinding b --role=reader --user=jane --group=g', says: /created/ },
    { args: 'auth can-i get configmaps', user: 'jane', says: /yes/ },
    { args: 'auth can-i delete configmaps', user: 'jane', fails: /^/, says: /no/ },
    { args: 'auth can-i --list', user: 'jane', says: /configmaps/ },
    { args: 'auth whoami', user: 'jane', says: /jane/ },
    { args: 'auth whoami --as=x --as-group=g --as-uid=1 --as-user-extra=a/b=c', says: /a\/b/ },
    { args: 'create -f -', input: request, says: /created/ },
    { args: 'certificate approve csr-SIDE', says: /approved/ },
    { args: 'get csr csr-SIDE', says: /Approved/ },
    { args: 'delete csr csr-SIDE', says: /deleted/ },
  );
  for (const side of ['a', 'b'] as const) {
    const made = await type(side, { args: 'create token robot --duration=20m --audience=x' });
    assert.match(made.stdout, /^ey[\w-]+\.[\w-]+\.[\w-]+\n?$/, made.stderr);
    const { sub } = JSON.parse(Buffer.from(made.stdout.split('.')[1]!, 'base64url').toString()) as { sub: string };
    assert.equal(sub, `system:serviceaccount:side-${side}:robot`);
  }
});

/** Of openssl, for the common name `x`. */
const SIGNING_REQUEST =
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIR01HNENBUUF3RERFS01BZ0dBMVVFQXd3QmVEQlpNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQQpCQWE1NytLaXk5cEwvVmwwb1JKU1FwaWIvTUg2aS9iZGFueWNQU0xSeGpMSTVmdVZTdWpQWEw5bHZrR2h6K20xCmJUbHNNTWRvVmMySDRzOTdUNEp1MUptZ0FEQUtCZ2dxaGtqT1BRUURBZ05JQURCRkFpRUF6cjJoNjMyYkdHdWkKQkNLM082TGROREo2eFprOEFjZ1krVWFZRW5FWXZOQUNJRW9IVVRVcUE4TGV0UDcya2xHS0FRVWhYamcrdWwvaQowRzZSUzZpeHdzQmMKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==';

test('a user may what RBAC allows them, and is told by name what not', async () => {
  const one = configMap('1');
  await all(
    { args: 'create -f -', user: 'bob', input: one, fails: /User "bob" cannot create resource "configmaps"/ },
    { args: 'delete configmap c', user: 'bob', fails: /User "bob" cannot delete resource "configmaps"/ },
    { args: 'create -f - --as=ann', input: one, fails: /User "ann" cannot create resource "configmaps"/ },
    { args: 'create -f - --as=ann --as-group=system:masters', input: one, says: /created/ },
    { args: 'create clusterrolebinding x-SIDE --clusterrole=cluster-admin --user=bob', user: 'jane', fails: /jane/ },
    { args: 'get configmaps', user: 'nobody', fails: /Unauthorized|logged in/ },
    { args: 'delete configmap c', user: 'nobody', fails: /Unauthorized|logged in/ },
    { args: 'create namespace x-SIDE', user: 'bob', fails: /at the cluster scope/ },
    { args: 'delete configmap c', says: /deleted/ },
  );
});

test('what is not valid is refused, and warned of, in the same words', async () => {
  const policy = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'small-SIDE' },
    spec: {
      matchConstraints: {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'side-SIDE' } },
        resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
      },
      validations: [
        { expression: "!has(object.data) || !('big' in object.data)", message: 'nothing big', reason: 'Forbidden' },
      ],
    },
  };
  const binding = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'small-SIDE' },
    spec: { policyName: 'small-SIDE', validationActions: ['Deny'] },
  };
  const oldSchedule = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'zone' },
    spec: {
      schedule: 'TZ=UTC 0 0 * * *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'x', image: 'x' }] } } },
      },
    },
  };
  const doubled = {
    ...deployment,
    metadata: { name: 'doubled' },
    spec: {
      ...deployment.spec,
      template: {
        ...deployment.spec.template,
        spec: { containers: [{ name: 'main', image: 'x', env: ['1', '2'].map((value) => ({ name: 'A', value })) }] },
      },
    },
  };
  await all(
    { args: 'create -f -', input: oldSchedule, fails: /CronJob|schedule/ },
    { args: 'create -f -', input: doubled, says: /Warning:/ },
    {
      args: 'create -f - --validate=false',
      input: { ...deployment, spec: { replicas: -1 } },
      fails: /spec.replicas: Invalid value: -1/,
    },
    { args: 'create configmap UPPER', fails: /Invalid value: "UPPER"/ },
    { args: 'create -f -', input: policy, says: /created/ },
    { args: 'create -f -', input: binding, says: /created/ },
  );
  for (const side of ['a', 'b'] as const) {
    await eventually('the policy is enforced', async () => {
      const tried = await type(side, { args: 'create configmap try --from-literal=big=x --dry-run=server' });
      return tried.code !== 0;
    });
  }
  await all(
    {
      args: 'create configmap b --from-literal=big=x',
      fails: /small-SIDE' with binding 'small-SIDE' denied request: nothing big/,
    },
    { args: 'delete validatingadmissionpolicies,validatingadmissionpolicybindings small-SIDE', says: /deleted/ },
    { args: 'delete deployments,configmaps --all', says: /deleted/ },
  );
});

test('CustomResourceDefinitions and their objects: forwarded at first, served as soon as the kind is there', async () => {
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.SIDE.example.com' },
    spec: {
      group: 'SIDE.example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wg'] },
      versions: [
        {
          ...{ name: 'v1', served: true, storage: true, subresources: { status: {} } },
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: { type: 'object', properties: { size: { type: 'integer', maximum: 9 } } },
                status: { type: 'object', properties: { phase: { type: 'string' } } },
              },
            },
          },
        },
      ],
    },
  };
  const widget = (size: number) => ({
    apiVersion: 'SIDE.example.com/v1',
    kind: 'Widget',
    metadata: { name: 'w' },
    spec: { size },
  });
  await all(
    { args: 'apply -f -', input: definition, says: /created/ },
    { args: 'wait --for=condition=Established crd/widgets.SIDE.example.com --timeout=20s', says: /met/ },
  );
  await eventually(
    'widgets are known',
    async () => (await type('a', { args: 'get widgets.a.example.com' })).code === 0,
  );
  await eventually(
    'widgets are known',
    async () => (await type('b', { args: 'get widgets.b.example.com' })).code === 0,
  );
  await all(
    { args: 'apply -f -', input: widget(1), says: /created/ },
    { args: 'apply -f -', input: widget(2), says: /configured/ },
    { args: 'apply -f - --validate=false', input: widget(10), fails: /should be less than or equal to 9/ },
    { args: 'get widgets.SIDE.example.com w -o jsonpath={.spec.size}', says: /^2$/ },
    { args: 'patch widgets.SIDE.example.com w --subresource=status --type=merge -p {"status":{"phase":"on"}}' },
    { args: 'get widgets.SIDE.example.com w -o jsonpath={.status.phase}', says: /^on$/ },
    { args: 'delete crd widgets.SIDE.example.com', says: /deleted/ },
  );
});

test('bodies of any size and encoding, warnings and refusals arrive as they are', async () => {
  const path = '/api/v1/namespaces/side-a/configmaps';
  const json = { ...ADMIN, 'content-type': 'application/json' };
  const post = (body: string | Uint8Array, query = '', headers: Record<string, string> = json) =>
    Promise.all(
      [world.ourUrl, world.theirUrl].map((url) => send(url, { method: 'POST', path: path + query, headers, body })),
    );
  const named = (name: string, data: object) => JSON.stringify({ metadata: { name }, data });
  const dry = '?dryRun=All';
  const comparable = ({ status, headers, body }: Awaited<ReturnType<typeof send>>) => {
    const { date: _date, 'audit-id': _id, ...kept } = headers;
    return { status, headers: kept, body: masked('a', body.toString()) };
  };
  for (const [body, query, headers, status] of [
    [named('large', { text: 'x'.repeat(900_000) }), dry, json, 201],
    [named('huge', { text: 'x'.repeat(4_000_000) }), dry, json, 413],
    [gzipSync(named('packed', { a: 'b' })), dry, { ...json, 'content-encoding': 'gzip' }, 400],
    ['{"metadata":{"name":"strict"},"dataa":{}}', `${dry}&fieldValidation=Strict`, json, 400],
    ['{"metadata":{"name":"warned"},"dataa":{}}', `${dry}&fieldValidation=Warn`, json, 201],
    ['{"metadata":{"name":"text"}}', dry, { ...json, 'content-type': 'text/plain' }, 415],
    ['{', dry, json, 400],
  ] as const) {
    const [ours, theirs] = (await post(body, query, headers)).map(comparable);
    assert.equal(theirs!.status, status, `${String(body.slice(0, 50))}: ${theirs!.body.slice(0, 300)}`);
    const { connection: _ours, ...ourHeaders } = ours!.headers;
    const { connection: _theirs, ...theirHeaders } = theirs!.headers;
    const { body: ourBody } = ours!;
    assert.deepEqual({ ...ours, headers: ourHeaders, body: ourBody }, { ...theirs, headers: theirHeaders });
  }
});

test('what was written is read at once, again and again', async () => {
  const path = '/api/v1/namespaces/side-a/configmaps';
  const headers = { ...ADMIN, 'content-type': 'application/json' };
  for (let count = 0; count < 50; count++) {
    const body = JSON.stringify({ metadata: { name: `own-${count}` } });
    const written = await send(world.ourUrl, { method: 'POST', path, headers, body });
    assert.equal(written.status, 201, written.body.toString());
    const list = await send(world.ourUrl, { path, headers: ADMIN });
    const { items } = JSON.parse(list.body.toString()) as { items: { metadata: { name: string } }[] };
    assert.ok(items.some(({ metadata }) => metadata.name === `own-${count}`));
  }
});

test('namespaces go away with all that they hold', async () => {
  await all(
    { args: 'create namespace gone-SIDE', says: /created/ },
    { args: 'create configmap x -n gone-SIDE', says: /created/ },
    { args: 'create deployment d -n gone-SIDE --image=x --replicas=0', says: /created/ },
    { args: 'delete namespace gone-SIDE --timeout=30s', says: /deleted/ },
    { args: 'get namespace gone-SIDE', fails: /NotFound/ },
    { args: 'get deployments,configmaps -n gone-SIDE', says: /No resources found/ },
  );
});
