import type { Shown } from './agreement.js';

/** A Table as its JSON has it. */
export interface Table {
  readonly columnDefinitions: { name: string; type: string; format: string }[] | null;
  rows: { readonly cells: unknown[]; readonly object: unknown }[] | null;
}
/** What the specification (section 10) makes of kube-apiserver's Table, or takes from ours that it adds. */
interface Difference {
  readonly says: string;
  readonly theirs?: (table: Table) => void;
  readonly ours?: (table: Table) => void;
}

const NO_ROWS: Difference = {
  says: 'without objects there is an empty list of rows',
  theirs: (table) => void (table.rows ??= []),
};
const POLICY_BINDING: Difference = {
  says: 'ParamRef shows a selector as others are shown',
  theirs: (table) =>
    eachCell(table, 2, (cell) =>
      cell.replace(/^&LabelSelector\{MatchLabels:map\[string\]string\{(\w+): (\w+),\}.*/, '$1=$2'),
    ),
};

/**
 * By resource: where the specification and kube-apiserver 1.36 part, and what is done about it here. Everything else is
 * kube-apiserver's.
 */
export const TABLE_DIFFERENCES: Readonly<Record<string, Difference>> = {
  nodes: {
    says: 'Kernel-Version is the kernel alone, without ` (architecture)`',
    theirs: (table) => eachCell(table, 8, (cell) => cell.replace(/ \([^)]*\)$/, '')),
  },
  pods: {
    says: 'a pod that has completed is not shown with the reason of another container',
    theirs: (table) => eachCell(table, 2, (cell, name) => (name === 'half-failed' ? 'Completed' : cell)),
  },
  'jobs.batch': {
    says: 'there is no status SuccessCriteriaMet',
    theirs: (table) => eachCell(table, 1, (cell) => (cell === 'SuccessCriteriaMet' ? 'Running' : cell)),
  },
  'ingresses.networking.k8s.io': {
    says: 'hosts are shown once, and what is left are hosts, not rules',
    theirs: (table) =>
      eachCell(table, 2, (cell, name) => ({ 'same-hosts': 'a,b', 'some-hostless': 'a,b,c' })[name] ?? cell),
  },
  'volumeattributesclasses.storage.k8s.io': {
    says: 'the default class is marked',
    theirs: (table) => eachCell(table, 0, (cell) => (cell === 'default' ? 'default (default)' : cell)),
  },
  'validatingadmissionpolicybindings.admissionregistration.k8s.io': POLICY_BINDING,
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io': POLICY_BINDING,
  serviceaccounts: { says: 'a column counts the Secrets', ours: (table) => dropColumn(table, 1) },
  secrets: { says: 'Data is an integer', theirs: (table) => patchColumn(table, 2, { type: 'integer' }) },
  'volumeattachments.storage.k8s.io': {
    says: 'format is empty for all columns but Name',
    theirs: (table) => patchColumn(table, 1, { format: '' }),
  },
  'csistoragecapacities.storage.k8s.io': {
    says: 'there are columns for the class, the capacity and the age, and not for the time of creation',
    theirs: (table) => {
      NO_ROWS.theirs?.(table);
      dropColumn(table, 1);
    },
    ours: (table) => {
      for (const column of [3, 2, 1]) dropColumn(table, column);
    },
  },
  'ipaddresses.networking.k8s.io': {
    says: 'the cell of the age has a column',
    ours: (table) => void table.columnDefinitions?.splice(2, 1),
  },
  limitranges: NO_ROWS,
  'roles.rbac.authorization.k8s.io': NO_ROWS,
};

/** Descriptions of columns are in our own words. */
export function withoutDescriptions(text: string): string {
  return text.replace(/"columnDefinitions":\[.*?\],"rows":/g, (columns) =>
    columns.replace(/"description":"(\\.|[^"\\])*"/g, '"description":""'),
  );
}

/** What is compared of the Tables of a resource, or of events with them. */
export function shownTables(groupResource: string): Shown {
  const difference = TABLE_DIFFERENCES[groupResource];
  const amended = (body: Buffer, amend: ((table: Table) => void) | undefined) => {
    const text = withoutDescriptions(body.toString());
    if (difference === undefined) return Buffer.from(text);
    const parsed = JSON.parse(text) as Table | { readonly type: string; readonly object: Table };
    amend?.('object' in parsed ? parsed.object : parsed);
    return Buffer.from(JSON.stringify(parsed));
  };
  return (theirs, ours) => [amended(theirs, difference?.theirs), amended(ours, difference?.ours)];
}

/**
 * What is compared of an event: of Tables without ages, and of an APIService without the columns that kube-apiserver tells of
 * with each event (specification 3.11: with the first).
 */
export function shownWatch(groupResource: string, accept: string) {
  return (theirs: Buffer, ours: Buffer, index: number): readonly [Buffer, Buffer] => {
    if (!accept.includes('Table')) return [theirs, ours];
    const isRepeated = groupResource === 'apiservices.apiregistration.k8s.io' && index > 0;
    const [want, got] = shownTables(groupResource)(theirs, ours).map((frame) =>
      frame.toString().replace(/"(?:\d+[ydhms])+"/g, '"AGE"'),
    ) as [string, string];
    const once = isRepeated
      ? want.replace(/"columnDefinitions":\[.*?\],"rows":/, '"columnDefinitions":null,"rows":')
      : want;
    return [Buffer.from(once), Buffer.from(got)];
  };
}

function eachCell(table: Table, column: number, amend: (cell: string, name: string) => string): void {
  for (const { cells } of table.rows ?? []) cells[column] = amend(cells[column] as string, cells[0] as string);
}

function dropColumn(table: Table, column: number): void {
  table.columnDefinitions?.splice(column, 1);
  for (const { cells } of table.rows ?? []) cells.splice(column, 1);
}

function patchColumn(table: Table, column: number, patch: object): void {
  Object.assign(table.columnDefinitions?.[column] ?? {}, patch);
}
