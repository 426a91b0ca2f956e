import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// V8's flags are the process's, and are set here and nowhere else.

/**
 * V8 doubles its young generation, up to 16 MiB a half, while much survives: while modules are loaded, in the first fill.
 * Nothing of ours makes so many objects later on. Its size cannot be set in a running process, but its growth
 * can, to a factor of one: from now on it stays as it is (docs/adr/0019-resident-memory.md). The flag is the process's,
 * and a thread that starts sets it back to two: call this again then.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

let gc: (() => void) | undefined;

/** Collects all garbage of this thread, in one go: tens of milliseconds. V8 shows its own function to contexts that are made while the flag is set. */
export function collectGarbage(): void {
  if (gc === undefined) {
    setFlagsFromString('--expose-gc');
    gc = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  gc();
}
