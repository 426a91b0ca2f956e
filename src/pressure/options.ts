import { totalmem } from 'node:os';
import { UsageError } from '../app/usage-error.js';
import { bad, readDurationMs, readInteger, readList, readOneOf, type ValueReader } from '../app/values.js';
import { DEFAULT_ENGINE, type EngineName, engines } from '../engine/engines.js';
import type { Cell, Load } from './cell.js';
import { manifests, type PressureKind } from './manifests.js';
import { ObjectStream, ObjectTooSmall, OBJECTS_MAX } from './object-stream.js';
import { type RepresentationName, representations } from './representations.js';

/** Flags of `listwatch pressure`: name, placeholder, help. */
export const pressureFlags: readonly (readonly [name: string, placeholder: string, help: string])[] = [
  ['kind', '<kind>', `what is held: ${Object.keys(manifests).join(', ')} (default leases)`],
  ['object-bytes', '<n>', 'size of a stored value (default: what such an object takes by nature)'],
  ['objects', '<n,...>', 'how many objects (default 10000,100000)'],
  ['representation', '<name,...>', `how they are held: ${Object.keys(representations).join(', ')} (default: all)`],
  ['engine', '<name,...>', `how they are ordered: ${Object.keys(engines).join(', ')} (default ${DEFAULT_ENGINE})`],
  ['matrix', '', 'every representation with every engine'],
  ['rate', '<n,...>', 'changes a second, one trial each, instead of the search for the limit'],
  ['ramp', '<from:to:steps>', 'the same with rates at equal factors, e.g. 1000:100000:5'],
  ['age-bound', '<duration>', 'the limit is where 99 of 100 events are applied within this (default 50ms)'],
  ['resolution', '<factor>', 'the search ends when the limit is known this well (default 1.15)'],
  ['repeats', '<n>', 'trials that the limit must pass (default 3)'],
  ['seconds', '<n>', 'length of a trial, e.g. 0.5 (default 5)'],
  ['watchers', '<n>', 'watchers of everything (default 0)'],
  ['readers', '<n>', 'readers that list everything (default 0)'],
  ['list-every', '<duration>', 'how often each reader does (default 1s)'],
  ['semi-space-mib', '<n,...>', "a half of V8's young generation (default: V8's own)"],
  ['heap-mib', '<n,...>', "V8's heap limit (default: V8's own)"],
  ['seed', '<n>', 'of the objects and of which of them change (default 1)'],
  ['quick', '', 'a small grid in less than two minutes: decoded-json beside slabs'],
  ['output', '<folder>', 'where report.html, report.json and report.txt go (default listwatch-pressure)'],
];

const representationNames = Object.keys(representations) as RepresentationName[];
const engineNames = Object.keys(engines) as EngineName[];
export const readRepresentation = readOneOf(...representationNames);
export const readEngine = readOneOf(...engineNames);

export interface PressureOptions {
  readonly cells: readonly Cell[];
  readonly seed: number;
  readonly output: string;
}

export type PressureFlags = Readonly<Record<string, string | true | undefined>>;

const RATE_MAX = 10_000_000;
const LIST_MAX = 32;
const QUICK: Readonly<Record<string, string>> = {
  objects: '10000,100000,300000',
  representation: 'decoded-json,slabs',
  seconds: '1',
  resolution: '1.3',
  repeats: '1',
};

