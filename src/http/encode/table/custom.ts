import { jsonText } from '../../../codec/json-parse.js';
import type { CustomColumn, CustomKind } from '../../../codec/kind.js';
import { ageOf, type Elapsed } from './human-duration.js';
import { text } from './json-path.js';
import { compileJsonPath, type JsonPath } from './json-path-expression.js';
import { age } from './phrases.js';
import { columns, type TableKind } from './table-kind.js';

/** The table of a custom resource: its name, and the columns of its CRD, or its age when that has none (spec 10.4). */
export function customTable({ columns: own }: CustomKind): TableKind {
  if (own.length === 0) {
    return {
      columns: columns('Age:date'),
      reads: '',
      row: (object) => ({
        cells: [text(object, 'metadata.name'), text(object, 'metadata.creationTimestamp') === '' ? null : age(object)],
      }),
    };
  }
  const paths = own.map(({ path }) => compiled(path));
  return {
    columns: [...columns(), ...own.map(({ path: _, ...column }) => column)],
    reads: '',
    row: (object) => ({
      cells: [text(object, 'metadata.name'), ...own.map((column, index) => cell(column, paths[index]!, object))],
    }),
  };
}

/** undefined: upstream would not have accepted it; its cells are null. */
function compiled(path: string): JsonPath | undefined {
  try {
    return compileJsonPath(path);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

type Cell = string | number | bigint | boolean | null | Elapsed;

function cell({ type }: CustomColumn, path: JsonPath | undefined, object: unknown): Cell {
  const found = path?.(object) ?? [];
  if (found.length === 0) return null;
  const value = found[0];
  switch (type) {
    case 'integer':
      if (typeof value === 'bigint') return value;
      return typeof value === 'number' ? int64Of(value) : null;
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      if (typeof value !== 'string') return null;
      return value === '' || RFC3339.test(value) ? ageOf(value) : '<invalid>';
    case 'string':
      if (value === null) return '<no value>';
      return typeof value === 'object' ? jsonText(value) : String(value);
    default:
      return null;
  }
}

const INT64 = 2 ** 63;

/** As Go converts a float64 on amd64: what does not fit is the least of all integers. */
function int64Of(value: number): number | bigint {
  return value >= -INT64 && value < INT64 ? Math.trunc(value) : -(2n ** 63n);
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
