import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attributes, forbiddenText } from '../../src/auth/attributes.js';
import type { Authorizer } from '../../src/auth/authorizer.js';
import { Identities, type Identity } from '../../src/auth/identity.js';
import { Impersonator } from '../../src/auth/impersonator.js';
import { readWantedUser } from '../../src/auth/wanted-user.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';

// Who may act as whom: by rules for one kind of user and one kind of request (KEP-5284), or by the older ones.

const jane: Identity = { name: 'jane', uid: 'u1', groups: ['dev'], extra: {} };
const agent: Identity = {
  name: 'system:serviceaccount:ns:agent',
  uid: 'u2',
  groups: [],
  extra: {
    'authentication.kubernetes.io/node-name': ['n1'],
    'authentication.kubernetes.io/pod-name': ['agent-x'],
  },
};
const asker = { signal: new AbortController().signal };
const ON = 'impersonate-on:user-info:list pods';

/** `rights`: what is allowed, `<verb> <resource> <name>` and nothing else; they may be changed. */
function impersonating(...rights: string[]) {
  const clock = createFakeClock();
  const asked: string[] = [];
  const users: Identity[] = [];
  const authorizer: Authorizer = {
    ready: true,
    rulesFor: () => ({ resourceRules: [], nonResourceRules: [], error: '' }),
    authorize(attributes) {
      const right = rightOf(attributes);
      asked.push(right);
      users.push(attributes.user);
      return { allowed: rights.includes(right), reason: '' };
    },
  };
  const impersonator = new Impersonator({ authorizer, identities: new Identities(10), clock, limits: defaultLimits });
  /** Whom it is, or the right that is missing, and why. */
  const as = async (headers: readonly string[], user = jane, verb = 'list'): Promise<unknown> => {
    asked.length = 0;
    users.length = 0;
    const wanted = readWantedUser(headers) as Identity;
    const found = await impersonator.impersonate(wanted, listing(user, verb), asker);
    if ('groups' in found) return found;
    return found.reason === '' ? rightOf(found.attributes) : `${rightOf(found.attributes)}: ${found.reason}`;
  };
  return { as, asked, users, rights, clock };
}

function listing(user: Identity, verb: string): Attributes {
  const pods = { group: '', version: 'v1', resource: 'pods', subresource: '', namespace: 'default', name: '' };
  return { user, verb, ...pods };
}

