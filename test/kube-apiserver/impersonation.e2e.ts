import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { after, before, test } from 'node:test';
import type { Random } from '../../src/lib/random.js';
import { ask } from '../auth/support.js';
import { eventually } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { both, Differences, freshRandom, inParallel, type Shown } from './access-answers.js';

// Who may act as whom, by the rules of constrained impersonation (KEP-5284) and by the older ones. Both servers remember what a user was allowed
// last, and what was allowed at all for ten seconds: so each user asks both the same, in one order.

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const WHO_AM_I = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const OF = 'authentication.k8s.io';
const SEQUENCES = 60;
const LENGTH = 12;
const { seed, random } = freshRandom();

let world: ControlPlane;
/** Connections of a front proxy. */
let agent: Agent;

before(async () => {
  world = await startControlPlane({ listwatch: ['--anonymous-auth=true'] });
  const proxy = await world.proxyCa.client('front-proxy-client');
  agent = new Agent({ keepAlive: true, rejectUnauthorized: false, ...proxy });
});
after(async () => {
  agent?.destroy();
  await world?.stop();
});

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** Headers of a front proxy, which may name anybody; names and values in turn. */
type Headers = readonly string[];
const named = (name: string, ...more: string[]): Headers => ['X-Remote-User', name, ...more];
const as = (name: string, ...more: string[]): Headers => ['Impersonate-User', name, ...more];
const groups = (...names: string[]): Headers => names.flatMap((name) => ['Impersonate-Group', name]);

/** By user. The names of the bindings, once both servers know them. */
async function allow(policies: ReadonlyMap<string, readonly Rule[]>): Promise<readonly string[]> {
  const apiGroup = 'rbac.authorization.k8s.io';
  const bindings: string[] = [];
  for (const [user, rules] of policies) {
    const metadata = { name: `acting-${user.replaceAll(':', '-')}` };
    bindings.push(metadata.name);
    await world.write('POST', `${RBAC}/clusterroles`, { metadata, rules });
    await world.write('POST', `${RBAC}/clusterrolebindings`, {
      metadata,
      roleRef: { apiGroup, kind: 'ClusterRole', name: metadata.name },
      subjects: [{ apiGroup, kind: 'User', name: user }],
    });
  }
  const sentinel = `sentinel-${[...policies.keys()][0]}`.replaceAll(':', '-');
  const rules = [{ verbs: ['get'], nonResourceURLs: [`/${sentinel}`] }];
  await world.write('POST', `${RBAC}/clusterroles`, { metadata: { name: sentinel }, rules });
  await world.write('POST', `${RBAC}/clusterrolebindings`, {
    metadata: { name: sentinel },
    roleRef: { apiGroup, kind: 'ClusterRole', name: sentinel },
    subjects: [{ apiGroup, kind: 'User', name: 'sentinel' }],
  });
  // Watches of one kind are in order; those of two kinds are not, but the sentinel needs both.
  const headers = ['Host', 'x', ...named('sentinel')];
  await eventually('both know the policies', async () => {
    const answers = await both(world, `/${sentinel}`, { headers, agent });
    return answers.every(({ status }) => status === 404);
  });
  return bindings;
}

/** Who one is, as somebody else, or another request; both answers, of which the first is theirs. */
async function asked(who: Headers, whom: Headers, path = WHO_AM_I): Promise<readonly [Shown, Shown]> {
  const headers = ['Host', 'x', ...who, ...whom];
  if (path !== WHO_AM_I) return both(world, path, { headers, agent });
  const body = JSON.stringify({ apiVersion: `${OF}/v1`, kind: 'SelfSubjectReview' });
  const typed = [...headers, 'Content-Type', 'application/json'];
  return both(world, path, { method: 'POST', headers: typed, agent, body });
}

const account = (node: string): Headers =>
  named(
    'system:serviceaccount:default:agent',
    ...['X-Remote-Extra-Authentication.kubernetes.io%2fnode-name', node],
    ...['X-Remote-Extra-Authentication.kubernetes.io%2fpod-name', `agent-${node}`],
  );
