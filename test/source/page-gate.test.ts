import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/lib/bytes.js';
import { listPrefix } from '../../src/source/list-prefix.js';
import { PageGate } from '../../src/source/page-gate.js';
import { type FetchedRange, type RangeRequest, type Source, SourceError } from '../../src/source/source.js';

/** Lists share a gate: pages are counted from the request until they have been visited. */
class Pages {
  open = 0;
  most = 0;
  visits = 0;
  limits: number[] = [];
  order: string[] = [];
  failAt = Number.POSITIVE_INFINITY;

  /** `count` keys of `size` bytes below each prefix. */
  source(count: number, size: number): Source {
    const fetch = async ({ from, limit = 0 }: RangeRequest): Promise<FetchedRange> => {
      this.open++;
      this.most = Math.max(this.most, this.open);
      this.limits.push(limit);
      const [prefix, at = ''] = Buffer.from(from).toString().replace('\0', '').split('/') as [string, string?];
      const first = at === '' ? 0 : Number(at) + 1;
      const entries = Math.min(limit, count - first);
      await new Promise((resolve) => setImmediate(resolve));
      this.order.push(prefix);
      if (this.order.length >= this.failAt) throw new SourceError('compacted', 'gone');
      const key = (index: number) => utf8(`${prefix}/${String(index).padStart(6, '0')}`);
      return {
        revision: 7,
        count,
        more: first + entries < count,
        entries,
        bytes: entries * size,
        lastKey: entries === 0 ? undefined : key(first + entries - 1),
        visit: (visit, from, bytesMax) => {
          const until = Math.min(entries, from + Math.ceil(bytesMax / size));
          for (let index = from; index < until; index++) {
            const bytes = key(first + index);
            visit(bytes, 0, bytes.length, 0, 0, 1, 1);
          }
          this.visits++;
          if (until < entries) return until;
          this.open--;
          return undefined;
        },
      };
    };
    return { name: 'pages', fetch } as unknown as Source;
  }
}

async function list(pages: Pages, gate: PageGate, prefix: string, count: number, size: number): Promise<string[]> {
  const keys: string[] = [];
  const result = await listPrefix(
    pages.source(count, size),
    utf8(`${prefix}/`),
    (bytes, start, end) => keys.push(Buffer.from(bytes.subarray(start, end)).toString()),
    { pageCount: 5_000, pageBytes: 1_000_000, gate },
  );
  assert.deepEqual([result.revision, result.count], [7, count]);
  return keys;
}

test('pages have about the bytes they may have, and at most the keys', async () => {
  const pages = new Pages();
  const keys = await list(pages, new PageGate(4), 'a', 2_000, 4_000);
  assert.equal(new Set(keys).size, 2_000);
  assert.deepEqual(keys, [...keys].sort());
  assert.deepEqual(pages.limits, [500, 250, 250, 250, 250, 250, 250]);
  const small = new Pages();
  await list(small, new PageGate(4), 'a', 12_000, 10);
  assert.deepEqual(small.limits, [500, 5_000, 5_000, 5_000]);
  const large = new Pages();
  await list(large, new PageGate(4), 'a', 503, 3_000_000);
  assert.deepEqual(large.limits, [500, 1, 1, 1]);
});

test('the next page is under way while one is visited; all lists together keep to the gate, and none waits for another to end', async () => {
  const pages = new Pages();
  const gate = new PageGate(3);
  await Promise.all([
    list(pages, gate, 'large', 5_000, 4_000),
    ...Array.from({ length: 10 }, (_, index) => list(pages, gate, `small${index}`, 5, 100)),
  ]);
  assert.equal(pages.most, 3);
  const lastSmall = pages.order.findLastIndex((prefix) => prefix.startsWith('small'));
  const largeBefore = pages.order.slice(0, lastSmall).filter((prefix) => prefix === 'large').length;
  assert.ok(largeBefore < 8, `${largeBefore} pages of the large kind came before the last small one`);
  const alone = new Pages();
  await list(alone, new PageGate(8), 'large', 5_000, 4_000);
  assert.equal(alone.most, 2, 'one ahead');
});

test('a page is visited some at a time: a caller can give up between', async () => {
  const pages = new Pages();
  const abort = new AbortController();
  const gate = new PageGate(2);
  const visited: string[] = [];
  const visit = (bytes: Uint8Array, start: number, end: number) => {
    visited.push(Buffer.from(bytes.subarray(start, end)).toString());
    if (visited.length === 400) abort.abort();
  };
  const options = { pageCount: 5_000, gate, signal: abort.signal };
  await assert.rejects(listPrefix(pages.source(5_000, 10_000), utf8('a/'), visit, options), { kind: 'closed' });
  assert.ok(visited.length >= 400 && visited.length < 500, `${visited.length} entries were visited`);
  assert.ok(pages.visits >= 4, `${pages.visits} visits`);
  await new Promise((resolve) => setImmediate(resolve));
  (await gate.enter())();
});

test('a list that fails gives its room back', async () => {
  const gate = new PageGate(2);
  const pages = new Pages();
  pages.failAt = 3;
  await assert.rejects(list(pages, gate, 'a', 5_000, 4_000), /gone/);
  const throwing = listPrefix(
    new Pages().source(5_000, 4_000),
    utf8('a/'),
    () => {
      throw new Error('refused');
    },
    { pageCount: 5_000, pageBytes: 1_000_000, gate },
  );
  await assert.rejects(throwing, /refused/);
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  const [first, second] = [await gate.enter(), await gate.enter()];
  const third = gate.enter();
  first();
  first();
  (await third)();
  second();
});
