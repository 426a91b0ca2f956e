import assert from 'node:assert/strict';
import { type ListOptions, parseListOptions } from '../../src/api/list-options.js';
import type { WatchSink } from '../../src/cache/cache.js';
import type { ByteWriter, WireObject } from '../../src/codec/codec.js';
import type { Random } from '../../src/lib/random.js';
import { AnswerRevoked } from '../../src/serve/cached-list.js';
import type { Failure } from '../../src/serve/failure.js';
import type { Reader, WatchFormat, WatchRun } from '../../src/serve/reader.js';
import { describe } from '../cache/support.js';
import type { Model } from './model.js';
import type { ClientRecord, Line, ListRecord, StreamRecord } from './records.js';

/** What a client sees of the world it runs in. */
export interface Surroundings {
  readonly random: Random;
  readonly reader: Reader;
  /** Of the store that is there now. */
  readonly model: Model;
  readonly oldestWatchable: number;
  readonly cacheRevision: number;
  readonly firstEpoch: number;
  readonly over: boolean;
  sleep(ms: number): Promise<void>;
  complain(problem: string): void;
  /** Counts a fault that the client is. */
  note(fault: 'stall' | 'vanish'): void;
}

/** JSON lines, without any of the real formats' weight. */
export const simFormat: WatchFormat = {
  id: 'sim',
  firstDiffers: false,
  event(type, wire, revision, _first, into) {
    append(into, `${type} ${describe(wire.bytes, wire.start, wire.end)} ${revision}\n`);
  },
  bookmark(revision, initialEventsEnd, _first, into) {
    append(into, `${initialEventsEnd ? 'SYNCED' : 'BOOKMARK'} ${revision}\n`);
  },
  error(failure, into) {
    append(into, `ERROR ${codeOf(failure)} ${'message' in failure ? failure.message : failure.kind}\n`);
  },
};

function codeOf(failure: Failure): number {
  switch (failure.kind) {
    case 'expired':
      return 410;
    case 'initializing':
      return 429;
    case 'internal':
      return 500;
    default:
      return 504;
  }
}

function append(into: ByteWriter, text: string): void {
  into.reserve(Buffer.byteLength(text));
  into.position += into.bytes.write(text, into.position);
}

/**
 * A client like client-go's reflector, with moods: lists, watches, goes on from where it was when the
 * stream ends, starts over when that is refused; reads slowly, stops reading, goes away.
 */
export class Client {
  readonly records: ClientRecord[] = [];
  readonly #name: string;
  readonly #world: Surroundings;
  readonly #side: string | undefined;
  #run: WatchRun | undefined;

  constructor(name: string, world: Surroundings) {
    this.#name = name;
    this.#world = world;
    this.#side = world.random.pick([undefined, undefined, 'in', 'out']);
  }

  async run(): Promise<void> {
    const { random } = this.#world;
    let from: { revision: number; model: Model } | undefined;
    while (!this.#world.over) {
      await this.#world.sleep(random.int(50));
      if (from === undefined && random.chance(0.5)) from = await this.#list();
      else if (from === undefined) from = await this.#watch(undefined);
      else from = await this.#watch(from);
      // Another client in its place, or one that lost its state.
      if (random.chance(0.1)) from = undefined;
    }
  }

