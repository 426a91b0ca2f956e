import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Held, heldBy } from '../../src/lib/held.js';
import { collectGarbage } from '../../src/lib/v8-flags.js';

function counting(): Held & { releases: number } {
  return {
    releases: 0,
    hold() {},
    release() {
      this.releases++;
    },
  };
}

test('what a transport is done with is released, once', () => {
  const memory = counting();
  const done = heldBy([new Uint8Array(1)], [memory, memory]);
  assert.equal(memory.releases, 0);
  done();
  done();
  assert.equal(memory.releases, 2);
});

test('what a transport never says it is done with is released when nobody can read it any more', async () => {
  const memory = counting();
  let views: Uint8Array[] | undefined = [new Uint8Array(8), new Uint8Array(8)];
  (() => void heldBy(views, [memory]))();
  const turns = async (count: number) => {
    for (let turn = 0; turn < count && memory.releases === 0; turn++) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await turns(3);
  views.length = 1;
  await turns(3);
  assert.equal(memory.releases, 0, 'one of the views is left');
  views = undefined;
  await turns(50);
  assert.equal(memory.releases, 1);
});
