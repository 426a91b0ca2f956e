import { randomFillSync, randomUUID } from 'node:crypto';

/** Chance is passed in, so that a failing run can be replayed from its seed. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, bound). */
  int(bound: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  hex(digits: number): string;
  /** A version 4 UUID. */
  uuid(): string;
}

export function randomFrom(float: () => number): Random {
  const int = (bound: number) => Math.floor(float() * bound);
  const hex = (digits: number) => {
    let text = '';
    for (let digit = 0; digit < digits; digit++) text += int(16).toString(16);
    return text;
  };
  return {
    float,
    int,
    chance: (probability) => float() < probability,
    pick: (items) => items[int(items.length)]!,
    hex,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'[int(4)]}${hex(3)}-${hex(12)}`,
  };
}

/** mulberry32: small, fast, good enough to choose test cases. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return randomFrom(() => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  });
}

const pool = new Uint32Array(256);
let poolIndex = pool.length;

/** Cryptographic randomness in batches: uids and Audit-Ids must not be guessable. */
export const systemRandom: Random = {
  ...randomFrom(() => {
    if (poolIndex === pool.length) {
      randomFillSync(pool);
      poolIndex = 0;
    }
    return pool[poolIndex++]! / 2 ** 32;
  }),
  uuid: () => randomUUID(), // has a pool of its own; every request has an Audit-Id
};
