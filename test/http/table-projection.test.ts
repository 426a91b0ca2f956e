import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { apiVersionOf } from '../../src/api/gvr.js';
import { NO_REVISION } from '../../src/api/revision.js';
import { CodecError } from '../../src/codec/codec.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { isConvertedVersion } from '../../src/codec/kind.js';
import { kindByObject, kinds } from '../../src/codec/kinds.js';
import { parseSelection, projectorOf, type Selection } from '../../src/codec/projector.js';
import { messageType } from '../../src/codec/schema.js';
import { createWriter } from '../../src/codec/writer.js';
import { COMMON, tableFor } from '../../src/http/encode/table/index.js';
import { tableProjector } from '../../src/http/encode/table.js';
import { seededRandom } from '../../src/lib/random.js';
import { readPairs } from '../codec/golden.js';
import { randomObject } from '../support/random-object.js';

const OBJECTS_MIN = 100;
/** Members that hardly any object shows take longer to be met. */
const OBJECTS_MAX = 4000;

/** Both ways to the row of a stored value: through the projector, from shared memory as in the cache, and through a whole decode. */
function rowsOf(codec: ReturnType<typeof createKindCodec>, stored: Uint8Array) {
  const wire = createWriter();
  codec.toWire(stored, 0, stored.length, NO_REVISION, wire);
  const shared = new Uint8Array(new SharedArrayBuffer(wire.position));
  shared.set(wire.bytes.subarray(0, wire.position));
  const whole = codec.read(shared, wire.start, wire.position);
  const projected = tableProjector(codec.kind)(shared, wire.start, wire.position);
  const table = tableFor(codec.kind);
  return { whole, projected: table.row(projected), decoded: table.row(whole) };
}

for (const name of ['pairs.ndjson', 'one-way.ndjson', 'json-stored.ndjson']) {
  test(`rows of ${name}: cells scanned from bytes are those of the decoded object`, () => {
    let compared = 0;
    for (const pair of readPairs(name)) {
      const kind = kindByObject((JSON.parse(pair.json) as { apiVersion: string }).apiVersion, pair.kind);
      if (kind === undefined || isConvertedVersion(kind)) continue;
      const { projected, decoded } = rowsOf(createKindCodec(kind, { readDefaults: false }), pair.stored);
      assert.deepEqual(projected, decoded, `${pair.kind} ${pair.key}`);
      compared++;
    }
    assert.ok(compared >= 10, `${compared} rows`);
  });
}

/** Notes which members of a value are asked for, and refuses those that the selection has not. */
function watched(value: unknown, selection: Selection | null, path: string, seen: Set<string>): unknown {
  if (Array.isArray(value)) return value.map((element) => watched(element, selection, path, seen));
  if (value === null || typeof value !== 'object' || selection === null || selection.size === 0) return value;
  return new Proxy(value as Record<string, unknown>, {
    get(target, member) {
      if (typeof member === 'symbol') return undefined;
      const inner = selection.get(member);
      if (inner === undefined) throw new Error(`reads ${path}${member}, which it does not declare`);
      seen.add(`${path}${member}`);
      return watched(target[member], inner, `${path}${member}.`, seen);
    },
  });
}

function pathsOf(selection: Selection, path = ''): string[] {
  return [...selection].flatMap(([name, inner]) => [
    `${path}${name}`,
    ...(inner === null ? [] : pathsOf(inner, `${path}${name}.`)),
  ]);
}

for (const kind of kinds.filter((one) => !isConvertedVersion(one))) {
  test(`${apiVersionOf(kind.group, kind.version)} ${kind.resource}: the table reads what it declares, and shows the same`, () => {
    const table = tableFor(kind);
    const selection = parseSelection(`${COMMON} ${table.reads}`);
    const type = messageType(kind.message);
    const seen = new Set<string>();
    const random = seededRandom(36);
    const codec = createKindCodec(kind, { readDefaults: false });
    const rows = new Set<string>();
    const unread = new Set(pathsOf(selection).filter((path) => !COMMON.includes(path.split('.').at(-1)!)));
    for (let index = 0; index < OBJECTS_MIN || (unread.size > 0 && index < OBJECTS_MAX); index++) {
      const object = randomObject(type, selection, random);
      const stored = codec.toStored({
        ...object,
        apiVersion: apiVersionOf(kind.group, kind.version),
        kind: kind.kind,
      });
      const { whole, projected, decoded } = rowsOf(codec, stored);
      assert.deepEqual(projected, decoded, inspect(object, { depth: 9 }));
      const proxy = watched(whole, selection, '', seen);
      table.row(proxy);
      table.compare?.(proxy, proxy);
      rows.add(inspect(projected.cells));
      for (const path of seen) unread.delete(path);
    }
    assert.ok(rows.size > 1, 'the objects are told apart');
    assert.deepEqual([...unread], [], 'declares members that it does not read');
  });
}

const refused: [selection: string, message: RegExp][] = [
  ['metadata{name', /does not end/],
  ['metadata{name}}', /a brace too many/],
  ['{name}', /a brace but no name/],
  ['spec{nodeNames}', /PodSpec has no member nodeNames/],
  ['spec', /what of spec\?/],
  ['spec{nodeName{}}', /nodeName cannot be projected/],
  ['metadata{managedFields{fieldsV1}}', /fieldsV1 cannot be projected/],
];
for (const [selection, message] of refused) {
  test(`the selection ${selection} is refused`, () => {
    assert.throws(
      () => projectorOf('k8s.io.api.core.v1.Pod', selection),
      (error) => error instanceof CodecError && message.test(error.message),
    );
  });
}

test('what is not on the wire has the value that the decoded object has', () => {
  const project = projectorOf(
    'k8s.io.api.core.v1.ContainerStatus',
    'name ready restartCount started lastState{running{}}',
  );
  assert.deepEqual(project(new Uint8Array(0), 0, 0), {
    name: '',
    ready: false,
    restartCount: 0,
    started: undefined,
    lastState: { running: undefined },
  });
});
