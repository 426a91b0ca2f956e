import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type RunningServer, startServer } from '../support/server.js';
import { kubectlFor, readColumns } from './support.js';

const MANIFEST = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.harbour.example}
spec:
  group: harbour.example
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, listKind: BoatList, shortNames: [bo], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {colour: {type: string, default: white}, sails: {type: integer}}}
    selectableFields: [{jsonPath: .spec.colour}]
    additionalPrinterColumns:
    - {name: Colour, type: string, jsonPath: .spec.colour}
    - {name: Sails, type: integer, jsonPath: .spec.sails, priority: 1}
---
apiVersion: harbour.example/v1
kind: Boat
metadata: {name: ketch, namespace: pier}
spec: {colour: red, sails: 2, motor: true}
---
apiVersion: harbour.example/v1
kind: Boat
metadata: {name: tug, namespace: pier}
spec: {}
`;

let server: RunningServer;
let folder: string;
const kubectl = kubectlFor(() => server.url);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listwatch-kubectl-'));
  const manifest = join(folder, 'boats.yaml');
  await writeFile(manifest, MANIFEST);
  server = await startServer(['--load', manifest]);
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

const shown = async (...args: string[]) => {
  const { header, rows } = readColumns(await kubectl.succeed(...args));
  return [header, ...rows];
};

test('get: printer columns, wide ones apart, by every name of the kind', async () => {
  const narrow = [
    ['NAME', 'COLOUR'],
    ['ketch', 'red'],
    ['tug', 'white'],
  ];
  for (const name of ['boats', 'boat', 'bo', 'boats.harbour.example', 'boats.v1.harbour.example']) {
    assert.deepEqual(await shown('get', name, '-n', 'pier'), narrow, name);
  }
  assert.deepEqual(await shown('get', 'bo', '-A', '-o', 'wide'), [
    ['NAMESPACE', 'NAME', 'COLOUR', 'SAILS'],
    ['pier', 'ketch', 'red', '2'],
    ['pier', 'tug', 'white', ''],
  ]);
  assert.match(await kubectl.succeed('get', 'all', '-n', 'pier'), /boat\.harbour\.example\/ketch/);
});

test('get: selectable fields', async () => {
  const names = await kubectl.succeed(
    'get',
    'boats',
    '-n',
    'pier',
    '--field-selector',
    'spec.colour=red',
    '-o',
    'name',
  );
  assert.equal(names.trim(), 'boat.harbour.example/ketch');
  assert.match(
    await kubectl.fail('get', 'boats', '-A', '--field-selector', 'spec.sails=2'),
    /field label not supported/,
  );
});

test('get -o yaml, and api-resources', async () => {
  const yaml = await kubectl.succeed('get', 'boat', 'ketch', '-n', 'pier', '-o', 'yaml');
  assert.match(yaml, /spec:\n {2}colour: red\n {2}sails: 2\n$/);
  assert.match(
    await kubectl.succeed('api-resources', '--api-group=harbour.example'),
    /boats +bo +harbour\.example\/v1 +true +Boat/,
  );
});