function rightOf(attributes: Attributes): string {
  assert.ok(attributes.path === undefined);
  const { verb, group, resource, subresource, namespace, name } = attributes;
  const of = `${resource}${subresource === '' ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
  const where = verb.startsWith('impersonate-on:') || namespace === '' ? '' : `${namespace}/`;
  return `${verb} ${of} ${where}${name}`.trim();
}

const user = (name: string, ...more: string[]) => ['Impersonate-User', name, ...more];
const group = (...names: string[]) => names.flatMap((name) => ['Impersonate-Group', name]);
const known = (name: string, ...groups: string[]) => ({ name, uid: '', groups, extra: {} });
const INFO = 'impersonate:user-info';
const OF = 'authentication.k8s.io';

const rows: readonly (readonly [what: string, rights: readonly string[], headers: readonly string[], want: unknown])[] =
  [
    ['nothing', [], user('bob'), ON],
    ['the request alone', [ON], user('bob'), `${INFO} users.${OF} bob`],
    ['the user alone', [`${INFO} users.${OF} bob`], user('bob'), ON],
    ['both', [ON, `${INFO} users.${OF} bob`], user('bob'), known('bob', 'system:authenticated')],
    ['the older right', ['impersonate users bob'], user('bob'), known('bob', 'system:authenticated')],
    ['a mixture', ['impersonate users bob', `${INFO} groups.${OF} g`], user('bob', ...group('g')), ON],
    ['a uid', [ON, `${INFO} users.${OF} bob`], user('bob', 'Impersonate-Uid', 'u'), `${INFO} uids.${OF} u`],
    [
      'a group',
      [ON, `${INFO} users.${OF} bob`, `${INFO} groups.${OF} g`],
      user('bob', ...group('g', 'h')),
      `${INFO} groups.${OF} h`,
    ],
    [
      'many groups, each of them',
      [ON, `${INFO} users.${OF} bob`, ...['a', 'b', 'c', 'd'].map((name) => `${INFO} groups.${OF} ${name}`)],
      user('bob', ...group('a', 'b', 'c', 'd')),
      known('bob', 'a', 'b', 'c', 'd', 'system:authenticated'),
    ],
    [
      'many groups, all there are',
      [ON, `${INFO} users.${OF} bob`, `${INFO} groups.${OF} *`],
      user('bob', ...group('a', 'b', 'c', 'd')),
      known('bob', 'a', 'b', 'c', 'd', 'system:authenticated'),
    ],
    [
      'all groups there are, and few are named',
      [ON, `${INFO} users.${OF} bob`, `${INFO} groups.${OF} *`],
      user('bob', ...group('a', 'b', 'c')),
      `${INFO} groups.${OF} a`,
    ],
    [
      'masters, whom only the older rules allow',
      [ON, `${INFO} users.${OF} bob`, `${INFO} groups.${OF} system:masters`],
      user('bob', ...group('system:masters')),
      `${INFO} groups.${OF} system:masters: impersonating the system:masters group is not allowed`,
    ],
    [
      'masters by the older rules',
      ['impersonate users bob', 'impersonate groups system:masters'],
      user('bob', ...group('system:masters')),
      known('bob', 'system:masters', 'system:authenticated'),
    ],
    [
      'a group without a name',
      [ON, `${INFO} users.${OF} bob`, `${INFO} groups.${OF}`],
      user('bob', ...group('')),
      `${INFO} groups.${OF}: impersonating the empty string group is not allowed`,
    ],
    [
      'extra',
      [ON, `${INFO} users.${OF} bob`, `${INFO} userextras/acme.io/k.${OF} v`],
      user('bob', 'Impersonate-Extra-Acme.io%2Fk', 'v', 'Impersonate-Extra-Acme.io%2Fk', 'w'),
      `${INFO} userextras/acme.io/k.${OF} w`,
    ],
    [
      'many extra values, all there are',
      [ON, `${INFO} users.${OF} bob`, `${INFO} userextras/*.${OF} *`],
      user('bob', ...['a', 'b', 'c', 'd'].flatMap((value) => ['Impersonate-Extra-Acme.io%2Fk', value])),
      { ...known('bob', 'system:authenticated'), extra: { 'acme.io/k': ['a', 'b', 'c', 'd'] } },
    ],
    [
      'extra without a domain',
      [ON, `${INFO} users.${OF} bob`, `${INFO} userextras/k.${OF} v`],
      user('bob', 'Impersonate-Extra-K', 'v'),
      `${INFO} userextras.${OF}: impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "k": ` +
        'must be a domain-prefixed path (such as "acme.io/foo")',
    ],
    [
      'extra in capitals',
      [ON, `${INFO} users.${OF} bob`],
      user('bob', 'Impersonate-Extra-Acme.io%2F%4B', 'v'),
      `${INFO} userextras.${OF}: impersonating a non-lowercase key in extra is not allowed: "acme.io/K"`,
    ],
    [
      'extra without a value',
      [ON, `${INFO} users.${OF} bob`],
      user('bob', 'Impersonate-Extra-Acme.io%2Fk', ''),
      `${INFO} userextras.${OF}: impersonating the empty string value in extra is not allowed`,
    ],
    [
      'a service account',
      ['impersonate-on:serviceaccount:list pods', `impersonate:serviceaccount serviceaccounts.${OF} ns/bot`],
      user('system:serviceaccount:ns:bot'),
      known(
        'system:serviceaccount:ns:bot',
        'system:serviceaccounts',
        'system:serviceaccounts:ns',
        'system:authenticated',
      ),
    ],
    [
      'a service account by the rules for other users',
      [ON, `${INFO} users.${OF} system:serviceaccount:ns:bot`],
      user('system:serviceaccount:ns:bot'),
      'impersonate-on:serviceaccount:list pods',
    ],
    [
      'a service account with a group',
      ['impersonate-on:serviceaccount:list pods', `impersonate:serviceaccount serviceaccounts.${OF} ns/bot`],
      user('system:serviceaccount:ns:bot', ...group('g')),
      'impersonate serviceaccounts ns/bot',
    ],
    [
      'a node',
      ['impersonate-on:arbitrary-node:list pods', `impersonate:arbitrary-node nodes.${OF} n1`],
      user('system:node:n1'),
      known('system:node:n1', 'system:nodes', 'system:authenticated'),
    ],
    [
      'a node by the older rules',
      ['impersonate users system:node:n1'],
      user('system:node:n1'),
      known('system:node:n1', 'system:authenticated'),
    ],
    [
      'what is no name of a node',
      [ON, `${INFO} users.${OF} system:node:N_1`],
      user('system:node:N_1'),
      known('system:node:N_1', 'system:authenticated'),
    ],
  ];
for (const [what, rights, headers, want] of rows) {
  test(`who is allowed ${what}`, async () => {
    assert.deepEqual(await impersonating(...rights).as(headers), want);
  });
}

test('the pod of a service account acts as its own node, by a right to any node', async () => {
  const rights = ['impersonate-on:associated-node:list pods', `impersonate:associated-node nodes.${OF} *`];
  const { as, users } = impersonating(...rights);
  assert.deepEqual(
    await as(user('system:node:n1'), agent),
    known('system:node:n1', 'system:nodes', 'system:authenticated'),
  );
  const keys = ['authentication.kubernetes.io/node-name', 'authentication.kubernetes.io/pod-name'];
  assert.deepEqual(users[0]?.extra, { 'authentication.kubernetes.io/associated-node-keys': keys });
  assert.equal(await as(user('system:node:n2'), agent), 'impersonate-on:arbitrary-node:list pods');
  assert.equal(await as(user('system:node:n1'), { ...agent, name: 'jane' }), 'impersonate-on:arbitrary-node:list pods');
  // What is known of one pod of the account holds for all of them.
  const elsewhere = { ...agent.extra, 'authentication.kubernetes.io/node-name': ['n2'] };
  const again = impersonating(...rights);
  await again.as(user('system:node:n1'), agent);
  assert.deepEqual(
    await again.as(user('system:node:n2'), { ...agent, extra: elsewhere }),
    known('system:node:n2', 'system:nodes', 'system:authenticated'),
  );
  assert.deepEqual(again.asked, []);
});

test('what is allowed by the newer rules is known for ten seconds, what the older ones allow is not', async () => {
  const named = `${INFO} users.${OF} bob`;
  const { as, asked, rights, clock } = impersonating(ON, named);
  const bob = known('bob', 'system:authenticated');
  assert.deepEqual(await as(user('bob')), bob);
  assert.deepEqual(asked, [ON, named]);
  assert.deepEqual(await as(user('bob')), bob);
  assert.deepEqual(asked, []);
  // For another request only the user is known.
  assert.equal(await as(user('bob'), jane, 'get'), 'impersonate-on:user-info:get pods');
  rights.push('impersonate-on:user-info:get pods');
  assert.deepEqual(await as(user('bob'), jane, 'get'), bob);
  assert.deepEqual(asked, ['impersonate-on:user-info:get pods']);
  rights.length = 0;
  clock.advance(9_999);
  assert.deepEqual(await as(user('bob')), bob);
  clock.advance(1);
  assert.equal(await as(user('bob')), ON);
  rights.push('impersonate users bob');
  assert.deepEqual(await as(user('bob')), bob);
  rights.length = 0;
  assert.equal(await as(user('bob')), 'impersonate users bob', 'the older rules are tried first now');
});

test('the mode that allowed it last is tried first, and its refusal is told', async () => {
  const { as, asked, rights } = impersonating('impersonate users bob');
  await as(user('bob'));
  assert.deepEqual(asked, [ON, 'impersonate users bob']);
  await as(user('bob'));
  assert.deepEqual(asked, ['impersonate users bob']);
  assert.equal(await as(user('eve')), 'impersonate users eve');
  assert.equal(await as(user('eve'), { ...jane, name: 'joe' }), ON, 'of each user alone');
  rights.push(ON, `${INFO} users.${OF} eve`);
  assert.deepEqual(await as(user('eve')), known('eve', 'system:authenticated'));
  assert.equal(await as(user('zoe')), `${INFO} users.${OF} zoe`);
});

test('what an authorizer could not find out is part of the reason', async () => {
  const authorizer: Authorizer = {
    ready: true,
    rulesFor: () => ({ resourceRules: [], nonResourceRules: [], error: '' }),
    authorize: () => ({ allowed: false, reason: 'RBAC: x', error: 'lost' }),
  };
  const clock = createFakeClock();
  const impersonator = new Impersonator({ authorizer, identities: new Identities(10), clock, limits: defaultLimits });
  const found = await impersonator.impersonate(known('bob'), listing(jane, 'list'), asker);
  assert.ok('reason' in found);
  assert.equal(found.reason, 'lost: RBAC: x');
  assert.equal(
    forbiddenText(found.attributes),
    'User "jane" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "default"',
  );
});

const nameless: readonly (readonly [headers: readonly string[], want: unknown])[] = [
  [[], undefined],
  [['Impersonate-User', ''], undefined],
  [['Impersonate-Uid', ''], undefined],
  [['Impersonate-Group', ''], 'Name:"", UID:"", Groups:[]string{""}, Extra:map[string][]string(nil)'],
  [['Impersonate-Uid', 'u"'], 'Name:"", UID:"u\\"", Groups:[]string(nil), Extra:map[string][]string(nil)'],
  [
    ['Impersonate-Extra-B', '1', 'impersonate-extra-a', '2', 'Impersonate-Extra-B', '3'],
    'Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"2"}, "b":[]string{"1", "3"}}',
  ],
];
for (const [headers, want] of nameless) {
  test(`nobody is named by ${JSON.stringify(headers)}`, () => {
    const text = `requested &user.DefaultInfo{${String(want)}} without impersonating a user name`;
    assert.equal(readWantedUser(headers), want === undefined ? undefined : text);
  });
}
