import { ageOf } from './human-duration.js';
import { at, entries, flag, integer, items, type Json, present, text } from './json-path.js';
import { age, joined, orElse } from './phrases.js';
import { columns, NAME, plainColumns, type TableKind } from './table-kind.js';

/** Kinds about the cluster itself: nodes, namespaces, events, and small configuration objects. */
export const nodes: TableKind = {
  columns: columns(
    'Status',
    'Roles',
    'Age',
    'Version',
    'Internal-IP*',
    'External-IP*',
    'OS-Image*',
    'Kernel-Version*',
    'Container-Runtime*',
  ),
  reads:
    'metadata{labels} spec{unschedulable} status{conditions{type status} addresses{type address} nodeInfo{kubeletVersion osImage kernelVersion containerRuntimeVersion}}',
  row: (node) => ({
    cells: [
      text(node, 'metadata.name'),
      nodeStatus(node),
      nodeRoles(node),
      age(node),
      text(node, 'status.nodeInfo.kubeletVersion'),
      nodeAddress(node, 'InternalIP'),
      nodeAddress(node, 'ExternalIP'),
      orElse(text(node, 'status.nodeInfo.osImage'), '<unknown>'),
      orElse(text(node, 'status.nodeInfo.kernelVersion'), '<unknown>'),
      orElse(text(node, 'status.nodeInfo.containerRuntimeVersion'), '<unknown>'),
    ],
  }),
};

function nodeStatus(node: Json): string {
  const ready = items(node, 'status.conditions').find((entry) => text(entry, 'type') === 'Ready');
  const status = ready === undefined ? 'Unknown' : text(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
  return flag(node, 'spec.unschedulable') ? `${status},SchedulingDisabled` : status;
}

const ROLE_PREFIX = 'node-role.kubernetes.io/';

function nodeRoles(node: Json): string {
  const roles = new Set<string>();
  for (const [key, value] of entries(node, 'metadata.labels')) {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length) roles.add(key.slice(ROLE_PREFIX.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(String(value));
  }
  return joined([...roles].sort(), '<none>');
}

function nodeAddress(node: Json, type: string): string {
  const address = items(node, 'status.addresses').find((entry) => text(entry, 'type') === type);
  return address === undefined ? '<none>' : text(address, 'address');
}

export const namespaces: TableKind = {
  columns: columns('Status', 'Age'),
  reads: 'status{phase}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), text(object, 'status.phase'), age(object)],
  }),
};

export const events: TableKind = {
  columns: [
    ...plainColumns(
      'Last Seen',
      'Type',
      'Reason',
      'Object',
      'Subobject*',
      'Source*',
      'Message',
      'First Seen*',
      'Count*',
    ),
    { ...NAME, priority: 1 },
  ],
  reads:
    'eventTime firstTimestamp lastTimestamp series{lastObservedTime count} count type reason message involvedObject{kind name fieldPath} source{component host} reportingComponent reportingInstance',
  row(event) {
    const eventTime = text(event, 'eventTime');
    const firstSeen = orElse(text(event, 'firstTimestamp'), eventTime);
    const lastSeen = present(event, 'series')
      ? text(event, 'series.lastObservedTime')
      : orElse(text(event, 'lastTimestamp'), firstSeen);
    const count = present(event, 'series') ? integer(event, 'series.count') : integer(event, 'count');
    return {
      cells: [
        ageOf(lastSeen),
        text(event, 'type'),
        text(event, 'reason'),
        involvedObject(event),
        text(event, 'involvedObject.fieldPath'),
        eventSource(event),
        trimmed(text(event, 'message')),
        ageOf(firstSeen),
        count === 0 ? 1 : count,
        text(event, 'metadata.name'),
      ],
    };
  },
};

/** Without white space around it, as Go has it: with the next-line character, and without the byte order mark. */
function trimmed(message: string): string {
  let [start, end] = [0, message.length];
  while (start < end && isSpace(message[start]!)) start++;
  while (end > start && isSpace(message[end - 1]!)) end--;
  return message.slice(start, end);
}

const isSpace = (character: string) => (/\s/.test(character) && character !== '\ufeff') || character === '\u0085';

