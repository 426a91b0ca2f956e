import { after, before, test } from 'node:test';
import { type Asked, authority, type Pair } from '../auth/support.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { both, Differences } from './access-answers.js';

// Who asks, as kube-apiserver and listwatch find out: certificates, tokens, front proxies, and nobody in particular.

let world: ControlPlane;

before(async () => {
  world = await startControlPlane({ listwatch: ['--anonymous-auth=true'] });
});
after(() => world?.stop());

const WHO_AM_I = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const PATHS = ['/api/v1/namespaces/default', '/healthz', '/nothing'];
const UID = '1.3.6.1.4.1.57683.2';
const DAY_MS = 86_400_000;

/** Compares the answers to who asks and to a few paths; the user's name, or the code of the refusal, is `want`. */
async function compare(differences: Differences, what: string, asked: Asked, want: unknown): Promise<void> {
  const headers = asked.headers ?? {};
  const withType = Array.isArray(headers)
    ? [...headers, 'Content-Type', 'application/json']
    : { ...headers, 'content-type': 'application/json' };
  const review = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });
  const [theirs, ours] = await both(world, WHO_AM_I, { ...asked, method: 'POST', headers: withType, body: review });
  differences.add(`${what}: ${WHO_AM_I}`, theirs, ours);
  for (const path of PATHS) differences.add(`${what}: ${path}`, ...(await both(world, path, asked)));
  const { status, message } = theirs.body as {
    readonly status: { readonly userInfo?: { readonly username: string } };
    readonly message?: string;
  };
  const name = status.userInfo?.username ?? / User "(.*?)" cannot /.exec(message ?? '')?.[1];
  differences.add(`${what}: who it is`, name ?? theirs.status, want);
}

test('client certificates', async () => {
  const differences = new Differences();
  const { clientCa } = world;
  const stranger = await authority('client-ca');
  const middle = await clientCa.below('middle');
  const lower = await middle.below('lower');
  const below = await middle.client('jane', ['devs']);
  const leaf = `${below.cert.split('-----END')[0]}-----END CERTIFICATE-----\n`;
  const now = Date.now();
  const rows: readonly (readonly [string, Pair, unknown])[] = [
    ['good', await clientCa.client('jane', ['devs']), 'jane'],
    ['of the masters', await clientCa.client('root', ['system:masters']), 'root'],
    ['of another authority of that name', await stranger.client('jane'), 401],
    [
      'expired',
      await clientCa.sign([['CN', 'jane']], { from: new Date(now - 9 * DAY_MS), until: new Date(now - DAY_MS) }),
      401,
    ],
    ['not yet valid', await clientCa.sign([['CN', 'jane']], { from: new Date(now + DAY_MS) }), 401],
    ['of a server', await clientCa.client('jane', [], 'server'), 401],
    ['of an authority', await clientCa.client('jane', [], 'authority'), 'jane'],
    ['without a name', await clientCa.sign([['O', 'devs']]), 401],
    ['without anything', await clientCa.sign([]), 401],
    ['an empty name', await clientCa.client('', ['devs']), 401],
    ['several groups', await clientCa.client('jane', ['a', 'b', 'a', 'system:authenticated']), 'jane'],
    [
      'several names',
      await clientCa.sign([
        ['CN', 'one'],
        ['O', 'x'],
        ['CN', 'two'],
      ]),
      'two',
    ],
    [
      'a uid',
      await clientCa.sign([
        ['CN', 'jane'],
        [UID, 'uid-7'],
        ['O', 'x'],
      ]),
      'jane',
    ],
    [
      'two uids',
      await clientCa.sign([
        ['CN', 'jane'],
        [UID, 'uid-7'],
        [UID, 'uid-8'],
      ]),
      401,
    ],
    [
      'an empty uid',
      await clientCa.sign([
        ['CN', 'jane'],
        [UID, ''],
      ]),
      401,
    ],
    ['umlauts', await clientCa.client('jäne ☃', ['grüppe']), 'jäne ☃'],
    ['anonymous by name', await clientCa.client('system:anonymous', ['a']), 'system:anonymous'],
    ['unauthenticated by group', await clientCa.client('jane', ['system:unauthenticated']), 'jane'],
    ['an intermediate authority', await middle.client('jane', ['devs']), 'jane'],
    ['two intermediate authorities', await lower.client('jane', ['devs']), 'jane'],
    ['an intermediate authority that is kept back', { ...below, cert: leaf }, 401],
    ['of a front proxy', await world.proxyCa.client('front-proxy-client'), 401],
  ];
  for (const [what, client, want] of rows) {
    await compare(differences, what, { client }, want);
  }
  differences.assertNone();
});

