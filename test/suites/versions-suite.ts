import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ByteRange, rangeOf, utf8 } from '../../src/lib/bytes.js';
import { type Clock, createFakeClock } from '../../src/lib/clock.js';
import type { Random } from '../../src/lib/random.js';
import type { Pin, VersionId, Versions } from '../../src/versions/versions.js';
import { withSeed } from '../engine/with-seed.js';

/** Wire bytes that an implementation can be given: not all take any bytes. */
export interface Wires {
  /** Where the message starts in them. */
  readonly objectOffset: number;
  one(random: Random): Uint8Array;
}

/** Any text: for what keeps bytes as they are. */
export const textWires: Wires = {
  objectOffset: 2,
  one: (random) => utf8(`hh${random.hex(random.chance(0.02) ? 60_000 : random.int(900))}`),
};

const range = (): ByteRange => ({ bytes: new Uint8Array(0), start: 0, end: 0 });
const text = ({ bytes, start, end }: ByteRange) => Buffer.from(bytes.subarray(start, end)).toString('latin1');

// When is a version superseded at 10 freed? One row per rule.
const rows: [name: string, pins: number[], historyTail: number, freed: number][] = [
  ['history may still name it', [], 9, 0],
  ['history has moved to its revision', [], 10, 1],
  ['history has moved past it', [], 11, 1],
  ['a pin reads the state before it was superseded', [9], 20, 0],
  ['a pin sends the event that superseded it', [10], 20, 0],
  ['a pin is younger', [11], 20, 1],
  ['the oldest pin decides', [11, 30, 9], 20, 0],
];

