// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source text.
import { type Mutation, of } from './mutation.js';

/** The source, the cache and its watchers, and what the simulation's validators say of them. */
const SIM = ['sim/simulation'] as const;

const validators: Mutation[] = [
  ...of('src/cache/watchers.ts', SIM, [
    [
      'validator Ordered',
      'const { revision } = this.#options.cache;',
      'const revision = this.#options.cache.revision - 1;',
      { shows: /Ordered: / },
    ],
    [
      'validator Unique',
      'if (!this.#write(watcher, bytes)) this.#blockedAt(watcher, framed.position);',
      'if (!this.#write(watcher, bytes)) this.#blockedAt(watcher, from);',
      { shows: /Unique: / },
    ],
    [
      'validator Bookmarkable',
      "    this.flush();\n    if (watcher.state !== 'live') return false;",
      "    if (watcher.state !== 'live') return false;",
      { shows: /Bookmarkable: / },
    ],
  ]),
  ...of('src/cache/snapshots.ts', SIM, [
    [
      'validator Atomic',
      'if (versions.modRevision(id) > revision) return true;',
      'if (versions.modRevision(id) > revision + 1) return true;',
      { shows: /Atomic: / },
    ],
  ]),
  ...of('src/cache/reflector.ts', SIM, [
    [
      'validator Reliable',
      "return backOff({ do: 'watch', from: state.revision + 1 }, state.attempt, end.error.message);",
      "return backOff({ do: 'watch', from: state.revision + 2 }, state.attempt, end.error.message);",
      { shows: /Reliable: / },
    ],
  ]),
  ...of('src/serve/watch.ts', SIM, [
    [
      'validator Resumable',
      'if (!start.state && after < BigInt(oldest)) {',
      'if (!start.state && after <= BigInt(oldest)) {',
      { shows: /Resumable: / },
    ],
  ]),
  ...of('src/serve/list.ts', SIM, [
    [
      'validator Fresh',
      'if (cache.revision >= latest) return success(true);',
      'if (cache.revision >= 0) return success(true);',
      { shows: /Fresh: / },
    ],
  ]),
];

const BEGINNING = ['cache/initial-history'] as const;
const beginning: Mutation[] = [
  ...of('src/cache/watch-cache.ts', BEGINNING, [
    [
      'nobody reads a cache that has not come to the present',
      'if (revision >= present) this.caughtUp();',
      'this.caughtUp();',
    ],
  ]),
  ...of('src/source/past-revision.ts', BEGINNING, [
    [
      'a cache begins where etcd has compacted to, if that is later',
      "return end?.kind === 'compacted' ? Math.min(end.compactRevision, present) : present;",
      'return present;',
    ],
  ]),
  ...of('src/cache/create-cache.ts', BEGINNING, [
    [
      'a cache that catches up asks how far the source is',
      'await this.#revisionWaiters.wait(present, CATCH_UP_WAIT_MS, undefined);',
      'return;',
    ],
  ]),
  ...of(
    'src/http/answering.ts',
    ['http/goaway'],
    [['only HTTP/2 draws for GOAWAY', 'if (goAwayChance > 0 && request.isHttp2 && ', 'if (goAwayChance > 0 && ']],
  ),
];

