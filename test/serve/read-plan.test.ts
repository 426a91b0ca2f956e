import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListOptions } from '../../src/api/list-options.js';
import { encodeContinueToken } from '../../src/serve/continue-token.js';
import type { Failure } from '../../src/serve/failure.js';
import { type CacheCondition, planRead, type ReadPlan } from '../../src/serve/read-plan.js';

// The tables of the specification: what a request reads, in a row each. Plans are written as short
// texts, `<where>: <what>`; conditions are the state of the kind's cache.

const PREFIX = '/registry/pods/';
const tokenAt = (revision: number) => encodeContinueToken('/registry/pods/a/b', PREFIX, revision, true);

const ready: CacheCondition = { cache: 'ready', progressTrusted: true };
const untrusted: CacheCondition = { cache: 'ready', progressTrusted: false };
const unready: CacheCondition = { cache: 'unready', progressTrusted: true };
const uncached: CacheCondition = { cache: 'uncached', progressTrusted: true };

function optionsOf(query: string) {
  const options = parseListOptions(query);
  assert.ok(options.ok);
  return options.value;
}

function list(query: string, condition: CacheCondition, singleKey = false, unsupportedField?: Failure): string {
  const options = optionsOf(query);
  const filtered = options.labelSelector.length + options.fieldSelector.length > 0;
  const field = unsupportedField === undefined ? {} : { unsupportedField };
  return describe(planRead({ verb: 'list', options, tokenPrefix: PREFIX, singleKey, filtered, ...field }, condition));
}

function watch(query: string, condition: CacheCondition, legacyPath = false): string {
  return describe(planRead({ verb: 'watch', options: optionsOf(query), legacyPath }, condition));
}

function describe(plan: ReadPlan): string {
  switch (plan.read) {
    case 'rejected':
      return failureText(plan.failure);
    case 'refusedUntilReady':
      return '429';
    case 'watch': {
      const { start, from, initialEventsEnd } = plan;
      const detail = 'revision' in start ? ` ${start.revision}` : 'message' in start ? ` ${start.message}` : '';
      return `${from}: ${start.at}${detail}${initialEventsEnd ? ', then the bookmark' : ''}`;
    }
    default: {
      const revision = 'revision' in plan ? ` ${plan.revision}` : '';
      const token = plan.token === undefined ? '' : ` from ${JSON.stringify(plan.token.startKey)}`;
      return `${plan.from}: ${plan.read}${revision}${token}${plan.limit > 0 ? `, ${plan.limit} items` : ''}`;
    }
  }
}

function failureText(failure: Failure): string {
  if (failure.kind === 'invalid') return `422 ${failure.causes.map((c) => `${c.field}: ${c.message}`).join(' + ')}`;
  if (failure.kind === 'unclassified') return `500 ${failure.message}`;
  assert.equal(failure.kind, 'badRequest');
  return `400 ${(failure as { message: string }).message}`;
}

const table = (title: string, run: (query: string) => string, rows: [query: string, want: string][]) => {
  for (const [query, want] of rows) test(`${title} ?${query} -> ${want}`, () => assert.equal(run(query), want));
};

const FORBIDDEN = '422 resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden';
const BAD_RV = 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax';
const after = ' from "/registry/pods/a/b\\u0000"';

// Spec 2.2: rules accumulate, in this order, before anything else is looked at.
table('LIST validation', (query) => list(query, ready), [
  ['resourceVersionMatch=Exact', `${FORBIDDEN} unless resourceVersion is provided`],
  ['resourceVersionMatch=NotOlderThan', `${FORBIDDEN} unless resourceVersion is provided`],
  ['resourceVersionMatch=Exact&resourceVersion=5&continue=x', `${FORBIDDEN} when continue is provided`],
  [
    'resourceVersionMatch=Bogus&resourceVersion=5',
    '422 resourceVersionMatch: Unsupported value: "Bogus": supported values: "Exact", "NotOlderThan", ""',
  ],
  [
    'resourceVersionMatch=a%22<b>&resourceVersion=5',
    '422 resourceVersionMatch: Unsupported value: "a\\"\\u003cb\\u003e": supported values: "Exact", "NotOlderThan", ""',
  ],
  [
    'resourceVersionMatch=Exact&resourceVersion=0',
    '422 resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
  ],
  ['sendInitialEvents=false', '422 sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list'],
  [
    'resourceVersionMatch=Bogus&continue=x&sendInitialEvents=true',
    `${FORBIDDEN} unless resourceVersion is provided` +
      ' + resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided' +
      ' + resourceVersionMatch: Unsupported value: "Bogus": supported values: "Exact", "NotOlderThan", ""' +
      ' + sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
  ],
]);

