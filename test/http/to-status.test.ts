import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isBare, type Problem, toEventStatus, toStatus } from '../../src/http/to-status.js';

/** At least one of every kind: a new one does not compile until it is here. */
const samples: { readonly [K in Problem['kind']]: readonly Extract<Problem, { kind: K }>[] } = {
  badRequest: [{ kind: 'badRequest', message: 'strconv.ParseInt: parsing "abc": invalid syntax' }],
  invalid: [
    { kind: 'invalid', causes: [{ reason: 'FieldValueForbidden', message: 'Forbidden: a', field: 'f' }] },
    {
      kind: 'invalid',
      causes: [
        { reason: 'FieldValueForbidden', message: 'Forbidden: a', field: 'f' },
        { reason: 'FieldValueForbidden', message: 'Forbidden: b', field: 'g' },
      ],
    },
  ],
  notFound: [
    { kind: 'notFound', group: '', resource: 'pods', name: 'x' },
    { kind: 'notFound', group: 'apps', resource: 'deployments', name: 'x' },
  ],
  expired: [
    { kind: 'expired', message: 'The resourceVersion for the provided list is too old.' },
    { kind: 'expired', message: 'The provided continue parameter is too old', continue: 'TOKEN' },
  ],
  versionTooLarge: [
    { kind: 'versionTooLarge', requested: 99999n, current: 27, retryAfterSeconds: 1 },
    { kind: 'versionTooLarge', requested: 99999n, current: 27 },
  ],
  initializing: [
    { kind: 'initializing', lastError: undefined, retryAfterSeconds: 1 },
    { kind: 'initializing', lastError: 'connection refused', retryAfterSeconds: 6 },
  ],
  serverTimeout: [{ kind: 'serverTimeout', group: 'apps', resource: 'deployments', operation: 'list' }],
  deadline: [{ kind: 'deadline' }],
  tooManyRequests: [{ kind: 'tooManyRequests', message: 'try later', retryAfterSeconds: 3 }],
  internal: [{ kind: 'internal', message: 'unreadable' }],
  unclassified: [{ kind: 'unclassified', message: 'resourceVersion: Invalid value: "abc"' }],
  noRoute: [{ kind: 'noRoute' }],
  notServed: [{ kind: 'notServed', what: 'pods/log' }],
  methodNotAllowed: [{ kind: 'methodNotAllowed' }],
  noVerb: [{ kind: 'noVerb', group: 'ex.io', resource: 'foos' }],
  readOnly: [{ kind: 'readOnly', method: 'POST' }],
  notAcceptable: [{ kind: 'notAcceptable' }],
  notAcceptableStream: [{ kind: 'notAcceptableStream' }],
  notAcceptableRoute: [
    { kind: 'notAcceptableRoute', offered: 'streams' },
    { kind: 'notAcceptableRoute', offered: 'json' },
  ],
  notConvertible: [{ kind: 'notConvertible', message: 'you requested PartialObjectMetadata, but ...' }],
  tooManyWatches: [{ kind: 'tooManyWatches', client: '127.0.0.1', max: 3 }],
  unauthorized: [{ kind: 'unauthorized' }],
  unsupportedMediaType: [{ kind: 'unsupportedMediaType' }],
  bodyTooLarge: [{ kind: 'bodyTooLarge', max: 3145728 }],
  starting: [{ kind: 'starting' }],
  forbidden: [
    { kind: 'forbidden', group: '', resource: 'pods', name: '', message: 'User "jane" cannot list resource' },
    { kind: 'forbidden', group: 'apps', resource: 'deployments', name: 'web', message: 'User "jane" cannot get' },
    { kind: 'forbidden', group: 'apps', resource: '', name: 'web', message: 'User "jane" cannot get resource ""' },
    { kind: 'forbidden', group: '', resource: '', name: '', message: 'User "jane" cannot get path "/metrics"' },
  ],
  unreachable: [{ kind: 'unreachable', message: 'dial tcp 10.0.0.5:6443: connect: connection refused' }],
  shuttingDown: [{ kind: 'shuttingDown' }],
};

interface Row {
  readonly kind: string;
  readonly code: number;
  readonly reason: string;
  readonly retry: string;
  readonly message: RegExp;
  readonly line: string;
}