const CACHE = ['cache/watch-cache', 'cache/rules', 'cache/parts', 'cache/follow', 'cache/watchers'] as const;
const cache: Mutation[] = [
  ...of(
    'src/cache/history.ts',
    ['cache/parts', 'cache/rules', 'cache/watch-cache'],
    [
      ['src/cache/history.ts I1', 'this.tail = revision; // I2', 'this.tail = revision + 1;'],
      [
        'src/cache/history.ts I2',
        'while (this.count > 0 && this.revision(this.first) === revision) {',
        'if (this.count > 0 && this.revision(this.first) === revision) {',
      ],
      ['src/cache/history.ts I3', '      this.#bytes -= this.#sizes[slot]!;\n', ''],
      [
        'upstream never keeps fewer than a hundred events',
        'const KEPT_EVENTS_MIN = 100;',
        'const KEPT_EVENTS_MIN = 99;',
      ],
    ],
  ),
  ...of('src/cache/pending.ts', CACHE, [
    [
      'a row that moves to a new arena takes along what is written',
      'arena.set(this.bytes.subarray(this.rowStart, this.position));',
      'arena.set(this.bytes.subarray(this.rowStart, this.wireStart));',
    ],
    ['what the codec wrote before it gave up is forgotten', 'this.#writer.position = this.#writer.wireStart;', ''],
  ]),
  ...of('src/cache/storage.ts', CACHE, [
    [
      'src/cache/history.ts I4',
      '? UNREADABLE : CHANGE, next, previous, retained, nowMs',
      '? UNREADABLE : CHANGE, next, next, retained, nowMs',
    ],
    ['a key recovers with its next good value', 'else if (errors.size > 0) errors.recover(keyText(key));', ''],
  ]),
  ...of('src/cache/watchers.ts', CACHE, [
    [
      'src/cache/watchers.ts I1',
      'for (const group of this.#touch(from, to)) this.#tick',
      'for (const group of this.#touch(from + 1, to)) this.#tick',
    ],
    [
      'src/cache/watchers.ts I2',
      'if (!this.#write(watcher, bytes)) this.#blockedAt(watcher, framed.position);',
      'if (!this.#write(watcher, bytes)) this.#blockedAt(watcher, framed.position - 1);',
    ],
    [
      'src/cache/watchers.ts I3',
      "    this.#leave(watcher);\n    watcher.state = 'closed';",
      "    watcher.state = 'closed';",
    ],
    ['src/cache/watchers.ts I4', 'if (first <= this.#behindFrom) return;', 'if (first >= 0) return;'],
    [
      'a stream begins with its initial events, then their end',
      'if (request.initialEventsEnd) framer.bookmark(group, snapshot.revision, true, first);',
      '',
    ],
    [
      'who asked for a future revision begins there',
      'watcher.position = cache.history.seek(watcher.request.afterRevision);',
      'watcher.position = cache.history.end;',
    ],
    ['progress comes after the changes before it', 'if (this.#future.size > 0) this.flush();', ''],
    [
      'a revision of a replaced store is refused',
      'request.afterRevision <= cache.abandonedRevision) {',
      'request.afterRevision < 0) {',
    ],
    [
      'a full transport is not written to',
      "return watcher.state !== 'closed' && !watcher.blocked;",
      "return watcher.state !== 'closed';",
    ],
    [
      'watches end at their timeout',
      '      watcher.deadline = undefined;\n      this.#end(watcher);',
      '      watcher.deadline = undefined;',
    ],
  ]),
  ...of(
    'src/cache/groups.ts',
    [...CACHE, 'serve/watch'],
    [
      [
        'a revision is framed whole',
        'const boundary = end === from || history.revision(end) !== history.revision(end - 1);',
        'const boundary = end >= from;',
      ],
      ['spec 3.4: in before, in after is MODIFIED', "matched ? 'MODIFIED' : 'ADDED'", "matched ? 'ADDED' : 'ADDED'"],
      [
        'spec 3.4: an object that leaves is DELETED at the revision at which it left',
        'this.#codec.resplice(this.#wire, revision, respliced);',
        'this.#codec.resplice(this.#wire, revision - 1, respliced);',
      ],
      [
        'a chunk is not framed over before its transport has taken it',
        'into.bytes = spare ?? Buffer.allocUnsafeSlow(this.#chunkBytes);',
        '',
      ],
      ['what a transport has taken is used again', 'if (!fits || this.#resting) return;', 'return;'],
      ['what had to grow, too', 'if (!fits ||', 'if (buffer.length !== this.#chunkBytes || !fits ||'],
      ['watchers with other selectors get other bytes', '`+${filter.id}`', "'+'"],
      ['watchers of another format get other bytes', '\\n${framer.id}`;', '`;'],
      [
        'bounded: chunks for laggards',
        'while (this.#recentBytes > bytesMax) {',
        'while (this.#recentBytes > bytesMax * 1e6) {',
      ],
    ],
  ),
  ...of('src/cache/watch-cache.ts', CACHE, [
    [
      'src/cache/watch-cache.ts I1',
      'if (revision > this.revision || revision < this.history.tail) return undefined;',
      'if (revision > this.revision || revision < this.history.tail - 1) return undefined;',
    ],
    [
      'src/cache/watch-cache.ts I2',
      'if (revision <= this.revision) return false;',
      'if (revision === this.revision) return false;',
    ],
    [
      'src/cache/watch-cache.ts I3',
      'this.storage.versions.reclaim(this.history.tail, RECLAIM_COUNT_MAX);',
      'this.storage.versions.reclaim(this.revision, RECLAIM_COUNT_MAX);',
    ],
    ['a revision that others saw of a replaced store is remembered', 'this.revision, this.#seen);', 'this.revision);'],
    [
      'a revision that comes again is refused',
      "revision <= this.#committed ? 'refused'",
      "revision < this.#committed ? 'refused'",
    ],
    [
      'a list does not take the state back',
      "if (fill.mode === 'difference' && revision <= this.revision) {",
      "if (fill.mode === 'difference' && revision < 0) {",
    ],
  ]),
  ...of('src/cache/list-fill.ts', CACHE, [
    ['a relist deletes what is gone', "if (this.mode === 'difference') this.#deleteUnlisted();", ''],
    ['a relist notices objects that were created again', ' && versions.createRevision(held) === createRevision;', ';'],
  ]),
  ...of('src/cache/snapshots.ts', CACHE, [
    [
      'counts of past states',
      'return this.#live.count(from, to) + within(this.#restored) - within(this.#hidden);',
      'return this.#live.count(from, to) + within(this.#restored);',
    ],
    ['a snapshot lets go of its pin', '    this.#pin[Symbol.dispose]();\n', ''],
  ]),
  ...of(
    'src/cache/reflector.ts',
    ['cache/reflector', 'cache/follow'],
    [
      [
        'a replaced store is read into new storage',
        "return relist('fresh', state.attempt, end.message, [{ do: 'discard' }]);",
        "return relist('difference', state.attempt, end.message, [{ do: 'discard' }]);",
      ],
      [
        'back-off grows',
        "attempt: attempt + 1 },\n    effects: [{ do: 'report', message }, ...before, { do: 'wait', attempt }],",
        "attempt },\n    effects: [{ do: 'report', message }, ...before, { do: 'wait', attempt }],",
      ],
    ],
  ),
  ...of(
    'src/cache/timing-wheel.ts',
    ['cache/parts'],
    [
      ['timers never run early', 'Math.ceil(atMs / this.#tickMs)', 'Math.floor(atMs / this.#tickMs)'],
      ['a timer of a later turn of the wheel waits', 'if (entry.dueTick <= now) due.push(entry);', 'due.push(entry);'],
    ],
  ),
  ...of(
    'src/cache/waiters.ts',
    ['cache/rules', 'cache/follow'],
    [
      [
        'who waits for a revision is told only when it is there',
        'if (waiter.revision <= revision) waiter.settle(true);',
        'if (waiter.revision <= revision + 1) waiter.settle(true);',
      ],
      ['while a read waits, the source is asked for its progress', 'if (pauseMs === 0) this.#askNow();', ''],
    ],
  ),
];

