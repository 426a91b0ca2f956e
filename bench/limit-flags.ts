import { defaultLimits, type Limits } from '../src/lib/limits.js';

/**
 * The default limits but for what `--limit NAME=NUMBER` says, so that a bench can measure what a bound is worth.
 * Throws an Error that names the flag for a name that is no limit, and for a value that is no number from 0.
 */
export function limitsOf(flags: readonly string[]): Limits {
  const limits: Record<string, number> = { ...defaultLimits };
  for (const flag of flags) {
    const [name = '', text = ''] = flag.split('=');
    const value = Number(text);
    if (!Object.hasOwn(limits, name))
      throw new Error(`--limit ${flag}: no limit is called "${name}" (src/lib/limits.ts)`);
    if (text === '' || !(value >= 0)) throw new Error(`--limit ${flag}: must be NAME=NUMBER, with a number from 0`);
    limits[name] = value;
  }
  return limits as unknown as Limits;
}
