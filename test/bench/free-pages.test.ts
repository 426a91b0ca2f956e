import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ScannedPages, SegregatedPages } from '../../bench/experiments/free-pages.js';

for (const Pages of [ScannedPages, SegregatedPages]) {
  test(`${Pages.name} gives out free pages alone, each once, and all of them`, () => {
    const spans = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 })), { maxLength: 20 });
    const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant('free' as const)), { maxLength: 60 });
    fc.assert(
      fc.property(spans, steps, (holes, todo) => {
        const free = new Set<number>();
        const list: [number, number][] = [];
        let page = 0;
        for (const [gap, count] of holes) {
          page += gap;
          list.push([page, count]);
          for (const end = page + count; page < end; page++) free.add(page);
        }
        const pages = new Pages(list);
        const given: [number, number][] = [];
        for (const step of todo) {
          if (step === 'free') {
            const span = given.shift();
            if (span === undefined) continue;
            pages.free(...span);
            for (let at = span[0]; at < span[0] + span[1]; at++) free.add(at);
            continue;
          }
          const first = pages.allocate(step);
          const fits = [...free].some((at) => Array.from({ length: step }, (_, n) => at + n).every((p) => free.has(p)));
          assert.equal(first !== undefined, fits);
          if (first === undefined) continue;
          for (let at = first; at < first + step; at++) assert.ok(free.delete(at), `page ${at} was not free`);
          given.push([first, step]);
        }
        for (const at of [...free]) assert.ok(pages.allocate(1) !== undefined, `page ${at} is lost`);
        assert.equal(pages.allocate(1), undefined);
      }),
    );
  });
}