const source: Mutation[] = [
  ...of(
    'src/source/etcd/revision-assembler.ts',
    ['source/revision-assembler'],
    [
      ['src/source/etcd/revision-assembler.ts I1', 'if (revision !== this.#open) this.#commit();', ''],
      [
        'src/source/etcd/revision-assembler.ts I2',
        'const tail = firstRowOf(events, first, eventCount, previous);',
        'const tail = eventCount;',
      ],
      [
        'src/source/etcd/revision-assembler.ts I3',
        'if (revision <= this.#committed) first = row + 1;',
        'if (revision < this.#committed) first = row + 1;',
      ],
    ],
  ),
  ...of(
    'src/source/etcd/identity.ts',
    ['source/etcd-rules'],
    [
      [
        'src/source/etcd/identity.ts I1',
        'header.clusterIdHigh !== this.#clusterIdHigh || header.clusterIdLow !== this.#clusterIdLow',
        'header.clusterIdHigh !== this.#clusterIdHigh',
      ],
      ['src/source/etcd/identity.ts I2', 'if (header.revision < floor.revision) {', 'if (header.revision < 0) {'],
      ['src/source/etcd/identity.ts I3', '    this.#generation++;\n', ''],
    ],
  ),
  ...of(
    'src/source/etcd/read-ticks.ts',
    ['source/read-ticks'],
    [
      [
        'src/source/etcd/read-ticks.ts I1',
        'if (!this.#busy || this.#tickBytes >= tickBytes)',
        'if (this.#tickBytes >= tickBytes)',
      ],
      ['src/source/etcd/read-ticks.ts I2', 'return this.#tickStartMs + tickMs - nowMs;', 'return 2 * tickMs;'],
      ['src/source/etcd/read-ticks.ts I3', 'if (!this.#busy || this.#tickBytes >= tickBytes)', 'if (!this.#busy)'],
    ],
  ),
  ...of(
    'src/source/etcd/grpc-messages.ts',
    ['source/grpc-connection'],
    [
      [
        'a compressed message is refused',
        'if (flags === 0 && length <= this.#bytesMax) return true;',
        'if (length <= this.#bytesMax) return true;',
      ],
      ['who cancels hears nothing of the same piece any more', 'if (this.#stopped) return count;', ''],
    ],
  ),
  ...of(
    'src/source/etcd/grpc-connection.ts',
    ['source/grpc-connection'],
    [
      [
        'what somebody waits for is read at once',
        'if (pauseMs <= 0 || this.#hurrying > 0) this',
        'if (pauseMs <= 0) this',
      ],
      [
        'a server that goes away gets no new streams',
        '      this.retire();\n      if (code !== 0)',
        '      if (code !== 0)',
      ],
      [
        'src/source/etcd/grpc-connection.ts I1',
        'this.#streams.delete(stream) && this.#streams.size === 0',
        'this.#streams.delete(stream) && false',
      ],
      ['src/source/etcd/grpc-connection.ts I2', 'for (const stream of [...this.#streams]) stream.ended(failure);', ''],
      ['a socket that is paused does not end the process', '() => this.#readOn(), true)', '() => this.#readOn())'],
      ['what pauses stays in the kernel', '      this.#socket.pause();\n', ''],
      ['a silent server is given up', "!answered && this.#fail('Keepalive timeout')", 'undefined'],
    ],
  ),
  ...of(
    'src/source/etcd/grpc-stream.ts',
    ['source/grpc-connection'],
    [
      ['the reason of a connection is no reset', ' || (this.#trailers === undefined && this.#owner.isBroken)', ''],
      [
        'a stream whose server has ended its half is over',
        "    http.on('end', () => this.#over());",
        "    http.on('end', () => {});",
      ],
      ['half a message is no good end', 'if (code === status.OK && !this.#splitter.isWhole) {', 'if (code > 99) {'],
    ],
  ),
  ...of(
    'src/source/embedded/key-order.ts',
    ['source/embedded'],
    [
      ['src/source/embedded/key-order.ts I1', 'if (chunk.length === 0) this.#chunks.splice(chunkIndex, 1);', ''],
      [
        'src/source/embedded/key-order.ts I2',
        'else chunk.splice(lowerBound(chunk, entry.key), 0, entry);',
        'else chunk.push(entry);',
      ],
    ],
  ),
  ...of(
    'src/source/embedded/watchers.ts',
    ['source/embedded'],
    [['a turn of an embedded store ends', 'this.#clock.monotonicMs() >= stopMs', 'false']],
  ),
  ...of(
    'src/source/embedded/embedded-store.ts',
    ['source/embedded'],
    [
      ['src/source/embedded/embedded-store.ts I1', '      version.previous = undefined;\n', ''],
      [
        'src/source/embedded/embedded-store.ts I2',
        'version.modRevision > revision) version = version.previous;',
        'version.modRevision >= revision) version = version.previous;',
      ],
      ['src/source/embedded/embedded-store.ts I3', 'if (!isEffective) return this.#revision; // I3', ''],
      [
        'src/source/embedded/embedded-store.ts I4',
        '    this.#validate(operations);\n',
        '    await null;\n    this.#validate(operations);\n',
      ],
    ],
  ),
];

export const liveMutations: readonly Mutation[] = [...validators, ...beginning, ...cache, ...source];
