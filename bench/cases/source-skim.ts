import { RevisionAssembler } from '../../src/source/etcd/revision-assembler.js';
import { encode, messageType } from '../../src/source/etcd/rpc.js';
import { EVENT_COLUMNS, KEY_END, MOD_REVISION, skimWatchResponse, WatchSkim } from '../../src/source/etcd/skim.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { leases, pods, type StoredObject } from '../corpus.js';

/**
 * Reading etcd's watch responses: the skim, the skim with delivery of whole revisions, and protobufjs as the baseline.
 * A live etcd sends one event a response; a watch that catches up gets many.
 */
export function setup(smoke: boolean): BenchCases {
  const cases: BenchCases = {};
  const count = smoke ? 100 : 20_000;
  const corpora: [name: string, objects: () => StoredObject[]][] = [
    ['leases', () => leases(count)],
    ['pods', () => pods(Math.ceil(count / 10))],
  ];
  for (const [name, objects] of corpora) {
    for (const perResponse of [1, 10, 100]) {
      const responses = () => watchResponses(objects(), perResponse);
      cases[`source/watch-${name}-by-${perResponse}/skim`] = () => skimCase(responses());
      cases[`source/watch-${name}-by-${perResponse}/skim-and-deliver`] = () => deliverCase(responses());
      cases[`source/watch-${name}-by-${perResponse}/protobufjs`] = () => protobufCase(responses());
    }
  }
  return cases;
}

interface Responses {
  readonly eventCount: number;
  readonly messages: readonly Buffer[];
}

const FIRST_REVISION = 5_000_000;

function watchResponses(objects: readonly StoredObject[], perResponse: number): Responses {
  const messages: Buffer[] = [];
  for (let start = 0; start < objects.length; start += perResponse) {
    const events = objects.slice(start, start + perResponse).map(({ key, value }, index) => {
      const mod_revision = FIRST_REVISION + start + index;
      return { type: 0, kv: { key, create_revision: 1_000 + start, mod_revision, version: 40, value } };
    });
    const revision = FIRST_REVISION + start + events.length;
    const header = { cluster_id: { low: 17, high: 23, unsigned: true }, member_id: 5, revision, raft_term: 3 };
    messages.push(encode('WatchResponse', { header, events }));
  }
  return { eventCount: objects.length, messages };
}

function skimCase({ eventCount, messages }: Responses): BenchCase {
  const skim = new WatchSkim();
  return {
    ops: eventCount,
    run: () => {
      let checksum = 0;
      for (const bytes of messages) {
        skimWatchResponse(bytes, skim);
        for (let row = 0; row < skim.eventCount * EVENT_COLUMNS; row += EVENT_COLUMNS) {
          checksum = (checksum + skim.events[row + MOD_REVISION]! + bytes[skim.events[row + KEY_END]! - 1]!) | 0;
        }
      }
      return checksum;
    },
  };
}

function deliverCase({ eventCount, messages }: Responses): BenchCase {
  const skim = new WatchSkim();
  return {
    ops: eventCount,
    run: () => {
      let checksum = 0;
      const assembler = new RevisionAssembler(
        {
          change: (_type, bytes, _keyStart, keyEnd, _valueStart, _valueEnd, _createRevision, modRevision) => {
            checksum = (checksum + modRevision + bytes[keyEnd - 1]!) | 0;
          },
          commit: () => {},
        },
        FIRST_REVISION,
        2 ** 20,
      );
      for (const bytes of messages) {
        skimWatchResponse(bytes, skim);
        assembler.add(bytes, skim);
      }
      return checksum;
    },
  };
}

function protobufCase({ eventCount, messages }: Responses): BenchCase {
  const type = messageType('WatchResponse');
  return {
    ops: eventCount,
    run: () => {
      let checksum = 0;
      for (const bytes of messages) {
        const { events } = type.decode(bytes) as unknown as { events: DecodedEvent[] };
        for (const { kv } of events) checksum = (checksum + Number(kv.mod_revision) + kv.key[kv.key.length - 1]!) | 0;
      }
      return checksum;
    },
  };
}

interface DecodedEvent {
  readonly kv: { readonly key: Uint8Array; readonly mod_revision: { toString(): string } };
}
