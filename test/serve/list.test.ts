import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Listed, configMaps, createWorld, failureOf, list, nodes, pods, okOf, type World } from './world.js';

// LIST means the same from a cache and straight from the store: each test runs both ways.
const ways = ['cached', 'direct'] as const;

async function withPods(world: World): Promise<void> {
  // `a-b` sorts before `a` as a directory: keys order by bytes.
  for (const namespace of ['b', 'a', 'a-b']) {
    for (const name of ['y', 'x', 'z']) {
      const labels = { app: name === 'z' ? 'db' : 'web', ns: namespace };
      await world.put(pods, { metadata: { namespace, name, labels }, spec: { nodeName: `node-${name}` } });
    }
  }
}

const namesOf = ({ names }: Listed) => names.map((name) => name.slice(0, name.indexOf('@')));

for (const way of ways) {
  describe(`LIST, ${way}`, () => {
    test('items are in order of their keys', async () => {
      await using world = createWorld();
      await withPods(world);
      const reader = world[way].reader(pods);
      const all = okOf(await list(reader));
      assert.deepEqual(namesOf(all), ['a-b/x', 'a-b/y', 'a-b/z', 'a/x', 'a/y', 'a/z', 'b/x', 'b/y', 'b/z']);
      assert.equal(all.resourceVersion, '10');
      assert.equal(all.continue, undefined);
      assert.deepEqual(namesOf(okOf(await list(reader, '', 'a'))), ['a/x', 'a/y', 'a/z']);
    });

    test('a namespace that does not exist is empty', async () => {
      await using world = createWorld();
      await withPods(world);
      const none = okOf(await list(world[way].reader(pods), '', 'none'));
      assert.deepEqual(none.names, []);
      assert.equal(none.resourceVersion, '10');
    });

    const selections: [query: string, want: string][] = [
      ['labelSelector=app%3Ddb', 'a-b/z a/z b/z'],
      ['labelSelector=app%21%3Ddb,ns+in+(a,b)', 'a/x a/y b/x b/y'],
      ['labelSelector=!app', ''],
      ['fieldSelector=metadata.name%3Dx', 'a-b/x a/x b/x'],
      ['fieldSelector=metadata.namespace%3Da', 'a/x a/y a/z'],
      ['fieldSelector=metadata.namespace%3Da,metadata.name%3Dx', 'a/x'],
      ['fieldSelector=metadata.namespace%21%3Da', 'a-b/x a-b/y a-b/z b/x b/y b/z'],
      ['fieldSelector=spec.nodeName%3Dnode-y&labelSelector=ns%3Db', 'b/y'],
      ['fieldSelector=metadata.name%3D', ''],
      ['fieldSelector=status.phase%3D', 'a-b/x a-b/y a-b/z a/x a/y a/z b/x b/y b/z'],
      ['fieldSelector=spec.hostNetwork%3Dfalse,metadata.name%3Dz', 'a-b/z a/z b/z'],
    ];
    for (const [query, want] of selections) {
      test(`?${query}`, async () => {
        await using world = createWorld();
        await withPods(world);
        const reader = world[way].reader(pods);
        const listed = okOf(await list(reader, query));
        assert.equal(namesOf(listed).join(' '), want);
        // Pages of one: the same objects, and no count of what remains, because that would not be of matches.
        const walked = await walk(world, way, query, 1);
        assert.equal(walked.flatMap(namesOf).join(' '), want);
        for (const page of walked) assert.equal(page.remainingItemCount, undefined);
      });
    }

    test('a namespaced LIST with another namespace in the selector is empty', async () => {
      await using world = createWorld();
      await withPods(world);
      const listed = okOf(await list(world[way].reader(pods), 'fieldSelector=metadata.namespace%3Db', 'a'));
      assert.deepEqual(listed.names, []);
    });

    test('pages: counts, tokens and one resourceVersion', async () => {
      await using world = createWorld();
      await withPods(world);
      const pages = await walk(world, way, '', 4);
      assert.deepEqual(
        pages.map((page) => [namesOf(page).length, page.remainingItemCount, page.continue !== undefined]),
        [
          [4, 5, true],
          [4, 1, true],
          [1, undefined, false],
        ],
      );
      assert.deepEqual(new Set(pages.map(({ resourceVersion }) => resourceVersion)), new Set(['10']));
      const exactlyFull = await walk(world, way, '', 9);
      assert.equal(exactlyFull.length, 1);
    });

    test('tokens are those of kube-apiserver', async () => {
      await using world = createWorld();
      await withPods(world);
      const slash = way === 'cached' ? '/' : '';
      const inNamespace = await list(world[way].reader(pods), 'limit=1', 'a');
      // A selector that names the namespace narrows what is read, but not what the token is relative to.
      const selected = await list(world[way].reader(pods), 'limit=1&fieldSelector=metadata.namespace%3Da');
      for (const [page, start] of [
        [okOf(inNamespace), 'x'],
        [okOf(selected), 'a/x'],
      ] as const) {
        assert.equal(
          Buffer.from(page.continue!, 'base64url').toString(),
          String.raw`{"v":"meta.k8s.io/v1","rv":10,"start":"${slash}${start}\u0000"}`,
        );
      }
    });

    test('a walk sees one state, whatever is written meanwhile', async () => {
      await using world = createWorld();
      for (let index = 0; index < 200; index++) {
        await world.put(configMaps, { metadata: { namespace: 'd', name: `c${String(index).padStart(3, '0')}` } });
      }
      const reader = world[way].reader(configMaps);
      const whole = okOf(await list(reader));
      const walked: string[] = [];
      let page = okOf(await list(reader, 'limit=7'));
      for (let step = 0; ; step++) {
        walked.push(...page.names);
        assert.equal(page.resourceVersion, whole.resourceVersion);
        if (page.continue === undefined) break;
        await world.put(configMaps, { metadata: { namespace: 'd', name: `c${String(step * 9).padStart(3, '0')}` } });
        await world.put(configMaps, { metadata: { namespace: 'd', name: `new${step}` } });
        await world.remove(configMaps, 'd', `c${String(199 - step * 3).padStart(3, '0')}`);
        page = okOf(await list(reader, `limit=7&continue=${page.continue}`));
      }
      assert.deepEqual(walked, whole.names);
    });

    test('exact reads see each revision as it was', async () => {
      await using world = createWorld();
      const reader = world[way].reader(configMaps);
      await list(reader, 'resourceVersion=0'); // a cache that was there from the beginning
      const want = new Map<number, readonly string[]>();
      const model = new Map<string, number>();
      for (let step = 0; step < 60; step++) {
        const name = `c${(step * 7) % 10}`;
        const gone = step % 4 === 3;
        const revision = await (gone
          ? world.remove(configMaps, 'd', name)
          : world.put(configMaps, { metadata: { namespace: 'd', name } }));
        if (gone) model.delete(name);
        else model.set(name, revision);
        want.set(
          revision,
          [...model].sort().map(([key, at]) => `d/${key}@${at}`),
        );
      }
      for (const [revision, names] of want) {
        const match = `resourceVersion=${revision}&resourceVersionMatch=Exact`;
        const exact = okOf(await list(reader, match));
        assert.deepEqual(exact.names, names);
        assert.equal(exact.resourceVersion, String(revision));
        const legacy = okOf(await list(reader, `resourceVersion=${revision}&limit=100`));
        assert.deepEqual(legacy, exact);
      }
    });

    test('not older than: at least as new, never a past state', async () => {
      await using world = createWorld();
      await withPods(world);
      const reader = world[way].reader(pods);
      for (const query of [
        'resourceVersion=3',
        'resourceVersion=10',
        'resourceVersion=5&resourceVersionMatch=NotOlderThan',
      ]) {
        const listed = okOf(await list(reader, query));
        assert.equal(listed.names.length, 9);
        assert.equal(listed.resourceVersion, '10');
      }
    });

    test('a version that does not exist yet: 504, with the current one', async () => {
      await using world = createWorld({ limits: { freshWaitMs: 60 } });
      await withPods(world);
      const reader = world[way].reader(pods);
      for (const query of [
        'resourceVersion=99',
        'resourceVersion=99&limit=1',
        'resourceVersion=99&resourceVersionMatch=Exact',
      ]) {
        assert.deepEqual(failureOf(await list(reader, query)), {
          kind: 'versionTooLarge',
          requested: 99n,
          current: 10,
          ...(way === 'cached' ? { retryAfterSeconds: 1 } : {}),
        });
      }
    });

    test('fields that a kind does not have', async () => {
      await using world = createWorld();
      const message = async (kind: typeof pods, field: string) =>
        failureOf(await list(world[way].reader(kind), `fieldSelector=${field}%3Dx`));
      assert.deepEqual(await message(pods, 'spec.color'), {
        kind: 'badRequest',
        message: 'field label not supported: spec.color',
      });
      assert.deepEqual(await message(configMaps, 'data'), {
        kind: 'badRequest',
        message: '"data" is not a known field selector: only "metadata.name", "metadata.namespace"',
      });
      assert.deepEqual(await message(nodes, 'metadata.namespace'), {
        kind: 'badRequest',
        message: 'field label not supported: metadata.namespace',
      });
    });
  });
}

