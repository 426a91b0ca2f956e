import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, requireProgram } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { type Answer, send } from '../support/http-client.js';
import { openSides, type Sides, type Step } from './sides.js';

// What kubectl makes of OpenAPI documents: who validates a manifest, what is merged how, and what is explained. It says and does the
// same to listwatch in front of kube-apiserver as to kube-apiserver alone.

let world: ControlPlane;
/** One for each kubectl. */
const every: Sides[] = [];

before(async () => {
  world = await startControlPlane({ forward: true });
  for (const name of ['KUBECTL', 'KUBECTL_132']) {
    every.push(await openSides(world, requireProgram('kubectl', name, 'see .ci/parts')));
  }
});
after(() => world?.stop());

const deployment = (name: string, container: object = {}, spec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    ...{ replicas: 0, selector: { matchLabels: { app: name } } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'main', image: 'x', ports: [{ containerPort: 80 }], ...container }] },
    },
    ...spec,
  },
});
const good = deployment('d');
const image = (value: string) => deployment('d', { image: value });
const misspelt = deployment('d', { imagee: 'x' }, { replicaz: 1 });
/** Server-side apply names what it finds first. */
const misspeltOnce = deployment('d', {}, { replicaz: 1 });
const mistyped = deployment('d', { image: 1 }, { replicas: 'two' });
const unknownKind = { apiVersion: 'apps/v1', kind: 'Deploymint', metadata: { name: 'x' } };
const noKind = { apiVersion: 'v1', metadata: { name: 'x' } };
const noVersion = { kind: 'ConfigMap', metadata: { name: 'x' } };
const unknownField = /unknown field "spec.replicaz"/;
const strict =
  /strict decoding error: unknown field "spec.replicaz", unknown field "spec.template.spec.containers\[0\].imagee"/;

const OF_EVERY_KUBECTL = 'manifests with mistakes are refused in the same words';

