import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, type RunningCommand } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';
import { parseLines, pod, type Programs, type StoredChange, startPrograms } from './programs.js';

// Single watches of client-go: what a change becomes under a selector, bookmarks, versions to come.

let programs: Programs;
let ours: RunningServer;

before(async () => {
  programs = await startPrograms();
  await programs.write([pod('other', 'bystander')]);
  ours = await startServer(['--etcd-servers', programs.etcd.endpoint]);
  await get('/api/v1/pods'); // starts the cache
});
const opened: RunningCommand[] = [];
after(async () => {
  await Promise.all(opened.map((stream) => stream.stop())); // what a failed test left
  await ours?.stop();
  await programs?.[Symbol.asyncDispose]();
});

interface Event {
  readonly type: string;
  readonly key: string;
  readonly resourceVersion: string;
  readonly labels?: Record<string, string>;
  readonly nodeName?: string;
  readonly phase?: string;
  readonly annotations?: Record<string, string>;
  readonly error?: string;
  readonly seconds: number;
}
async function get(path: string) {
  const answer = await fetch(`${ours.url}${path}`);
  return (await answer.json()) as { metadata: { resourceVersion: string } };
}
const knownRevision = async () => Number((await get('/api/v1/pods?limit=1')).metadata.resourceVersion);
const eventsOf = (stream: RunningCommand) => parseLines<Event>(stream.stdout());
async function open(...args: string[]): Promise<RunningCommand> {
  const server = args.includes(PLAIN) ? ['-server', ours.url] : ['-server', ours.secureUrl, '-insecure'];
  const stream = programs.start('stream', [...server, ...args.filter((arg) => arg !== PLAIN)]);
  opened.push(stream);
  await eventually('the watch is open', () => {
    if (stream.child.exitCode !== null) throw new Error(stream.stderr());
    return stream.stdout().includes('"OPEN"');
  });
  return stream;
}
const ended = (stream: RunningCommand) =>
  eventually('the stream ends', () => eventsOf(stream).at(-1)?.type === 'END', 15_000);
async function close(stream: RunningCommand, atLeast: number): Promise<Event[]> {
  await eventually(`${atLeast} events`, () => eventsOf(stream).length > atLeast, 15_000).catch(() => undefined);
  await delay(100); // what comes beyond
  await stream.stop();
  return eventsOf(stream).filter(({ type }) => type !== 'OPEN' && type !== 'END');
}

/** Among the arguments: plain HTTP instead of HTTPS. */
const PLAIN = '(plain HTTP)';
const clients: readonly (readonly string[])[] = [
  ['-accept', 'protobuf'],
  ['-accept', 'json', '-http', '1'],
  ['-accept', 'json', PLAIN],
  ['-client', 'metadata', '-accept', 'protobuf'],
  ['-client', 'dynamic', '-accept', 'json'],
];