const rule = (verb: string, resource: string, ...resourceNames: string[]): Rule => ({
  verbs: [verb],
  apiGroups: [verb === 'impersonate' && !/userextras|uids/.test(resource) ? '' : OF],
  resources: [resource],
  ...(resourceNames.length === 0 ? {} : { resourceNames }),
});
const INFO = 'impersonate:user-info';
const onReviews = (mode: string) => rule(`impersonate-on:${mode}:create`, 'selfsubjectreviews');

test('rules of each mode, as a table', async () => {
  const extra = (key: string, ...values: string[]) => values.flatMap((value) => [`Impersonate-Extra-${key}`, value]);
  await allow(
    new Map<string, readonly Rule[]>([
      [
        'all-info',
        [onReviews('user-info'), rule(INFO, '*'), { ...rule(INFO, 'userextras/*') }, rule('impersonate', 'users')],
      ],
      [
        'some-info',
        [
          ...[onReviews('user-info'), rule(INFO, 'users', 'bob', 'eve', 'system:node:n1', 'system:serviceaccount:a:b')],
          ...[rule(INFO, 'groups', 'g1', 'g2', 'system:masters'), rule(INFO, 'uids', 'u1')],
          ...[rule(INFO, 'userextras/acme.io/k', 'v1', 'v2'), rule(INFO, 'userextras/plain', 'v1')],
        ],
      ],
      ['star-info', [onReviews('user-info'), rule(INFO, 'users', 'bob'), rule(INFO, 'groups', '*')]],
      [
        'no-request',
        [rule(INFO, '*'), rule('impersonate:arbitrary-node', '*'), rule('impersonate:serviceaccount', '*')],
      ],
      ['every-node', [onReviews('arbitrary-node'), rule('impersonate:arbitrary-node', 'nodes')]],
      ['one-node', [onReviews('arbitrary-node'), rule('impersonate:arbitrary-node', 'nodes', 'n1')]],
      ['accounts', [onReviews('serviceaccount'), rule('impersonate:serviceaccount', 'serviceaccounts', 'bot')]],
      [
        'system:serviceaccount:default:agent',
        [onReviews('associated-node'), rule('impersonate:associated-node', 'nodes', '*')],
      ],
      [
        'system:serviceaccount:default:odd',
        [onReviews('associated-node'), rule('impersonate:associated-node', 'nodes', 'n1')],
      ],
      [
        'older',
        [
          rule('impersonate', 'users', 'bob', 'system:node:n1'),
          rule('impersonate', 'groups', 'g1', 'system:masters', ''),
        ],
      ],
      ['older-accounts', [rule('impersonate', 'serviceaccounts', 'bot')]],
      [
        'both-kinds',
        [
          onReviews('user-info'),
          rule(INFO, 'users', 'bob'),
          rule('impersonate', 'users'),
          rule('impersonate', 'groups', 'g1'),
        ],
      ],
    ]),
  );
  const many = groups('g1', 'g2', 'g1', 'g2');
  const names = ['bob', 'eve', 'zoe', 'system:anonymous', 'system:node:n1', 'system:node:N_1', 'system:node:'];
  const accounts = ['system:serviceaccount:a:bot', 'system:serviceaccount:a:b', 'system:serviceaccount:a:b:c'];
  const whom: readonly Headers[] = [
    ...[...names, ...accounts].map((name) => as(name)),
    ...[...groups('g1'), 'none'].map((_, at) => as('bob', ...groups(...['g1', 'g3', 'g2'].slice(at)))),
    ...[many, groups('g1', 'g2', 'g3', 'g4'), groups('system:masters'), groups(''), groups('g1', '')].map((some) =>
      as('bob', ...some),
    ),
    ...[as('bob', 'Impersonate-Uid', 'u1'), as('bob', 'Impersonate-Uid', 'u2'), as('bob', 'Impersonate-Uid', '')],
    ...[extra('Acme.io%2fk', 'v1'), extra('Acme.io%2fk', 'v1', 'v2', 'v1', 'v2'), extra('Acme.io%2fk', 'v3')].map(
      (some) => as('bob', ...some),
    ),
    ...['Plain', 'a_b%2fk', 'Acme.io%2f', 'Acme.io%2f%4b', 'Acme.io%2fa%20b', 'A_b%2fa%20b', ''].map((key) =>
      as('bob', ...extra(key, 'v1')),
    ),
    ...[as('bob', ...extra('Acme.io%2fk', '')), as('bob', ...extra(`${'a.'.repeat(200)}a%2fk`, 'v1'))],
    ...[as('system:node:n1', ...groups('g1')), as('system:serviceaccount:a:bot', ...groups('g1'))],
    ...[as('system:serviceaccount:a:bot', 'Impersonate-Uid', 'u1'), as('')],
    ...[
      groups('g1'),
      groups(''),
      ['Impersonate-Uid', 'u"1'],
      [...extra('B', '1'), ...groups('g1', 'g2'), ...extra('A', '2')],
    ],
  ];
  const differences = new Differences();
  const users = [
    ...[
      'all-info',
      'some-info',
      'star-info',
      'no-request',
      'all-nodes',
      'one-node',
      'accounts',
      'older',
      'older-accounts',
    ],
    ...['both-kinds', 'nobody'],
  ].map((name) => named(name));
  const masters = named('root', 'X-Remote-Group', 'system:masters');
  const odd = named('system:serviceaccount:default:odd', ...account('n1').slice(2));
  const two = [...account('n1'), ...account('n2').slice(2)];
  let allowed = 0;
  // One user asks in one order, whatever it has besides its name.
  const sequences = [
    ...users.map((who) => [who]),
    ...[[masters], [odd], [account('n1'), account('n2'), two]],
    [named('every-node'), named('every-node', ...account('n1').slice(2))],
  ];
  await inParallel(sequences, async (sequence) => {
    for (const who of sequence) {
      for (const acting of whom) {
        const [theirs, ours] = await asked(who, acting);
        if (theirs.status === 201) allowed++;
        differences.add(`${who.join(' ')} as ${acting.join(' ')}`, theirs, ours);
      }
    }
  });
  differences.assertNone();
  assert.ok(allowed > whom.length, `${allowed} were allowed`);
});