const steps: Readonly<Record<string, readonly Step[]>> = {
  [OF_EVERY_KUBECTL]: [
    { args: 'create -f -', input: misspelt, fails: strict },
    { args: 'create -f - --validate=strict --dry-run=server', input: misspelt, fails: strict },
    { args: 'create -f - --validate=warn --dry-run=server', input: misspelt, says: /Warning: unknown field/ },
    { args: 'create -f - --validate=false --dry-run=server', input: misspelt, says: /server dry run/ },
    { args: 'apply -f -', input: misspelt, fails: unknownField },
    { args: 'apply -f - --validate=warn --dry-run=server', input: misspelt, says: /Warning: unknown field/ },
    { args: 'apply --server-side -f -', input: misspeltOnce, fails: /replicaz: field not declared/ },
    { args: 'create -f -', input: mistyped, fails: /cannot unmarshal|invalid/ },
  ],
  'so are types, keys and kinds': [
    { args: 'apply --server-side -f -', input: deployment('d', {}, { replicas: 'two' }), fails: /replicas/ },
    { args: 'create -f -', input: unknownKind, fails: /no matches for kind "Deploymint"/ },
    { args: 'create -f -', input: noKind, fails: /kind/i },
    { args: 'create -f -', input: noVersion, fails: /apiVersion/ },
    { args: 'create -f -', input: deployment('d', {}, { replicas: -1 }), fails: /Invalid value: -1/ },
  ],
  'right ones are applied, replaced, patched and compared': [
    { args: 'create -f - --validate=strict --dry-run=server -o yaml', input: good, says: /kind: Deployment/ },
    { args: 'apply -f - --dry-run=server', input: good, says: /created \(server dry run\)/ },
    { args: 'apply --server-side -f - --dry-run=server', input: good, says: /serverside-applied \(server dry run\)/ },
    { args: 'apply -f -', input: good, says: /created/ },
    { args: 'diff -f -', input: image('y'), fails: /^/, says: /\+ +- image: .?y/ },
    { args: 'apply -f -', input: image('y'), says: /configured/ },
    { args: 'apply -f -', input: deployment('d', { imagee: 'x' }), fails: /unknown field/ },
    { args: 'replace -f -', input: misspelt, fails: strict },
    { args: 'replace -f - --validate=warn --dry-run=server', input: misspelt, says: /Warning: unknown field/ },
    { args: 'replace -f -', input: image('z'), says: /replaced/ },
    {
      args: [
        'patch',
        'deployment',
        'd',
        '-p',
        '{"spec":{"template":{"spec":{"containers":[{"name":"b","image":"b"}]}}}}',
      ],
      says: /patched/,
    },
    { args: 'get deployment d -o jsonpath={.spec.template.spec.containers[*].name}', says: /b main/ },
    { args: ['patch', 'deployment', 'd', '-p', '{"spec":{"replicaz":1}}'], says: /patched/ },
    { args: ['patch', 'deployment', 'd', '-p', '{"spec":{"replicas":"x"}}'], fails: /./ },
    { args: 'edit deployment d', env: { KUBE_EDITOR: 'sed -i s/replicas:/replicaz:/' }, fails: /./ },
    { args: 'edit deployment d', env: { KUBE_EDITOR: 'sed -i s/image:.z/image:\\ edited/' }, says: /edited/ },
    { args: 'set image deployment/d main=set --dry-run=server', says: /image updated \(server dry run\)/ },
    { args: 'delete deployment d', says: /deleted/ },
  ],
  'kinds and fields are explained alike': [
    ...[
      'pods',
      'pod.spec.containers --recursive',
      'configmaps --output=plaintext-openapiv2',
      'tokenreviews',
      'evictions',
    ],
    ...['horizontalpodautoscalers --api-version=autoscaling/v1', 'customresourcedefinitions.spec.names'],
  ].map((what) => ({
    args: `explain ${what}`,
    ...(/^evictions/.test(what) ? { fails: /./ } : { says: /KIND/ }),
  })),
  'fields that are not there are not explained': [
    { args: 'explain pods.spec.none', fails: /field "none" does not exist/ },
    { args: 'explain nones', fails: /doesn't have a resource type/ },
  ],
};

for (const [name, of] of Object.entries(steps)) {
  test(name, async () => {
    for (const sides of name === OF_EVERY_KUBECTL ? every : every.slice(0, 1)) await sides.all(...of);
  });
}

const widgets = (title: string) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.SIDE.example.com' },
  spec: {
    group: 'SIDE.example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
    versions: [
      {
        ...{ name: 'v1', served: true, storage: true },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: title,
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: { size: { type: 'integer', maximum: 9, description: 'How large it is.' } },
              },
            },
          },
        },
      },
    ],
  },
});
const widget = (spec: object) => ({
  apiVersion: 'SIDE.example.com/v1',
  kind: 'Widget',
  metadata: { name: 'w' },
  spec,
});

test('objects of a CustomResourceDefinition, as soon as their document is there', async () => {
  const sides = every[0]!;
  await sides.all(
    { args: 'create -f -', input: widgets('One.'), says: /created/ },
    { args: 'wait --for=condition=Established crd/widgets.SIDE.example.com --timeout=60s', says: /met/ },
  );
  await isDescribed(sides, 'One.');
  await sides.all(
    {
      args: 'create -f -',
      input: widget({ size: 1, sise: 2 }),
      fails: /strict decoding error: unknown field "spec.sise"/,
    },
    { args: 'create -f - --validate=warn --dry-run=server', input: widget({ size: 1, sise: 2 }), says: /Warning:/ },
    { args: 'apply -f -', input: widget({}), fails: /spec.size: Required value/ },
    { args: 'apply -f -', input: widget({ size: 10 }), fails: /should be less than or equal to 9/ },
    { args: 'apply -f -', input: widget({ size: 1 }), says: /created/ },
    { args: 'apply --server-side -f -', input: widget({ size: 2 }), says: /serverside-applied/ },
    { args: 'explain widgets.SIDE.example.com.spec.size', says: /How large it is/ },
    { args: 'replace -f -', input: widgets('Two.'), says: /replaced/ },
  );
  await isDescribed(sides, 'Two.');
  await sides.all({ args: 'delete crd widgets.SIDE.example.com', says: /deleted/ });
});

async function isDescribed({ type }: Sides, title: string): Promise<void> {
  for (const side of ['a', 'b'] as const) {
    await eventually(`widgets are explained: ${title}`, async () => {
      const { code, stdout } = await type(side, { args: 'explain widgets.SIDE.example.com' });
      return code === 0 && stdout.includes(title);
    });
  }
}

