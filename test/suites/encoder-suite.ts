import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { apiVersionOf } from '../../src/api/gvr.js';
import { type KindCodec, CodecError } from '../../src/codec/codec.js';
import type { Kind } from '../../src/codec/kind.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind, kinds } from '../../src/codec/kinds.js';
import { createWriter } from '../../src/codec/writer.js';
import { rangeOf, utf8 } from '../../src/lib/bytes.js';
import type { EncodedItems, FragmentEncoder, ItemsToEncode } from '../../src/serve/fragment-encoder.js';
import { createVersions } from '../../src/versions/create-versions.js';
import type { VersionId, Versions } from '../../src/versions/versions.js';
import { readPairs } from '../codec/golden.js';

const pairs = readPairs('pairs.ndjson');

/** Objects of one kind as the cache holds them: in slabs, and freed bytes are overwritten. */
export interface StoredItems {
  readonly kind: Kind;
  readonly codec: KindCodec;
  readonly versions: Versions;
  readonly ids: readonly VersionId[];
  readonly items: ItemsToEncode;
}

/** What Go stored, in the wire form of the kind, `times` times over. */
export function storedItems(kind: Kind, times = 1): StoredItems {
  const apiVersion = apiVersionOf(kind.group, kind.version);
  const values = pairs.filter((pair) => pair.kind === kind.kind && pair.apiVersion === apiVersion);
  return store(kind, Array.from({ length: times }, () => values.map(({ stored }) => stored)).flat());
}

/** One object whose message ends in the middle of a field. */
export function damagedItems(): StoredItems {
  const stored = storedItems(findKind('', 'v1', 'pods')!);
  const { versions, ids, codec, kind } = stored;
  const wire = versions.wire(ids[0]!, rangeOf(new Uint8Array(0)));
  const cut = Buffer.from(wire.bytes.subarray(wire.start, wire.end - 1));
  const damaged = createVersions({ poison: true });
  const id = damaged.add(rangeOf(utf8('/registry/pods/a/damaged')), rangeOf(cut), 0, 1, 1);
  return itemsOf(kind, codec, damaged, [id]);
}

function store(kind: Kind, values: readonly Buffer[]): StoredItems {
  const codec = createKindCodec(kind);
  const versions = createVersions({ poison: true });
  const ids = values.map((value, index) => {
    const into = createWriter(256);
    codec.toWire(value, 0, value.length, index + 1, into);
    const wire = { bytes: into.bytes, start: into.headerStart, end: into.position };
    const key = rangeOf(utf8(`/registry/${kind.directory}/${index}`));
    return versions.add(key, wire, into.start - into.headerStart, index + 1, index + 1);
  });
  return itemsOf(kind, codec, versions, ids);
}

function itemsOf(kind: Kind, codec: KindCodec, versions: Versions, ids: readonly VersionId[]): StoredItems {
  const items: ItemsToEncode = {
    codec,
    count: ids.length,
    at(index, into) {
      const { bytes, start, end } = versions.object(ids[index]!, into);
      return Object.assign(into, { bytes, headerStart: start, start, end });
    },
    hold: () => versions.pin(ids.length, 'encoder suite'),
  };
  return { kind, codec, versions, ids, items };
}

/** Each item apart, by the codec itself. */
export function expectedJson({ codec, versions, ids }: StoredItems): string[] {
  return ids.map((id) => {
    const { bytes, start, end } = versions.object(id, rangeOf(new Uint8Array(0)));
    const into = createWriter();
    codec.toJson(bytes, start, end, false, into);
    return into.bytes.toString('utf8', 0, into.position);
  });
}

export function textsOf({ bytes, starts }: EncodedItems): string[] {
  return [...starts.subarray(0, -1)].map((start, index) => bytes.toString('utf8', start, starts[index + 1]! - 1));
}

/** What every FragmentEncoder promises, whoever does the work. */
export function encoderSuite(name: string, encoder: FragmentEncoder, close: () => Promise<void>): void {
  describe(`${name} as a FragmentEncoder`, () => {
    after(close);

    test('gives the codec’s own bytes for every kind', async () => {
      let found = 0;
      for (const kind of kinds) {
        const stored = storedItems(kind);
        if (stored.ids.length === 0) continue;
        const encoded = await encoder.start(stored.items).take();
        assert.deepEqual(textsOf(encoded), expectedJson(stored), kind.kind);
        assert.equal(encoded.bytes.toString(), expectedJson(stored).join(','), kind.kind);
        found++;
      }
      assert.ok(found >= 50, `only ${found} of ${kinds.length} kinds have golden values`);
    });

    test('answers tasks that were started together each with its own items', async () => {
      const all = kinds
        .filter((kind) => kind.group === 'apps')
        .map((kind) => storedItems(kind, 3))
        .filter(({ ids }) => ids.length > 0);
      assert.ok(all.length > 2);
      const tasks = all.map((stored) => encoder.start(stored.items));
      const encoded = await Promise.all(tasks.map(async (task) => task.take()));
      for (const [index, stored] of all.entries()) {
        assert.deepEqual(textsOf(encoded[index]!), expectedJson(stored), stored.kind.kind);
      }
    });

    test('encodes no items at all as nothing', async () => {
      const { items } = storedItems(kinds[0]!);
      const encoded = await encoder.start({ ...items, count: 0 }).take();
      assert.equal(encoded.bytes.length, 0);
      assert.deepEqual(textsOf(encoded), []);
    });

    test('fails as the codec fails', async () => {
      const { items } = damagedItems();
      await assert.rejects(async () => encoder.start(items).take(), CodecError);
    });

    test('holds nothing once tasks are taken or cancelled', async () => {
      const stored = storedItems(findKind('', 'v1', 'pods')!, 4);
      const tasks = Array.from({ length: 12 }, () => encoder.start(stored.items));
      for (const [index, task] of tasks.entries()) {
        if (index % 3 === 0) task.cancel();
        else await task.take();
      }
      for (let turn = 0; stored.versions.stats.pins > 0 && turn < 500; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.equal(stored.versions.stats.pins, 0);
      stored.versions.dispose();
    });
  });
}
