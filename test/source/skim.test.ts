import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encode } from '../../src/source/etcd/rpc.js';
import {
  EVENT_COLUMNS,
  RangeSkim,
  skimRangeResponse,
  skimWatchResponse,
  visitRangeEntries,
  WatchSkim,
} from '../../src/source/etcd/skim.js';
import { SourceError } from '../../src/source/source.js';

const revision = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.maxSafeInteger().filter((value) => value > 0),
);
const bytes = (minLength: number) => fc.uint8Array({ minLength, maxLength: 200 }).map((array) => Buffer.from(array));
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const header = fc.record({
  clusterIdHigh: uint32,
  clusterIdLow: uint32,
  revision,
  raftTerm: fc.integer({ min: 0, max: 1_000 }),
});
const keyValue = fc.record({
  key: bytes(1),
  value: bytes(0),
  create_revision: revision,
  mod_revision: revision,
  version: revision,
  lease: revision,
});
const event = fc.record({ type: fc.constantFrom(0, 1), kv: keyValue });

function headerFields(model: { clusterIdHigh: number; clusterIdLow: number; revision: number; raftTerm: number }) {
  return {
    cluster_id: { high: model.clusterIdHigh | 0, low: model.clusterIdLow | 0, unsigned: true },
    member_id: { high: -1, low: 7, unsigned: true },
    revision: model.revision,
    raft_term: model.raftTerm,
  };
}

test('a watch response is read as protobufjs wrote it', () => {
  const skim = new WatchSkim(); // reused, as in life: nothing of one response may show in the next
  const response = fc.record({
    header,
    watch_id: fc.integer({ min: -1, max: 1_000 }),
    created: fc.boolean(),
    canceled: fc.boolean(),
    fragment: fc.boolean(),
    compact_revision: revision,
    cancel_reason: fc.string(),
    events: fc.array(event, { maxLength: 100 }),
  });
  fc.assert(
    fc.property(response, (model) => {
      const encoded = encode('WatchResponse', { ...model, header: headerFields(model.header) });
      skimWatchResponse(encoded, skim);
      const rows = Array.from({ length: skim.eventCount }, (_, row) => {
        const cells = skim.events.slice(row * EVENT_COLUMNS, (row + 1) * EVENT_COLUMNS);
        const [type, keyStart, keyEnd, valueStart, valueEnd, create_revision, mod_revision] = cells;
        const key = Buffer.from(encoded.subarray(keyStart, keyEnd));
        const value = Buffer.from(encoded.subarray(valueStart, valueEnd));
        return { type, key, value, create_revision, mod_revision };
      });
      assert.deepEqual(
        rows,
        model.events.map(({ type, kv: { key, value, create_revision, mod_revision } }) => ({
          type,
          key,
          value,
          create_revision,
          mod_revision,
        })),
      );
      assert.deepEqual({ ...skim.header }, { ...model.header });
      assert.deepEqual(
        [skim.watchId, skim.created, skim.canceled, skim.fragment, skim.compactRevision, skim.cancelReason],
        [model.watch_id, model.created, model.canceled, model.fragment, model.compact_revision, model.cancel_reason],
      );
    }),
  );
});

test('a range response is read as protobufjs wrote it', () => {
  const skim = new RangeSkim();
  const response = fc.record({
    header,
    kvs: fc.array(keyValue, { maxLength: 50 }),
    more: fc.boolean(),
    count: fc.nat(),
  });
  fc.assert(
    fc.property(response, (model) => {
      const encoded = encode('RangeResponse', { ...model, header: headerFields(model.header) });
      skimRangeResponse(encoded, skim);
      const entries: unknown[] = [];
      visitRangeEntries(encoded, (from, keyStart, keyEnd, valueStart, valueEnd, create_revision, mod_revision) => {
        const key = Buffer.from(from.subarray(keyStart, keyEnd));
        const value = Buffer.from(from.subarray(valueStart, valueEnd));
        // A visitor may read another response meanwhile.
        skimRangeResponse(encoded, new RangeSkim());
        entries.push({ key, value, create_revision, mod_revision });
      });
      assert.deepEqual(
        entries,
        model.kvs.map(({ key, value, create_revision, mod_revision }) => ({
          key,
          value,
          create_revision,
          mod_revision,
        })),
      );
      assert.deepEqual({ ...skim.header }, { ...model.header });
      assert.deepEqual([skim.more, skim.count, skim.entryCount], [model.more, model.count, model.kvs.length]);
    }),
  );
});

