import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CustomColumn } from '../../src/codec/kind.js';
import { customTable } from '../../src/http/encode/table/custom.js';
import { compileJsonPath } from '../../src/http/encode/table/json-path-expression.js';

const object = {
  metadata: { name: 'a', annotations: { 'ex.io/x': '1' } },
  spec: {
    ports: [{ port: 1 }, { port: 2 }, { port: 3 }],
    on: true,
    half: 1.5,
    none: null,
    o: { z: 1, a: '<' },
    small: 1e-5,
    large: 1e21,
    big: 9007199254740993n,
    zero: -0,
    lists: [{ l: [1, 2] }, { l: [1] }],
    ratios: [{ r: 0.5 }, { r: 1.5 }],
    at: { null: 'null', month: '2026-13-01T00:00:00Z', comma: '2026-01-02T03:04:05,5+01:00' },
  },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Old', status: 'False' },
    ],
    since: '2026-01-02T03:04:05Z',
  },
};

/** undefined: it cannot be evaluated, as client-go's jsonpath has it. */
const rows: readonly [path: string, want: readonly unknown[] | undefined][] = [
  ['.spec.on', [true]],
  ['.spec.missing.deeper', []],
  ['.spec.ports[0].port', [1]],
  ['.spec.ports[-1].port', [3]],
  ['.spec.ports[].port', [1]],
  ['.spec.ports[*].port', [1, 2, 3]],
  ['.spec.ports[1:].port', [2, 3]],
  ['.spec.ports[:1].port', [1]],
  ['.spec.ports[:-1].port', [1, 2]],
  ['.spec.ports[::2].port', [1, 3]],
  ['.spec.ports[0,2].port', [1, 3]],
  ['.spec.ports[0, -1].port', [1, 3]],
  [".spec['on','half']", [true, 1.5]],
  ['.metadata.annotations.ex\\.io/x', ['1']],
  [".metadata.annotations['ex\\.io/x']", ['1']],
  ['..port', [1, 2, 3]],
  ['.spec.o.*', [1, '<']],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type != 'Ready')].status", ['False']],
  ['.status.conditions[?(@.type=="a)b")].status', []],
  ['.spec.ports[?(@.port>=2)].port', [2, 3]],
  ['.spec.ports[?(@.port<@.port)].port', []],
  ['.spec.ratios[?(@.r>1.0)].r', [1.5]],
  ['.status.conditions[?(@.reason)].type', []],
  ['.status.conditions[?(@.type)].type', ['Ready', 'Old']],
  ['.status.conditions[?(@.type[9])].type', ['Ready', 'Old']], // what cannot be evaluated counts as there
  // A dot alone is a member without a name.
  ['.', []],
  ['.spec.ports.[0].port', []],
  // A quoted name is a path of its own: its dots are dots.
  [".metadata.annotations['ex.io/x']", []],
  ['.spec.ports[7].port', undefined],
  ['.spec.ports[2:9].port', undefined],
  ['.spec.ports[2:1].port', undefined],
  ['.spec.ports[0:2:0].port', undefined],
  ['.spec.on[0]', undefined],
  ['.spec.o[*]', undefined],
  ['.spec.none[0]', []],
  ['.spec.lists[*].l[1]', undefined],
  ['.spec.o[?(@.z==1)]', undefined],
  ['.spec.none[?(@.z==1)]', undefined],
  ['.spec.ports[?(@.port=="1")].port', undefined],
  ['.spec.ports[?(@.port==1.0)].port', undefined],
  ['.spec.ports[?(@.port==x)].port', undefined],
  ['.spec.ports[?(@.port=1)].port', undefined],
  ['.spec.ports[?(@.missing=="1")].port', []],
  ['.status.conditions[?(@==1)]', undefined],
  ['..[0]', undefined],
  ['spec.on', undefined], // a keyword of templates
];
for (const [path, want] of rows) test(`JSONPath ${path}`, () => assert.deepEqual(compileJsonPath(path)(object), want));

for (const path of [
  ...['.spec[', '.spec.ports[x]', '.spec.ports["x"]', '.spec.ports[-]', '.a,b', '.a]', '..*', '....a', '{.a}', '.a\nb'],
  ...['.spec.ports[?(@.port', '.a[?(@.b=="x" && @.c)]', '.a[?(@.b=~"x")]', '.a[?(@.b)', ".a[?('x)]"],
]) {
  test(`no JSONPath: ${JSON.stringify(path)}`, () => assert.throws(() => compileJsonPath(path), SyntaxError));
}

const cells: readonly [type: string, path: string, want: unknown][] = [
  ['string', '.spec.half', '1.5'],
  ['string', '.spec.o', '{"a":"\\u003c","z":1}'],
  ['string', '.spec.none', '<no value>'],
  ['string', '.spec.missing', null],
  ['string', '.spec.small', '1e-05'],
  ['string', '.spec.large', '1e+21'],
  ['string', '.spec.big', '9007199254740993'],
  ['integer', '.spec.big', 9007199254740993n],
  ['number', '.spec.big', 9007199254740992],
  ['integer', '.spec.zero', 0],
  ['integer', '.spec.large', -(2n ** 63n)],
  ['integer', '.spec.half', 1],
  ['integer', '.spec.on', null],
  ['number', '.spec.half', 1.5],
  ['boolean', '.spec.on', true],
  ['boolean', '.spec.half', null],
  ['date', '.metadata.name', '<invalid>'],
  ['date', '.spec.on', null],
  ['date', '.spec.at.null', '<unknown>'],
  ['date', '.spec.at.month', '<invalid>'],
  ['date', '.spec.at.comma', { fromMs: Date.UTC(2026, 0, 2, 2, 4, 5, 500), before: '', after: '' }],
  ['date', '.status.since', { fromMs: Date.UTC(2026, 0, 2, 3, 4, 5), before: '', after: '' }],
];
const tableOf = (...columns: readonly CustomColumn[]) =>
  customTable({
    ...{ definition: 'foos.ex.io', schemas: {}, preservesUnknownFields: false, storageServed: true },
    ...{ converts: 'none', columns },
  });
const column = (name: string, type: string, path: string) => {
  return { name, type, format: '', description: '', priority: 0, path };
};

for (const [type, path, want] of cells) {
  test(`cell of type ${type}: ${path}`, () => {
    const table = tableOf(column('C', type, path));
    assert.deepEqual(table.row(object).cells, ['a', want]);
    assert.deepEqual(table.columns.at(-1), { name: 'C', type, format: '', description: '', priority: 0 });
  });
}

test('a column that is no path ends the table', () => {
  const table = tableOf(column('A', 'boolean', '.spec.on'), column('B', 'string', '..*'), column('C', 'string', '.a'));
  assert.deepEqual(
    table.columns.map(({ name }) => name),
    ['Name', 'A'],
  );
  assert.deepEqual(table.row(object).cells, ['a', true]);
});