async function walk(world: World, way: 'cached' | 'direct', query: string, limit: number): Promise<Listed[]> {
  const reader = world[way].reader(pods);
  const pages = [okOf(await list(reader, `${query}&limit=${limit}`))];
  for (let token = pages[0]!.continue; token !== undefined && pages.length < 100; token = pages.at(-1)!.continue) {
    pages.push(okOf(await list(reader, `${query}&limit=${limit}&continue=${token}`)));
  }
  return pages;
}

test('a version that is reached while the read waits is answered', async () => {
  await using world = createWorld();
  await withPods(world);
  const reader = world.cached.reader(pods);
  const waiting = list(reader, 'resourceVersion=11');
  await world.put(pods, { metadata: { namespace: 'c', name: 'late' } });
  assert.equal(okOf(await waiting).names.length, 10);
});

test('resourceVersion=0 ignores the limit in a cache, and keeps it in the store', async () => {
  await using world = createWorld();
  await withPods(world);
  await list(world.cached.reader(pods)); // up to date
  const cached = okOf(await list(world.cached.reader(pods), 'resourceVersion=0&limit=2'));
  assert.equal(cached.names.length, 9);
  assert.equal(cached.continue, undefined);
  const direct = okOf(await list(world.direct.reader(pods), 'resourceVersion=0&limit=2'));
  assert.equal(direct.names.length, 2);
  assert.equal(direct.remainingItemCount, 7);
});

