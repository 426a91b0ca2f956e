import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { after, before, test } from 'node:test';
import { generate } from 'selfsigned';
import { eventually, freePort, start } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { send } from '../support/http-client.js';
import { masked, openSides, type Sides } from './sides.js';

// An API that kube-apiserver passes on to a server of its own (an APIService), one whose server does not answer and one whose service
// is not there: discovery, reads and refusals are those of kube-apiserver alone.

const GROUP = 'things.example.com';
const ROOT = `/apis/${GROUP}/v1`;
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

let world: ControlPlane;
let sides: Sides;
let things: Server;
let port: number;

before(async () => {
  world = await startControlPlane({ forward: true });
  sides = await openSides(world);
  port = await freePort();
  things = await serveThings();
  const services = '/api/v1/namespaces/default/services';
  const external = { type: 'ExternalName', externalName: 'localhost' };
  await world.write('POST', services, { metadata: { name: 'things' }, spec: external });
  await world.write('POST', services, { metadata: { name: 'silent' }, spec: external });
  await register(GROUP, 'things', port);
  await register('silent.example.com', 'silent', await freePort());
  await register('absent.example.com', 'absent', 443);
});
after(async () => {
  things?.closeAllConnections();
  things?.close();
  await world?.stop();
});

async function register(group: string, name: string, servicePort: number): Promise<void> {
  await world.write('POST', '/apis/apiregistration.k8s.io/v1/apiservices', {
    metadata: { name: `v1.${group}` },
    spec: {
      ...{ group, version: 'v1', groupPriorityMinimum: 1000, versionPriority: 10, insecureSkipTLSVerify: true },
      service: { namespace: 'default', name, port: servicePort },
    },
  });
}

async function serveThings(): Promise<Server> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' });
  const server = createServer({ cert, key }, answer);
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve));
  return server;
}

const thing = (name: string, namespace = 'x') => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Thing',
  metadata: { name, namespace, resourceVersion: '7' },
});

const THINGS = /^\/apis\/things\.example\.com\/v1\/(?:namespaces\/([^/]+)\/)?things(?:\/([^/]+))?$/;

