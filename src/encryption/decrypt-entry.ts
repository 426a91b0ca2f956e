import { unreadableValue } from '../api/unreadable-value.js';
import type { ResourceDecryption } from './resource-decryption.js';
import { DecryptError, decrypt, type OpenValue, type Transformer } from './transformer.js';

export type ShowEntry = (
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
) => void;

/**
 * Shows the entry with its value decrypted, or with the reason why that failed in its place. `open`: what `fetchOpen` gave.
 * A decrypted copy is wiped afterwards: the consumer has copied what it keeps.
 */
export function decryptEntry(
  decryption: ResourceDecryption,
  transformers: readonly Transformer[],
  open: OpenValue | undefined,
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  show: ShowEntry,
): void {
  const value = bytes.subarray(valueStart, valueEnd);
  const key = bytes.subarray(keyStart, keyEnd);
  const opened = openValue(decryption, transformers, value, key, open);
  if (opened === value) return show(bytes, keyStart, keyEnd, valueStart, valueEnd);
  const entry = Buffer.concat([key, opened]);
  show(entry, 0, key.length, key.length, entry.length);
  entry.fill(0);
  opened.fill(0);
}

function openValue(
  decryption: ResourceDecryption,
  transformers: readonly Transformer[],
  value: Uint8Array,
  key: Uint8Array,
  open: OpenValue | undefined,
): Uint8Array {
  try {
    return decrypt(transformers, value, key, open);
  } catch (error) {
    decryption.failed();
    return unreadableValue(error instanceof DecryptError ? error.message : 'the value could not be decrypted');
  }
}
