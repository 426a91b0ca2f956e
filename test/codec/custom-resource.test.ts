import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodecError } from '../../src/codec/codec.js';
import { kindsOf } from '../../src/codec/custom-kind.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { KindSet } from '../../src/codec/kind-set.js';
import { kinds } from '../../src/codec/kinds.js';
import { createWriter } from '../../src/codec/writer.js';
import { bookmarkObjects } from '../../src/http/watch/event-objects.js';

interface Definition {
  readonly schema?: object;
  readonly spec?: object;
  readonly version?: object;
  readonly established?: string;
}

function definition({ schema = {}, spec = {}, version = {}, established = 'True' }: Definition = {}) {
  const openAPIV3Schema = { type: 'object', ...schema };
  const names = { plural: 'foos', singular: 'foo', kind: 'Foo', listKind: 'FooList' };
  return {
    metadata: { name: 'foos.ex.io' },
    spec: {
      group: 'ex.io',
      scope: 'Namespaced',
      names,
      versions: [
        { name: 'v1beta1', served: true, storage: false, schema: { openAPIV3Schema } },
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema }, ...version },
      ],
      ...spec,
    },
    status: { acceptedNames: names, conditions: [{ type: 'Established', status: established }] },
  };
}

const METADATA = '"metadata":{"generation":1,"name":"a","uid":"u"}';

/** What a server answers of a stored value, and how many values took the slow way. */
function served(stored: string, crd: Definition, version = 'v1') {
  const kind = kindsOf(definition(crd)).find((one) => one.version === version)!;
  const codec = createKindCodec(kind);
  const value = Buffer.from(`${stored}\n`);
  const wire = createWriter();
  codec.toWire(value, 0, value.length, 7, wire);
  const into = createWriter();
  codec.toJson(wire.bytes, wire.start, wire.position, true, into);
  return { text: into.bytes.toString('utf8', 0, into.position), slow: codec.slowDecodes, codec, wire };
}

/** The members behind `metadata` of a Foo that is stored with those. */
function rest(stored: string, schema: object, more: Definition = {}): string {
  const { text } = served(`{"apiVersion":"ex.io/v1","kind":"Foo",${METADATA},${stored}}`, { schema, ...more });
  const head = `{"apiVersion":"ex.io/v1","kind":"Foo","metadata":{"generation":1,"name":"a","resourceVersion":"7","uid":"u"},`;
  assert.ok(text.startsWith(head), text);
  return text.slice(head.length, -1);
}

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const spec = (properties: object, more: object = {}) => object({ spec: object(properties, more) });
const text = { type: 'string' };
const any = { 'x-kubernetes-preserve-unknown-fields': true };

const rows: readonly [what: string, stored: string, schema: object, want: string][] = [
  ['unknown members are pruned', '"spec":{"a":"x","b":1},"top":1', spec({ a: text }), '"spec":{"a":"x"}'],
  [
    'unless they are preserved',
    '"spec":{"a":{"c":1,"d":2},"b":1}',
    spec({ a: object({ c: {} }) }, any),
    '"spec":{"a":{"c":1},"b":1}',
  ],
  [
    'in lists, too',
    '"spec":{"l":[{"a":1,"b":2}]}',
    spec({ l: { items: object({ a: {} }) } }),
    '"spec":{"l":[{"a":1}]}',
  ],
  [
    'in maps, too',
    '"spec":{"m":{"k":{"a":1,"b":2}}}',
    spec({ m: { additionalProperties: object({ a: {} }) } }),
    '"spec":{"m":{"k":{"a":1}}}',
  ],
  ['defaults are filled in', '"spec":{}', spec({ a: { type: 'string', default: 'x' } }), '"spec":{"a":"x"}'],
  [
    'defaults of defaults',
    '"spec":{}',
    spec({ o: object({ b: { default: 1 } }, { default: {} }) }),
    '"spec":{"o":{"b":1}}',
  ],
  ['null is dropped', '"spec":{"a":null,"b":1}', spec({ a: text, b: {} }), '"spec":{"b":1}'],
  ['null becomes the default', '"spec":{"a":null}', spec({ a: { default: 'x' } }), '"spec":{"a":"x"}'],
  ['null stays where it may', '"spec":{"a":null}', spec({ a: { nullable: true, default: 'x' } }), '"spec":{"a":null}'],
  [
    'null stays in a list',
    '"spec":{"l":[null,{"a":null}]}',
    spec({ l: { items: object({ a: {} }) } }),
    '"spec":{"l":[null,{}]}',
  ],
  ['null is no default', '"spec":{}', spec({ a: { default: null, nullable: true } }), '"spec":{}'],
  [
    'embedded resources without a type, and metadata that is null',
    '"spec":{"e":{"apiVersion":7,"kind":null,"metadata":null,"x":1}}',
    spec({ e: object({}, { 'x-kubernetes-embedded-resource': true, ...any }) }),
    '"spec":{"e":{"metadata":{},"x":1}}',
  ],
  [
    'negative zero is a float, and an integer is none',
    '"spec":{"a":-0.0,"b":-0,"c":-1e-400}',
    spec({}, any),
    '"spec":{"a":-0,"b":0,"c":-0}',
  ],
  [
    'numbers as Go prints them',
    '"spec":{"a":1.50,"b":1e3,"c":9007199254740993}',
    spec({}, any),
    '"spec":{"a":1.5,"b":1000,"c":9007199254740993}',
  ],
  ['members are sorted', '"spec":{"b":1,"a":"<"}', spec({ a: text, b: {} }), '"spec":{"a":"\\u003c","b":1}'],
  [
    'int or string',
    '"spec":{"a":"80%","b":80}',
    spec({ a: { 'x-kubernetes-int-or-string': true }, b: {} }),
    '"spec":{"a":"80%","b":80}',
  ],
  [
    'embedded resources keep their type and tidy metadata',
    '"spec":{"e":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","odd":1},"x":1}}',
    spec({ e: object({}, { 'x-kubernetes-embedded-resource': true }) }),
    '"spec":{"e":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}}',
  ],
];
for (const [what, stored, schema, want] of rows) test(what, () => assert.equal(rest(stored, schema), want));