// Each row is one change; `matching` and `other` are two states of a pod, of which the selector matches the first.
// `v` marks the content, so that a DELETED that carries the wrong state shows.
type State = 'absent' | 'matching' | 'other';
const rules: readonly (readonly [
  rule: string,
  before: State,
  after: State,
  event: string | undefined,
  content: 'old' | 'new',
])[] = [
  ['a create that does not match', 'absent', 'other', undefined, 'new'],
  ['a create that matches', 'absent', 'matching', 'ADDED', 'new'],
  ['it begins to match', 'other', 'matching', 'ADDED', 'new'],
  ['it matches still', 'matching', 'matching', 'MODIFIED', 'new'],
  ['it matches no longer', 'matching', 'other', 'DELETED', 'old'],
  ['it does not match, neither before nor after', 'other', 'other', undefined, 'new'],
  ['it is deleted while it matches', 'matching', 'absent', 'DELETED', 'old'],
  ['it is deleted while it does not match', 'other', 'absent', undefined, 'new'],
];
interface States {
  readonly matching: Parameters<typeof pod>[2] & object;
  readonly other: Parameters<typeof pod>[2] & object;
}
const selectors: readonly (readonly [args: readonly string[], states: States])[] = [
  [['-label-selector', 'app=web'], { matching: { labels: { app: 'web' } }, other: { labels: { app: 'db' } } }],
  [['-label-selector', '!canary'], { matching: {}, other: { labels: { canary: '' } } }],
  [
    ['-label-selector', 'app in (web,db),canary'],
    { matching: { labels: { app: 'db', canary: 'x' } }, other: { labels: { app: 'db' } } },
  ],
  [['-field-selector', 'spec.nodeName=node-1'], { matching: { nodeName: 'node-1' }, other: {} }],
  [['-field-selector', 'status.phase!=Running'], { matching: { phase: 'Pending' }, other: { phase: 'Running' } }],
  [
    ['-label-selector', 'app=web', '-field-selector', 'spec.nodeName=node-1'],
    { matching: { labels: { app: 'web' }, nodeName: 'node-1' }, other: { labels: { app: 'db' }, nodeName: 'node-1' } },
  ],
];

for (const [index, [selector, states]] of selectors.entries()) {
  test(`transitions under ${selector.join(' ')}`, async () => {
    const namespace = `transitions-${index}`;
    const change = (name: string, state: State, v: string): StoredChange => {
      if (state === 'absent') return { key: `/registry/pods/${namespace}/${name}` };
      const { labels, ...parts } = states[state];
      return pod(namespace, name, { ...parts, labels: { ...labels, v } });
    };
    const names = rules.map((_, row) => `pod-${row}`);
    const first = rules.flatMap(([, before], row) =>
      before === 'absent' ? [] : [[change(names[row]!, before, 'old')]],
    );
    await programs.write(...first);
    const from = String(await programs.revision());
    await eventually('listwatch has it', async () => (await knownRevision()) >= Number(from));
    const streams: RunningCommand[] = [];
    for (const client of clients) {
      streams.push(await open('-namespace', namespace, '-resource-version', from, ...selector, ...client));
    }
    // One change a revision, then all of them again, from each state back to the one before, at one revision.
    const forward = await programs.write(...rules.map(([, , after], row) => [change(names[row]!, after, 'new')]));
    const [together] = await programs.write(rules.map(([, before], row) => change(names[row]!, before, 'back')));
    const eventOf = (before: State, after: State) =>
      before === 'matching'
        ? after === 'matching'
          ? 'MODIFIED'
          : 'DELETED'
        : after === 'matching'
          ? 'ADDED'
          : undefined;
    const want = rules.flatMap(([rule, , , event, content], row) =>
      event === undefined ? [] : [[event, names[row], String(forward[row]), content, rule]],
    );
    const back = rules.flatMap(([, before, after], row) => {
      const event = eventOf(after, before);
      return event === undefined
        ? []
        : [[event, names[row], String(together), event === 'DELETED' ? 'new' : 'back', 'back']];
    });
    for (const [at, stream] of streams.entries()) {
      const events = await close(stream, want.length + back.length);
      assert.deepEqual(
        events.map(({ type, key, resourceVersion, labels }) => [type, key, resourceVersion, labels?.['v']]),
        [...want, ...back].map(([type, name, revision, v]) => [type, `${namespace}/${name}`, revision, v]),
        `${clients[at]!.join(' ')}, rules: ${[...want, ...back].map((row) => row[4]).join('; ')}`,
      );
    }
  });
}

const isEnd = ({ annotations }: Event) => annotations?.['k8s.io/initial-events-end'] === 'true';

test('streamed lists and bookmarks, for every kind of client', async () => {
  await Promise.all(clients.map(bookmarksOf));
});

