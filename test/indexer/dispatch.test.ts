import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Framer, ObjectFilter, WatchSink } from '../../src/cache/cache.js';
import { createTimingWheel } from '../../src/cache/timing-wheel.js';
import { Watchers } from '../../src/cache/watchers.js';
import { engines } from '../../src/engine/engines.js';
import { Interests } from '../../src/indexer/interests.js';
import { prefixEnd, utf8 } from '../../src/lib/bytes.js';
import { defaultLimits } from '../../src/lib/limits.js';
import type { Random } from '../../src/lib/random.js';
import { compileFilter } from '../../src/serve/filter.js';
import { withSeed } from '../engine/with-seed.js';
import { History, labelsOf, PREFIX, podCodec, podValue, randomFilter, randomPod } from './history.js';

/** What a watcher is told, as text: type, resourceVersion and the bytes of the object. */
const framer: Framer = {
  id: 'text',
  firstDiffers: false,
  event(type, wire, revision, _first, into) {
    const object = Buffer.from(wire.bytes.subarray(wire.start, wire.end)).toString('base64');
    append(into, `${type} @${revision} ${object}\n`);
  },
  bookmark(revision, initialEventsEnd, _first, into) {
    append(into, `BOOKMARK @${revision} ${initialEventsEnd}\n`);
  },
};

function append(into: { bytes: Buffer; position: number; reserve(size: number): void }, text: string): void {
  into.reserve(text.length);
  into.position += into.bytes.write(text, into.position);
}

class TextSink implements WatchSink {
  text = '';
  failure = '';
  write(chunk: Uint8Array): boolean {
    this.text += Buffer.from(chunk).toString();
    return true;
  }
  end(): void {}
  fail(message: string): void {
    this.failure = message;
  }
}

function watchersOf(history: History, random: Random): Watchers {
  const { cache, clock } = history;
  const wheel = createTimingWheel(clock);
  const watchers = new Watchers({
    cache,
    codec: podCodec,
    prefix: PREFIX,
    wheel,
    clock,
    random,
    limits: defaultLimits,
  });
  watchers.restart();
  return watchers;
}

function watch(watchers: Watchers, history: History, filter: ObjectFilter, initialEvents: boolean, from = PREFIX) {
  const sink = new TextSink();
  const request = {
    from,
    to: prefixEnd(from),
    filter,
    framer,
    afterRevision: history.cache.revision,
    initialEvents,
    initialEventsEnd: initialEvents,
    bookmarks: false,
    timeoutMs: 1e9,
  };
  return { sink, watch: watchers.watch(request, sink), filter };
}

/** Of this filter no index knows anything: its watcher is asked about every change. */
function opaque({ id, matches }: ObjectFilter): ObjectFilter {
  return { id: `${id} opaque`, matches };
}

for (const initialEvents of [false, true]) {
  test(`a watcher found by its terms is told what one asked every time is told; initial events: ${initialEvents}`, () =>
    withSeed((random) => {
      const history = new History(engines['cow-btree']);
      const watchers = watchersOf(history, random);
      const pool = Array.from({ length: 100 }, () => randomPod(random));
      const pairs: { known: ReturnType<typeof watch>; asked: ReturnType<typeof watch> }[] = [];
      let told = 0;
      history.cache.index.want(['l', 'f:spec.nodeName']);
      for (let step = 0; step < 250; step++) {
        const changes = new Map<string, Uint8Array | undefined>();
        for (let count = random.int(6); count > 0; count--) {
          const value = random.chance(0.25) ? undefined : random.pick(pool);
          changes.set(`ns-${random.int(3)}/pod-${random.int(40)}`, value);
        }
        if (step === 240) changes.set('ns-1/broken', utf8('k8s\0 and nothing that parses'));
        history.write(changes);
        watchers.changed(1_000);
        if (random.chance(0.5)) history.clock.advance(3);
        if (pairs.length < 40 && random.chance(0.4)) {
          const filter = randomFilter(random);
          const from = random.chance(0.5) ? PREFIX : utf8(`/registry/pods/ns-${random.int(3)}/`);
          const known = watch(watchers, history, filter, initialEvents, from);
          pairs.push({ known, asked: watch(watchers, history, opaque(filter), initialEvents, from) });
        }
        if (random.chance(0.05) && pairs.length > 0) {
          const index = random.int(pairs.length);
          const [{ known, asked }] = pairs.splice(index, 1) as [(typeof pairs)[number]];
          known.watch.close();
          asked.watch.close();
        }
      }
      history.clock.advance(50);
      watchers.flush();
      for (const { known, asked } of pairs) {
        assert.equal(known.sink.text, asked.sink.text, known.filter.id);
        assert.equal(known.sink.failure, asked.sink.failure, known.filter.id);
        told += known.sink.text.split('\n').length;
      }
      assert.ok(told > 100, `${told} events`);
      assert.ok(
        pairs.some(({ known }) => known.sink.failure !== ''),
        'an unreadable value concerns everybody',
      );
      watchers.verify();
      watchers.stop();
      history.close();
    }));
}

test('a change is judged by those alone whom its terms concern', () => {
  const history = new History(engines['cow-btree']);
  let asked = 0;
  const counting = (text: string, field = ''): ObjectFilter => {
    const fields = field === '' ? [] : [{ field: 'spec.nodeName', operator: '=' as const, value: field }];
    const filter = compileFilter(podCodec, text === '' ? [] : labelsOf(text), fields)!;
    const matches = (bytes: Uint8Array, start: number, end: number) => {
      asked++;
      return filter.matches(bytes, start, end);
    };
    return { ...filter, matches };
  };
  withSeed((random) => {
    const watchers = watchersOf(history, random);
    for (let index = 0; index < 500; index++) {
      watch(watchers, history, counting('', `node-${index}`), false);
      watch(watchers, history, counting(`app=app-${index},tier in (a,b)`), false);
    }
    history.write([['ns/a', podValue({ app: 'app-7', tier: 'a' }, { nodeName: 'node-3' })]]);
    watchers.flush();
    assert.equal(asked, 2, 'created: the watchers of its label and of its node');
    asked = 0;
    history.write([['ns/a', podValue({ app: 'app-8', tier: 'a' }, { nodeName: 'node-3' })]]);
    watchers.flush();
    assert.equal(asked, 6, 'relabelled: both labels and the node, before and after');
    asked = 0;
    history.write([['ns/a', undefined]]);
    watchers.flush();
    assert.equal(asked, 2, 'deleted');
    watchers.stop();
  });
  history.close();
});

test('members are filed under what their selectors demand, and taken out again', () => {
  const interests = new Interests<string>();
  const selectors = ['a=b', 'a in (b,c)', 'a', '!a', 'a!=b', 'a>1', 'a=b,c=longer-value', 'x,y=z'].map((text) => ({
    name: text,
    selector: { labels: labelsOf(text), fields: [] },
  }));
  for (const { name, selector } of selectors) interests.add(name, selector);
  interests.add('everything', undefined);
  const all: string[] = [];
  interests.visit(undefined, (name) => all.push(name));
  assert.deepEqual(all.sort(), [...selectors.map(({ name }) => name), 'everything'].sort());
  for (const { name, selector } of selectors) interests.remove(name, selector);
  interests.remove('everything', undefined);
  assert.equal(interests.size, 0);
  interests.visit(undefined, () => assert.fail('nobody is left'));
});
