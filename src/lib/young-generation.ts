import { setFlagsFromString } from 'node:v8';

/**
 * V8 doubles its young generation, up to 16 MiB a half, while much survives: while modules are loaded, in the first fill.
 * Nothing of ours makes so many objects later on. Its size cannot be set in a running process, but its growth
 * can, to a factor of one: from now on it stays as it is (docs/adr/0019-resident-memory.md). The flag is the process's,
 * and a thread that starts sets it back to two: call this again then.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
