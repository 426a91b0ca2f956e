import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTurn, ownTurn } from '../../src/lib/line.js';

const turnOfTheLoop = () => new Promise<void>((resolve) => setImmediate(resolve));

test('one slice of work in a turn of the event loop, in the order in which they came', async () => {
  let turn = 0;
  let counting = true;
  const count = () => {
    turn++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const slices: { readonly who: number; readonly turn: number }[] = [];
  const work = async (who: number) => {
    await ownTurn();
    for (let slice = 0; slice < 4; slice++) {
      slices.push({ who, turn });
      await nextTurn();
    }
  };
  await Promise.all([0, 1, 2, 3, 4].map(work));
  counting = false;
  const turns = slices.map((slice) => slice.turn);
  assert.equal(new Set(turns).size, slices.length, `two slices in one turn: ${turns.join(' ')}`);
  assert.deepEqual(
    turns,
    [...turns].sort((a, b) => a - b),
  );
  assert.deepEqual(
    slices.map(({ who }) => who),
    Array.from({ length: 20 }, (_, index) => index % 5),
  );
});

test('who is alone does not wait for a turn', async () => {
  await turnOfTheLoop();
  await turnOfTheLoop();
  assert.equal(ownTurn(), undefined);
  const second = ownTurn();
  assert.notEqual(second, undefined, 'one a turn');
  await second;
});

test('who begins waits behind those who are in line', async () => {
  await turnOfTheLoop();
  await turnOfTheLoop();
  const order: string[] = [];
  const first = nextTurn().then(() => order.push('first'));
  const second = ownTurn();
  assert.notEqual(second, undefined);
  await Promise.all([first, second!.then(() => order.push('second'))]);
  assert.deepEqual(order, ['first', 'second']);
});
