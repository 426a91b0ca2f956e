import type { Versions } from '../versions/versions.js';
import { createCowBtree } from './cow-btree.js';
import type { Engine } from './engine.js';
import { createHashEngine } from './hash.js';
import { createBtree, createHashBtree } from './slot-btree.js';
import { createSortedArray } from './sorted-array.js';

/** Every storage engine by name. The suite, the property test and the benches run over this list. */
export const engines = {
  'cow-btree': createCowBtree,
  hash: createHashEngine,
  'hash+btree': createHashBtree,
  btree: createBtree,
  'sorted-array': createSortedArray,
} as const satisfies Record<string, (versions: Versions) => Engine>;

export type EngineName = keyof typeof engines;
export const DEFAULT_ENGINE: EngineName = 'cow-btree';
