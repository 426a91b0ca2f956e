import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CRDS } from '../support/apiextensions.js';
import { eventually } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { type FollowedWatch, followWatch } from '../support/followed-watch.js';
import { getJson } from '../support/http-client.js';
import { as, disagreements, JSON_TYPE, type Question } from './agreement.js';

// One CustomResourceDefinition from its creation to its end and beyond, while it is watched: what both servers show at each station, and what
// open watches have seen on the way. The tests go on from each other.

let world: ControlPlane;

before(async () => {
  world = await startControlPlane();
});
after(() => world?.stop());

const GROUP = 'life.io';
const CRD = `${CRDS}/things.${GROUP}`;
const TABLE = as(JSON_TYPE, 'Table');
const THINGS = (version: string) => `/apis/${GROUP}/${version}/namespaces/default/things`;
const TIMEOUT_MS = 60_000;

interface Definition {
  metadata: object;
  spec: {
    versions: ({ name: string; served: boolean } & Record<string, unknown>)[];
    scope: string;
    [member: string]: unknown;
  };
}

const schemaOf = (properties: object) => ({
  openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } },
});
const text = { type: 'string' };
const first: Definition = {
  metadata: { name: `things.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: 'things', kind: 'Thing', shortNames: ['th'] },
    versions: [{ name: 'v1', served: true, storage: true, schema: schemaOf({ a: text, b: text }) }],
  },
};

/** Asked until both say the same; each answer of kube-apiserver has the status that the question names. */
const agreeSoon = (what: string, questions: readonly Question[]) => {
  let found: readonly string[] = [];
  return eventually(
    what,
    async () => {
      found = await disagreements(world, questions);
      return found.length === 0;
    },
    TIMEOUT_MS,
  ).catch(() => assert.deepEqual(found, [], what));
};

/**
 * Group and versions in discovery, and of which versions OpenAPI has documents: kube-apiserver keeps that of a version which is not served any
 * more until the CRD goes, or itself.
 */
const discoveredSoon = async (versions: readonly string[], kept: readonly string[] = []) => {
  for (const version of ['v1', 'v2']) {
    const isServed = versions.includes(version);
    await agreeSoon(`discovery of ${version}`, [[`/apis/${GROUP}`, JSON_TYPE, versions.length > 0 ? 200 : 404]]);
    await eventually(`resources of ${version}`, async () => {
      const answers = await world.ask(`/apis/${GROUP}/${version}`);
      if (answers.some(({ status }) => status !== (isServed ? 200 : 404))) return false;
      const [theirs, ours] = answers.map(({ body }) => (isServed ? readable(body) : ''));
      assert.deepEqual(ours, theirs);
      return true;
    });
  }
  for (const [url, documented] of [
    [world.theirUrl, [...versions, ...kept]],
    [world.ourUrl, versions],
  ] as const) {
    const paths = documented.map((version) => `apis/${GROUP}/${version}`).sort();
    const ofGroup = async () => {
      const index = (await getJson(url, '/openapi/v3', ADMIN)) as { paths: object };
      return Object.keys(index.paths).filter((path) => path.includes(GROUP));
    };
    await eventually(`OpenAPI of ${url}`, async () => `${(await ofGroup()).sort()}` === `${paths}`, TIMEOUT_MS);
  }
};

/** Resources and their verbs, of which listwatch has those that read. */
function readable(body: Buffer): object {
  const { resources } = JSON.parse(body.toString()) as { resources: { verbs: string[] }[] };
  const reading = (verb: string) => ['get', 'list', 'watch'].includes(verb);
  return resources.map((resource) => ({ ...resource, verbs: resource.verbs.filter(reading) }));
}

const change = (edit: (definition: Definition) => void) =>
  eventually('the CRD is written', async () => {
    const [theirs] = await world.ask(CRD);
    const definition = JSON.parse(theirs.body.toString()) as Definition;
    edit(definition);
    return (await world.write('PUT', CRD, definition).catch(() => undefined)) !== undefined;
  });

type Pair = readonly [theirs: FollowedWatch, ours: FollowedWatch];
const watchBoth = async (path: string): Promise<Pair> => {
  const list = await eventually(`${path} is filled`, async () => {
    const [theirs] = await world.ask(path);
    return theirs.status === 200 && theirs.body.toString();
  });
  const { metadata } = JSON.parse(list) as { metadata: { resourceVersion: string } };
  const query = `${path}?watch=1&resourceVersion=${metadata.resourceVersion}&timeoutSeconds=600`;
  return [await followWatch(world.theirUrl, query, ADMIN), await followWatch(world.ourUrl, query, ADMIN)];
};

/** Both have ended, after the same events of these types. */
const endedAlike = async (watches: Pair, types: readonly string[]) => {
  for (const watch of watches) await eventually('a watch ends', () => watch.hasEnded(), TIMEOUT_MS);
  const [theirs, ours] = watches;
  assert.deepEqual(ours.lines(), theirs.lines());
  assert.deepEqual(
    theirs.lines().map((line) => (JSON.parse(line) as { type: string }).type),
    types,
  );
};

const create = (version: string, name: string, spec: object, metadata: object = {}) =>
  world.write('POST', THINGS(version), {
    ...{ apiVersion: `${GROUP}/${version}`, kind: 'Thing' },
    ...{ metadata: { name, ...metadata }, spec },
  });

let watches: Pair;

test('created', async () => {
  await agreeSoon('nothing is there', [
    [THINGS('v1'), JSON_TYPE, 404],
    [`/apis/${GROUP}`, JSON_TYPE, 404],
    [CRD, JSON_TYPE, 404],
  ]);
  await world.write('POST', CRDS, first);
  await agreeSoon('the kind is served', [[THINGS('v1')], [THINGS('v1'), TABLE], [CRD], [CRDS]]);
  await discoveredSoon(['v1']);
  watches = await watchBoth(THINGS('v1'));
  await create('v1', 'one', { a: '1', b: '2' });
  await world.write('PATCH', `${THINGS('v1')}/one`, { metadata: { labels: { x: 'y' } } });
  await create('v1', 'two', { a: '2' }, { finalizers: ['life.io/held'] });
  await agreeSoon('objects', [[THINGS('v1')], [`${THINGS('v1')}/one`], [THINGS('v1'), TABLE]]);
});

test('a second version, with columns and defaults of its own', async () => {
  await change(({ spec }) => {
    const schema = schemaOf({ a: text, c: { type: 'string', default: 'see' } });
    const additionalPrinterColumns = [{ name: 'C', type: 'string', jsonPath: '.spec.c' }];
    spec.versions.push({ name: 'v2', served: true, storage: false, schema, additionalPrinterColumns });
  });
  await endedAlike(watches, ['ADDED', 'MODIFIED', 'ADDED']);
  const both = ['v1', 'v2'].flatMap((version): Question[] => [[THINGS(version)], [THINGS(version), TABLE]]);
  await agreeSoon('both versions', [...both, [CRD]]);
  await discoveredSoon(['v2', 'v1']);
});

test('another schema, columns and fields to select by', async () => {
  watches = await watchBoth(THINGS('v2'));
  const selecting = `${THINGS('v1')}?fieldSelector=spec.a%3D1`;
  await agreeSoon('not selectable', [[selecting, JSON_TYPE, 400]]);
  await change(({ spec }) => {
    const [one, two] = spec.versions;
    one!['schema'] = schemaOf({ a: { type: 'string', default: 'x' } });
    one!['selectableFields'] = [{ jsonPath: '.spec.a' }];
    two!['additionalPrinterColumns'] = [{ name: 'A', type: 'string', jsonPath: '.spec.a', priority: 1 }];
    two!['deprecated'] = true;
  });
  await endedAlike(watches, []);
  await agreeSoon('the other schema', [
    ...[selecting, THINGS('v1'), THINGS('v2'), `${THINGS('v2')}/one`].map((path): Question => [path]),
    ...['v1', 'v2'].map((version): Question => [THINGS(version), TABLE]),
  ]);
});

test('a version that is not served any more, though objects are stored in it', async () => {
  watches = await watchBoth(THINGS('v1'));
  await change(({ spec }) => {
    spec.versions[0]!.served = false;
  });
  await endedAlike(watches, []);
  await agreeSoon('one version', [[THINGS('v1'), JSON_TYPE, 404], [THINGS('v2')], [`${THINGS('v2')}/one`], [CRD]]);
  await discoveredSoon(['v2'], ['v1']);
});

test('deleted, while an object has a finalizer', async () => {
  watches = await watchBoth(THINGS('v2'));
  await world.write('DELETE', CRD);
  await agreeSoon('terminating', [
    [CRD],
    [THINGS('v2')],
    [`${THINGS('v2')}/one`, JSON_TYPE, 404],
    [`${THINGS('v2')}/two`],
  ]);
  const [theirs] = await world.ask(CRD);
  assert.match(theirs.body.toString(), /"type":"Terminating","status":"True"/);
  await world.write('PATCH', `${THINGS('v2')}/two`, { metadata: { finalizers: null } });
  await endedAlike(watches, ['DELETED', 'MODIFIED', 'DELETED']);
  await agreeSoon('gone', [
    [CRD, JSON_TYPE, 404],
    [THINGS('v2'), JSON_TYPE, 404],
    [`/apis/${GROUP}`, JSON_TYPE, 404],
  ]);
  await discoveredSoon([]);
});

test('created anew, in another scope', async () => {
  await world.write('POST', CRDS, { ...first, spec: { ...first.spec, scope: 'Cluster' } });
  const path = `/apis/${GROUP}/v1/things`;
  await agreeSoon('the kind is served', [[path], [THINGS('v1'), JSON_TYPE, 404], [CRD]]);
  await world.write('POST', path, { apiVersion: `${GROUP}/v1`, kind: 'Thing', metadata: { name: 'one' } });
  await agreeSoon('objects', [[path], [`${path}/one`], [path, TABLE]]);
  await discoveredSoon(['v1']);
});