const PATHS = [
  ...[WHO_AM_I, WHO_AM_I, WHO_AM_I],
  '/api/v1/namespaces/default/configmaps',
  '/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Da',
  '/api/v1/namespaces/default/secrets/a',
  '/apis/apps/v1/deployments',
  '/healthz',
  '/nothing',
];
const VERBS = ['create', 'create', 'create', 'list', 'get', '*'];
const MODES = ['user-info', 'serviceaccount', 'arbitrary-node', 'associated-node'];
const NAMES = ['bob', 'eve', 'n1', 'n2', 'bot', 'g1', 'g2', 'u1', 'v1', '*'];
const NAMES_WANTED = [
  'bob',
  'eve',
  'system:node:n1',
  'system:node:n2',
  'system:serviceaccount:a:bot',
  'system:anonymous',
];
const RESOURCES = ['users', 'groups', 'uids', 'userextras/acme.io/k', 'userextras/*', 'nodes', 'serviceaccounts', '*'];

function some<T>(from: Random, values: readonly T[], max: number): T[] {
  return Array.from({ length: 1 + from.int(max) }, () => from.pick(values));
}

/** Of one mode, what it needs or a part of that. */
function randomRules(from: Random): readonly Rule[] {
  const mode = from.pick(MODES);
  const isOlder = from.chance(0.25);
  const apiGroups = from.pick([['*'], ['*'], [''], [OF], ['', OF]]);
  const requests = {
    verbs: some(from, VERBS, 3).map((verb) => (verb === '*' ? '*' : `impersonate-on:${mode}:${verb}`)),
    apiGroups,
    resources: some(from, ['selfsubjectreviews', 'configmaps', '*'], 3),
  };
  const users = {
    verbs: [isOlder ? 'impersonate' : `impersonate:${mode}`],
    apiGroups,
    resources: some(from, RESOURCES, 4),
    ...(from.chance(0.4) ? { resourceNames: some(from, NAMES, 6) } : {}),
  };
  return [...(from.chance(0.8) ? [requests] : []), ...(from.chance(0.9) ? [users] : [])];
}