test('validation comes before field labels, field labels before tokens and versions', () => {
  const unsupported: Failure = { kind: 'badRequest', message: 'field label not supported: x' };
  assert.match(list('resourceVersionMatch=Exact&continue=!', ready, false, unsupported), /^422/);
  assert.equal(list('continue=!', ready, false, unsupported), '400 field label not supported: x');
  assert.equal(list('resourceVersion=abc', ready, false, unsupported), '400 field label not supported: x');
});

// Spec 2.4, from a cache that is ready.
table('LIST', (query) => list(query, ready), [
  ['', 'cache: mostRecent'],
  ['limit=5', 'cache: mostRecent, 5 items'],
  ['resourceVersion=0', 'cache: any'],
  ['resourceVersion=0&limit=5', 'cache: any'], // the limit is ignored
  ['resourceVersion=0&limit=5&resourceVersionMatch=NotOlderThan', 'cache: any'],
  ['resourceVersion=42', 'cache: notOlderThan 42'],
  ['resourceVersion=42&resourceVersionMatch=NotOlderThan', 'cache: notOlderThan 42'],
  ['resourceVersion=42&resourceVersionMatch=NotOlderThan&limit=5', 'cache: notOlderThan 42, 5 items'],
  ['resourceVersion=42&limit=5', 'cache: exact 42, 5 items'], // the legacy rule
  ['resourceVersion=42&resourceVersionMatch=Exact', 'cache: exact 42'],
  ['resourceVersion=42&resourceVersionMatch=Exact&limit=5', 'cache: exact 42, 5 items'],
  [`continue=${tokenAt(7)}`, `cache: exact 7${after}`],
  [`continue=${tokenAt(7)}&limit=5`, `cache: exact 7${after}, 5 items`],
  [`continue=${tokenAt(7)}&limit=5&resourceVersion=0`, `cache: exact 7${after}, 5 items`],
  [`continue=${tokenAt(-1)}&limit=5`, `cache: mostRecent${after}, 5 items`],
  [`continue=${tokenAt(7)}&resourceVersion=42`, '400 specifying resource version is not allowed when using continue'],
  [`continue=${tokenAt(7)}&resourceVersion=abc`, '400 specifying resource version is not allowed when using continue'],
  [
    'continue=aW52YWxpZA',
    "400 invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value",
  ],
  [
    'continue=aW52YWxpZA&resourceVersion=42',
    "400 invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value",
  ],
  ['resourceVersion=abc', `400 invalid resource version: ${BAD_RV}`],
  ['resourceVersion=abc&resourceVersionMatch=Exact', `400 invalid resource version: ${BAD_RV}`],
  [
    'resourceVersion=-1',
    '400 invalid resource version: resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax',
  ],
  [
    'resourceVersion=18446744073709551616',
    '400 invalid resource version: resourceVersion: Invalid value: "18446744073709551616": strconv.ParseUint: parsing "18446744073709551616": value out of range',
  ],
  ['resourceVersion=18446744073709551615', 'cache: notOlderThan 18446744073709551615'],
]);

table('LIST of one name', (query) => list(query, ready, true), [
  ['', 'cache: mostRecent'],
  ['resourceVersion=0', 'cache: any'],
  ['resourceVersion=42', 'cache: notOlderThan 42'],
  ['resourceVersion=42&resourceVersionMatch=Exact', 'source: exact 42'],
  ['resourceVersion=42&limit=5', 'source: notOlderThan 42, 5 items'], // one object never had pages
]);

table('LIST, progress not trusted,', (query) => list(query, untrusted), [
  ['', 'source: mostRecent'],
  [`continue=${tokenAt(-1)}`, `source: mostRecent${after}`],
  ['resourceVersion=0', 'cache: any'],
  ['resourceVersion=42', 'cache: notOlderThan 42'],
  ['resourceVersion=42&resourceVersionMatch=Exact', 'cache: exact 42'],
  [`continue=${tokenAt(7)}`, `cache: exact 7${after}`],
]);

table('LIST, cache not ready,', (query) => list(query, unready), [
  ['', '429'],
  ['limit=5', 'source: mostRecent, 5 items'],
  ['resourceVersion=0', '429'],
  ['resourceVersion=0&limit=5', 'source: any, 5 items'],
  ['resourceVersion=42', '429'],
  ['resourceVersion=42&limit=5', 'source: exact 42, 5 items'],
  ['limit=5&labelSelector=a', '429'],
  ['limit=5&fieldSelector=metadata.name%3Da', '429'],
  [`continue=${tokenAt(7)}&limit=5`, `source: exact 7${after}, 5 items`],
  [`continue=${tokenAt(7)}`, '429'],
  ['resourceVersion=abc', `400 invalid resource version: ${BAD_RV}`],
]);

