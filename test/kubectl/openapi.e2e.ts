import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type RunningServer, startServer } from '../support/server.js';
import { kubectlFor, linesOf } from './support.js';

// What kubectl makes of /openapi: explain, in both versions of the documents, and the validation before something is written.

const DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.harbour.example}
spec:
  group: harbour.example
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, listKind: BoatList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: Something that floats.
        required: [spec]
        properties:
          spec:
            type: object
            description: What the boat is like.
            required: [colour]
            properties:
              colour: {type: string, description: Of the hull., enum: [red, white]}
              sails: {type: integer}
              mast: {x-kubernetes-int-or-string: true}
              cargo: {type: object, x-kubernetes-preserve-unknown-fields: true}
              crew:
                type: array
                items: {type: object, properties: {name: {type: string}, age: {type: integer, nullable: true}}}
`;

let server: RunningServer;
let folder: string;
const kubectl = kubectlFor(() => server.url);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listwatch-kubectl-'));
  const definition = await file('definition.yaml', DEFINITION);
  server = await startServer(['--load', definition]);
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

/** What kubectl says without its blanks, so that its two layouts read alike. */
async function explain(...args: string[]): Promise<string[]> {
  return linesOf(await kubectl.succeed('explain', ...args)).map((line) => line.trim().replaceAll(/\s+/g, ' '));
}

test('explain: fields of a built-in kind, with their types', async () => {
  const lines = await explain('pod.spec.containers');
  assert.ok(lines.includes('KIND: Pod'), lines.join('\n'));
  for (const line of [
    'FIELD: containers <[]Container>',
    'image <string>',
    'name <string> -required-',
    'ports <[]ContainerPort>',
    'resources <ResourceRequirements>',
    'enum: Always, IfNotPresent, Never',
  ]) {
    assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
  }
  const old = await explain('pod.spec.containers', '--output=plaintext-openapiv2');
  for (const line of ['RESOURCE: containers <[]Object>', 'image <string>', 'name <string> -required-']) {
    assert.ok(old.includes(line), `${line}\n${old.join('\n')}`);
  }
});

for (const output of ['plaintext', 'plaintext-openapiv2']) {
  test(`explain --recursive --output ${output}: reaches the depths`, async () => {
    const lines = await explain('deployment', '--recursive', `--output=${output}`);
    for (const line of ['topologySpreadConstraints', 'maxSurge', 'creationTimestamp', 'runAsNonRoot']) {
      assert.ok(
        lines.some((text) => text.startsWith(`${line} <`)),
        line,
      );
    }
    assert.ok(lines.length > 500, `${lines.length} lines`);
  });

  test(`explain --output ${output}: a custom resource`, async () => {
    const lines = await explain('boat.spec', `--output=${output}`);
    for (const line of ['colour <string> -required-', 'Of the hull.', 'sails <integer>', 'crew <[]Object>']) {
      assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
    }
    const whole = await explain('boat', '--recursive', `--output=${output}`);
    for (const line of ['KIND: Boat', 'name <string>', 'managedFields <[]ManagedFieldsEntry>']) {
      const wanted = output === 'plaintext' ? line : line.replace('ManagedFieldsEntry', 'Object');
      assert.ok(whole.includes(wanted), `${wanted}\n${whole.join('\n')}`);
    }
  });
}

test('explain: every kind that discovery names, and fields that are none', async () => {
  for (const resource of linesOf(await kubectl.succeed('api-resources', '-o', 'name'))) {
    // kubectl takes a part of this name for a field, whichever server it asks.
    const args = resource === 'events.events.k8s.io' ? ['events', '--api-version=events.k8s.io/v1'] : [resource];
    assert.ok(
      (await explain(...args)).some((line) => line.startsWith('KIND:')),
      resource,
    );
  }
  assert.match(await kubectl.fail('explain', 'pod.spec.nothing'), /field "nothing" does not exist/);
});

const CONTAINER =
  '{name: a, image: b, livenessProbe: {httpGet: {port: 80}}, resources: {limits: {cpu: 1, memory: 5Mi}}}';
const pod = (spec: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: ${spec}\n`;
const boat = (spec: string) => `apiVersion: harbour.example/v1\nkind: Boat\nmetadata: {name: x}\nspec: ${spec}\n`;
const rows: readonly (readonly [title: string, manifest: string, says: RegExp | undefined])[] = [
  ['a pod', pod(`{containers: [${CONTAINER}]}`), undefined],
  [
    'a member that is not there',
    pod('{containers: [{name: a, imagge: b}]}'),
    /unknown field "imagge" in io\.k8s\.api\.core\.v1\.Container/,
  ],
  [
    'a wrong type',
    pod('{containers: [{name: a, ports: [{containerPort: x}]}]}'),
    /containerPort: got "string", expected "integer"/,
  ],
  [
    'a required member is missing',
    pod('{hostname: a}'),
    /missing required field "containers" in io\.k8s\.api\.core\.v1\.PodSpec/,
  ],
  ['a boat', boat('{colour: red, mast: 3, cargo: {fish: 1}, crew: [{name: a, age: null}]}'), undefined],
  ['a boat with a mast of another kind', boat('{colour: red, mast: tall}'), undefined],
  [
    'a boat with a member that is not there',
    boat('{colour: red, sales: 3}'),
    /unknown field "sales" in example\.harbour\.v1\.Boat\.spec/,
  ],
  ['a boat without its colour', boat('{sails: 3}'), /missing required field "colour"/],
];
for (const [title, manifest, says] of rows) {
  test(`create --dry-run=client --validate=strict: ${title}`, async () => {
    const path = await file('manifest.yaml', manifest);
    const args = ['create', '--dry-run=client', '--validate=strict', '-f', path];
    if (says === undefined) assert.match(await kubectl.succeed(...args), /created \(dry run\)/);
    else assert.match(await kubectl.fail(...args), says);
  });
}
