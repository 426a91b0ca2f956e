/**
 * Large answers take turns. Whoever has used up its time slice, or begins one, gets in one line, and one of them goes on
 * in each turn of the event loop: so between two slices the loop looks at its sockets, however many answers are being
 * written. If each waited for the next turn on its own, sixty of them would make a turn of half a second, and a GET
 * takes several turns.
 */
const line: (() => void)[] = [];
let taken = false;
let armed = false;

/** A later turn of the event loop, when those who came before have had theirs. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    line.push(resolve);
    arm();
  });
}

/** This turn, if nobody else has it: then there is nothing to wait for. */
export function ownTurn(): Promise<void> | undefined {
  if (taken || line.length > 0) return nextTurn();
  taken = true;
  arm();
  return undefined;
}

/** This turn still, after the callbacks that Node owes: as long as promises follow on promises, it does not come to them. */
export function ownTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function arm(): void {
  if (armed) return;
  armed = true;
  setImmediate(pass);
}

function pass(): void {
  armed = false;
  const next = line.shift();
  taken = next !== undefined;
  next?.(); // what it waits to do is done before the loop goes on
  if (taken) arm();
}