table('LIST, not cached,', (query) => list(query, uncached), [
  ['', 'source: mostRecent'],
  ['labelSelector=a', 'source: mostRecent'],
  ['resourceVersion=0', 'source: any'],
  ['resourceVersion=0&limit=5', 'source: any, 5 items'], // the limit counts
  ['resourceVersion=42', 'source: notOlderThan 42'],
  ['resourceVersion=42&limit=5', 'source: exact 42, 5 items'],
  [`continue=${tokenAt(7)}&limit=5`, `source: exact 7${after}, 5 items`],
]);

// Spec 2.3.
const get = (condition: CacheCondition) => (resourceVersion: string) =>
  describe(planRead({ verb: 'get', resourceVersion }, condition));
table('GET at', get(ready), [
  ['', 'cache: mostRecent'],
  ['0', 'cache: any'],
  ['42', 'cache: notOlderThan 42'],
  ['abc', `500 ${BAD_RV}`],
]);
table('GET, progress not trusted, at', get(untrusted), [
  ['', 'source: mostRecent'],
  ['0', 'cache: any'],
]);
for (const condition of [unready, uncached]) {
  table(`GET, cache ${condition.cache}, at`, get(condition), [
    ['', 'source: mostRecent'],
    ['0', 'source: any'],
    ['42', 'source: notOlderThan 42'],
    ['abc', `400 invalid resource version: ${BAD_RV}`],
  ]);
}

// Spec 3.1.
const INITIAL = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan';
const NO_INITIAL = 'watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan';
const starts: [query: string, want: string][] = [
  ['watch=1', 'stateMostRecent'],
  ['watch=1&resourceVersion=0', 'stateAny'],
  ['watch=1&resourceVersion=0&allowWatchBookmarks=true', 'stateAny, then the bookmark'],
  ['watch=1&allowWatchBookmarks=true', 'stateMostRecent, then the bookmark'],
  ['watch=1&resourceVersion=42', 'after 42'],
  ['watch=1&resourceVersion=42&allowWatchBookmarks=true', 'after 42'],
  ['watch=1&resourceVersion=42&limit=1&continue=x', 'after 42'], // ignored
  [INITIAL, 'stateMostRecent'],
  [`${INITIAL}&resourceVersion=0`, 'stateAny'],
  [`${INITIAL}&resourceVersion=42`, 'stateNotOlderThan 42'],
  [`${INITIAL}&resourceVersion=42&allowWatchBookmarks=1`, 'stateNotOlderThan 42, then the bookmark'],
  [NO_INITIAL, 'afterMostRecent'],
  [`${NO_INITIAL}&resourceVersion=0`, 'afterAny'],
  [`${NO_INITIAL}&resourceVersion=42`, 'after 42'],
  [`${NO_INITIAL}&allowWatchBookmarks=1`, 'afterMostRecent'],
];
table(
  'WATCH',
  (query) => watch(query, ready),
  starts.map(([query, want]) => [query, `cache: ${want}`]),
);
table(
  'WATCH, not cached,',
  (query) => watch(query, uncached),
  starts.map(([query, want]) => [query, `source: ${want}`]),
);

const NEEDS_MATCH =
  '422 resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
table('WATCH', (query) => watch(query, ready), [
  ['watch=1&resourceVersion=abc', `500 ${BAD_RV}`],
  ['watch=1&sendInitialEvents=true', NEEDS_MATCH],
  [
    'watch=1&sendInitialEvents=true&resourceVersionMatch=Exact',
    `${NEEDS_MATCH} + resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"`,
  ],
  ['watch=1&resourceVersionMatch=NotOlderThan', `${FORBIDDEN} for watch unless sendInitialEvents is provided`],
  [`${INITIAL}&continue=x`, `${FORBIDDEN} when continue is provided`],
]);
table('WATCH, cache not ready,', (query) => watch(query, unready), [
  ['watch=1&resourceVersion=42', '429'],
  ['watch=1&resourceVersion=abc', `500 ${BAD_RV}`],
]);
const NO_PROGRESS =
  'error a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled';
table('WATCH, progress not trusted,', (query) => watch(query, untrusted), [
  [`${INITIAL}&allowWatchBookmarks=1`, `cache: ${NO_PROGRESS}`],
  [INITIAL, 'cache: stateMostRecent'],
  ['watch=1&resourceVersion=42&allowWatchBookmarks=1', 'cache: after 42'],
]);
// The deprecated path: LIST's rules, unless the query says watch as well, and no WatchList.
table('GET /watch/pods', (query) => watch(query, ready, true), [
  ['', 'cache: stateAny'],
  ['resourceVersion=0&allowWatchBookmarks=1', 'cache: stateAny'],
  ['resourceVersion=42', 'cache: after 42'],
  ['resourceVersion=42&resourceVersionMatch=Exact', 'cache: after 42'],
  ['sendInitialEvents=true', '422 sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list'],
  ['watch=1', 'cache: stateMostRecent'],
]);
