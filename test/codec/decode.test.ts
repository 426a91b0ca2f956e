import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { decode } from '../../src/cli/decode.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { toYaml } from '../../src/codec/yaml.js';
import { difference, readPairs } from './golden.js';

const pairs = readPairs('pairs.ndjson');
const lease = pairs.find((pair) => pair.apiVersion === 'coordination.k8s.io/v1' && pair.kind === 'Lease')!;
const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64');

test('a raw value is printed as the server would print it', () => {
  assert.equal(decode(lease.stored, 'json'), `${lease.json}\n`);
  // etcdctl prints a newline behind a value.
  assert.equal(decode(Buffer.concat([lease.stored, Buffer.from('\n')]), 'json'), `${lease.json}\n`);
  assert.deepEqual(parse(decode(lease.stored, 'yaml'), { version: '1.1' }), JSON.parse(lease.json));
  assert.match(decode(lease.stored, 'proto-text'), /^metadata \{\n {2}name: "z-9a22"\n/);
});

test('a dump is a List, each object with its mod_revision', () => {
  const foo = '{"apiVersion":"ex.io/v1","kind":"Foo","metadata":{"name":"a"},"spec":{"z":1.0}}\n';
  const dump = Buffer.from(
    JSON.stringify({
      header: { cluster_id: 1, revision: 90 },
      kvs: [
        { key: base64('/registry/leases/a/b'), mod_revision: 41, value: base64(lease.stored) },
        { key: base64('/registry/ex.io/foos/a'), mod_revision: 42, value: base64(foo) },
      ],
      count: 2,
    }),
  );
  const list = decode(dump, 'json');
  assert.deepEqual(JSON.parse(list), {
    kind: 'List',
    apiVersion: 'v1',
    metadata: {},
    items: [JSON.parse(lease.json), JSON.parse(foo)].map((object, index) => ({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(41 + index) },
    })),
  });
  assert.ok(
    list.includes('"metadata":{"name":"a","resourceVersion":"42"},"spec":{"z":1.0}}'),
    'a custom resource keeps its text',
  );
  assert.equal(decode(dump, 'yaml').split('---\n').length, 2);
});

const refusals: [name: string, input: Buffer, error: RegExp][] = [
  ['empty', Buffer.alloc(0), /^standard input is empty/],
  ['text', Buffer.from('hello\n'), /^\/registry\/x: the value is neither protobuf/],
  ['encrypted', Buffer.from('k8s:enc:kms:v2:vault:abc'), /^\/registry\/x: .*encrypted at rest \(kms:v2\)/],
  ['truncated', lease.stored.subarray(0, 60), /^\/registry\/x: unexpected end of the protobuf message \(at byte \d+\)/],
  [
    'a dump with a bad value',
    Buffer.from('{"header":{},"kvs":[{"key":"L2E=","mod_revision":1,"value":"%"}]}'),
    /^kvs\[0\]\.value: expected base64/,
  ],
  ['a dump cut short', Buffer.from('{"header":{},"kvs":['), /^the input is not JSON: line 1/],
];
for (const [name, input, error] of refusals) {
  test(`refused: ${name}`, () =>
    assert.throws(() => decode(input, 'json', '/registry/x'), { name: 'UsageError', message: error }));
}

test('a dump without keys says so', () => {
  assert.throws(() => decode(Buffer.from('{"header":{"revision":1}}'), 'yaml'), /the dump has no keys/);
});

test('every golden value can be printed in every format', () => {
  for (const pair of pairs) {
    const codec = pair.apiVersion.startsWith('v1') || pair.apiVersion === 'apps/v1';
    if (!codec || findKind(pair.apiVersion === 'v1' ? '' : 'apps', 'v1', `${pair.kind.toLowerCase()}s`) === undefined)
      continue;
    assert.equal(
      decode(pair.stored, 'json'),
      `${pair.json}\n`,
      difference(`${pair.json}\n`, decode(pair.stored, 'json')),
    );
    assert.ok(decode(pair.stored, 'yaml').startsWith('apiVersion: '));
    assert.ok(decode(pair.stored, 'proto-text').startsWith('metadata {'));
  }
});

// As sigs.k8s.io/yaml prints them: which strings need quotes, and which.
const yaml: [value: string, text: string][] = [
  ['plain text', 'plain text'],
  ['', '""'],
  ['true', '"true"'],
  ['no', '"no"'],
  ['y', '"y"'],
  ['123', '"123"'],
  ['1e3', '"1e3"'],
  ['1.5', '"1.5"'],
  ['0x10', '"0x10"'],
  ['012', '"012"'],
  ['1:30', '"1:30"'],
  ['2026-01-02', '"2026-01-02"'],
  ['null', '"null"'],
  ['~', '"~"'],
  ['a: b', "'a: b'"],
  ['{a}', "'{a}'"],
  ['*x', "'*x'"],
  ['- a', "'- a'"],
  ["it's", "it's"],
  ['a\tb', '"a\\tb"'],
  ['line\nline\n', '|\n  line\n  line'],
  ['line\nline', '|-\n  line\n  line'],
];
for (const [value, text] of yaml) {
  test(`YAML of ${JSON.stringify(value)}`, () => assert.equal(toYaml({ k: value }), `k: ${text}\n`));
}

test('YAML sorts members as bytes and does not indent lists', () => {
  assert.equal(toYaml({ b: [1, { z: 1, a: null }], B: {}, a: [] }), 'B: {}\na: []\nb:\n- 1\n- a: null\n  z: 1\n');
});

test('YAML reads back as the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const json = JSON.stringify(value);
      fc.pre(!json.includes('"<<":')); // plain in Go's YAML, too, which then reads it as a merge
      const plain = JSON.parse(json) as unknown;
      const read = parse(toYaml({ value: plain }), { version: '1.1', maxAliasCount: 0 }) as unknown;
      assert.equal(JSON.stringify(sorted(read)), JSON.stringify(sorted({ value: plain })));
    }),
    { numRuns: 1000 },
  );
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) // the members may be no text: { toString: null }
      .map(([key, member]) => [key, sorted(member)]),
  );
}

test('the sample kind of a key is found when the value does not say', () => {
  const codec = createKindCodec(findKind('', 'v1', 'services')!);
  const stored = codec.toStored({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } });
  assert.equal(
    (JSON.parse(decode(Buffer.from(stored), 'json', '/registry/services/specs/default/a')) as { kind: string }).kind,
    'Service',
  );
});
