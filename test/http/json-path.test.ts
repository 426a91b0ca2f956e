import assert from 'node:assert/strict';
import { test } from 'node:test';
import { customTable } from '../../src/http/encode/table/custom.js';
import { compileJsonPath } from '../../src/http/encode/table/json-path-expression.js';

const object = {
  metadata: { name: 'a', annotations: { 'ex.io/x': '1' } },
  spec: { ports: [{ port: 1 }, { port: 2 }, { port: 3 }], on: true, half: 1.5, none: null, o: { z: 1, a: '<' } },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Old', status: 'False' },
    ],
    since: '2026-01-02T03:04:05Z',
  },
};

const rows: readonly [path: string, want: readonly unknown[]][] = [
  ['.spec.on', [true]],
  ['spec.on', [true]],
  ['.spec.missing.deeper', []],
  ['.spec.ports[0].port', [1]],
  ['.spec.ports[-1].port', [3]],
  ['.spec.ports[7].port', []],
  ['.spec.ports[*].port', [1, 2, 3]],
  ['.spec.ports[1:].port', [2, 3]],
  ['.spec.ports[:1].port', [1]],
  ['.spec.ports[0,2].port', [1, 3]],
  ['.metadata.annotations.ex\\.io/x', ['1']],
  [".metadata.annotations['ex.io/x']", ['1']],
  ['..port', [1, 2, 3]],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type != 'Ready')].status", ['False']],
  ['.spec.ports[?(@.port>=2)].port', [2, 3]],
  ['.status.conditions[?(@.reason)].type', []],
];
for (const [path, want] of rows) test(`JSONPath ${path}`, () => assert.deepEqual(compileJsonPath(path)(object), want));

for (const path of ['.spec[', '.spec.ports[x]', '.a[?(@.b==c)]', '.spec.ports[?(@.port']) {
  test(`no JSONPath: ${path}`, () => assert.throws(() => compileJsonPath(path), SyntaxError));
}

const cells: readonly [type: string, path: string, want: unknown][] = [
  ['string', '.spec.half', '1.5'],
  ['string', '.spec.o', '{"a":"\\u003c","z":1}'],
  ['string', '.spec.none', '<no value>'],
  ['string', '.spec.missing', null],
  ['string', '.spec[', null],
  ['integer', '.spec.half', 1],
  ['integer', '.spec.on', null],
  ['number', '.spec.half', 1.5],
  ['boolean', '.spec.on', true],
  ['boolean', '.spec.half', null],
  ['date', '.metadata.name', '<invalid>'],
  ['date', '.spec.on', null],
  ['date', '.status.since', { fromMs: Date.UTC(2026, 0, 2, 3, 4, 5), before: '', after: '' }],
];
for (const [type, path, want] of cells) {
  test(`cell of type ${type}: ${path}`, () => {
    const column = { name: 'C', type, format: '', description: '', priority: 0, path };
    const custom = { definition: 'foos.ex.io', schemas: {}, preservesUnknownFields: false, storageServed: true };
    const table = customTable({ ...custom, converts: 'none', columns: [column] });
    assert.deepEqual(table.row(object).cells, ['a', want]);
    assert.deepEqual(table.columns.at(-1), { name: 'C', type, format: '', description: '', priority: 0 });
  });
}