for (const [title, way, query] of [
  ['the store', 'direct', ''],
  ['a cache that started later', 'cached', ''],
] as const) {
  test(`compacted: ${title} answers 410, with a token to go on`, async () => {
    await using world = createWorld();
    await withPods(world);
    const page = okOf(await list(world.direct.reader(pods), `limit=2${query}`));
    const removed = await world.remove(pods, 'a', 'x');
    await world.store.compact(removed);
    const reader = world[way].reader(pods);
    await list(reader);
    assert.deepEqual(failureOf(await list(reader, 'resourceVersion=5&resourceVersionMatch=Exact')), {
      kind: 'expired',
      message: 'The resourceVersion for the provided list is too old.',
    });
    const failure = failureOf(await list(reader, `limit=2&continue=${page.continue}`));
    assert.equal(failure.kind, 'expired');
    assert.match(
      failure.message,
      /^The provided continue parameter is too old to display a consistent list result\. You can start a new list without the continue parameter, or use/,
    );
    const rest = okOf(await list(reader, `continue=${failure.continue}`));
    assert.deepEqual(namesOf(rest), ['a-b/z', 'a/y', 'a/z', 'b/x', 'b/y', 'b/z']);
    assert.equal(rest.resourceVersion, String(removed));
    // After the renewed token, tokens name a version again.
    const next = okOf(await list(reader, `limit=1&continue=${failure.continue}`));
    assert.match(Buffer.from(next.continue!, 'base64url').toString(), /"rv":11,/);
  });
}

test('a long LIST takes turns with everything else, and sees one state all the same', async () => {
  await using world = createWorld({ limits: { listSliceMs: 0 } });
  for (let index = 0; index < 3_000; index++) {
    await world.put(configMaps, {
      metadata: { namespace: 'd', name: `c${index}`, labels: { even: String(index % 2 === 0) } },
    });
  }
  const reader = world.cached.reader(configMaps);
  const before = okOf(await list(reader, 'resourceVersion=3001'));
  assert.equal(before.names.length, 3_000);
  let turns = 0;
  let writing = true;
  const writes = (async () => {
    for (; writing; turns++) {
      await world.remove(configMaps, 'd', `c${turns}`);
      await world.put(configMaps, { metadata: { namespace: 'd', name: `d${turns}` } });
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const filtered = okOf(
    await list(reader, 'labelSelector=even%3Dtrue&resourceVersion=3001&resourceVersionMatch=Exact'),
  );
  writing = false;
  await writes;
  assert.ok(turns > 5, `${turns} turns of others within one LIST`);
  assert.deepEqual(
    filtered.names,
    before.names.filter((name) => Number(/c(\d+)@/.exec(name)![1]) % 2 === 0),
  );
  assert.equal(filtered.resourceVersion, '3001');
});
