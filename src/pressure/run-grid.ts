import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../lib/clock.js';
import type { Cell, PartialCellResult, TrialResult } from './cell.js';
import type { CellMessage } from './run-cell.js';

export interface CellOutcome {
  readonly cell: Cell;
  readonly status: 'done' | 'failed' | 'interrupted';
  /** Why it is not done. */
  readonly message?: string;
  readonly result: PartialCellResult;
}

export interface GridProgress {
  /** Cells that are over. */
  readonly over: number;
  readonly total: number;
  readonly cell: Cell;
  readonly phase: string;
  /** 0 to 1, of everything. */
  readonly share: number;
  /** Of the time, judged by what it took so far; undefined: too early to say. */
  readonly leftMs: number | undefined;
}

const CELL_PROCESS = fileURLToPath(new URL('./cell-process.js', import.meta.url));
const STDERR_KEPT = 8_192;
/** Before this share is done, the time that is left is a guess that helps nobody. */
const SHARE_TO_JUDGE_BY = 0.05;

/** Runs the cells one after the other, each in a fresh process. With the signal it stops: what is known by then is kept. */
export async function runGrid(
  cells: readonly Cell[],
  clock: Clock,
  signal: AbortSignal,
  progress: (progress: GridProgress) => void,
): Promise<CellOutcome[]> {
  const outcomes: CellOutcome[] = [];
  const startMs = clock.monotonicMs();
  for (const cell of cells) {
    if (signal.aborted) break;
    const tell = (phase: string, shareOfCell: number) => {
      const share = (outcomes.length + shareOfCell) / cells.length;
      const elapsedMs = clock.monotonicMs() - startMs;
      const leftMs = share < SHARE_TO_JUDGE_BY ? undefined : (elapsedMs / share) * (1 - share);
      progress({ over: outcomes.length, total: cells.length, cell, phase, share, leftMs });
    };
    tell('starting', 0);
    outcomes.push(await runInProcess(cell, signal, tell));
  }
  return outcomes;
}

function runInProcess(
  cell: Cell,
  signal: AbortSignal,
  tell: (phase: string, share: number) => void,
): Promise<CellOutcome> {
  return new Promise((resolve) => {
    const child = fork(CELL_PROCESS, { execArgv: v8Flags(cell), stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let stderr = '';
    let known: Omit<PartialCellResult, 'trials'> = {};
    const trials: TrialResult[] = [];
    let done: CellOutcome | undefined;
    let refusal: string | undefined;
    const stop = () => child.kill('SIGKILL');
    signal.addEventListener('abort', stop, { once: true });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_KEPT);
    });
    child.on('message', (message: CellMessage) => {
      switch (message.type) {
        case 'phase':
          return tell(message.phase, message.share);
        case 'known':
          known = { ...known, ...message.known };
          return;
        case 'trial':
          trials.push(message.trial);
          return;
        case 'done':
          done = { cell, status: 'done', result: message.result };
          return;
        case 'failed':
          refusal = message.message;
      }
    });
    child.on('error', (error) => {
      refusal ??= `the process could not be started: ${error.message}`;
    });
    child.on('close', (code, killedBy) => {
      signal.removeEventListener('abort', stop);
      if (done !== undefined) return resolve(done);
      const status = signal.aborted ? 'interrupted' : 'failed';
      const message = signal.aborted ? 'interrupted' : (refusal ?? deathOf(cell, code, killedBy, stderr));
      resolve({ cell, status, message, result: { ...known, trials } });
    });
    send(child, cell);
  });
}

function send(child: ChildProcess, cell: Cell): void {
  // A process that dies before it has read this says so in other ways.
  child.send(cell, () => {});
}

function v8Flags({ semiSpaceMib, heapMib }: Cell): string[] {
  return [
    ...(semiSpaceMib === undefined
      ? []
      : [`--min-semi-space-size=${semiSpaceMib}`, `--max-semi-space-size=${semiSpaceMib}`]),
    ...(heapMib === undefined ? [] : [`--max-old-space-size=${heapMib}`]),
  ];
}

/** What became of a process that said nothing itself. */
export function deathOf(
  { heapMib }: Pick<Cell, 'heapMib'>,
  code: number | null,
  killedBy: NodeJS.Signals | null,
  stderr: string,
): string {
  if (/heap out of memory|Reached heap limit/.test(stderr)) {
    const bound = heapMib === undefined ? "V8's default heap limit" : `its heap of ${heapMib} MiB`;
    return `the process ran out of ${bound}: give it more with --heap-mib, or fewer --objects`;
  }
  if (killedBy === 'SIGKILL') return 'the process was killed with SIGKILL: by someone, or for want of memory';
  if (killedBy !== null) return `the process was killed with ${killedBy}`;
  const last = stderr.trim().split('\n').at(-1) ?? '';
  return `the process exited with code ${code}${last === '' ? '' : `: ${last}`}`;
}
