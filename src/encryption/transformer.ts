/** Why a value cannot be decrypted. The text names no key material and no plaintext. */
export class DecryptError extends Error {
  override readonly name = 'DecryptError';
}

/** Opens what one provider, with one key, wrote after its prefix. Throws DecryptError. */
export type OpenValue = (data: Uint8Array, authenticated: Uint8Array) => Uint8Array;

/** A provider with a key, and what its values begin with; the empty prefix is `identity`. */
export interface Transformer {
  readonly prefix: string;
  readonly open: OpenValue;
}

const ENCRYPTED = 'k8s:enc:';

/**
 * Tries whatever has a matching prefix, in order. A key that fails does not end the search: two providers may have a key of
 * one name while it is rotated (apiserver/pkg/storage/value/transformer.go). Throws DecryptError.
 */
export function decrypt(
  transformers: readonly Transformer[],
  value: Uint8Array,
  authenticated: Uint8Array,
): Uint8Array {
  let problem: unknown;
  let triedKeys = false;
  for (const { prefix, open } of transformers) {
    if (prefix === '') {
      if (!beginsWith(value, ENCRYPTED)) return value;
      continue;
    }
    if (!beginsWith(value, prefix)) continue;
    triedKeys = true;
    try {
      return open(value.subarray(prefix.length), authenticated);
    } catch (error) {
      problem ??= error;
    }
  }
  if (!triedKeys) throw new DecryptError(noMatch(transformers, value));
  // What a cipher says may quote its input.
  throw problem instanceof DecryptError ? problem : new DecryptError('the value could not be decrypted');
}

/** A provider whose key names do not match has upstream's own text. */
function noMatch(transformers: readonly Transformer[], value: Uint8Array): string {
  for (const { prefix } of transformers) {
    const provider = /^k8s:enc:(\w+):v1:/.exec(prefix);
    if (provider === null || !beginsWith(value, provider[0])) continue;
    const name = provider[1] === 'secretbox' ? 'Secretbox' : 'AES';
    return `no matching key was found for the provided ${name} transformer`;
  }
  return 'no matching prefix found';
}

function beginsWith(value: Uint8Array, prefix: string): boolean {
  const bytes = Buffer.from(prefix);
  return value.length >= bytes.length && bytes.equals(value.subarray(0, bytes.length));
}