test('any bytes either parse, with offsets inside them, or are corrupt', () => {
  const watch = new WatchSkim();
  const range = new RangeSkim();
  const valid = encode('WatchResponse', {
    header: { cluster_id: 1, revision: 9, raft_term: 2 },
    events: [0, 1, 0].map((type) => ({
      type,
      kv: {
        key: Buffer.from('/registry/a'),
        value: Buffer.alloc(40, 1),
        create_revision: 5,
        mod_revision: 9,
        lease: 7,
      },
    })),
  });
  const mutated = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const copy = Buffer.from(valid);
      for (const [at, byte] of changes) copy[at] = byte;
      return copy;
    });
  const truncated = fc.nat(valid.length).map((length) => valid.subarray(0, length));
  const inside = (from: number, to: number, length: number) => assert.ok(from <= to && to <= length, `${from}..${to}`);
  fc.assert(
    fc.property(fc.oneof(mutated, truncated, bytes(0)), (candidate) => {
      onlyCorrupt(() => {
        skimWatchResponse(candidate, watch);
        for (let row = 0; row < watch.eventCount; row++) {
          const cells = watch.events.slice(row * EVENT_COLUMNS, (row + 1) * EVENT_COLUMNS);
          inside(cells[1]!, cells[2]!, candidate.length);
          inside(cells[3]!, cells[4]!, candidate.length);
          assert.ok(Number.isSafeInteger(cells[5]) && Number.isSafeInteger(cells[6]));
        }
      });
      onlyCorrupt(() => {
        skimRangeResponse(candidate, range);
        visitRangeEntries(candidate, (_, keyStart, keyEnd, valueStart, valueEnd) => {
          inside(keyStart, keyEnd, candidate.length);
          inside(valueStart, valueEnd, candidate.length);
        });
      });
    }),
    { numRuns: 5_000 },
  );
});

function onlyCorrupt(run: () => void): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof SourceError && error.kind === 'corrupt', String(error));
  }
}

const HEADER = Buffer.from([0x0a, 0x04, 0x08, 0x01, 0x18, 0x09]); // cluster 1, revision 9
const corrupt: [what: string, bytes: number[]][] = [
  ['a length that leaves the message', [0x5a, 0x7f, 0x00]],
  ['an event that ends within a field', [0x5a, 0x02, 0x12, 0x05]],
  ['a field with the number 0', [0x02, 0x00]],
  ['a group', [0x0b, 0x0c]],
  ['a number without an end', [0x20, 0xff, 0xff]],
  ['a number of eleven bytes', [0x18, ...Array<number>(10).fill(0xff), 0x01]],
  ['a tag without a value', [0x5a]],
  ['an event without a key-value', [0x5a, 0x00]],
  ['an event without a key', [0x5a, 0x04, 0x12, 0x02, 0x18, 0x09]],
  ['an event without a mod_revision', [0x5a, 0x05, 0x12, 0x03, 0x0a, 0x01, 0x61]],
  ['an event of an unknown type', [0x5a, 0x09, 0x08, 0x02, 0x12, 0x05, 0x0a, 0x01, 0x61, 0x18, 0x09]],
  [
    'a revision of 2^53',
    [0x5a, 0x0f, 0x12, 0x0d, 0x0a, 0x01, 0x61, 0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0x00],
  ],
  ['a negative revision', [0x5a, 0x10, 0x12, 0x0e, 0x0a, 0x01, 0x61, 0x18, ...Array<number>(9).fill(0xff), 0x01]],
];
for (const [what, tail] of corrupt) {
  test(`corrupt: ${what}`, () => {
    assert.throws(
      () => skimWatchResponse(Buffer.concat([HEADER, Buffer.from(tail)]), new WatchSkim()),
      (error) => error instanceof SourceError && error.kind === 'corrupt',
    );
  });
}

test('unknown fields of every wire type are skipped, wherever they are', () => {
  const unknown = [
    0x78, 0x96, 0x01, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 0x02, 9, 9, 0x7d, 1, 2, 3, 4, 0x82, 0x7d, 0x01, 5,
  ];
  const keyValueBytes = [...unknown, 0x0a, 0x01, 0x61, 0x18, 0x09, ...unknown, 0x2a, 0x01, 0x62];
  const eventBytes = [...unknown, 0x12, keyValueBytes.length, ...keyValueBytes];
  const message = [...unknown, ...HEADER, 0x5a, eventBytes.length, ...eventBytes, ...unknown];
  const skim = new WatchSkim();
  skimWatchResponse(Buffer.from(message), skim);
  assert.equal(skim.eventCount, 1);
  assert.equal(skim.header.revision, 9);
  assert.equal(skim.events[6], 9);
});

test('the greatest revision is 2^53 - 1', () => {
  const skim = new WatchSkim();
  const kv = { key: Buffer.from('a'), mod_revision: Number.MAX_SAFE_INTEGER };
  skimWatchResponse(encode('WatchResponse', { header: { revision: Number.MAX_SAFE_INTEGER }, events: [{ kv }] }), skim);
  assert.equal(skim.events[6], Number.MAX_SAFE_INTEGER);
});
