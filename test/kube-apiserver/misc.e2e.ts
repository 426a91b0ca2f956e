import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { type Answer, send } from '../support/http-client.js';

// Whatever is neither an object nor a document of discovery: the version, health, metrics, and paths that are not there.

let world: ControlPlane;

before(async () => {
  world = await startControlPlane();
});
after(() => world?.stop());

type Headers = Readonly<Record<string, string>>;
const users: Readonly<Record<string, Headers>> = {
  admin: ADMIN,
  jane: { authorization: 'Bearer t-jane' },
  anonymous: {},
  unknown: { authorization: 'Bearer none' },
};

/** Theirs, then ours. */
function ask(method: string, path: string, headers: Headers): Promise<readonly [Answer, Answer]> {
  const request = { method, path, headers };
  return Promise.all([send(world.theirUrl, request), send(world.ourUrl, request)]);
}

// Not compared: Allow, which RFC 9110 wants with a 405 and upstream leaves out.
const COMPARED = ['content-type', 'cache-control', 'vary', 'x-content-type-options', 'location', 'www-authenticate'];
const headOf = ({ status, headers }: Answer) => ({
  status,
  ...Object.fromEntries(COMPARED.map((name) => [name, headers[name]])),
});

const NOT_THERE = [
  ...[
    '/foo',
    '/favicon.ico',
    '/swagger.json',
    '/configz',
    '/logs',
    '/logs/',
    '/logs/x',
    '/ui',
    '/metrics/',
    '/metrics/foo',
  ],
  ...[
    '/openapi',
    '/openapi/',
    '/openapi/v2/',
    '/openapi/v4',
    '/healthz/',
    '/readyz/',
    '/healthz/none',
    '/livez/none/x',
  ],
  ...[
    '/api/v2',
    '/api/v2/',
    '/api/v1/foos',
    '/api//v1',
    '/api//v1/pods',
    '//api',
    '/api/v1//pods',
    '/apis//apps',
    '//apis/apps/v1',
  ],
  ...['/apis/none', '/apis/none/', '/apis/none/v1', '/apis/none/v1/foos', '/apis/none/v1/foos/x', '/apis//v1'],
  ...['/apis/apps/v9', '/apis/apps/v9/foos', '/apis/apps/v1/foos', '/apis/apps/v1/foos/x/y/z', '/apis/apps/v1//x'],
  ...['/apis/authorization.k8s.io/v1/foos', '/apis/authorization.k8s.io/v9', '/api/v1/namespaces/default/pods/x/y/z'],
  ...['/api/v1/namespaces/default/none', '/api/v1/namespaces/default/pods/x/none', '/API', '/apis/Apps', '/index'],
];
for (const [user, headers] of Object.entries(users)) {
  test(`paths that are not there, as ${user}`, async () => {
    for (const path of NOT_THERE) {
      const [want, got] = await ask('GET', path, headers);
      assert.ok(want.status >= 400, path);
      assert.deepEqual([headOf(got), got.body.toString()], [headOf(want), want.body.toString()], path);
    }
  });
}

const THERE = [
  ...['/', '/index.html', '/api', '/apis', '/api/v1', '/apis/apps/v1', '/version', '/version/', '/healthz', '/livez'],
  ...['/readyz', '/healthz/ping', '/readyz/etcd', '/metrics', '/metrics/slis', '/openapi/v2', '/openapi/v3/api/v1'],
  ...['/apis/apps/v1/deployments', '/apis/apps/v1/deployments/', '/api/v1/namespaces/default'],
  ...['/.well-known/openid-configuration', '/.well-known/openid-configuration/', '/.well-known/openid-configuration/x'],
  ...['/openid/v1/jwks', '/openid/v1/jwks/', '/openid/v1/jwks/x', '/openid/v1', '/.well-known'],
];
for (const [user, headers] of Object.entries(users)) {
  test(`who may read what is there, as ${user}`, async () => {
    for (const path of THERE) {
      const [want, got] = await ask('GET', path, headers);
      assert.deepEqual(headOf(got), headOf(want), path);
      if (want.status >= 400) assert.equal(got.body.toString(), want.body.toString(), path);
    }
  });
}

for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
  test(`${method} of documents`, async () => {
    const written = ['/apis/apps/v1/deployments', '/apis/apps/v1/deployments/', '/api/v1/namespaces/default'];
    // What writes is answered, and refused in its own words, by tests of objects.
    const paths = [...THERE, ...NOT_THERE].filter(
      // A DELETE of metrics sets them to zero upstream; listwatch has nothing that a request could take away.
      (path) => (!written.includes(path) || method === 'HEAD') && (!path.startsWith('/metrics') || method !== 'DELETE'),
    );
    for (const path of paths) {
      const [want, got] = await ask(method, path, ADMIN);
      assert.deepEqual(headOf(got), headOf(want), path);
      if (want.status >= 400) assert.equal(got.body.toString(), want.body.toString(), path);
    }
  });
}

