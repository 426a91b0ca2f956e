import { numberText } from '../../../api/go-text.js';
import { jsonText } from '../../../codec/json-parse.js';
import type { CustomColumn, CustomKind } from '../../../codec/kind.js';
import { parseTime } from '../../../codec/time-parse.js';
import { ageOf, type Elapsed, elapsed } from './human-duration.js';
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
  const paths = compiled(own);
  const shown = own.slice(0, paths.length);
  return {
    columns: [...columns(), ...shown.map(({ path: _, ...column }) => column)],
    reads: '',
    row: (object) => ({
      cells: [text(object, 'metadata.name'), ...shown.map((column, index) => cell(column, paths[index]!, object))],
    }),
  };
}

/** Up to the first that is no path: kube-apiserver takes such a CRD, and shows the columns in front of it. */
function compiled(own: readonly CustomColumn[]): readonly JsonPath[] {
  const paths: JsonPath[] = [];
  try {
    for (const { path } of own) paths.push(compileJsonPath(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return paths;
}

type Cell = string | number | bigint | boolean | null | Elapsed;

function cell({ type }: CustomColumn, path: JsonPath, object: unknown): Cell {
  const found = path(object) ?? [];
  if (found.length === 0) return null;
  const value = found[0];
  switch (type) {
    case 'integer':
      if (typeof value === 'bigint') return value;
      return typeof value === 'number' ? int64Of(value) : null;
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? dateCell(value) : null;
    case 'string':
      return stringCell(value);
    default:
      return null;
  }
}

/** The first moment of the year 1, which Go takes for no time at all. */
const ZERO_TIME_SECONDS = -62_135_596_800n;

function dateCell(value: string): Cell {
  if (value === '' || value === 'null') return ageOf('');
  const time = parseTime(value);
  if (time === undefined) return '<invalid>';
  if (time.seconds === ZERO_TIME_SECONDS && time.nanos === 0) return ageOf('');
  return elapsed(Number(time.seconds) * 1000 + time.nanos / 1e6);
}

function stringCell(value: unknown): Cell {
  if (value === null) return '<no value>';
  if (typeof value === 'object') return jsonText(value);
  return typeof value === 'number' ? numberText(value) : String(value);
}

const INT64 = 2 ** 63;

/** As Go converts a float64 on amd64: what does not fit is the least of all integers. */
function int64Of(value: number): number | bigint {
  return value >= -INT64 && value < INT64 ? Math.trunc(value) + 0 : -(2n ** 63n);
}
