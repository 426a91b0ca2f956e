import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { repositoryRoot } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';
import { columnsOfKinds } from './columns.js';
import { kubectlFor, linesOf, readColumns } from './support.js';

// `kubectl get` of every built-in kind, in every output format: objects from manifests/, and the sample cluster's.

const MANIFESTS = join(repositoryRoot, 'test/kubectl/manifests');
let harbour: RunningServer;
let sample: RunningServer;
let manifests: Manifest[];
const kubectl = kubectlFor(() => harbour.url);
const sampled = kubectlFor(() => sample.url);

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

before(async () => {
  harbour = await startServer(['--load', MANIFESTS]);
  sample = await startServer(['--sample', 'nodes=10,pods=100,churn=0', '--sample-seed', '5']);
  const files = (await readdir(MANIFESTS)).map((file) => readFile(join(MANIFESTS, file), 'utf8'));
  manifests = (await Promise.all(files)).flatMap((text) =>
    parseAllDocuments(text).map((document) => document.toJS() as Manifest),
  );
});
after(async () => {
  await harbour?.stop();
  await sample?.stop();
});

const wide = (columns: string) => columns.split(' | ').map((column) => column.replace('*', ''));
const narrow = (columns: string) => columns.split(' | ').filter((column) => !column.endsWith('*'));
const AGEING = /^(AGE|LAST SEEN|FIRST SEEN|LAST SCHEDULE|RESTARTS)$/;
const withoutAges = (header: readonly string[], row: readonly string[]) =>
  row.map((cell, index) => (AGEING.test(header[index]!) ? cell.replace(/\b(\d+[ydhms]){1,2}(?=$| ago)/, 'AGE') : cell));

test('there is a manifest, and a row of expectations, for every kind that discovery names', async () => {
  const names = linesOf(await kubectl.succeed('api-resources', '--verbs=list', '-o', 'name'));
  // Events have two groups, and one name (verbs.e2e.ts asks for the other).
  const resources = [...new Set(names.map((name) => name.split('.')[0]))].sort();
  assert.deepEqual(columnsOfKinds.map(({ resource }) => resource).sort(), resources);
  assert.ok(resources.length >= 58, `${resources.length} kinds`);
});

for (const { resource, columns, rows } of columnsOfKinds) {
  test(`get ${resource}: columns and cells, also wide`, async () => {
    for (const [args, header, expected] of [
      [['-o', 'wide'], wide(columns), rows.map((row) => row.split(' | '))],
      [
        [],
        narrow(columns),
        rows.map((row) => row.split(' | ').filter((_, index) => !columns.split(' | ')[index]!.endsWith('*'))),
      ],
    ] as const) {
      const table = readColumns(await kubectl.succeed('get', resource, '-A', ...args));
      const namespaced = table.header[0] === 'NAMESPACE';
      const own = table.rows.map((row) => (namespaced ? row.slice(1) : row));
      assert.deepEqual(namespaced ? table.header.slice(1) : table.header, header);
      assert.deepEqual(
        own.map((row) => withoutAges(header, row).map((cell) => cell.trim())),
        expected.map((row) => row.map((cell) => cell.trim())),
      );
      if (namespaced) assert.deepEqual(new Set(table.rows.map(([namespace]) => namespace)), new Set(['harbour']));
    }
  });
}

test('every kind of the sample cluster has the same columns', async () => {
  let kinds = 0;
  for (const { resource, columns } of columnsOfKinds) {
    const table = readColumns(await sampled.succeed('get', resource, '-A', '-o', 'wide'));
    if (table.rows.length === 0) continue;
    kinds++;
    const header = table.header[0] === 'NAMESPACE' ? table.header.slice(1) : table.header;
    assert.deepEqual(header, wide(columns), resource);
  }
  assert.ok(kinds >= 15, `${kinds} kinds have objects`);
});

interface Item extends Manifest {
  readonly metadata: Manifest['metadata'] & {
    readonly uid: string;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
  };
}
const ALL = columnsOfKinds.map(({ resource }) => resource).join(',');
const reference = ({ apiVersion, kind, metadata }: Manifest) => {
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return `${kind.toLowerCase()}${group}/${metadata.name}`;
};
const sorted = (values: Iterable<string>) => [...values].sort();

/** Go leaves out what is empty, and so may a manifest: an absent member equals an empty one. */
function contains(actual: unknown, expected: unknown, path: string): void {
  const isEmpty = (value: unknown) => !value || (typeof value === 'object' && Object.keys(value).length === 0); // also false, 0 and ''
  if (isEmpty(expected)) return assert.ok(isEmpty(actual), `${path}: ${JSON.stringify(actual)}`);
  if (typeof expected !== 'object') return assert.deepEqual(actual, expected, path);
  if (Array.isArray(expected)) assert.equal((actual as unknown[] | undefined)?.length, expected.length, path);
  for (const [key, value] of Object.entries(expected as object)) {
    contains((actual as Record<string, unknown> | undefined)?.[key], value, `${path}.${key}`);
  }
}

