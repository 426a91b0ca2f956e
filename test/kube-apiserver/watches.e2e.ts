import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { groupResourceOf } from '../../src/api/gvr.js';
import type { Kind } from '../../src/codec/kind.js';
import { kindByObject } from '../../src/codec/kinds.js';
import { eventually } from '../support/command.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { as, bytesDiffer, JSON_TYPE, KUBECTL_TABLE, PROTOBUF_TYPE } from './agreement.js';
import { ALL_KINDS, collectionOf, type Manifest, manifests, nameOf, readKinds, REFUSED } from './objects.js';
import { shownWatch } from './table-differences.js';
import { untilFrames, type Watcher, type Watching, watcherOf } from './watching.js';

// Each kind is written through kube-apiserver, and watched at both: the same events, in the same order, byte for byte.

let world: ControlPlane;
let theirs: Watcher;
let ours: Watcher;

before(async () => {
  world = await startControlPlane({ apiserver: ALL_KINDS });
  await world.write('POST', '/api/v1/namespaces', { metadata: { name: 'harbour' } });
  theirs = watcherOf(world.theirUrl);
  ours = watcherOf(world.ourUrl);
});
after(async () => {
  theirs?.close();
  ours?.close();
  await world?.stop();
});

interface Seen {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}
interface Event {
  readonly type: string;
  readonly object: Seen;
}
interface Question {
  readonly path: string;
  readonly accept: string;
  /** Of which objects it is to be told. */
  readonly matches: (object: Seen) => boolean;
}
type Pair = readonly [theirs: Watching, ours: Watching];
const watchBoth = ({ path, accept }: Question): Pair => [theirs.open(path, accept), ours.open(path, accept)];

const TABLE = as(JSON_TYPE, 'Table');
const FORMS = [
  ...[JSON_TYPE, `${JSON_TYPE};stream=watch`, PROTOBUF_TYPE, `${PROTOBUF_TYPE};stream=watch,${JSON_TYPE}`],
  ...[JSON_TYPE, PROTOBUF_TYPE].map((type) => as(type, 'PartialObjectMetadata')),
  ...[as(JSON_TYPE, 'PartialObjectMetadata', 'v1beta1'), KUBECTL_TABLE],
];

/** Of kinds of which the manifests have none that may come and go. */
const FURTHER: readonly Manifest[] = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'lagoon' } },
  {
    ...{ apiVersion: 'networking.k8s.io/v1', kind: 'IPAddress', metadata: { name: '10.96.200.1' } },
    spec: { parentRef: { resource: 'services', namespace: 'harbour', name: 'ferry' } },
  },
];

/** One object of each kind that can be created and deleted. */
function objectOf(kind: Kind): Manifest | undefined {
  const group = kind.storedAs?.group ?? kind.group;
  return [...manifests(), ...FURTHER].find((manifest) => {
    const found = kindByObject(manifest.apiVersion, manifest.kind);
    const isOwn = found?.group === group && found.kind === kind.kind;
    return isOwn && !REFUSED.includes(manifest.metadata.name) && manifest.metadata.name !== 'harbour';
  });
}

/** Writes an object that comes into a selection by label, leaves it, comes back, and is deleted. */
async function live(manifest: Manifest): Promise<void> {
  const kind = kindByObject(manifest.apiVersion, manifest.kind)!;
  const collection = collectionOf(kind, manifest.metadata.namespace);
  const path = `${collection}/${manifest.metadata.name}`;
  const label = (side: string) => world.write('PATCH', path, { metadata: { labels: { side } } });
  const labels = { ...(manifest.metadata['labels'] as object), side: 'lee' };
  await world.write('POST', collection, { ...manifest, metadata: { ...manifest.metadata, labels } });
  for (const side of ['port', 'starboard', 'port']) await label(side);
  await world.write('DELETE', path);
  // What it waits for is taken away, but for that of which kube-apiserver takes care itself.
  const [left] = await world.ask(path);
  if (left.status !== 200 || kind.kind === 'CustomResourceDefinition') return;
  const object = JSON.parse(left.body.toString()) as object;
  if (kind.kind === 'Namespace') await world.write('PUT', `${path}/finalize`, { ...object, spec: { finalizers: [] } });
  else if (kind.kind === 'Pod') await world.write('DELETE', `${path}?gracePeriodSeconds=0`);
  else await world.write('PATCH', path, { metadata: { finalizers: null } });
}

/** How many of these events a watch has to bring that is told of some objects only. */
function countOf(events: readonly Event[], matches: Question['matches']): number {
  const matched = new Map<string, boolean>();
  return events.filter(({ type, object }) => {
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const before = matched.get(key) ?? (type !== 'ADDED' && matches(object));
    matched.set(key, type !== 'DELETED' && matches(object));
    return before || matched.get(key);
  }).length;
}

