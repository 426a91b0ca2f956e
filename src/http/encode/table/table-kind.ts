import type { Json } from './json-path.js';

/** One column as `columnDefinitions` states it. Any `priority` but 0 is shown by `kubectl get -o wide` only. */
export interface Column {
  readonly name: string;
  /** `string`, `integer`, `number`, `boolean` or `date`. */
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export interface Row {
  /** As JSON has them; what depends on the clock as Elapsed (human-duration.ts). */
  readonly cells: readonly unknown[];
  /** metav1.TableRowCondition, e.g. a pod that has completed. */
  readonly conditions?: readonly unknown[];
}

/** What every kind's table reads. */
export const COMMON = 'metadata{name creationTimestamp}';

/** How one kind is shown as a Table (spec section 10). */
export interface TableKind {
  readonly columns: readonly Column[];
  /** The members that `row` and `compare` look at, besides COMMON: a selection (codec/projector.ts). Others are not there. */
  readonly reads: string;
  row(object: Json): Row;
  /** FlowSchemas alone are not shown in LIST order. */
  compare?(left: Json, right: Json): number;
}

/** `Name` heads nearly every table. */
export const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'The name of the object, unique among objects of its kind in its namespace.',
  priority: 0,
};

/**
 * Columns from short notation: `Ready` is a string column, `Desired:integer` has a type, a trailing
 * `*` marks a wide one. The first column is always Name.
 */
export function columns(...notation: string[]): readonly Column[] {
  return [NAME, ...plainColumns(...notation)];
}

export function plainColumns(...notation: string[]): readonly Column[] {
  return notation.map((text) => {
    const wide = text.endsWith('*');
    const [name, type = 'string'] = (wide ? text.slice(0, -1) : text).split(':') as [string, Column['type']?];
    return { name, type, format: '', description: '', priority: wide ? 1 : 0 };
  });
}