/** What every Versions must do, however it holds what it is given. */
export function versionsSuite(
  name: string,
  create: (clock: Clock) => Versions,
  wires: Wires,
  movesVersions = true,
): void {
  const { objectOffset } = wires;
  const started = () => create(createFakeClock());
  const add = (versions: Versions, key: string, wire: Uint8Array, revision: number): VersionId =>
    versions.add(rangeOf(utf8(key)), rangeOf(wire), objectOffset, revision, revision);
  const withWire = (run: (wire: Uint8Array) => void) => withSeed((random) => run(wires.one(random)));

  describe(`versions: ${name}`, () => {
    test('key, wire bytes and object come back as they went in, whatever becomes of the source', () =>
      withWire((wire) => {
        const versions = started();
        const source = Buffer.concat([utf8('..KEY'), wire, utf8('..')]);
        const end = 5 + wire.length;
        const id = versions.add(
          { bytes: source, start: 2, end: 5 },
          { bytes: source, start: 5, end },
          objectOffset,
          7,
          Number.MAX_SAFE_INTEGER,
        );
        source.fill(0);
        assert.equal(text(versions.key(id, range())), 'KEY');
        assert.equal(text(versions.wire(id, range())), text(rangeOf(wire)));
        assert.equal(text(versions.object(id, range())), text(rangeOf(wire.subarray(objectOffset))));
        assert.equal(versions.wireSize(id), wire.length);
        assert.equal(versions.createRevision(id), 7);
        assert.equal(versions.modRevision(id), Number.MAX_SAFE_INTEGER);
        versions.verify();
      }));

    test('keys are compared whole, up to their last byte', () =>
      withWire((wire) => {
        const versions = started();
        for (let length = 0; length < 13; length++) {
          const key = Buffer.alloc(length, 'k');
          const id = versions.add(rangeOf(key), rangeOf(wire), objectOffset, 1, 1);
          const words = new Int32Array(4);
          const bytes = new Uint8Array(words.buffer);
          bytes.set(key);
          assert.equal(versions.hasKey(id, words, length), true, `length ${length}`);
          assert.equal(versions.hasKey(id, words, length + 1), false);
          for (let at = 0; at < length; at++) {
            bytes[at]! ^= 1;
            assert.equal(versions.hasKey(id, words, length), false, `length ${length}, byte ${at}`);
            bytes[at]! ^= 1;
          }
          versions.retire(id, 2);
          versions.reclaim(2);
          assert.throws(() => versions.hasKey(id, words, length), /read after it was freed/);
        }
      }));

    for (const [rule, pins, historyTail, freed] of rows) {
      test(`reclaim: ${rule}`, () =>
        withWire((wire) => {
          const versions = started();
          const id = add(versions, 'a', wire, 5);
          versions.retire(id, 10);
          const held = pins.map((revision) => versions.pin(revision, 'test'));
          assert.equal(versions.reclaim(historyTail), freed);
          if (freed === 0) assert.equal(text(versions.wire(id, range())), text(rangeOf(wire)));
          else assert.throws(() => versions.wire(id, range()), /read after it was freed/);
          versions.verify();
          for (const pin of held) pin[Symbol.dispose]();
          assert.equal(versions.reclaim(20), 1 - freed);
          versions.dispose();
        }));
    }

    test('a large reclaim can be spread over turns', () =>
      withWire((wire) => {
        const versions = started();
        for (let index = 0; index < 5_000; index++) versions.retire(add(versions, `k${index}`, wire, 1), 2);
        assert.equal(versions.reclaim(2, 3_000), 3_000);
        assert.equal(versions.stats.retired, 2_000);
        versions.verify();
        assert.equal(versions.reclaim(2), 2_000);
        assert.equal(versions.stats.retiredBytes, 0);
      }));

    test('a revision whose versions may be gone cannot be pinned', () =>
      withWire((wire) => {
        const versions = started();
        versions.retire(add(versions, 'a', wire, 1), 10);
        versions.reclaim(10);
        assert.throws(() => versions.pin(9, 'late'), /pins revision 9, but versions superseded at 10 are gone/);
        versions.pin(10, 'in time')[Symbol.dispose]();
      }));

    test('retiring twice, out of order or before the version was written is refused', () =>
      withWire((wire) => {
        const versions = started();
        const [a, b] = [add(versions, 'a', wire, 5), add(versions, 'b', wire, 5)];
        assert.throws(() => versions.retire(a, 5), /is superseded at 5/);
        versions.retire(a, 9);
        assert.throws(() => versions.retire(a, 10), /retired but not live/);
        assert.throws(() => versions.retire(b, 8), /in the order of revisions/);
        assert.throws(() => versions.retire(12_345, 10), /retired but not live/);
      }));

    test('bad attributes are refused at the door', () =>
      withWire((wire) => {
        const versions = started();
        const [key, value] = [rangeOf(utf8('k')), rangeOf(wire)];
        assert.throws(() => versions.add(key, value, wire.length + 1, 1, 1), /object offset/);
        assert.throws(() => versions.add(key, value, objectOffset, 2, 1), /createRevision 2, modRevision 1/);
        assert.throws(() => versions.add(key, value, objectOffset, 0, 1), /createRevision 0/);
        assert.throws(() => versions.add(key, value, objectOffset, 1, 2 ** 53), /modRevision/);
        assert.equal(versions.stats.live, 0);
        versions.verify();
      }));

    test('pins are listed with owner and age, the oldest revision first; dispose refuses while one is held', () => {
      const clock = createFakeClock();
      const versions = create(clock);
      const pins: Pin[] = [versions.pin(30, 'list'), versions.pin(10, 'watch')];
      clock.advance(500);
      pins.push(versions.pin(20, 'page'));
      assert.deepEqual(versions.pinList(), [
        { revision: 10, owner: 'watch', ageMs: 500 },
        { revision: 20, owner: 'page', ageMs: 0 },
        { revision: 30, owner: 'list', ageMs: 500 },
      ]);
      assert.throws(() => versions.dispose(), /disposed while watch pins revision 10/);
      for (const pin of pins) {
        pin[Symbol.dispose]();
        pin[Symbol.dispose]();
      }
      assert.equal(versions.stats.pins, 0);
      versions.dispose();
      assert.equal(versions.stats.reservedBytes, 0);
    });

    test('agrees with a model under adds, retirements, moves, pins and reclaims', () =>
      withSeed((random) => {
        const versions = started();
        const live: [id: VersionId, wire: string][] = [];
        let retired: [id: VersionId, wire: string, supersededAt: number][] = [];
        let pins: Pin[] = [];
        /** Where versions lay when a pin was taken, or a piece held: there they stay until it is let go. */
        let readers: { read: ByteRange; wire: string; letGo: () => void; pin?: Pin }[] = [];
        const letGo = (gone: (reader: (typeof readers)[number]) => boolean) => {
          for (const reader of readers) assert.equal(text(reader.read), reader.wire);
          const done = new Set(readers.filter(gone));
          for (const reader of done) reader.letGo();
          readers = readers.filter((reader) => !done.has(reader));
        };
        let tail = 0;
        let moves = 0;
        for (let revision = 1; revision <= 1_500; revision++) {
          for (let count = random.int(5); count > 0; count--) {
            const wire = wires.one(random);
            const id = add(versions, `/registry/pods/${random.hex(1 + random.int(20))}`, wire, revision);
            live.push([id, text(rangeOf(wire))]);
          }
          for (let count = random.int(5); count > 0 && live.length > 0; count--) {
            const [[id, wire]] = live.splice(random.int(live.length), 1) as [[VersionId, string]];
            if (versions.modRevision(id) === revision) live.push([id, wire]);
            else {
              versions.retire(id, revision);
              retired.push([id, wire, revision]);
            }
          }
          if (random.chance(0.2)) {
            const pin = versions.pin(Math.max(tail, revision - random.int(30)), 'model');
            pins.push(pin);
            for (const [id, wire] of live.slice(-4))
              readers.push({ read: versions.wire(id, range()), wire, letGo() {}, pin });
          }
          if (random.chance(0.2)) {
            const gone = new Set(pins.filter(() => random.chance(0.6)));
            pins = pins.filter((pin) => !gone.has(pin));
            letGo(({ pin }) => pin !== undefined && gone.has(pin));
            for (const pin of gone) pin[Symbol.dispose]();
          }
          if (random.chance(0.2) && live.length > 0) {
            const some = live.slice(random.int(live.length)).slice(0, 1 + random.int(20));
            const piece = versions.gather(
              Int32Array.from(some, ([id]) => id),
              2 ** 18,
            );
            if (piece !== undefined) {
              assert.equal(piece.count, some.length);
              let end: number | undefined;
              for (const [id, wire] of some) {
                assert.equal(versions.pieceOf(id), piece);
                const read = versions.wire(id, range());
                assert.equal(text(read), wire);
                assert.equal(read.start, end ?? read.start, 'wire bytes lie one behind another');
                ({ end } = read);
                if (!random.chance(0.1)) continue;
                piece.hold();
                readers.push({ read, wire, letGo: () => piece.release() });
              }
              moves++;
            }
          }
          if (random.chance(0.2)) letGo(({ pin }) => pin === undefined && random.chance(0.3));
          if (random.chance(0.3)) {
            tail = Math.max(tail, revision - random.int(60));
            const oldestPin = Math.min(...pins.map((pin) => pin.revision));
            const kept = retired.filter(([, , at]) => at > tail || at >= oldestPin);
            assert.equal(versions.reclaim(tail), retired.length - kept.length);
            retired = kept;
          }
          if (revision % 50 !== 0) continue;
          versions.verify();
          for (const [id, wire] of [...live, ...retired]) assert.equal(text(versions.wire(id, range())), wire);
          assert.equal(versions.stats.live, live.length);
          assert.equal(versions.stats.retired, retired.length);
        }
        assert.ok(moves > 20 || !movesVersions, `${moves} moves`);
        letGo(() => true);
        for (const pin of pins) pin[Symbol.dispose]();
        versions.reclaim(tail); // what was held last, and by no pin, waits for whatever comes next
        assert.equal(versions.stats.movedBytes, 0);
        versions.verify();
        versions.dispose();
      }));
  });
}