test('preserveUnknownFields of old CRDs prunes nothing', () => {
  assert.equal(rest('"spec":{"z":1}', object({}), { spec: { preserveUnknownFields: true } }), '"spec":{"z":1}');
  const preserving: Definition = { spec: { preserveUnknownFields: true } };
  assert.equal(rest('"spec":{"a":null}', spec({ a: text }), preserving), '"spec":{"a":null}');
});

test('what needs no change is kept as it was stored', () => {
  const stored = `{"apiVersion":"ex.io/v1","kind":"Foo",${METADATA},"spec":{"a":"\\u0026é","b":[1,{"c":null}]}}`;
  const { text: answered, slow } = served(stored, { schema: spec({}, any) });
  assert.equal(slow, 0);
  assert.equal(answered, stored.replace('"uid"', '"resourceVersion":"7","uid"'));
});

test('metadata: malformed members are dropped, a generation is added, and the resourceVersion is ours', () => {
  const metadata = '"metadata":{"labels":{"a":1},"name":"a","resourceVersion":"3","zzz":1}';
  const { text: answered } = served(`{"apiVersion":"ex.io/v1","kind":"Foo",${metadata}}`, {});
  assert.equal(
    answered,
    '{"apiVersion":"ex.io/v1","kind":"Foo","metadata":{"generation":1,"name":"a","resourceVersion":"7"}}',
  );
});

test('metadata: a generation that is none is repaired', () => {
  for (const generation of ['"5"', '0', '1.5', 'null', '1e30']) {
    const stored = `{"apiVersion":"ex.io/v1","kind":"Foo","metadata":{"generation":${generation},"name":"a"}}`;
    assert.match(served(stored, {}).text, /"metadata":\{"generation":1,/, generation);
  }
});

test('numbers beyond those of float64 cannot be read', () => {
  for (const number of ['1e400', '-1e400', `1${'0'.repeat(400)}`]) {
    assert.throws(() => rest(`"spec":{"a":${number}}`, spec({}, any)), {
      name: 'CodecError',
      message: `cannot unmarshal number ${number} into Go value of type float64`,
    });
  }
});

test('another version has another apiVersion, and its own schema', () => {
  const stored = `{"apiVersion":"ex.io/v1beta1","kind":"Foo",${METADATA},"spec":{"a":1,"b":2}}`;
  const crd: Definition = {
    schema: spec({}, any),
    version: { schema: { openAPIV3Schema: spec({ a: {} }) } },
  };
  assert.match(served(stored, crd).text, /^\{"apiVersion":"ex.io\/v1",.*"spec":\{"a":1\}\}$/);
  assert.match(served(stored, crd, 'v1beta1').text, /^\{"apiVersion":"ex.io\/v1beta1",.*"spec":\{"a":1,"b":2\}\}$/);
});

test('webhook conversion is refused by the name of the CRD, and not needed for the stored version', () => {
  const crd: Definition = { spec: { conversion: { strategy: 'Webhook' } } };
  const stored = `{"apiVersion":"ex.io/v1","kind":"Foo",${METADATA}}`;
  assert.match(served(stored, crd).text, /"ex.io\/v1"/);
  assert.throws(
    () => served(stored, crd, 'v1beta1'),
    (error) =>
      error instanceof CodecError && /CustomResourceDefinition foos\.ex\.io converts by webhook/.test(error.message),
  );
});

test('values of another type or version are refused', () => {
  const value = (apiVersion: string, kind: string) => `{"apiVersion":"${apiVersion}","kind":"${kind}",${METADATA}}`;
  assert.throws(() => served(value('ex.io/v9', 'Foo'), {}), /invalid group\/version: ex.io\/v9/);
  assert.throws(() => served(value('ex.io/v1', 'Bar'), {}), /the value is a ex.io\/v1 Bar/);
  assert.throws(() => served('{"apiVersion":', {}), /invalid JSON: line 1/);
});

test('selectable fields are texts of the wire form', () => {
  const version = {
    selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }, { jsonPath: '.spec.on' }],
  };
  const stored = `{"apiVersion":"ex.io/v1","kind":"Foo",${METADATA},"spec":{"on":true,"size":12}}`;
  const { codec, wire } = served(stored, { schema: spec({}, any), version });
  const field = (label: string) => codec.field(wire.bytes, wire.start, wire.position, label);
  assert.deepEqual(['spec.color', 'spec.size', 'spec.on', 'metadata.name'].map(field), ['', '12', 'true', 'a']);
  assert.throws(() => field('spec.other'), /field label not supported/);
});

