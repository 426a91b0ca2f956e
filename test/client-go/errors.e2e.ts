import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RunningServer, startServer } from '../support/server.js';
import { type Programs, startPrograms } from './programs.js';

// What client-go's predicates say of each failure: the branch that a controller takes depends on them.

let programs: Programs;
let ours: RunningServer;
let findings: Map<string, Finding>;
let current: number;
const FUTURE = '9000000';

interface Finding {
  readonly name: string;
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly is: readonly string[];
  readonly retryAfter: number;
  readonly streamed: boolean;
  readonly continue: boolean;
  readonly objects: number;
  readonly seconds: number;
}

before(async () => {
  programs = await startPrograms();
  const { lastRevision } = await programs.writeRandom(500, 1);
  await programs.compact(lastRevision - 100); // before our time: nobody has these revisions
  ours = await startServer(['--etcd-servers', programs.etcd.endpoint]);
  current = await programs.revision();
  const compacted = String(lastRevision - 200);
  const options = ['-compacted', compacted, '-future', FUTURE, '-first-key', '/team-2/pod-100'];
  const lines = await programs.lines<Finding>('api-errors', ['-server', ours.url, ...options]);
  findings = new Map(lines.map((line) => [line.name, line]));
});
after(async () => {
  await ours?.stop();
  await programs?.[Symbol.asyncDispose]();
});

const tooLarge = () => `Timeout: Too large resource version: ${FUTURE}, current: ${current}`;
const EXPIRED_LIST = 'The resourceVersion for the provided list is too old.';
const WORD = 'Invalid value: "word": strconv.ParseUint: parsing "word": invalid syntax';
type Row = readonly [
  name: string,
  code: number,
  reason: string,
  is: readonly string[],
  message: RegExp | (() => string),
];
const rows: readonly Row[] = [
  ['list not older than the future', 504, 'Timeout', ['Timeout', 'TooLargeResourceVersion'], tooLarge],
  ['list exactly the future', 504, 'Timeout', ['Timeout', 'TooLargeResourceVersion'], tooLarge],
  ['get from the future', 504, 'Timeout', ['Timeout', 'TooLargeResourceVersion'], tooLarge],
  ['stream a list of the future', 504, 'Timeout', ['Timeout', 'TooLargeResourceVersion'], tooLarge],
  ['list exactly the compacted', 410, 'Expired', ['ResourceExpired'], () => EXPIRED_LIST],
  ['list a page of the compacted', 410, 'Expired', ['ResourceExpired'], () => EXPIRED_LIST],
  [
    'continue from the compacted',
    410,
    'Expired',
    ['ResourceExpired'],
    /^The provided continue parameter is too old to display a consistent list result\. You can start a new list without the continue parameter, or use the continue token in this response/,
  ],
  ['watch from the compacted', 410, 'Expired', ['ResourceExpired'], /^too old resource version: \d+ \(\d+\)$/],
  [
    'continue with nonsense',
    400,
    'BadRequest',
    ['BadRequest'],
    /^continue key is not valid|^invalid continue token: continue key is not valid/,
  ],
  [
    'continue at a resourceVersion',
    400,
    'BadRequest',
    ['BadRequest'],
    () => 'specifying resource version is not allowed when using continue',
  ],
  [
    'match without resourceVersion',
    422,
    'Invalid',
    ['Invalid'],
    /resourceVersionMatch is forbidden unless resourceVersion is provided/,
  ],
  ['list at a word', 400, 'BadRequest', ['BadRequest'], () => `invalid resource version: resourceVersion: ${WORD}`],
  ['unknown field', 400, 'BadRequest', ['BadRequest'], /field label not supported: spec\.colour/],
  ['get what is not there', 404, 'NotFound', ['NotFound'], () => 'pods "nobody" not found'],
  ['create', 405, 'MethodNotAllowed', ['MethodNotSupported'], /./],
  ['delete', 405, 'MethodNotAllowed', ['MethodNotSupported'], /./],
  ['list an unknown resource', 404, 'NotFound', ['NotFound'], () => 'the server could not find the requested resource'],
  [
    'initial events without a match',
    422,
    'Invalid',
    ['Invalid'],
    /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/,
  ],
];
for (const [name, code, reason, is, message] of rows) {
  test(`${name}: ${reason}`, () => {
    const found = findings.get(name);
    assert.ok(found, 'the program ran it');
    assert.deepEqual({ code: found.code, reason: found.reason, is: found.is }, { code, reason, is }, found.message);
    if (typeof message === 'function') assert.equal(found.message, message());
    else assert.match(found.message, message);
  });
}

test('a resourceVersion that is not a number ends a watch before it begins, without a reason', () => {
  const found = findings.get('watch at a word')!;
  assert.deepEqual([found.code, found.streamed], [500, false], found.message);
});

test('failures of a running watch come as ERROR events, others before the stream', () => {
  const streamed = [...findings.values()].filter((finding) => finding.streamed).map(({ name }) => name);
  assert.deepEqual(streamed, ['watch from the compacted', 'stream a list of the future']);
});

test('what is in the future is waited for three seconds, and the client is told to wait one more', () => {
  for (const name of ['list not older than the future', 'get from the future', 'stream a list of the future']) {
    const { seconds, retryAfter } = findings.get(name)!;
    assert.ok(seconds > 2.8 && seconds < 6, `${name}: ${seconds} s`);
    assert.equal(retryAfter, 1, name);
  }
});

test('not older than a compacted revision is served, since what we have is newer', () => {
  const found = findings.get('list not older than the compacted')!;
  assert.deepEqual(found.is, []);
  assert.ok(found.objects > 200, `${found.objects} objects`);
});

test('the failure of an expired continue token brings another with which the list goes on', () => {
  assert.equal(findings.get('continue from the compacted')!.continue, true);
  const found = findings.get('continue with the token of the failure')!;
  assert.deepEqual([found.is, found.objects], [[], 2], found.message);
});