test('/version has the same members in the same order, and those of the release with the same values', async () => {
  const [want, got] = await world.ask('/version');
  const [theirs, ours] = [want, got].map(({ body }) => JSON.parse(body.toString()) as Record<string, string>) as [
    Record<string, string>,
    Record<string, string>,
  ];
  assert.deepEqual(Object.keys(ours), Object.keys(theirs));
  for (const name of Object.keys(theirs).filter((member) =>
    /^(major|minor|emulation|minCompat|platform)/.test(member),
  )) {
    assert.equal(ours[name], theirs[name], name);
  }
  assert.equal(ours['gitVersion']!.split('+')[0], theirs['gitVersion']);
  // Indented, without a newline at the end.
  assert.equal(got.body.toString(), JSON.stringify(ours, undefined, 2));
  assert.equal(want.body.toString(), JSON.stringify(theirs, undefined, 2));
});

// Which checks there are differs: what they say of one that both have, and around them, does not.
const LINE = /^\[\+\]\S+ (ok|excluded: ok|excluded with \S+: ok)$/;
for (const endpoint of ['healthz', 'livez', 'readyz']) {
  test(`the text of /${endpoint}`, async () => {
    for (const query of [
      ...['', '?verbose', '?verbose=0', '?verbose&exclude=ping', '?verbose&exclude=none', '?exclude=none'],
      ...['?verbose&exclude=none&exclude=other&exclude=ping', '?verbose&exclude=', '?exclude=ping', '?other'],
    ]) {
      const [want, got] = await world.ask(`/${endpoint}${query}`);
      assert.deepEqual(headOf(got), headOf(want), query);
      const [theirs, ours] = [want, got].map(({ body }) => body.toString().split('\n'));
      const rest = (lines: readonly string[]) =>
        lines.filter((line) => !LINE.test(line) || line.startsWith('[+]ping '));
      assert.deepEqual(rest(ours!), rest(theirs!), query);
    }
    for (const check of ['ping', 'log', 'none', 'ping/x', 'ping/', 'ping?verbose', 'ping?exclude=ping']) {
      const [want, got] = await world.ask(`/${endpoint}/${check}`);
      assert.deepEqual([headOf(got), got.body.toString()], [headOf(want), want.body.toString()], check);
    }
  });
}

test('who issues tokens of service accounts, and the keys to verify them', async () => {
  for (const path of ['/.well-known/openid-configuration', '/openid/v1/jwks']) {
    for (const accept of [
      ...[undefined, '', '*/*', 'application/*', 'application/json', 'application/jwk-set+json', 'text/html'],
      ...['application/yaml', 'application/json;q=0.5, application/jwk-set+json;charset=utf-8'],
    ]) {
      const [want, got] = await world.ask(path, accept === undefined ? ADMIN : { ...ADMIN, accept });
      assert.deepEqual([headOf(got), got.body.toString()], [headOf(want), want.body.toString()], `${path} ${accept}`);
    }
  }
});

test('the index lists what is there, in order', async () => {
  const [want, got] = await world.ask('/');
  const pathsOf = ({ body }: Answer) => (JSON.parse(body.toString()) as { paths: readonly string[] }).paths;
  for (const answer of [want, got]) {
    assert.deepEqual(pathsOf(answer), [...pathsOf(answer)].sort());
    assert.equal(answer.body.toString(), JSON.stringify({ paths: pathsOf(answer) }, undefined, 2));
  }
  const theirs = new Set(pathsOf(want));
  // Checks of health are named after what the program does.
  const ours = pathsOf(got).filter((path) => !/^\/(healthz|livez|readyz)\//.test(path));
  assert.deepEqual(
    ours.filter((path) => !theirs.has(path)),
    [],
  );
});

test('metrics come as text, and as what Prometheus asks for', async () => {
  for (const accept of ['*/*', 'text/plain', 'text/plain;version=0.0.4', 'application/json', 'text/html']) {
    const [want, got] = await world.ask('/metrics', { ...ADMIN, accept });
    assert.deepEqual(headOf(got), headOf(want), accept);
  }
});

test('/metrics/slis says the same of a check that both have', async () => {
  await world.ask('/readyz');
  const [want, got] = await world.ask('/metrics/slis');
  assert.deepEqual(headOf(got), headOf(want));
  const [theirs, ours] = [want, got].map(({ body }) => body.toString());
  const state = 'kubernetes_healthcheck{name="ping",type="readyz"} 1';
  const runs = /^kubernetes_healthchecks_total\{name="ping",status="success",type="readyz"\} [1-9]\d*$/m;
  for (const text of [theirs!, ours!]) {
    assert.ok(text.split('\n').includes(state), text);
    assert.match(text, runs);
    assert.match(text, /^# TYPE kubernetes_healthcheck gauge$/m);
    assert.match(text, /^# TYPE kubernetes_healthchecks_total counter$/m);
  }
});
