import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { completeObject } from '../../src/app/load/complete.js';
import { readObjects } from '../../src/app/load/documents.js';
import { findManifests } from '../../src/app/load/files.js';
import { UsageError } from '../../src/app/usage-error.js';
import { seededRandom } from '../../src/lib/random.js';

const folder = mkdtempSync(join(tmpdir(), 'listwatch-load-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function written(text: string, ending = 'yaml'): string {
  const path = join(folder, `${files++}.${ending}`);
  writeFileSync(path, text);
  return path;
}

interface Read {
  readonly at: string;
  readonly value?: unknown;
  readonly error?: string;
}

async function read(path: string): Promise<Read[]> {
  const found: Read[] = [];
  for await (const { document, item, line, content } of readObjects(path, () => {})) {
    const at = `${document}:${line}${item === undefined ? '' : `[${item}]`}`;
    found.push(content.ok ? { at, value: content.value } : { at, error: content.message });
  }
  return found;
}

const documents: readonly [name: string, text: string, want: readonly Read[], ending?: string][] = [
  ['one document', 'a: 1\n', [{ at: '1:1', value: { a: 1 } }]],
  [
    'documents, with a leading mark and empty ones',
    '---\na: 1\n---\n# nothing\n---\n\n---\na: 2\n',
    [
      { at: '1:2', value: { a: 1 } },
      { at: '2:8', value: { a: 2 } },
    ],
  ],
  ['a document on the line of its mark', '--- {a: 1}\n', [{ at: '1:1', value: { a: 1 } }]],
  [
    'end marks and directives',
    '%YAML 1.1\n---\na: 1\n...\n---\na: 2\n',
    [
      { at: '1:3', value: { a: 1 } },
      { at: '2:6', value: { a: 2 } },
    ],
  ],
  ['marks inside a block scalar', 'a: |\n  x\n  ---\n  y\n', [{ at: '1:1', value: { a: 'x\n---\ny\n' } }]],
  [
    'windows line ends and a byte order mark',
    '\ufeffa: 1\r\n---\r\na: 2\r\n',
    [
      { at: '1:1', value: { a: 1 } },
      { at: '2:3', value: { a: 2 } },
    ],
  ],
  [
    'a List, item by item',
    'apiVersion: v1\nitems:\n- a: 1\n  b:\n  - x\n- a: 2\nkind: List\n',
    [
      { at: '1:3[0]', value: { a: 1, b: ['x'] } },
      { at: '1:6[1]', value: { a: 2 } },
    ],
  ],
  [
    'an indented List, then another document',
    'items:\n  - kind: A\n    l:\n      - 1\n  - kind: B\n---\nc: 1\n',
    [
      { at: '1:2[0]', value: { kind: 'A', l: [1] } },
      { at: '1:5[1]', value: { kind: 'B' } },
      { at: '2:7', value: { c: 1 } },
    ],
  ],
  [
    'a typed List gives its kind to its items',
    'items:\n- a: 1\napiVersion: v1\nkind: PodList\n',
    [{ at: '1:2[0]', value: { apiVersion: 'v1', kind: 'Pod', a: 1 } }],
  ],
  [
    'a broken item spoils only itself',
    'items:\n- kind: A\n- kind: [\n- kind: B\n',
    [
      { at: '1:2[0]', value: { kind: 'A' } },
      { at: '1:3[1]', error: 'line' },
      { at: '1:4[2]', value: { kind: 'B' } },
    ],
  ],
  ['an empty List', 'items: []\nkind: List\n', []],
  [
    'a broken document between good ones',
    'a: 1\n---\na: "\n---\na: 3\n',
    [
      { at: '1:1', value: { a: 1 } },
      { at: '2:3', error: 'line' },
      { at: '3:5', value: { a: 3 } },
    ],
  ],
  [
    'YAML 1.1, as kubectl reads it',
    'a: yes\nb: 0644\nc: 2026-01-01T00:00:00Z\nd: 1:30\ne: 2026-01-01\n',
    [{ at: '1:1', value: { a: true, b: 420, c: '2026-01-01T00:00:00Z', d: '1:30', e: '2026-01-01' } }],
  ],
  [
    'anchors and merge keys',
    'a: &x {p: 1}\nb:\n  <<: *x\n  q: 2\n',
    [{ at: '1:1', value: { a: { p: 1 }, b: { p: 1, q: 2 } } }],
  ],
  [
    'a JSON List',
    '{"kind":"List","items":[{"kind":"A"},{"kind":"B"}]}',
    [
      { at: '1:1[0]', value: { kind: 'A' } },
      { at: '1:1[1]', value: { kind: 'B' } },
    ],
    'json',
  ],
  [
    'JSON in a YAML file',
    '{"a":1}\n---\n{"a":2}\n',
    [
      { at: '1:1', value: { a: 1 } },
      { at: '2:3', value: { a: 2 } },
    ],
  ],
  ['broken JSON', '{"a":1', [{ at: '1:1', error: 'line' }], 'json'],
  [
    'an array of objects',
    '[{"a":1},{"a":2}]',
    [
      { at: '1:1[0]', value: { a: 1 } },
      { at: '1:1[1]', value: { a: 2 } },
    ],
    'json',
  ],
];

for (const [name, text, want, ending] of documents) {
  test(`reads ${name}`, async () => {
    const found = await read(written(text, ending));
    const shortened = found.map((entry) =>
      entry.error === undefined ? entry : { ...entry, error: entry.error.slice(0, 4) },
    );
    assert.deepEqual(shortened, want);
  });
}

test('a bomb of aliases is refused', async () => {
  const levels = Array.from(
    { length: 9 },
    (_, level) => `l${level + 1}: &l${level + 1} [${Array(10).fill(`*l${level}`).join(',')}]`,
  );
  const [found] = await read(written(`l0: &l0 [a,a,a,a,a,a,a,a,a,a]\n${levels.join('\n')}\n`));
  assert.match(found?.error ?? '', /alias/i);
});

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const complete = (value: unknown) => completeObject(value, NOW_MS, seededRandom(1));
const pod = (metadata: unknown) => ({ apiVersion: 'v1', kind: 'Pod', metadata });

test('what a server sets at creation is set, the rest is kept', () => {
  const completed = complete({
    ...pod({ name: 'p', resourceVersion: '7', selfLink: '/x', labels: { a: 'b' } }),
    spec: { x: 1 },
  });
  assert.ok(completed.ok);
  const { uid, ...metadata } = completed.object['metadata'] as Record<string, unknown>;
  assert.match(String(uid), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(metadata, {
    name: 'p',
    namespace: 'default',
    labels: { a: 'b' },
    creationTimestamp: '2026-01-02T03:04:05Z',
  });
  assert.deepEqual(completed.object['spec'], { x: 1 });
});

test('uid, creationTimestamp and namespace of a dump are kept; cluster-scoped objects lose a namespace', () => {
  const metadata = { name: 'p', namespace: 'n', uid: 'u', creationTimestamp: '2020-01-01T00:00:00Z' };
  const kept = complete(pod(metadata));
  assert.ok(kept.ok);
  assert.deepEqual(kept.object['metadata'], metadata);
  const node = complete({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', namespace: 'x', uid: 'u', creationTimestamp: 't' },
  });
  assert.ok(node.ok);
  assert.equal(node.namespace, undefined);
  assert.deepEqual(node.object['metadata'], { name: 'n', uid: 'u', creationTimestamp: 't' });
});

test('generateName becomes a name', () => {
  const completed = complete(pod({ generateName: 'web-' }));
  assert.ok(completed.ok);
  assert.match(completed.name, /^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
});

const rejected: readonly [value: unknown, message: RegExp][] = [
  [null, /expected an object, found nothing/],
  [[1], /expected an object, found a list/],
  ['text', /expected an object, found a string/],
  [{}, /^apiVersion: missing/],
  [{ apiVersion: 'v1' }, /^kind: missing/],
  [{ apiVersion: 'v1', kind: 'Pod' }, /^metadata: missing/],
  [pod('x'), /^metadata: expected an object/],
  [pod({}), /^metadata.name: missing, and there is no generateName/],
  [pod({ name: 7 }), /^metadata.name: expected a string, found a number/],
  [pod({ name: 'a/b' }), /may not contain \/ or %/],
  [pod({ name: '..' }), /may not be . or ../],
  [pod({ name: 'x'.repeat(254) }), /253 characters/],
  [pod({ name: 'p', namespace: 'A_B' }), /^metadata.namespace "A_B": expected/],
  [{ apiVersion: 'v1', kind: 'Gadget', metadata: { name: 'g' } }, /^kind Gadget: no such kind in v1/],
  [
    { apiVersion: 'extensions/v1beta1', kind: 'Ingress', metadata: { name: 'i' } },
    /Ingress is known as networking.k8s.io\/v1/,
  ],
  [
    { apiVersion: 'example.com/v1', kind: 'Gadget', metadata: { name: 'g' } },
    /no CustomResourceDefinition before it defines it/,
  ],
];

for (const [value, message] of rejected) {
  test(`rejects ${JSON.stringify(value)?.slice(0, 80)}`, () => {
    const completed = complete(value);
    assert.ok(!completed.ok);
    assert.match(completed.message, message);
  });
}

test('folders are read deep, in order, and only for manifests', () => {
  const root = join(folder, 'tree');
  mkdirSync(join(root, 'b'), { recursive: true });
  for (const name of ['c.yml', 'a.json', 'b/x.yaml', 'notes.txt', '.hidden.yaml'])
    writeFileSync(join(root, name), '{}');
  assert.deepEqual(
    findManifests([root]).map(({ path }) => path.slice(root.length + 1)),
    ['a.json', 'b/x.yaml', 'c.yml'],
  );
});

test('a path that is missing, and a folder without manifests, are said', () => {
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  assert.throws(
    () => findManifests([join(folder, 'none')]),
    new UsageError(`--load ${join(folder, 'none')}: no such file or folder`),
  );
  assert.throws(() => findManifests([empty]), /no .yaml, .yml or .json file in this folder/);
});