/** But for what tells one answer from the next. */
function headersOf({ headers }: Answer): object {
  const { date: _date, expires, 'audit-id': _id, connection: _connection, 'keep-alive': _alive, ...all } = headers;
  return { ...all, expires: expires !== undefined };
}

test('documents are kube-apiserver’s, to the byte and in every form', async () => {
  const index = async (url: string) => {
    const { body } = await send(url, { path: '/openapi/v3', headers: ADMIN });
    const { paths } = JSON.parse(body.toString()) as { paths: Record<string, { serverRelativeURL: string }> };
    return Object.entries(paths).map(([key, { serverRelativeURL }]) => [key, serverRelativeURL] as const);
  };
  const same = async (path: string, headers: object = {}) => {
    const [theirs, ours] = await world.ask(path, { ...ADMIN, ...headers });
    assert.deepEqual(headersOf(ours), headersOf(theirs), path);
    assert.deepEqual([ours.status, ours.body.equals(theirs.body)], [theirs.status, true], path);
    return theirs.status;
  };
  // Both forget a CustomResourceDefinition that was deleted a moment later.
  const [theirs, ours] = await eventually('the indexes rest', async () => {
    const both = [await index(world.theirUrl), await index(world.ourUrl)] as const;
    return both.flat().every(([key]) => !key.includes('example.com')) && both;
  });
  const known = new Map(theirs);
  for (const [key, url] of theirs) assert.equal(new Map(ours).get(key), url);
  assert.deepEqual(
    ours.filter(([key]) => !known.has(key)).map(([key]) => key),
    [],
  );
  for (const [, url] of theirs) assert.equal(await same(url), 200);
  assert.equal(await same('/openapi/v3/apis/apps/v1?hash=00'), 301);
  assert.equal(await same('/openapi/v2'), 200);
  const protobuf = (version: string) => ({
    accept: `application/com.github.proto-openapi.spec.${version}.v1.0+protobuf`,
    'accept-encoding': 'gzip',
  });
  assert.equal(await same('/openapi/v2', protobuf('v2')), 200);
  assert.equal(await same('/openapi/v3/api/v1', protobuf('v3')), 200);
  const tag = (await world.ask('/openapi/v3/api/v1'))[0].headers['etag'];
  assert.equal(await same('/openapi/v3/api/v1', { 'if-none-match': tag }), 304);
});

const OTHERS = [
  ...['/.well-known/openid-configuration', '/openid/v1/jwks', '/api/v1/componentstatuses/etcd-0', '/statusz', '/flagz'],
  ...['/api/v1/componentstatuses/none', '/debug/flags/v', '/logs/none', '//api/v1/pods', '/api//v1/pods', '//apis'],
  ...['/api/v1//pods', '/apis//apps/v1', '/swagger.json', '/swaggerapi', '/ui', '/openapi', '/configz', '/livez/'],
  ...['/x%20y', '/%2e%2e/api', '/./api/v1', '/api/v1/../v1', '/apis/apps/v1/', '/api/v1/namespaces//pods'],
];

/** Their text puts another sign between names and values each time. */
const isZPage = (path: string, accept: string) => /^\/(statusz|flagz)$/.test(path) && accept === 'text/plain';

test('what else kube-apiserver answers is answered alike', async () => {
  const different: string[] = [];
  for (const path of OTHERS) {
    for (const accept of ['application/json', 'text/plain']) {
      for (const token of ['t-admin', 't-bob']) {
        const [theirs, ours] = await world.ask(path, { authorization: `Bearer ${token}`, accept });
        const [want, got] = [theirs, ours].map(
          ({ status, headers, body }) => `${status} ${headers['content-type']} ${isZPage(path, accept) ? '' : body}`,
        );
        if (want !== got) different.push(`${path} ${accept} ${token}\n  want ${want}\n  got  ${got}`);
      }
    }
  }
  assert.deepEqual(different, []);
});

// The last one: there is no kube-apiserver any more.
test('explanations outlive kube-apiserver', async () => {
  world.theirs.child.kill('SIGKILL');
  await world.theirs.exited;
  for (const { type } of every) {
    for (const args of ['explain pods.spec.containers', 'explain deployments --output=plaintext-openapiv2']) {
      const { code, stdout, stderr } = await type('a', { args });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /KIND/);
    }
    const { stderr } = await type('a', { args: 'create -f -', input: good });
    assert.match(stderr, /error trying to reach service/);
  }
});
