import type { Attributes, ResourceAttributes } from './attributes.js';
import { headerValues, prefixedHeaders } from './headers.js';
import { anonymous, authenticated, type Identity, UNAUTHENTICATED } from './identity.js';

/** What the Impersonate-* headers ask for (spec 8.7). */
export interface Impersonation {
  /** Who it would be. */
  readonly identity: Identity;
  /** All of these must be allowed to the one who asks. */
  readonly checks: readonly Attributes[];
}

/** A namespace and a name that could be. */
const ACCOUNT =
  /^system:serviceaccount:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):((?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)$/;
const PREFIX = 'impersonate-';

/** Cheap: most requests have none. */
export function impersonates(headers: Readonly<Record<string, unknown>>): boolean {
  for (const name in headers) if (name.startsWith(PREFIX)) return true;
  return false;
}

/** 'nameless': a group, uid or extra without a user; undefined: there is nobody to act as. `raw`: names and values of headers in turn. */
export function readImpersonation(user: Identity, raw: readonly string[]): Impersonation | 'nameless' | undefined {
  const name = headerValues(raw, 'impersonate-user')[0] ?? '';
  const asked = headerValues(raw, 'impersonate-group');
  const uid = headerValues(raw, 'impersonate-uid')[0] ?? '';
  const extra = prefixedHeaders(raw, ['impersonate-extra-']);
  if (name === '') {
    return uid === '' && asked.length === 0 && Object.keys(extra).length === 0 ? undefined : 'nameless';
  }
  const check = (group: string, resource: string, more: Partial<ResourceAttributes>): Attributes => ({
    user,
    verb: 'impersonate',
    group,
    version: group === '' ? '' : 'v1', // nobody asks for users in a version
    resource,
    subresource: '',
    namespace: '',
    name: '',
    ...more,
  });
  const account = ACCOUNT.exec(name);
  const [, namespace = '', accountName = ''] = account ?? [];
  const ofAuthentication = 'authentication.k8s.io';
  const checks = [
    account === null ? check('', 'users', { name }) : check('', 'serviceaccounts', { namespace, name: accountName }),
    ...asked.map((group) => check('', 'groups', { name: group })),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => check(ofAuthentication, 'userextras', { subresource: key, name: value })),
    ),
    ...(uid === '' ? [] : [check(ofAuthentication, 'uids', { name: uid })]),
  ];
  const groups =
    account !== null && asked.length === 0 ? ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] : asked;
  return { identity: complete({ name, uid, groups, extra }), checks };
}

function complete(identity: Identity): Identity {
  const { name, groups } = identity;
  if (name !== anonymous.name) return authenticated(identity);
  return groups.includes(UNAUTHENTICATED) ? identity : { ...identity, groups: [...groups, UNAUTHENTICATED] };
}