  async #list(): Promise<{ revision: number; model: Model } | undefined> {
    const { random } = this.#world;
    const query = random.pick(['', '', 'resourceVersion=0', 'limit=3', 'exact']);
    if (query === 'exact') return this.#listPast();
    return this.#listWith(query, query !== 'resourceVersion=0');
  }

  /** A state that another client may just have been told of. */
  async #listPast(): Promise<{ revision: number; model: Model } | undefined> {
    const { random, model } = this.#world;
    const revision = Math.max(2, model.revision - random.int(20));
    return this.#listWith(`resourceVersion=${revision}&resourceVersionMatch=Exact`, false);
  }

  async #listWith(query: string, consistent: boolean): Promise<{ revision: number; model: Model } | undefined> {
    const { random, reader, model } = this.#world;
    const askedAt = model.revision;
    const items: string[] = [];
    let revision: number | undefined;
    let token: string | undefined;
    do {
      const parts = [query, this.#selector(), token === undefined ? '' : `continue=${token}`].filter(
        (part) => part !== '',
      );
      const result = await reader.list({
        namespace: undefined,
        options: optionsOf(parts.join('&')),
        signal: new AbortController().signal,
      });
      if (!result.ok || this.#world.model !== model) {
        if (result.ok) result.value[Symbol.dispose]();
        return undefined;
      }
      using answer = result.value;
      revision = Number(answer.resourceVersion);
      const wire: WireObject = { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
      try {
        for (let index = 0; index < answer.count; index++) {
          // A slow reader: the state that it was promised does not change under it.
          if (random.chance(0.05)) await this.#world.sleep(random.int(300));
          answer.at(index, wire);
          items.push(describe(wire.bytes, wire.start, wire.end));
        }
      } catch (error) {
        if (error instanceof AnswerRevoked) return undefined;
        throw error;
      }
      token = answer.continue;
      if (token !== undefined && random.chance(0.3)) await this.#world.sleep(random.int(500));
    } while (token !== undefined);
    const record: ListRecord = {
      kind: 'list',
      client: this.#name,
      query,
      side: this.#side,
      model,
      askedAt,
      consistent,
      revision: revision!,
      items,
    };
    this.records.push(record);
    return { revision: revision!, model };
  }

  /** Returns where to go on; undefined: start over. */
  async #watch(
    from: { revision: number; model: Model } | undefined,
  ): Promise<{ revision: number; model: Model } | undefined> {
    const { random, reader, model: askedOf } = this.#world;
    const consistent = random.chance(0.5);
    const position =
      from === undefined
        ? `sendInitialEvents=true&resourceVersionMatch=NotOlderThan${consistent ? '' : '&resourceVersion=0'}`
        : `resourceVersion=${from.revision}`;
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${1 + random.int(10)}&${position}`;
    const parts = [query, this.#selector()].filter((part) => part !== '');
    const askedAt = askedOf.revision;
    const result = await reader.watch({
      namespace: undefined,
      options: optionsOf(parts.join('&')),
      signal: new AbortController().signal,
      legacyPath: false,
      format: simFormat,
    });
    if (!result.ok) return from;
    const { model } = this.#world;
    const record: StreamRecord = {
      kind: 'stream',
      client: this.#name,
      side: this.#side,
      model,
      after: from?.revision,
      afterModel: from?.model ?? model,
      firstEpoch: this.#world.firstEpoch,
      consistent: from === undefined && consistent && model === askedOf,
      askedAt: model === askedOf ? askedAt : 0,
      oldestWatchable: this.#world.oldestWatchable,
      cacheRevision: this.#world.cacheRevision,
      lines: [],
      ended: 'open',
    };
    this.records.push(record);
    const sink = new SlowSink(record, this.#world);
    this.#run = result.value.start(sink);
    // Some go away in the middle.
    const vanishes = random.chance(0.1) ? random.int(2_000) : Number.POSITIVE_INFINITY;
    for (let waited = 0; record.ended === 'open'; waited += 25) {
      if (waited >= vanishes || this.#world.over) {
        record.ended = 'abandoned';
        if (!this.#world.over) this.#world.note('vanish');
        this.#run.close();
        break;
      }
      await this.#world.sleep(25);
      if (sink.full && random.chance(0.3)) sink.drain(this.#run);
    }
    if (record.lines.some((line) => line.kind === 'error')) return undefined;
    const last = record.lines.at(-1);
    if (last === undefined || last.kind === 'error') return from;
    const synced =
      record.after !== undefined || record.lines.some((line) => line.kind === 'bookmark' && line.initialEventsEnd);
    return synced ? { revision: last.revision, model } : undefined;
  }

  #selector(): string {
    return this.#side === undefined ? '' : `labelSelector=side%3D${this.#side}`;
  }
}

/** Refuses more at random, as a socket whose client reads slowly does. */
class SlowSink implements WatchSink {
  full = false;
  readonly #record: StreamRecord;
  readonly #world: Surroundings;
  #chunks = 0;
  #slow: boolean;

  constructor(record: StreamRecord, world: Surroundings) {
    this.#record = record;
    this.#world = world;
    this.#slow = world.random.chance(0.4);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#record.ended !== 'open') return false;
    if (this.full) this.#world.complain(`${this.#record.client} is written to while its transport is full`);
    this.#chunks++;
    const text = Buffer.from(chunk).toString();
    assert.ok(text.endsWith('\n'), 'a chunk ends with an event');
    for (const line of text.slice(0, -1).split('\n')) this.#record.lines.push(this.#parse(line));
    this.full = this.#slow && this.#world.random.chance(0.4);
    if (this.full) this.#world.note('stall');
    return !this.full;
  }

  end(): void {
    assert.notEqual(this.#record.ended, 'clean', 'ended twice');
    if (this.#record.ended === 'open') this.#record.ended = 'clean';
  }

  drain(run: WatchRun): void {
    this.full = false;
    run.drained();
  }

  #parse(line: string): Line {
    const [type, ...rest] = line.split(' ');
    const at = { chunk: this.#chunks, storeRevision: this.#record.model.revision };
    if (type === 'ERROR') return { kind: 'error', code: Number(rest[0]), message: rest.slice(1).join(' '), ...at };
    if (type === 'BOOKMARK' || type === 'SYNCED') {
      return { kind: 'bookmark', revision: Number(rest[0]), initialEventsEnd: type === 'SYNCED', ...at };
    }
    const [, name, holder, own] = /^(.*)=(.*)@(\d+)$/.exec(rest[0]!)!;
    assert.equal(own, rest[1], 'the framer and the object disagree about the revision');
    return { kind: 'event', type: type as 'ADDED', name: name!, holder: holder!, revision: Number(own), ...at };
  }
}

function optionsOf(query: string): ListOptions {
  const options = parseListOptions(query);
  assert.ok(options.ok, query);
  return options.value;
}
