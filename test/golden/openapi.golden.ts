import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { readOpenApiFacts } from '../../src/codec/openapi-facts.js';
import { hasMessage } from '../../src/codec/schema.js';
import { established } from '../../src/app/load/definition.js';
import { builtInDefinition } from '../../src/http/openapi/built-in.js';
import { modelName, refTo } from '../../src/http/openapi/schema.js';
import { startServing } from '../http/serving.js';
import { repositoryRoot, requireProgram, run } from '../support/command.js';

// What Kubernetes itself says: definitions that it publishes, and the protobuf form that gnostic gives a document.

// biome-ignore lint/suspicious/noExplicitAny: documents that a test reads as it goes
type Json = Record<string, any>;
const generator = { cwd: join(repositoryRoot, 'proto/gen'), timeoutMs: 600_000 };
let go: string;
before(() => {
  go = requireProgram('go', 'GO', 'install Go 1.26 or newer, e.g. apt-get install -t sid golang-go');
});

/** Not in any document: the envelope of stored objects. */
const NOT_SERVED = new Set(['io.k8s.apimachinery.pkg.runtime.Unknown']);

test('definitions of meta, apiextensions and apiregistration are those that Kubernetes publishes', async () => {
  const { code, stdout, stderr } = await run(go, ['run', './published'], generator);
  assert.equal(code, 0, stderr);
  const facts = readOpenApiFacts();
  const context = { dialect: 3 as const, facts, gvksOf: () => [], refTo: (name: string) => refTo(modelName(name), 3) };
  let compared = 0;
  for (const [name, published] of Object.entries(JSON.parse(stdout) as Json)) {
    const message = name.replace(/^io\.k8s\./, 'k8s.io.').replaceAll('-', '_');
    if (!hasMessage(message) || NOT_SERVED.has(name)) continue;
    // Upstream takes the first out before it serves the definition, and nobody reads the second.
    const { 'x-kubernetes-v2-schema': _v2, 'x-kubernetes-unions': _unions, ...want } = published as Json;
    assert.deepEqual(comparable(builtInDefinition(message, context)), want, name);
    compared++;
  }
  assert.ok(compared > 100, `${compared} definitions`);
});

/** Without descriptions, and with references beside their siblings, as the generated definitions have them. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.fromEntries(
    Object.entries(value)
      .filter(([name, of]) => name !== 'description' || typeof of !== 'string')
      .map(([name, of]) => [name, comparable(of)]),
  ) as Json;
  const { allOf, ...beside } = members;
  return Array.isArray(allOf) ? { ...beside, ...allOf[0] } : members; // not if it is a property of that name
}

test('gnostic reads the same from protobuf as from JSON', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'listwatch-openapi-'));
  const serving = startServing();
  t.after(async () => {
    await serving.close();
    await rm(folder, { recursive: true });
  });
  const member = {
    type: 'object',
    required: ['a'],
    minProperties: 1,
    properties: {
      a: { type: 'string', nullable: true, pattern: '^a$', minLength: 0, maxLength: 9, default: '', enum: ['a', ''] },
      b: { type: 'number', minimum: 0, maximum: 1.5, exclusiveMaximum: true, multipleOf: 0.5, default: 1, title: 'b' },
      c: { type: 'array', maxItems: 3, uniqueItems: false, items: { type: 'boolean', default: false } },
      d: { 'x-kubernetes-int-or-string': true, not: { anyOf: [{ type: 'integer' }] } },
      e: { type: 'object', additionalProperties: true, 'x-kubernetes-map-type': 'atomic' },
      f: { oneOf: [{ required: ['a'] }], allOf: [{ maxLength: 2 }], format: 'date' },
    },
  };
  const crd = established({
    metadata: { name: 'boats.harbour.example' },
    spec: {
      group: 'harbour.example',
      scope: 'Cluster',
      names: { plural: 'boats', singular: 'boat', kind: 'Boat', listKind: 'BoatList' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec: member } } },
        },
      ],
    },
  });
  serving.kinds.define('boats.harbour.example', crd);
  const read = async (url: string, accept: string) => {
    const { rawPayload } = await serving.server.inject({ url, headers: { host: 'localhost', accept } });
    return rawPayload;
  };
  for (const path of [
    'v2',
    'v3/api/v1',
    'v3/apis/apps/v1',
    'v3/apis/apiextensions.k8s.io/v1',
    'v3/apis/harbour.example/v1',
    'v3/apis',
  ]) {
    const version = path.slice(0, 2);
    const [json, protobuf] = [join(folder, 'document.json'), join(folder, 'document.pb')];
    await writeFile(json, await read(`/openapi/${path}`, 'application/json'));
    const type = `application/com.github.proto-openapi.spec.${version}.v1.0+protobuf`;
    await writeFile(protobuf, await read(`/openapi/${path}`, type));
    const { code, stdout, stderr } = await run(
      go,
      ['run', './published', 'gnostic', version, json, protobuf],
      generator,
    );
    assert.equal(code, 0, `${path}: ${stderr}`);
    assert.match(stdout, /^\d{3,} lines are the same$/m);
  }
});