async function bookmarksOf(client: readonly string[]): Promise<void> {
  const namespace = `bookmarks-${clients.indexOf(client)}`;
  await programs.write(...['a', 'b', 'c'].map((name) => [pod(namespace, name)]));
  const before = await programs.revision();
  const stream = await open(
    '-namespace',
    namespace,
    '-initial-events',
    '-bookmarks',
    '-timeout-seconds',
    '5',
    ...client,
  );
  await eventually('the end of the initial events', () => eventsOf(stream).some(isEnd));
  const [changed] = await programs.write([pod(namespace, 'b', { phase: 'Running' })]);
  // Other kinds move etcd's revision; a consistent LIST makes our cache of pods learn of it.
  await programs.write([
    {
      key: '/registry/configmaps/x/y',
      object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'x', name: 'y' } },
    },
  ]);
  const known = Number((await get(`/api/v1/namespaces/${namespace}/pods`)).metadata.resourceVersion);
  assert.ok(known > changed!);
  await ended(stream);
  const events = eventsOf(stream);
  assert.deepEqual(
    events.map(({ type, key }) =>
      type === 'OPEN' || type === 'END' || type === 'BOOKMARK' ? type : `${type} ${key.split('/')[1]}`,
    ),
    ['OPEN', 'ADDED a', 'ADDED b', 'ADDED c', 'BOOKMARK', 'MODIFIED b', 'BOOKMARK', 'END'],
  );
  const [endOfInitial, last] = events.filter(({ type }) => type === 'BOOKMARK');
  assert.ok(isEnd(endOfInitial!) && Number(endOfInitial!.resourceVersion) >= before, JSON.stringify(endOfInitial));
  assert.equal(isEnd(last!), false, 'the annotation comes once');
  assert.ok(Number(last!.resourceVersion) >= known, `${last!.resourceVersion} of at least ${known}`);
  assert.ok(last!.seconds > 2 && last!.seconds < 4.5, `2 s before the end, after ${last!.seconds} s`);
  const end = events.at(-1)!.seconds;
  assert.ok(end > 4.5 && end < 7, `timeoutSeconds=5 ended after ${end} s`);

  // Whoever resumes from the bookmark sees what came after it, and nothing else.
  const resumed = await open('-namespace', namespace, '-resource-version', last!.resourceVersion, ...client);
  const [deleted] = await programs.write([{ key: `/registry/pods/${namespace}/c` }]);
  assert.deepEqual(
    (await close(resumed, 1)).map(({ type, key, resourceVersion }) => [type, key, resourceVersion]),
    [['DELETED', `${namespace}/c`, String(deleted)]],
  );
}

test('no bookmarks for those who do not allow them; an old-style watch that does gets the end of its initial events', async () => {
  await programs.write([pod('plain', 'a')]);
  const without = await open('-namespace', 'plain', '-resource-version', '0', '-timeout-seconds', '4');
  const withThem = await open('-namespace', 'plain', '-resource-version', '0', '-timeout-seconds', '4', '-bookmarks');
  await Promise.all([ended(without), ended(withThem)]);
  assert.deepEqual(
    eventsOf(without).map(({ type }) => type),
    ['OPEN', 'ADDED', 'END'],
  );
  const events = eventsOf(withThem);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['OPEN', 'ADDED', 'BOOKMARK', 'BOOKMARK', 'END'],
  );
  assert.deepEqual(events.map(isEnd), [false, false, true, false, false]);
});

test('a watch from a version to come waits for it, and leaves out what comes before', async () => {
  const now = await programs.revision();
  const stream = await open('-namespace', 'future', '-resource-version', String(now + 2));
  const revisions = await programs.write([pod('future', 'a')], [pod('future', 'b')], [pod('future', 'c')]);
  assert.equal(revisions[2], now + 3);
  assert.deepEqual(
    (await close(stream, 1)).map(({ type, key, resourceVersion }) => [type, key, resourceVersion]),
    [['ADDED', 'future/c', String(now + 3)]],
  );
});