/** Every combination of what was listed. Throws UsageError. */
export function resolvePressure(flags: PressureFlags): PressureOptions {
  const quick = flags['quick'] === true;
  const text = (name: string, otherwise: string) => {
    const given = flags[name];
    return typeof given === 'string' ? given : quick ? (QUICK[name] ?? otherwise) : otherwise;
  };
  const read = <T>(name: string, reader: ValueReader<T>, otherwise: string): T => reader(name, text(name, otherwise));
  const optional = <T>(name: string, reader: ValueReader<T>): T | undefined =>
    typeof flags[name] === 'string' ? reader(name, flags[name]) : undefined;

  if (flags['matrix'] === true) {
    for (const name of ['representation', 'engine']) {
      if (flags[name] !== undefined) throw new UsageError(`--matrix stands for every --${name}: give one of the two`);
    }
  }
  const matrix = flags['matrix'] === true;
  const kind = read('kind', readOneOf(...(Object.keys(manifests) as PressureKind[])), 'leases');
  const objectBytes = optional('object-bytes', readInteger(1, 1_500_000));
  const seed = read('seed', readInteger(0, 2 ** 31 - 1), '1');
  const objects = read('objects', readEach(readInteger(1, OBJECTS_MAX)), '10000,100000');
  checkMemory(kind, objectBytes, seed, Math.max(...objects));
  const held = matrix
    ? representationNames
    : read('representation', readEach(readRepresentation), representationNames.join(','));
  const ordered = matrix ? engineNames : read('engine', readEach(readEngine), DEFAULT_ENGINE);
  const semiSpaces = optional('semi-space-mib', readEach(readInteger(1, 1_024))) ?? [undefined];
  const heaps = optional('heap-mib', readEach(readInteger(64, 1_000_000))) ?? [undefined];
  const common = {
    kind,
    objectBytes,
    load: loadOf(flags, read),
    watchers: read('watchers', readInteger(0, 100_000), '0'),
    readers: read('readers', readInteger(0, 1_000), '0'),
    listEveryMs: read('list-every', readSpan, '1s'),
    seconds: read('seconds', readNumber(0.1, 3_600), '5'),
    ageBoundMs: read('age-bound', readSpan, '50ms'),
    seed,
  };
  const cells: Cell[] = [];
  for (const count of objects)
    for (const semiSpaceMib of semiSpaces)
      for (const heapMib of heaps)
        for (const engine of ordered)
          for (const representation of held)
            cells.push({ ...common, objects: count, representation, engine, semiSpaceMib, heapMib });
  const output = flags['output'];
  return { cells, seed, output: typeof output === 'string' && output !== '' ? output : 'listwatch-pressure' };
}

function loadOf(flags: PressureFlags, read: <T>(name: string, reader: ValueReader<T>, otherwise: string) => T): Load {
  const [rate, ramp] = [flags['rate'], flags['ramp']];
  if (rate !== undefined && ramp !== undefined) throw new UsageError('--rate and --ramp exclude each other');
  if (typeof rate === 'string') return { kind: 'rates', rates: readEach(readInteger(1, RATE_MAX))('rate', rate) };
  if (typeof ramp === 'string') return { kind: 'rates', rates: readRamp('ramp', ramp) };
  return {
    kind: 'search',
    resolution: read('resolution', readNumber(1.01, 10), '1.15'),
    repeats: read('repeats', readInteger(1, 100), '3'),
  };
}

function readEach<T>(reader: ValueReader<T>): ValueReader<readonly T[]> {
  return (flag, text) => {
    const items = readList(flag, text).map((item) => reader(flag, item));
    if (new Set(items).size !== items.length) throw bad(flag, text, 'the same twice');
    if (items.length > LIST_MAX) throw bad(flag, text, `expected ${LIST_MAX} items at most`);
    return items;
  };
}

function readNumber(min: number, max: number): ValueReader<number> {
  return (flag, text) => {
    const value = /^[0-9]{1,9}(\.[0-9]{1,9})?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw bad(flag, text, `expected a number from ${min} to ${max}`);
    return value;
  };
}

const readSpan: ValueReader<number> = (flag, text) => {
  const ms = readDurationMs(flag, text);
  if (ms < 1) throw bad(flag, text, 'expected 1ms or more');
  return ms;
};

const readRamp: ValueReader<readonly number[]> = (flag, text) => {
  const right = 'expected from:to:steps, e.g. 1000:100000:5';
  const parts = text.split(':');
  if (parts.length !== 3) throw bad(flag, text, right);
  const [from, to, steps] = parts.map((part) => (/^[0-9]{1,9}$/.test(part) ? Number(part) : Number.NaN)) as [
    number,
    number,
    number,
  ];
  if (!(from >= 1 && to > from && to <= RATE_MAX && steps >= 2 && steps <= LIST_MAX)) {
    throw bad(flag, text, `${right}: 1 <= from < to <= ${RATE_MAX}, 2 to ${LIST_MAX} steps`);
  }
  return Array.from({ length: steps }, (_, step) => Math.round(from * (to / from) ** (step / (steps - 1))));
};

/** Not even their bytes would fit: better said now than by the system's killer in ten minutes. */
function checkMemory(kind: PressureKind, objectBytes: number | undefined, seed: number, objects: number): void {
  let storedBytes: number;
  try {
    storedBytes = new ObjectStream(kind, objectBytes, seed).storedBytes;
  } catch (error) {
    if (error instanceof ObjectTooSmall) throw bad('object-bytes', String(objectBytes), error.message);
    throw error;
  }
  const [needed, there] = [objects * storedBytes, totalmem()];
  if (needed <= there) return;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new UsageError(
    `--objects ${objects}: their bytes alone take ${gib(needed)}, and this machine has ${gib(there)} of memory`,
  );
}