function differences(kind: Kind, { path, accept }: Question, pair: Pair, count: number): string[] {
  const what = `${path} (${accept})`;
  const heads = pair.map((one) => `${one.status()} ${one.contentType()}`);
  if (heads[0] !== heads[1]) return [`${what}: want ${heads[0]}, got ${heads[1]}`];
  const [want, got] = pair.map((one) => one.frames().slice(0, count)) as [Buffer[], Buffer[]];
  if (want.length !== count || got.length !== count) return [`${what}: ${want.length} and ${got.length} of ${count}`];
  const shown = shownWatch(groupResourceOf(kind.group, kind.resource), accept);
  return want.flatMap((frame, index) => {
    const difference = bytesDiffer(...shown(frame, got[index]!, index));
    return difference === undefined ? [] : [`${what}, event ${index}: ${difference}`];
  });
}

function questionsOf(kind: Kind, manifest: Manifest, resourceVersion: string): Question[] {
  const { name, namespace } = manifest.metadata;
  const [all, scoped] = [collectionOf(kind), collectionOf(kind, namespace)];
  const since = `resourceVersion=${resourceVersion}&watch=true`;
  const isHere = ({ metadata }: Seen) => !kind.namespaced || metadata.namespace === namespace;
  const sideOf = ({ metadata }: Seen) => metadata.labels?.['side'];
  const isPort = (object: Seen) => isHere(object) && sideOf(object) === 'port';
  const isNamed = (object: Seen) => isHere(object) && object.metadata.name === name;
  const labels = (selector: string) => `labelSelector=${encodeURIComponent(selector)}`;
  const named = `fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`;
  const question = (path: string, accept: string, matches: Question['matches']) => ({ path, accept, matches });
  return [
    ...FORMS.map((accept) => question(`${all}?${since}`, accept, () => true)),
    question(`${scoped}?${since}&includeObject=Object`, TABLE, isHere),
    question(`${scoped}?${since}&includeObject=None`, as(JSON_TYPE, 'Table', 'v1beta1'), isHere),
    ...[JSON_TYPE, PROTOBUF_TYPE, TABLE].map((accept) =>
      question(`${scoped}?${since}&${labels('side=port')}`, accept, isPort),
    ),
    question(`${all}?${since}&${labels('side notin (port)')}`, JSON_TYPE, (object) => sideOf(object) !== 'port'),
    question(`${scoped}?${since}&${named}`, JSON_TYPE, isNamed),
    question(
      `${scoped}?${since}&${named}&${labels('side=port')}`,
      as(PROTOBUF_TYPE, 'PartialObjectMetadata'),
      (object) => isNamed(object) && isPort(object),
    ),
    question(`${scoped}?${since}&fieldSelector=metadata.name%3Dother`, JSON_TYPE, () => false),
    question(
      `${scoped.replace('/v1/', '/v1/watch/').replace('/v2/', '/v2/watch/')}?resourceVersion=${resourceVersion}`,
      JSON_TYPE,
      isHere,
    ),
    question(
      `${scoped.replace('/v1/', '/v1/watch/').replace('/v2/', '/v2/watch/')}/${name}?resourceVersion=${resourceVersion}`,
      JSON_TYPE,
      isNamed,
    ),
  ];
}

for (const kind of readKinds) {
  test(`${nameOf(kind)}: a life`, async () => {
    const manifest = objectOf(kind);
    assert.ok(manifest !== undefined, 'no object');
    const [list] = await world.ask(`${collectionOf(kind, manifest.metadata.namespace)}?limit=1`);
    const { resourceVersion } = (JSON.parse(list.body.toString()) as Seen).metadata;
    const questions = questionsOf(kind, manifest, resourceVersion);
    const opened = questions.map((question) => ({ question, pair: watchBoth(question) }));
    try {
      for (const { question, pair } of opened) await untilFrames(pair, 0, question.path);
      await live(manifest);
      const { name } = manifest.metadata;
      const isEnd = ({ type, object }: Event) => type === 'DELETED' && object.metadata.name === name;
      const events = await eventually('it is deleted', () => {
        const seen = opened[0]!.pair[0].frames().map((frame) => JSON.parse(frame.toString()) as Event);
        const end = seen.findIndex(isEnd);
        return end !== -1 && seen.slice(0, end + 1);
      });
      // The same once more: what was seen live is told again from memory.
      for (const question of questions.slice(0, 3)) opened.push({ question, pair: watchBoth(question) });
      const found: string[] = [];
      for (const { question, pair } of opened) {
        const count = countOf(events, question.matches);
        await untilFrames(pair, count, question.path);
        found.push(...differences(kind, question, pair, count));
      }
      assert.deepEqual(found, []);
    } finally {
      for (const one of opened.flatMap(({ pair }) => pair)) one.end();
    }
  });
}