const rows = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line): Row => {
    const [, kind, code, reason, retry, message] = line.split('|').map((cell) => cell.trim().replace(/^`|`$/g, ''));
    return { kind: kind!, code: Number(code), reason: reason!, retry: retry!, message: pattern(message!), line };
  });

/** A template of the table as a pattern: `<...>` is anything, `\n` a newline. */
function pattern(template: string): RegExp {
  const parts = template.replaceAll('\\n', '\n').split(/<[^>]*>/);
  return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\s\\S]+')}$`);
}

function matches(row: Row, problem: Problem): boolean {
  const status = toStatus(problem);
  const retry = status.details?.retryAfterSeconds;
  return (
    row.kind === problem.kind &&
    row.code === status.code &&
    row.reason === (status.reason ?? '') &&
    (row.retry === '<seconds>' ? retry !== undefined : row.retry === String(retry ?? '')) &&
    row.message.test(status.message ?? '')
  );
}

test('docs/errors.md has a row for every answer', () => {
  for (const problem of Object.values(samples).flat() as Problem[]) {
    assert.ok(
      rows.some((row) => matches(row, problem)),
      `no row of docs/errors.md matches ${JSON.stringify(toStatus(problem))}`,
    );
  }
});

test('every row of docs/errors.md is an answer', () => {
  assert.ok(rows.length >= Object.keys(samples).length);
  for (const row of rows) {
    const problems: readonly Problem[] = samples[row.kind as Problem['kind']] ?? [];
    assert.ok(
      problems.some((problem) => matches(row, problem)),
      `nothing answers ${row.line}`,
    );
  }
});

const texts: readonly [Problem, string][] = [
  [
    samples.badRequest[0]!,
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"strconv.ParseInt: parsing \\"abc\\": invalid syntax","reason":"BadRequest","code":400}',
  ],
  [
    samples.notFound[0]!,
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \\"x\\" not found","reason":"NotFound","details":{"name":"x","kind":"pods"},"code":404}',
  ],
  [
    { kind: 'notFound', group: 'ex.io', resource: 'foos', name: 'nope' },
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"foos.ex.io \\"nope\\" not found","reason":"NotFound","details":{"name":"nope","group":"ex.io","kind":"foos"},"code":404}',
  ],
  [
    samples.versionTooLarge[0]!,
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: Too large resource version: 99999, current: 27","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504}',
  ],
  [
    samples.initializing[0]!,
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"storage is (re)initializing","reason":"TooManyRequests","details":{"retryAfterSeconds":1},"code":429}',
  ],
  [
    samples.expired[0]!,
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"The resourceVersion for the provided list is too old.","reason":"Expired","code":410}',
  ],
  [
    samples.invalid[0]!,
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ListOptions.meta.k8s.io \\"\\" is invalid: f: Forbidden: a","reason":"Invalid","details":{"group":"meta.k8s.io","kind":"ListOptions","causes":[{"reason":"FieldValueForbidden","message":"Forbidden: a","field":"f"}]},"code":422}',
  ],
  [
    samples.noRoute[0]!,
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}',
  ],
  [
    {
      kind: 'unclassified',
      message: 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
    },
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"resourceVersion: Invalid value: \\"abc\\": strconv.ParseUint: parsing \\"abc\\": invalid syntax","code":500}',
  ],
];
for (const [problem, text] of texts) {
  test(`${problem.kind} reads as kube-apiserver's`, () => assert.equal(JSON.stringify(toStatus(problem)), text));
}

test('an expired continue token comes back in the metadata', () => {
  assert.deepEqual(toStatus(samples.expired[1]!).metadata, { continue: 'TOKEN' });
});

test('equal causes are named once in the message, and kept in the details', () => {
  const cause = { reason: 'FieldValueForbidden', message: 'Forbidden: a', field: 'f' };
  const status = toStatus({ kind: 'invalid', causes: [cause, cause] });
  assert.equal(status.message, 'ListOptions.meta.k8s.io "" is invalid: f: Forbidden: a');
  assert.equal(status.details?.causes?.length, 2);
});

test('in an ERROR event an internal failure carries its bare text', () => {
  assert.equal(toEventStatus(samples.internal[0]!).message, 'unreadable');
  assert.deepEqual(toEventStatus(samples.expired[0]!), toStatus(samples.expired[0]!));
});

test('only a passed deadline has a bare body', () => {
  for (const problem of Object.values(samples).flat() as Problem[]) {
    assert.equal(isBare(problem), problem.kind === 'deadline');
  }
});