test('bearer tokens', async () => {
  const differences = new Differences();
  const rows: readonly (readonly [string, string | undefined, unknown])[] = [
    ['good', 'Bearer t-jane', 'jane'],
    ['lower case', 'bearer t-jane', 'jane'],
    ['two spaces', 'Bearer  t-jane', 'system:anonymous'],
    ['a third word', 'Bearer t-jane more', 'jane'],
    ['a trailing space', 'Bearer t-jane ', 'jane'],
    ['wrong', 'Bearer nobody', 401],
    ['malformed', 'Bearer a.b.c', 401],
    ['a tab', 'Bearer\tt-jane', 'system:anonymous'],
    ['empty', 'Bearer ', 'system:anonymous'],
    ['scheme only', 'Bearer', 'system:anonymous'],
    ['empty header', '', 'system:anonymous'],
    ['basic', 'Basic amFuZTpwYXNz', 'system:anonymous'],
    ['no scheme', 't-jane', 'system:anonymous'],
    ['umlauts', 'Bearer \u00e4', 401],
  ];
  for (const [what, authorization, want] of rows) {
    await compare(differences, what, { headers: { authorization: authorization! } }, want);
  }
  const twice = (...values: string[]) => ['Host', 'x', ...values.flatMap((value) => ['Authorization', value])];
  await compare(differences, 'two headers', { headers: twice('Bearer t-jane', 'Bearer t-bob') }, 'jane');
  await compare(differences, 'a wrong one first', { headers: twice('Bearer no', 'Bearer t-bob') }, 401);
  await compare(differences, 'nobody', {}, 'system:anonymous');
  differences.assertNone();
});

test('certificates beside tokens', async () => {
  const differences = new Differences();
  const { clientCa, proxyCa } = world;
  const [good, bad] = [await clientCa.client('cert'), await (await authority('other')).client('cert')];
  const nameless = await clientCa.sign([['O', 'devs']]);
  const jane = { authorization: 'Bearer t-jane' };
  const rows: readonly (readonly [string, Asked, unknown])[] = [
    ['both good', { client: good, headers: jane }, 'cert'],
    ['a good certificate, a wrong token', { client: good, headers: { authorization: 'Bearer no' } }, 'cert'],
    ['a wrong certificate, a good token', { client: bad, headers: jane }, 'jane'],
    ['both wrong', { client: bad, headers: { authorization: 'Bearer no' } }, 401],
    ['a nameless certificate, a good token', { client: nameless, headers: jane }, 'jane'],
    [
      'a front proxy that names nobody, a good token',
      { client: await proxyCa.client('front-proxy-client'), headers: jane },
      'jane',
    ],
  ];
  for (const [what, asked, want] of rows) await compare(differences, what, asked, want);
  differences.assertNone();
});

