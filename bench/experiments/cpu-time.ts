import { readFileSync } from 'node:fs';
import { collectGarbage } from '../../src/lib/v8-flags.js';

/**
 * Microseconds of CPU time of this process, all its threads, for each call of `run`: as many calls as take `forMs` of it,
 * after a collection, and as many calls that take a third of that and are not counted: so that what is measured is compiled,
 * and pays for nobody else's garbage.
 */
export function cpuMicros(forMs: number, run: () => void): number {
  callsFor(forMs / 3, run);
  collectGarbage();
  const { calls, micros } = callsFor(forMs, run);
  return micros / calls;
}

function callsFor(forMs: number, run: () => void): { readonly calls: number; readonly micros: number } {
  const before = process.cpuUsage();
  for (let calls = 1; ; calls++) {
    run();
    const { user, system } = process.cpuUsage(before);
    if (user + system >= forMs * 1_000) return { calls, micros: user + system };
  }
}

/** A tick of the kernel's accounting, on every Linux that Node runs on. */
const TICK_MS = 10;

/** Milliseconds of CPU time that another process has had, all its threads, to ten of them. Throws when it has ended. */
export function cpuMsOf(pid: number): number {
  // The name of the program, in brackets, may hold anything; user and system time are the 14th and 15th field.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
