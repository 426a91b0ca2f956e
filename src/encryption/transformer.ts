/** Why a value cannot be decrypted. The text names no key material and no plaintext. */
export class DecryptError extends Error {
  override readonly name = 'DecryptError';
  /** One for each key that was tried, without repetitions. */
  readonly reasons: readonly string[];

  constructor(...reasons: readonly string[]) {
    const distinct = [...new Set(reasons)];
    super(distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`);
    this.reasons = distinct;
  }
}

/** Opens what stands behind a prefix; `authenticated` is the etcd key. Throws DecryptError. */
export type OpenValue = (data: Uint8Array, authenticated: Uint8Array) => Uint8Array;

/** A provider, or one of its keys. */
export interface Transformer {
  /** What its values begin with, a character a byte (`byteString`); empty: `identity`. */
  readonly prefix: string;
  readonly open: OpenValue;
  /**
   * Where the key of a value is kept by somebody else (KMS): what opens the value, at once or later, to be passed to
   * `decrypt`. Never rejects: a key that cannot be had is a function that throws why.
   */
  readonly fetchOpen?: (data: Uint8Array) => OpenValue | Promise<OpenValue>;
}

const ENCRYPTED = 'k8s:enc:';
const NO_PROVIDER = 'no matching prefix found';

/**
 * Tries whatever has a matching prefix, in order. One that fails does not end the search: two providers may have a key of
 * one name while it is rotated (apiserver/pkg/storage/value/transformer.go). `fetched`: of `fetchOpen`. Throws DecryptError.
 */
export function decrypt(
  transformers: readonly Transformer[],
  value: Uint8Array,
  authenticated: Uint8Array,
  fetched?: OpenValue,
): Uint8Array {
  return openFirst(transformers, value, authenticated, NO_PROVIDER, fetched);
}

/** Undefined: the value needs no key that must be fetched. Otherwise what opens it; the promise never rejects. */
export function fetchOpen(
  transformers: readonly Transformer[],
  value: Uint8Array,
): OpenValue | Promise<OpenValue> | undefined {
  for (const transformer of transformers) {
    // Names of KMS providers are unique in a file, so no more than one has the prefix of a value.
    if (transformer.fetchOpen === undefined || !beginsWith(value, transformer.prefix)) continue;
    return transformer.fetchOpen(value.subarray(transformer.prefix.length));
  }
  return undefined;
}

/** A provider with several keys: behind its prefix stands the name of the key, and a colon. */
export function keyedProvider(prefix: string, keys: readonly Transformer[], noMatch: string): Transformer {
  return { prefix, open: (data, authenticated) => openFirst(keys, data, authenticated, noMatch) };
}

function openFirst(
  transformers: readonly Transformer[],
  value: Uint8Array,
  authenticated: Uint8Array,
  noMatch: string,
  fetched?: OpenValue,
): Uint8Array {
  let reasons: string[] | undefined;
  for (const transformer of transformers) {
    const { prefix } = transformer;
    if (prefix === '') {
      if (!beginsWith(value, ENCRYPTED)) return value;
      continue;
    }
    if (!beginsWith(value, prefix)) continue;
    const open = transformer.fetchOpen === undefined ? transformer.open : (fetched ?? transformer.open);
    try {
      return open(value.subarray(prefix.length), authenticated);
    } catch (error) {
      // What a cipher says may quote its input.
      reasons ??= [];
      reasons.push(...(error instanceof DecryptError ? error.reasons : ['the value could not be decrypted']));
    }
  }
  throw new DecryptError(...(reasons ?? [noMatch]));
}

/** UTF-8, a character a byte. */
export function byteString(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function beginsWith(value: Uint8Array, prefix: string): boolean {
  if (value.length < prefix.length) return false;
  for (let index = 0; index < prefix.length; index++) {
    if (value[index] !== prefix.charCodeAt(index)) return false;
  }
  return true;
}