test('front proxies', async () => {
  const differences = new Differences();
  const proxy = await world.proxyCa.client('front-proxy-client');
  const rows: readonly (readonly [string, Pair | undefined, readonly string[], unknown])[] = [
    ['a user', proxy, ['X-Remote-User', 'jane'], 'jane'],
    [
      'groups',
      proxy,
      ['X-Remote-User', 'jane', 'X-Remote-Group', 'a', 'X-Remote-Group', 'b,c', 'X-Remote-Group', ''],
      'jane',
    ],
    ['extra', proxy, ['X-Remote-User', 'jane', 'X-Remote-Extra-Scopes', 'a', 'x-remote-extra-scopes', 'b'], 'jane'],
    ['escaped extra', proxy, ['X-Remote-User', 'jane', 'X-Remote-Extra-Acme.com%2fProject', 'p'], 'jane'],
    ['wrongly escaped extra', proxy, ['X-Remote-User', 'jane', 'X-Remote-Extra-a%zz', 'p'], 'jane'],
    ['badly encoded extra', proxy, ['X-Remote-User', 'jane', 'X-Remote-Extra-a%2fb%', 'p'], 'jane'],
    ['nameless extra', proxy, ['X-Remote-User', 'jane', 'X-Remote-Extra-', 'p'], 'jane'],
    ['a uid', proxy, ['X-Remote-User', 'jane', 'X-Remote-Uid', 'u-1'], 'jane'],
    ['two users', proxy, ['X-Remote-User', 'jane', 'X-Remote-User', 'bob'], 'jane'],
    ['an empty user', proxy, ['X-Remote-User', ''], 401],
    ['an empty user, then one', proxy, ['X-Remote-User', '', 'X-Remote-User', 'bob'], 401],
    ['masters', proxy, ['X-Remote-User', 'jane', 'X-Remote-Group', 'system:masters'], 'jane'],
    ['anonymous', proxy, ['X-Remote-User', 'system:anonymous'], 'system:anonymous'],
    ['a proxy of another name', await world.proxyCa.client('side'), ['X-Remote-User', 'jane'], 401],
    ['of another authority', await (await authority('p')).client('front-proxy-client'), ['X-Remote-User', 'jane'], 401],
    [
      'of the clients',
      await world.clientCa.client('front-proxy-client'),
      ['X-Remote-User', 'jane'],
      'front-proxy-client',
    ],
    ['of a server', await world.proxyCa.client('front-proxy-client', [], 'server'), ['X-Remote-User', 'jane'], 401],
    ['no certificate', undefined, ['X-Remote-User', 'jane'], 'system:anonymous'],
  ];
  for (const [what, client, headers, want] of rows) {
    const asked = { headers: ['Host', 'x', ...headers], ...(client === undefined ? {} : { client }) };
    await compare(differences, what, asked, want);
  }
  differences.assertNone();
});

test('impersonation by who may everything', async () => {
  const differences = new Differences();
  const rows: readonly (readonly [string, readonly string[], unknown])[] = [
    ['a user', ['Impersonate-User', 'jane'], 'jane'],
    ['groups', ['Impersonate-User', 'jane', 'Impersonate-Group', 'a', 'Impersonate-Group', 'b,c'], 'jane'],
    ['masters', ['Impersonate-User', 'jane', 'Impersonate-Group', 'system:masters'], 'jane'],
    ['an empty group', ['Impersonate-User', 'jane', 'Impersonate-Group', ''], 'jane'],
    ['a uid', ['Impersonate-User', 'jane', 'Impersonate-Uid', 'u-9'], 'jane'],
    [
      'extra',
      ['Impersonate-User', 'jane', 'Impersonate-Extra-Acme.com%2fScope', 'x', 'impersonate-extra-b', 'y'],
      'jane',
    ],
    ['wrongly escaped extra', ['Impersonate-User', 'jane', 'Impersonate-Extra-a%zz', 'x'], 'jane'],
    ['nameless extra', ['Impersonate-User', 'jane', 'Impersonate-Extra-', 'x'], 'jane'],
    ['a service account', ['Impersonate-User', 'system:serviceaccount:ns:bot'], 'system:serviceaccount:ns:bot'],
    [
      'a service account with a group',
      ['Impersonate-User', 'system:serviceaccount:ns:bot', 'Impersonate-Group', 'g'],
      'system:serviceaccount:ns:bot',
    ],
    ['half a service account', ['Impersonate-User', 'system:serviceaccount:ns'], 'system:serviceaccount:ns'],
    ['no service account', ['Impersonate-User', 'system:serviceaccount:N_S:a b'], 'system:serviceaccount:N_S:a b'],
    ['a node', ['Impersonate-User', 'system:node:n1'], 'system:node:n1'],
    [
      'a node with its group',
      ['Impersonate-User', 'system:node:n1', 'Impersonate-Group', 'system:nodes'],
      'system:node:n1',
    ],
    ['anonymous', ['Impersonate-User', 'system:anonymous'], 'system:anonymous'],
    [
      'anonymous, authenticated',
      ['Impersonate-User', 'system:anonymous', 'Impersonate-Group', 'system:authenticated'],
      'system:anonymous',
    ],
    ['unauthenticated', ['Impersonate-User', 'jane', 'Impersonate-Group', 'system:unauthenticated'], 'jane'],
    ['two users', ['Impersonate-User', 'jane', 'Impersonate-User', 'bob'], 'jane'],
    ['an empty user', ['Impersonate-User', ''], 'admin'],
    ['something else', ['Impersonate-Nothing', 'x'], 'admin'],
  ];
  for (const [what, headers, want] of rows) {
    const asked = { headers: ['Host', 'x', 'Authorization', 'Bearer t-admin', ...headers] };
    await compare(differences, what, asked, want);
  }
  differences.assertNone();
});