test('a value is stored in the storage version', () => {
  const kind = kindsOf(definition()).find(({ version }) => version === 'v1beta1')!;
  const value = createKindCodec(kind).toStored({
    kind: 'Foo',
    apiVersion: 'ex.io/v1beta1',
    metadata: { name: 'a', resourceVersion: '4' },
  });
  assert.equal(Buffer.from(value).toString(), '{"apiVersion":"ex.io/v1","kind":"Foo","metadata":{"name":"a"}}\n');
});

test('kinds come, stay while nothing changes, and go', () => {
  const set = new KindSet(kinds);
  const find = () => set.find('ex.io', 'v1', 'foos');
  assert.deepEqual(set.define('foos.ex.io', definition({ established: 'False' })), []);
  assert.equal(find(), undefined);
  set.define('foos.ex.io', definition());
  const first = find();
  assert.equal(first?.kind, 'Foo');
  assert.deepEqual(
    set.all.slice(kinds.length).map(({ version }) => version),
    ['v1', 'v1beta1'],
  );
  const { generation } = set;
  assert.deepEqual(set.define('foos.ex.io', definition()), []);
  assert.deepEqual([find(), set.generation], [first, generation]);
  const replaced = set.define('foos.ex.io', definition({ schema: spec({ a: text }) }));
  assert.equal(replaced[0], first);
  assert.notEqual(find(), first);
  assert.equal(set.define('foos.ex.io', undefined).length, 2);
  assert.equal(find(), undefined);
});

test('a CRD does not replace a built-in kind', () => {
  const set = new KindSet(kinds);
  const names = { plural: 'deployments', kind: 'Deployment' };
  const crd = definition({ spec: { group: 'apps', names } });
  set.define('deployments.apps', { ...crd, status: { ...crd.status, acceptedNames: names } });
  assert.equal(set.find('apps', 'v1', 'deployments')?.custom, undefined);
});

test('a deprecated version warns, with the better one that there is', () => {
  const versions = ['v1', 'v1beta1', 'v1alpha1'].map((name) => ({
    name,
    served: true,
    storage: name === 'v1',
    deprecated: name !== 'v1',
    ...(name === 'v1alpha1' ? { deprecationWarning: 'old' } : {}),
  }));
  const texts = kindsOf(definition({ spec: { versions } })).map(({ deprecation }) => deprecation);
  assert.deepEqual(texts, [undefined, 'ex.io/v1beta1 Foo is deprecated; use ex.io/v1 Foo', 'old']);
});

test('null goes from what is shown in another version, where that one has neither null nor a default', () => {
  const any = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const shownAs = object({ spec: object({ a: text, b: { ...text, nullable: true }, c: { ...text, default: 'x' } }) });
  const versions = [
    { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: any } },
    { name: 'v2', served: true, storage: false, schema: { openAPIV3Schema: shownAs } },
  ];
  const stored = `{"apiVersion":"ex.io/v1","kind":"Foo",${METADATA},"spec":{"a":null,"b":null,"c":null}}`;
  assert.match(served(stored, { spec: { versions } }, 'v2').text, /"spec":\{"b":null,"c":null\}\}$/);
});

test('a bookmark is of the version that is asked for, also where versions convert by webhook', () => {
  for (const strategy of ['None', 'Webhook']) {
    const kind = kindsOf(definition({ spec: { conversion: { strategy } } })).find(
      ({ version }) => version === 'v1beta1',
    )!;
    const codec = createKindCodec(kind);
    const { bytes, start, end } = bookmarkObjects(codec).at(7, false);
    const into = createWriter();
    codec.toJson(bytes, start, end, true, into);
    const want = '{"apiVersion":"ex.io/v1beta1","kind":"Foo","metadata":{"resourceVersion":"7"}}';
    assert.equal(into.bytes.toString('utf8', 0, into.position), want);
  }
});