function randomWanted(from: Random): Headers {
  return as(
    from.pick(NAMES_WANTED),
    ...(from.chance(0.3)
      ? groups(...some(from, ['g1', 'g2', ...(from.chance(0.1) ? ['system:masters', ''] : [])], 5))
      : []),
    ...(from.chance(0.15) ? ['Impersonate-Uid', 'u1'] : []),
    ...(from.chance(0.2)
      ? some(from, ['v1', 'v2'], 5).flatMap((value) => ['Impersonate-Extra-Acme.io%2fk', value])
      : []),
  );
}

test(`random policies, SEED=${seed}`, async () => {
  const policies = new Map<string, readonly Rule[]>();
  for (let at = 0; at < SEQUENCES; at++) {
    const user = random.chance(0.3) ? `system:serviceaccount:random:r${at}` : `random-${at}`;
    policies.set(user, Array.from({ length: 2 + random.int(4) }, () => randomRules(random)).flat());
  }
  await allow(policies);
  const differences = new Differences();
  const codes = new Map<number, number>();
  const sequence = async (user: string, wanted: readonly (readonly [Headers, string])[], who: Headers) => {
    for (const [headers, path] of wanted) {
      const [theirs, ours] = await asked(who, headers, path);
      codes.set(theirs.status, (codes.get(theirs.status) ?? 0) + 1);
      // What listwatch answers to whom it lets in is the matter of other suites.
      const isAlike = path !== WHO_AM_I && theirs.status === ours.status && theirs.status !== 403;
      if (!isAlike) differences.add(`${user}: ${headers.join(' ')} at ${path}`, theirs, ours);
    }
  };
  const all = [...policies.keys()].map((user) => {
    const wanted = Array.from({ length: LENGTH }, () => [randomWanted(random), random.pick(PATHS)] as const);
    return [user, wanted, named(user, ...account(random.pick(['n1', 'n2'])).slice(2))] as const;
  });
  await inParallel(all, (one) => sequence(...one));
  differences.assertNone();
  assert.ok((codes.get(201) ?? 0) > 10 && (codes.get(403) ?? 0) > 100, JSON.stringify([...codes]));
});

const KEPT_MS = 10_000;

test('what was allowed by the newer rules outlasts the right to it a little; by the older ones it does not', async () => {
  let attempt = 0;
  await eventually('this machine is fast enough to see it', async () => {
    const [newer, older] = [`newer-${attempt}`, `older-rules-${attempt}`] as const;
    attempt++;
    const bindings = await allow(
      new Map([
        [newer, [onReviews('user-info'), rule(INFO, 'users')]],
        [older, [rule('impersonate', 'users')]],
      ]),
    );
    const ask = async (name: string) => (await asked(named(name), as('bob'))).map(({ status }) => status);
    assert.deepEqual(
      [await ask(older), await ask(newer)],
      [
        [201, 201],
        [201, 201],
      ],
    );
    const started = performance.now();
    for (const name of bindings) await world.write('DELETE', `${RBAC}/clusterrolebindings/${name}`);
    await eventually('both refuse by the older rules', async () =>
      (await ask(older)).every((status) => status === 403),
    );
    const answers = await ask(newer);
    if (performance.now() - started > KEPT_MS) return false;
    assert.deepEqual(answers, [201, 201]);
    return true;
  });
});

test('a request of the admin without a name is refused alike over either encoding', async () => {
  const differences = new Differences();
  for (const accept of ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']) {
    const headers = { ...ADMIN, accept, 'impersonate-group': ['b', 'a'] };
    const [theirs, ours] = await Promise.all(
      [world.theirUrl, world.ourUrl].map(async (url) => {
        const { code, bytes } = await ask(Number(new URL(url).port), '/api/v1/pods', { headers });
        return {
          code,
          text: accept === 'application/yaml' ? bytes.toString().replace(/\s+/g, ' ') : bytes.toString('latin1'),
        };
      }),
    );
    differences.add(accept, theirs, ours);
  }
  differences.assertNone();
});
