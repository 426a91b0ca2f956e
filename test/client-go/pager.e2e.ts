import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RunningServer, startServer } from '../support/server.js';
import { type Programs, startPrograms } from './programs.js';

// client-go's pager over a set that changes all the time: the pages of one list are one snapshot, namely what etcd
// had at the resourceVersion that they carry.

const SETS = Number(process.env['PAGER_SETS'] ?? 8);
let programs: Programs;
let ours: RunningServer;

before(async () => {
  programs = await startPrograms();
  await programs.writeRandom(1_000, 1);
  ours = await startServer(['--etcd-servers', programs.etcd.endpoint]);
});
after(async () => {
  await ours?.stop();
  await programs?.[Symbol.asyncDispose]();
});

interface Line {
  readonly type: 'page' | 'object';
  readonly set: number;
  readonly resourceVersion: string;
  readonly items: number;
  readonly remaining?: number;
  readonly continue?: boolean;
  readonly key: string;
  readonly modRevision: string;
  readonly digest: string;
}

/** Compares each list with etcd; returns the resourceVersions of the lists. */
async function verify(lines: readonly Line[], namespace: string, pageSize: number): Promise<string[]> {
  const versions: string[] = [];
  for (let set = 0; set < SETS; set++) {
    const pages = lines.filter((line) => line.type === 'page' && line.set === set);
    const objects = lines.filter((line) => line.type === 'object' && line.set === set);
    const version = pages[0]!.resourceVersion;
    versions.push(version);
    const stored = (await programs.podsAt(Number(version))).filter(({ key }) => key.startsWith(namespace));
    assert.deepEqual(
      objects.map(({ key, modRevision, digest }) => ({ key, modRevision, digest })),
      stored.map(({ key, modRevision, digest }) => ({ key, modRevision, digest })),
      `list ${set} is what etcd has at ${version}`,
    );
    assert.ok(pages.length > 3, `${pages.length} pages`);
    let left = stored.length;
    for (const [index, page] of pages.entries()) {
      const where = `list ${set}, page ${index} of ${pages.length}`;
      left -= page.items;
      assert.equal(page.resourceVersion, version, where);
      assert.equal(page.continue ?? false, left > 0, where);
      assert.equal(page.remaining, left > 0 ? left : undefined, where);
      assert.equal(page.items, left > 0 ? pageSize : stored.length % pageSize || pageSize, where);
    }
  }
  return versions;
}

const forms: readonly (readonly [name: string, args: readonly string[], namespace: string, pageSize: number])[] = [
  ['the most recent state, protobuf', ['-accept', 'protobuf'], '', 25],
  ['the most recent state, JSON', ['-accept', 'json'], '', 31],
  ['one namespace', ['-accept', 'protobuf', '-namespace', 'team-2'], 'team-2/', 7],
];
for (const [name, args, namespace, pageSize] of forms) {
  test(`${name}: ${SETS} paged lists while the set changes`, async () => {
    const writes = programs.writeRandom(2_000, 7, 800);
    const lines = await programs.lines<Line>('pager', [
      ...['-server', ours.secureUrl, '-insecure', '-sets', String(SETS), '-page-size', String(pageSize)],
      ...args,
    ]);
    await writes;
    const versions = await verify(lines, namespace, pageSize);
    // On a busy machine the last lists come after the last change.
    assert.ok(new Set(versions).size > SETS / 2, `the set changed between lists: ${versions}`);
  });
}

for (const match of ['Exact', ''] as const) {
  test(`a revision of the past, ${match === '' ? 'by the legacy rule of limit and resourceVersion' : 'exactly'}`, async () => {
    const past = (await programs.revision()) - 800;
    const writes = programs.writeRandom(1_000, 8, 800);
    const lines = await programs.lines<Line>('pager', [
      ...['-server', ours.url, '-sets', String(SETS), '-resource-version', String(past)],
      ...['-resource-version-match', match],
    ]);
    await writes;
    assert.deepEqual(new Set(await verify(lines, '', 25)), new Set([String(past)]));
  });
}

test('pages go on after etcd has compacted the revision of the first one', async () => {
  const first = String(await programs.revision());
  const want = await programs.podsAt(Number(first));
  const page = async (query: string) => {
    const answer = await fetch(`${ours.url}/api/v1/pods?limit=100&${query}`);
    assert.equal(answer.status, 200, await answer.clone().text());
    return (await answer.json()) as {
      metadata: { continue?: string; resourceVersion: string };
      items: { metadata: { namespace: string; name: string; resourceVersion: string } }[];
    };
  };
  let { metadata, items } = await page(`resourceVersion=${first}&resourceVersionMatch=Exact`);
  await programs.writeRandom(500, 9);
  await programs.compact(await programs.revision());
  while (metadata.continue !== undefined) {
    const next = await page(`continue=${metadata.continue}`);
    assert.equal(next.metadata.resourceVersion, first);
    items = [...items, ...next.items];
    metadata = next.metadata;
  }
  assert.deepEqual(
    items.map(({ metadata: { namespace, name, resourceVersion } }) => `${namespace}/${name} ${resourceVersion}`),
    want.map(({ key, modRevision }) => `${key} ${modRevision}`),
  );
});
