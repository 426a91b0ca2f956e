import { LRUCache } from 'lru-cache';
import type { WireObject } from '../codec/codec.js';

/** The objects that one stream saw last, bounded in bytes: the longest untouched are forgotten first. */
export type SeenObjects = Pick<LRUCache<string, WireObject>, 'get' | 'set' | 'delete' | 'clear'>;

export function createSeenObjects(bytesMax: number): SeenObjects {
  return new LRUCache<string, WireObject>({
    maxSize: bytesMax,
    sizeCalculation: ({ bytes }) => Math.max(1, bytes.length),
  });
}
