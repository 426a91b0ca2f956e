import type { Selection } from '../../src/codec/projector.js';
import { type Field, type MessageType, messageType } from '../../src/codec/schema.js';
import type { Random } from '../../src/lib/random.js';

/** Texts that are hard to copy, and none. */
const TEXTS = [
  ...['True', 'False', 'Always', 'Running', 'Succeeded', 'Completed', 'SchedulingGated', 'a/b', 'x', ''],
  ...['grüße', '<a & "b">', '\u2028 😀', 'a long text, longer than any that is read byte by byte'],
];
/** By member: texts that the rules of some kind look for. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  type: [
    ...['Ready', 'Initialized', 'Complete', 'Failed', 'Available', 'Dangling', 'Approved', 'PodScheduled'],
    ...['External', 'Pods', 'Object', 'Resource', 'ContainerResource', 'InternalIP'],
    ...['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName', 'Ünknown'],
  ],
  kind: ['User', 'Group', 'ServiceAccount'],
  operator: ['In', 'NotIn', 'Exists', 'DoesNotExist', 'x'],
  name: ['x', 'y', ''],
  accessModes: ['ReadWriteOnce', 'ReadOnlyMany', 'x'],
  phase: ['Running', 'Succeeded', 'Failed', ''],
};
const TIMES = ['2026-05-31T22:00:00Z', '1969-12-31T23:59:59Z', '2030-01-01T00:00:00Z'];
const INTEGERS = [0, 1, 2, 7, -1, 300, 2_147_483_647];

/**
 * A JSON object of a message type: most of what is selected, and a little of all else, so that there is
 * something to skip. Ready for KindCodec.toStored.
 */
export function randomObject(type: MessageType, selection: Selection, random: Random): Record<string, unknown> {
  return object(type, selection, random, 0);
}

function object(type: MessageType, selection: Selection | null, random: Random, depth: number) {
  const made: Record<string, unknown> = {};
  for (const field of type.fields) {
    const selected = selection?.has(field.json) === true;
    if (field.inline || !random.chance(selected ? 0.85 : 0.25 / (depth + 1))) continue;
    const inner = selection?.get(field.json) ?? null;
    const one = () => value(field, inner, random, depth);
    const sample = one();
    if (sample === undefined) continue;
    if (field.map) {
      const keys = ['b', 'a', '10', 'limits.cpu', '__proto__', 'node-role.kubernetes.io/edge', 'ä'];
      made[field.json] = Object.fromEntries(keys.filter(() => random.chance(0.5)).map((key) => [key, one()]));
    } else if (field.repeated) made[field.json] = Array.from({ length: random.int(5) }, one);
    else made[field.json] = sample;
  }
  return made;
}

/** Undefined for classes that this generator leaves out. */
function value(field: Field, selection: Selection | null, random: Random, depth: number): unknown {
  const pick = <T>(from: readonly T[]) => random.pick(from);
  switch (field.class) {
    case 'string':
      return pick(WORDS[field.json] ?? TEXTS);
    case 'bool':
      return random.chance(0.5);
    case 'int32':
      return pick(INTEGERS);
    case 'int64':
      return pick<number | bigint>([...INTEGERS, 9_007_199_254_740_993n, -9_223_372_036_854_775_808n]);
    case 'bytes':
      return pick(['', 'AAEC', 'aGVsbG8=']);
    case 'Time':
      return pick(TIMES);
    case 'MicroTime':
      return pick(TIMES).replace('Z', '.123456Z');
    case 'Quantity':
      return pick(['0', '500m', '12Gi', '1e3']);
    case 'IntOrString':
      return pick<number | string>([0, 80, '25%', 'http']);
    case 'message':
      return depth > 8 ? undefined : object(messageType(field.messageName), selection, random, depth + 1);
    default:
      return undefined;
  }
}
