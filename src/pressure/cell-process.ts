import { stayAwake } from '../lib/awake.js';
import { systemClock } from '../lib/clock.js';
import type { Cell } from './cell.js';
import { type CellMessage, runCell } from './run-cell.js';

/** The process of one cell: started by run-grid.ts, told what to do in its first message, and gone when it is done. */
function main(): void {
  if (process.send === undefined) throw new Error('this file is started by `listwatch pressure`');
  stayAwake();
  const say = (message: CellMessage, then?: () => void) => {
    process.send?.(message, undefined, undefined, () => then?.());
  };
  const leave = () => process.exit(0);
  process.once('message', (cell: Cell) => {
    runCell(cell, systemClock, say).then(
      (result) => say({ type: 'done', result }, leave),
      (error: unknown) => {
        say(
          { type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) },
          leave,
        );
      },
    );
  });
  // Ctrl-C reaches every process of the terminal: the one that started us decides.
  process.on('SIGINT', () => {});
  // Whoever started us is gone.
  process.on('disconnect', leave);
}

main();
