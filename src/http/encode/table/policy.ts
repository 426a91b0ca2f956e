import { humanDuration } from './human-duration.js';
import { at, integer, items, type Json, present, text } from './json-path.js';
import { age, condition, orElse, SELECTOR, selector } from './phrases.js';
import { columns, type TableKind } from './table-kind.js';

/** Kinds that decide who may do what: RBAC, admission, certificates, budgets, flow control. */
export const bindings: TableKind = {
  columns: columns('Role', 'Age', 'Users*', 'Groups*', 'ServiceAccounts*'),
  reads: 'roleRef{kind name} subjects{kind namespace name}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      `${text(object, 'roleRef.kind')}/${text(object, 'roleRef.name')}`,
      age(object),
      subjects(object, 'User', (subject) => text(subject, 'name')),
      subjects(object, 'Group', (subject) => text(subject, 'name')),
      subjects(object, 'ServiceAccount', (subject) => `${text(subject, 'namespace')}/${text(subject, 'name')}`),
    ],
  }),
};

function subjects(object: Json, kind: string, show: (subject: Json) => string): string {
  return items(object, 'subjects')
    .filter((subject) => text(subject, 'kind') === kind)
    .map(show)
    .join(', ');
}

export const podDisruptionBudgets: TableKind = {
  columns: columns('Min Available', 'Max Unavailable', 'Allowed Disruptions:integer', 'Age'),
  reads: 'spec{minAvailable maxUnavailable} status{disruptionsAllowed}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      present(object, 'spec.minAvailable') ? text(object, 'spec.minAvailable') : 'N/A',
      present(object, 'spec.maxUnavailable') ? text(object, 'spec.maxUnavailable') : 'N/A',
      integer(object, 'status.disruptionsAllowed'),
      age(object),
    ],
  }),
};

export const certificateSigningRequests: TableKind = {
  columns: columns('Age', 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'),
  reads: 'spec{signerName username expirationSeconds} status{conditions{type} certificate}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      age(object),
      text(object, 'spec.signerName'),
      text(object, 'spec.username'),
      present(object, 'spec.expirationSeconds')
        ? humanDuration(integer(object, 'spec.expirationSeconds') * 1000)
        : '<none>',
      signingState(object),
    ],
  }),
};

function signingState(object: Json): string {
  const types = items(object, 'status.conditions').map((entry) => text(entry, 'type'));
  let state = types.includes('Denied') ? 'Denied' : types.includes('Approved') ? 'Approved' : 'Pending';
  if (types.includes('Failed')) state += ',Failed';
  if (text(object, 'status.certificate') !== '') state += ',Issued';
  return state;
}

export const clusterTrustBundles: TableKind = {
  columns: columns('SignerName'),
  reads: 'spec{signerName}',
  row: (object) => ({ cells: [text(object, 'metadata.name'), text(object, 'spec.signerName')] }),
};

export const webhookConfigurations: TableKind = {
  columns: columns('Webhooks:integer', 'Age'),
  reads: 'webhooks{}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), items(object, 'webhooks').length, age(object)],
  }),
};

function admissionPolicy(counted: string, list: string): TableKind {
  return {
    columns: columns(`${counted}:integer`, 'ParamKind', 'Age'),
    reads: `spec{${list}{} paramKind{apiVersion kind}}`,
    row: (object) => ({
      cells: [
        text(object, 'metadata.name'),
        items(object, `spec.${list}`).length,
        present(object, 'spec.paramKind')
          ? `${text(object, 'spec.paramKind.apiVersion')}/${text(object, 'spec.paramKind.kind')}`
          : '<unset>',
        age(object),
      ],
    }),
  };
}

export const validatingAdmissionPolicies = admissionPolicy('Validations', 'validations');
export const mutatingAdmissionPolicies = admissionPolicy('Mutations', 'mutations');

export const admissionPolicyBindings: TableKind = {
  columns: columns('PolicyName', 'ParamRef', 'Age'),
  reads: `spec{policyName paramRef{namespace name selector${SELECTOR}}}`,
  row: (object) => ({
    cells: [text(object, 'metadata.name'), text(object, 'spec.policyName'), paramReference(object), age(object)],
  }),
};

function paramReference(object: Json): string {
  if (!present(object, 'spec.paramRef')) return '<unset>';
  const name = text(object, 'spec.paramRef.name');
  if (name === '') return selector(object, 'spec.paramRef.selector');
  return `${orElse(text(object, 'spec.paramRef.namespace'), '*')}/${name}`;
}

export const flowSchemas: TableKind = {
  columns: columns('PriorityLevel', 'MatchingPrecedence', 'DistinguisherMethod', 'Age', 'MissingPL'),
  reads:
    'spec{priorityLevelConfiguration{name} matchingPrecedence distinguisherMethod{type}} status{conditions{type status}}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'spec.priorityLevelConfiguration.name'),
      integer(object, 'spec.matchingPrecedence'),
      orElse(text(object, 'spec.distinguisherMethod.type'), '<none>'),
      age(object),
      orElse(condition(object, 'Dangling'), '?'),
    ],
  }),
  compare(left, right) {
    const difference = integer(left, 'spec.matchingPrecedence') - integer(right, 'spec.matchingPrecedence');
    if (difference !== 0) return difference;
    return text(left, 'metadata.name') < text(right, 'metadata.name') ? -1 : 1;
  },
};

const QUEUING = 'spec.limited.limitResponse.queuing';

export const priorityLevelConfigurations: TableKind = {
  columns: columns('Type', 'NominalConcurrencyShares', 'Queues', 'HandSize', 'QueueLengthLimit', 'Age'),
  reads: 'spec{type limited{nominalConcurrencyShares limitResponse{queuing{queues handSize queueLengthLimit}}}}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'spec.type'),
      at(object, 'spec.limited.nominalConcurrencyShares') ?? '<none>',
      at(object, `${QUEUING}.queues`) ?? '<none>',
      at(object, `${QUEUING}.handSize`) ?? '<none>',
      at(object, `${QUEUING}.queueLengthLimit`) ?? '<none>',
      age(object),
    ],
  }),
};

export const apiServices: TableKind = {
  columns: columns('Service', 'Available', 'Age'),
  reads: 'spec{service{namespace name}} status{conditions{type status reason}}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), serviceOf(object), availability(object), age(object)],
  }),
};

function serviceOf(object: Json): string {
  if (!present(object, 'spec.service')) return 'Local';
  return `${text(object, 'spec.service.namespace')}/${text(object, 'spec.service.name')}`;
}

function availability(object: Json): string {
  const entry = items(object, 'status.conditions').find((found) => text(found, 'type') === 'Available');
  if (entry === undefined) return 'Unknown';
  const status = text(entry, 'status');
  return status === 'True' ? status : `${status} (${text(entry, 'reason')})`;
}
