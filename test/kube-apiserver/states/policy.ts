import type { Manifest } from '../objects.js';
import { state } from './stored.js';

const RBAC = 'rbac.authorization.k8s.io';
const role = { kind: 'ClusterRole', name: 'view', apiGroup: RBAC };
const subject = (kind: string, name: string, namespace?: string) => ({
  kind,
  name,
  ...(namespace ? { namespace } : {}),
});
const subjects = [
  subject('User', 'jane'),
  subject('ServiceAccount', 'sa', 'ns'),
  subject('Group', 'devs'),
  subject('User', 'bob <b>'),
  subject('ServiceAccount', 'homeless'),
  subject('Robot', 'r'),
];
const bindings = ['RoleBinding', 'ClusterRoleBinding'].flatMap((kind) => [
  state(`${RBAC}/v1`, kind, 'nobody', { roleRef: role }),
  state(`${RBAC}/v1`, kind, 'everybody', { roleRef: { ...role, kind: 'Role' }, subjects }),
]);

const ADMISSION = 'admissionregistration.k8s.io/v1';
const hooks = (count: number) => ({
  webhooks: Array.from({ length: count }, (_, index) => ({
    ...{
      name: `h${index}.a.io`,
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      clientConfig: { url: 'https://a' },
    },
  })),
});
const paramKind = { apiVersion: 'a.io/v1', kind: 'Rule' };
const selector = { matchLabels: { a: 'b' } };
const admissionBinding = (kind: string, name: string, spec: object) =>
  state(ADMISSION, kind, name, { spec: { policyName: 'p', ...spec } });
const admission = [
  ...['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'].flatMap((kind) => [
    state(ADMISSION, kind, 'none', {}),
    state(ADMISSION, kind, 'two', hooks(2)),
  ]),
  state(ADMISSION, 'ValidatingAdmissionPolicy', 'bare', { spec: {} }),
  state(ADMISSION, 'ValidatingAdmissionPolicy', 'two', {
    spec: { paramKind, validations: [{ expression: 'true' }, { expression: 'false' }] },
  }),
  state(ADMISSION, 'MutatingAdmissionPolicy', 'bare', { spec: {} }),
  state(ADMISSION, 'MutatingAdmissionPolicy', 'one', {
    spec: { paramKind, mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: '[]' } }] },
  }),
  ...['ValidatingAdmissionPolicyBinding', 'MutatingAdmissionPolicyBinding'].flatMap((kind) => [
    admissionBinding(kind, 'bare', {}),
    admissionBinding(kind, 'named', { paramRef: { name: 'n' } }),
    admissionBinding(kind, 'in-namespace', {
      paramRef: { name: 'n', namespace: 's', parameterNotFoundAction: 'Deny' },
    }),
    admissionBinding(kind, 'selected', { paramRef: { selector } }),
  ]),
];

const FLOW = 'flowcontrol.apiserver.k8s.io/v1';
const flow = (name: string, matchingPrecedence: number, spec: object = {}, conditions: readonly object[] = []) =>
  state(FLOW, 'FlowSchema', name, {
    spec: { priorityLevelConfiguration: { name: 'level' }, matchingPrecedence, ...spec },
    status: { conditions },
  });
const level = (name: string, spec: object) => state(FLOW, 'PriorityLevelConfiguration', name, { spec });
const queuing = { queues: 64, handSize: 6, queueLengthLimit: 50 };

const service = (name: string, spec: object, conditions: readonly object[] = []) =>
  state('apiregistration.k8s.io/v1', 'APIService', name, {
    spec: { group: 'a.io', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1, ...spec },
    status: { conditions },
  });

export const policyStates: readonly Manifest[] = [
  ...bindings,
  ...admission,
  flow('z-first', 1),
  flow('b-same', 500, { distinguisherMethod: { type: 'ByUser' } }, [{ type: 'Dangling', status: 'True' }]),
  flow('a-same', 500, { distinguisherMethod: { type: 'ByNamespace' } }, [{ type: 'Dangling', status: 'False' }]),
  flow('a-last', 10_000, {}, [{ type: 'Other', status: 'True' }]),
  level('exempt-one', { type: 'Exempt', exempt: { nominalConcurrencyShares: 3 } }),
  level('rejecting', { type: 'Limited', limited: { nominalConcurrencyShares: 0, limitResponse: { type: 'Reject' } } }),
  level('queuing', {
    ...{ type: 'Limited' },
    limited: { nominalConcurrencyShares: 30, limitResponse: { type: 'Queue', queuing } },
  }),
  level('defaulted', { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: {} } } }),
  service('v1.a.io', { service: { namespace: 'n', name: 's' } }),
  service('v1.b.io', { group: 'b.io', service: { namespace: 'n', name: 's' } }, [
    { type: 'Available', status: 'False', reason: 'Missing' },
  ]),
];
