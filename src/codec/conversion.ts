import type { JsonObject } from './json-parse.js';

/**
 * How objects of a type that is never stored are made of the type that is stored instead (`Kind.storedAs`), and become it:
 * once for each change, so that a kind has its own wire bytes whatever it is stored as.
 */
export interface Conversion {
  /** From one message in canonical form to the other. */
  toServed(bytes: Uint8Array, start: number, end: number): Uint8Array;
  /** Parsed objects, the other way round. */
  toStored(object: JsonObject): JsonObject;
}