function involvedObject(event: Json): string {
  const [kind, name] = [text(event, 'involvedObject.kind').toLowerCase(), text(event, 'involvedObject.name')];
  return name === '' ? kind : `${kind}/${name}`;
}

/** The same Table: in events.k8s.io its members have other names. */
export const namedEvents: TableKind = {
  columns: events.columns,
  reads:
    'eventTime deprecatedFirstTimestamp deprecatedLastTimestamp series{lastObservedTime count} deprecatedCount type reason note regarding{kind name fieldPath} deprecatedSource{component host} reportingController reportingInstance',
  row(event) {
    const named = event as Record<string, Json>;
    const { metadata, eventTime, series, type, reason, reportingInstance } = named;
    return events.row({
      ...{ metadata, eventTime, series, type, reason, reportingInstance },
      involvedObject: named['regarding'],
      message: named['note'],
      source: named['deprecatedSource'],
      reportingComponent: named['reportingController'],
      firstTimestamp: named['deprecatedFirstTimestamp'],
      lastTimestamp: named['deprecatedLastTimestamp'],
      count: named['deprecatedCount'],
    });
  },
};

function eventSource(event: Json): string {
  const component = orElse(text(event, 'source.component'), text(event, 'reportingComponent'));
  const host = orElse(text(event, 'source.host'), text(event, 'reportingInstance'));
  return host === '' ? component : `${component}, ${host}`;
}

export const secrets: TableKind = {
  columns: columns('Type', 'Data:integer', 'Age'),
  reads: 'type data{}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), text(object, 'type'), entries(object, 'data').length, age(object)],
  }),
};

export const configMaps: TableKind = {
  columns: columns('Data', 'Age'),
  reads: 'data{} binaryData{}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      entries(object, 'data').length + entries(object, 'binaryData').length,
      age(object),
    ],
  }),
};

export const serviceAccounts: TableKind = {
  columns: columns('Secrets:integer', 'Age'),
  reads: 'secrets{}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), items(object, 'secrets').length, age(object)],
  }),
};

export const leases: TableKind = {
  columns: columns('Holder', 'Age'),
  reads: 'spec{holderIdentity}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), text(object, 'spec.holderIdentity'), age(object)],
  }),
};

export const leaseCandidates: TableKind = {
  columns: columns('LeaseName', 'BinaryVersion', 'EmulationVersion', 'Age'),
  reads: 'spec{leaseName binaryVersion emulationVersion}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'spec.leaseName'),
      text(object, 'spec.binaryVersion'),
      text(object, 'spec.emulationVersion'),
      age(object),
    ],
  }),
};

export const priorityClasses: TableKind = {
  columns: columns('Value:integer', 'Global-Default:boolean', 'Age', 'PreemptionPolicy'),
  reads: 'value globalDefault preemptionPolicy',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      at(object, 'value') ?? 0,
      flag(object, 'globalDefault'),
      age(object),
      text(object, 'preemptionPolicy'),
    ],
  }),
};

export const runtimeClasses: TableKind = {
  columns: columns('Handler', 'Age'),
  reads: 'handler',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), text(object, 'handler'), age(object)],
  }),
};

export const resourceQuotas: TableKind = {
  columns: columns('Request', 'Limit', 'Age'),
  reads: 'status{hard used}',
  row(object) {
    const requests: string[] = [];
    const limits: string[] = [];
    for (const [name, hard] of entries(object, 'status.hard')) {
      const used = (at(object, 'status.used') as Record<string, string> | undefined)?.[name] ?? '0';
      (name.startsWith('limits.') ? limits : requests).push(`${name}: ${used}/${hard}`);
    }
    return { cells: [text(object, 'metadata.name'), requests.join(', '), limits.join(', '), age(object)] };
  },
};

export const storageVersionMigrations: TableKind = {
  columns: columns('Resource'),
  reads: 'spec{resource{group resource}}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      ['resource', 'group']
        .map((part) => text(object, `spec.resource.${part}`))
        .filter((part) => part !== '')
        .join('.'),
    ],
  }),
};
