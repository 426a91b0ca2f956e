import type { Transformer } from './transformer.js';

/** How values of one resource are decrypted. Asked for each value, as the configuration may be another one by then. */
export interface ResourceDecryption {
  /** undefined: values of the resource are not configured to be encrypted. */
  transformers(): readonly Transformer[] | undefined;
  /** Is told of each value that could not be decrypted. */
  failed(): void;
  /**
   * Calls back when the resource should be read anew; soon, when a value failed that was read before the last such time: the
   * list that a watch continues may have it. Returns what ends that.
   */
  onReread(reread: () => void): () => void;
}

/** Whether a value may need a data key that somebody else keeps. */
export function fetchesKeys(transformers: readonly Transformer[] | undefined): boolean {
  if (transformers === undefined) return false;
  for (const { fetchOpen } of transformers) if (fetchOpen !== undefined) return true;
  return false;
}