/** What an apiserver of one kind says. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, 'https://things');
  const say = (json: object, code = 200) =>
    response.writeHead(code, { 'content-type': 'application/json' }).end(`${JSON.stringify(json)}\n`);
  const resource = { name: 'things', singularName: 'thing', namespaced: true, kind: 'Thing', shortNames: ['th'] };
  const verbs = ['create', 'get', 'list', 'watch'];
  if (url.pathname === ROOT) {
    return void say({
      ...{ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${GROUP}/v1` },
      resources: [{ ...resource, verbs }],
    });
  }
  const [, namespace, name] = THINGS.exec(url.pathname) ?? [];
  if (!url.pathname.startsWith(`${ROOT}/`)) return void response.writeHead(404).end();
  if (request.method === 'POST') {
    const details = { kind: 'things', name: 'one' };
    const message = 'things "one" already exists';
    return void say(
      { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason: 'AlreadyExists', details, code: 409 },
      409,
    );
  }
  if (name !== undefined) return void say(thing(name, namespace));
  if (!url.searchParams.has('watch')) {
    return void say({
      kind: 'ThingList',
      apiVersion: `${GROUP}/v1`,
      metadata: { resourceVersion: '7' },
      items: [thing('one', namespace)],
    });
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write(`${JSON.stringify({ type: 'ADDED', object: thing('two') })}\n`);
}

const available = async (group: string) => {
  const { body } = await send(world.theirUrl, {
    path: `/apis/apiregistration.k8s.io/v1/apiservices/v1.${group}`,
    headers: ADMIN,
  });
  const { status } = JSON.parse(body.toString()) as { status?: { conditions?: { type: string; status: string }[] } };
  return status?.conditions?.find(({ type }) => type === 'Available')?.status;
};

/** Until both say the same of what the test looks for: what they know of aggregated servers is some seconds old. */
async function alike(path: string, accept: string, isThere: (text: string) => boolean): Promise<void> {
  let seen: readonly string[] = [];
  await eventually(
    `GET ${path} as ${accept}`,
    async () => {
      seen = (await world.ask(path, { ...ADMIN, accept })).map(({ status, body }) => `${status} ${body}`);
      return seen[0] === seen[1] && isThere(seen[0]!);
    },
    60_000,
    500,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\nwant ${seen[0]}\ngot  ${seen[1]}`);
  });
}

const hasGroup = (text: string) => text.includes(`"${GROUP}"`);
/** Two servers were never reached. */
const hasAll = (text: string) => hasGroup(text) && (!text.includes('freshness') || text.split('"Stale"').length === 3);
const PATHS = [
  ...['/apis/things.example.com', '/apis/things.example.com/v1', '/apis/things.example.com/v2', `${ROOT}/things`],
  ...[`${ROOT}/namespaces/x/things/one`, `${ROOT}/none`, '/apis/silent.example.com', '/apis/silent.example.com/v1'],
  ...['/apis/silent.example.com/v1/things', '/apis/absent.example.com', '/apis/absent.example.com/v1'],
  ...['/apis/absent.example.com/v1/things?watch=1', '/apis/absent.example.com/v1/namespaces/x/things/y'],
];
const ALWAYS = ['api-resources', 'get apiservices', 'get things', 'get --raw /apis/things.example.com/v1'];
const ONCE = [
  ...['api-resources --api-group=things.example.com -o wide', 'api-versions', 'get th one -o yaml'],
  ...['get things.silent.example.com', 'get --raw /apis/absent.example.com/v1/things', 'explain things'],
];

/** `commands`: of kubectl. */
async function compare(commands: readonly string[]): Promise<void> {
  for (const path of PATHS) {
    const [theirs, ours] = await world.ask(path);
    const of = ({ status, headers, body }: typeof ours) => [
      status,
      headers['content-type'],
      headers['retry-after'],
      body.toString(),
    ];
    assert.deepEqual(of(ours), of(theirs), path);
  }
  for (const args of commands) {
    const [ours, theirs] = await Promise.all(
      (['a', 'b'] as const).map(async (side) => {
        const { code, stdout, stderr } = await sides.type(side, { args });
        return [code, masked(side, stdout), masked(side, stderr)];
      }),
    );
    assert.deepEqual(ours, theirs, `kubectl ${args}`);
  }
}

test('an aggregated API is found and read as beside kube-apiserver', async () => {
  await eventually('things are available', async () => (await available(GROUP)) === 'True', 60_000, 200);
  for (const accept of ['application/json', AGGREGATED]) await alike('/apis', accept, hasAll);
  for (const name of ['silent.example.com', 'absent.example.com']) {
    assert.equal(await available(name), 'False', name);
  }
  await compare([...ALWAYS, ...ONCE]);
});

test('writes and watches reach its server', async () => {
  const [theirs, ours] = await Promise.all(
    [world.theirUrl, world.ourUrl].map((url) =>
      send(url, {
        method: 'POST',
        path: `${ROOT}/namespaces/x/things`,
        headers: { ...ADMIN, 'content-type': 'application/json' },
        body: JSON.stringify(thing('one')),
      }),
    ),
  );
  assert.equal(theirs!.status, 409);
  assert.deepEqual([ours!.status, ours!.body.toString()], [theirs!.status, theirs!.body.toString()]);
  const watching = start(process.env['KUBECTL']!, [
    ...['get', '-s', world.ourUrl, '--insecure-skip-tls-verify', '--token=t-admin', '--kubeconfig=/dev/null'],
    ...['--raw', `${ROOT}/things?watch=1`],
  ]);
  try {
    await eventually('an event comes', () => watching.stdout().includes('"ADDED"'));
  } finally {
    await watching.stop();
  }
});

test('while its server is away, requests are refused in the same words', async () => {
  things.closeAllConnections();
  await new Promise((resolve) => things.close(resolve));
  for (const path of [`${ROOT}/things`, `${ROOT}/things/one`, `${ROOT}/things?watch=1`, `/apis/${GROUP}/v1`]) {
    // Until kube-apiserver has found out, it says what it met when it tried.
    await eventually(`both refuse ${path}`, async () => {
      const [theirs, ours] = await world.ask(path);
      return theirs.status === 503 && ours.status === 503 && ours.body.equals(theirs.body);
    });
  }
});

test('an APIService that is deleted leaves nothing', async () => {
  for (const group of [GROUP, 'silent.example.com', 'absent.example.com']) {
    await world.write('DELETE', `/apis/apiregistration.k8s.io/v1/apiservices/v1.${group}`);
  }
  for (const accept of ['application/json', AGGREGATED]) await alike('/apis', accept, (text) => !hasGroup(text));
  await compare(ALWAYS);
});