test('-o json: all that the manifests say, and what the server adds', async () => {
  const list = JSON.parse(await kubectl.succeed('get', ALL, '-A', '-o', 'json')) as { kind: string; items: Item[] };
  assert.equal(list.kind, 'List');
  assert.deepEqual(sorted(list.items.map(reference)), sorted(manifests.map(reference)));
  for (const manifest of manifests) {
    const item = list.items.find((candidate) => reference(candidate) === reference(manifest))!;
    contains(item, manifest, reference(manifest));
    assert.ok(Number(item.metadata.resourceVersion) > 0, reference(manifest));
    assert.match(item.metadata.uid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, reference(manifest));
  }
});

test('-o yaml says what -o json says, for lists and single objects', async () => {
  const json = JSON.parse(await kubectl.succeed('get', ALL, '-A', '-o', 'json')) as object;
  assert.deepEqual(parse(await kubectl.succeed('get', ALL, '-A', '-o', 'yaml')), json);
  for (const name of ['node/pier-1', 'clusterrole/harbourmaster', 'storageclass/dry']) {
    const single = JSON.parse(await kubectl.succeed('get', name, '-o', 'json')) as { kind: string };
    assert.notEqual(single.kind, 'List');
    assert.deepEqual(parse(await kubectl.succeed('get', name, '-o', 'yaml')), single);
  }
});

const formats: readonly (readonly [output: string, line: (manifest: Manifest) => string])[] = [
  ['name', reference],
  [
    'jsonpath={range .items[*]}{.kind} {.apiVersion} {.metadata.name}{"\\n"}{end}',
    ({ kind, apiVersion, metadata }) => `${kind} ${apiVersion} ${metadata.name}`,
  ],
  [
    'go-template={{range .items}}{{.kind}}/{{.metadata.name}}{{with .metadata.namespace}} in {{.}}{{end}}{{"\\n"}}{{end}}',
    ({ kind, metadata }) =>
      `${kind}/${metadata.name}${metadata.namespace === undefined ? '' : ` in ${metadata.namespace}`}`,
  ],
];
for (const [output, line] of formats) {
  test(`-o ${output.split('=')[0]} of every kind`, async () => {
    const text = await kubectl.succeed('get', ALL, '-A', '-o', output);
    assert.deepEqual(sorted(linesOf(text)), sorted(manifests.map(line)));
  });
}

test('-o custom-columns of every kind, also with --no-headers, --sort-by and from a file', async () => {
  const columns = 'custom-columns=KIND:.kind,NAME:.metadata.name,NS:.metadata.namespace';
  const { header, rows } = readColumns(await kubectl.succeed('get', ALL, '-A', '-o', columns));
  assert.deepEqual(header, ['KIND', 'NAME', 'NS']);
  const want = manifests.map(({ kind, metadata }) => [kind, metadata.name, metadata.namespace ?? '<none>'].join(' '));
  assert.deepEqual(sorted(rows.map((row) => row.join(' '))), sorted(want));
  const bare = linesOf(
    await kubectl.succeed(
      'get',
      'svc',
      '-n',
      'harbour',
      '--no-headers',
      '--sort-by=.spec.type',
      '-o',
      'custom-columns=N:.metadata.name',
    ),
  );
  assert.deepEqual(bare, ['ferry', 'weather', 'terminal']);
});

test('all formats of the sample cluster agree on what there is', async () => {
  const names = linesOf(await sampled.succeed('get', ALL, '-A', '-o', 'name'));
  const { items } = JSON.parse(await sampled.succeed('get', ALL, '-A', '-o', 'json')) as { items: Item[] };
  assert.ok(names.length > 200, `${names.length} objects`);
  assert.deepEqual(sorted(items.map(reference)), sorted(names));
  const yaml = parse(await sampled.succeed('get', ALL, '-A', '-o', 'yaml'), { maxAliasCount: -1 }) as { items: Item[] };
  assert.equal(yaml.items.length, items.length);
  const versions = linesOf(
    await sampled.succeed('get', ALL, '-A', '-o', 'jsonpath={range .items[*]}{.metadata.uid} {.kind}{"\\n"}{end}'),
  );
  assert.deepEqual(sorted(versions), sorted(items.map(({ metadata, kind }) => `${metadata.uid} ${kind}`)));
});

test('labels as columns, and kinds mixed in one table', async () => {
  const { header, rows } = readColumns(
    await kubectl.succeed('get', 'pods', '-n', 'harbour', '-L', 'app,route', '--show-labels'),
  );
  assert.deepEqual(header, ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'APP', 'ROUTE', 'LABELS']);
  assert.deepEqual(
    rows.map((row) => row.slice(5)),
    [
      ['ferry', 'north', 'app=ferry,route=north'],
      ['tug', '', 'app=tug'],
    ],
  );
  const mixed = await kubectl.succeed('get', 'pods,services,nodes', '-A');
  assert.match(mixed, /^harbour +pod\/ferry-0 /m);
  assert.match(mixed, /^harbour +service\/terminal /m);
  assert.match(mixed, /^ +node\/pier-1 /m);
});
