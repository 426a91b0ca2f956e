import { createHash, createSecretKey } from 'node:crypto';
import { aesgcmOf, extendedNonceAesgcm } from './ciphers.js';
import { AES_GCM_KEY, AES_GCM_SEED, decodeMessage, type EncryptedObject } from './kms-messages.js';
import { DecryptError, type OpenValue } from './transformer.js';

/** kmsv2/envelope.go: what a plugin may answer, so what may be stored. */
const KEY_ID_BYTES_MAX = 1_024;
const DATA_KEY_BYTES_MAX = 1_024;
const ANNOTATIONS_BYTES_MAX = 32 * 1_024;
const AES_KEY_SIZES = [16, 24, 32];
const SEED_SIZE_MIN = 32;
const DOMAIN_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DOMAIN_LENGTH_MAX = 253;

/** What stands behind `k8s:enc:kms:v2:<provider>:`, checked as kube-apiserver does. Throws DecryptError. */
export function readEncryptedObject(data: Uint8Array): EncryptedObject {
  let object: EncryptedObject;
  try {
    object = decodeMessage('EncryptedObject', data);
  } catch {
    throw new DecryptError('proto: cannot parse invalid wire-format data');
  }
  const { encryptedDEKSource: source, encryptedDEKSourceType: type } = object;
  if (type !== AES_GCM_KEY && type !== AES_GCM_SEED) throw new DecryptError(`unknown encryptedDEKSourceType: ${type}`);
  if (object.encryptedData.length === 0) throw new DecryptError('encrypted data is empty');
  const invalid = (what: string, problem: string) => new DecryptError(`failed to validate ${what}: ${problem}`);
  if (source.length === 0) throw invalid('encrypted DEK source', 'encrypted DEK source is empty');
  if (source.length > DATA_KEY_BYTES_MAX) {
    throw invalid('encrypted DEK source', tooLong('encrypted DEK source', source.length, DATA_KEY_BYTES_MAX));
  }
  const problem = keyIdProblem(object.keyID);
  if (problem !== undefined) throw invalid('key id', problem);
  const unfit = annotationsProblem(object);
  if (unfit !== undefined) throw invalid('annotations', unfit);
  return object;
}

export function keyIdProblem(keyId: string): string | undefined {
  const bytes = Buffer.byteLength(keyId);
  if (bytes === 0) return 'keyID is empty';
  return bytes > KEY_ID_BYTES_MAX ? tooLong('keyID', bytes, KEY_ID_BYTES_MAX) : undefined;
}

/** Values with one name have one data key: it stands for all that the plugin is asked. */
export function dataKeyName({
  encryptedDEKSourceType,
  encryptedDEKSource,
  keyID,
  annotations,
}: EncryptedObject): string {
  const hash = createHash('sha256');
  const add = (part: string | Uint8Array) => {
    hash.update(`${typeof part === 'string' ? Buffer.byteLength(part) : part.length}:`);
    // protobufjs has arrays for bytes that are not there.
    if (part.length > 0) hash.update(part);
  };
  hash.update(`${encryptedDEKSourceType}:`);
  add(encryptedDEKSource);
  add(keyID);
  // Go writes maps in any order.
  for (const name of Object.keys(annotations).sort()) {
    add(name);
    add(annotations[name]!);
  }
  return hash.digest('base64');
}

/** What opens the values of a data key, given what the plugin has decrypted, which is wiped. Throws DecryptError. */
export function openWithDataKey(encryptedDEKSourceType: number, plaintext: Uint8Array): OpenValue {
  const size = plaintext.length;
  if (encryptedDEKSourceType === AES_GCM_SEED) {
    if (size < SEED_SIZE_MIN) throw new DecryptError(`invalid seed length ${size} used for key generation`);
  } else if (!AES_KEY_SIZES.includes(size)) throw new DecryptError(`crypto/aes: invalid key size ${size}`);
  const key = createSecretKey(plaintext);
  plaintext.fill(0);
  const open = encryptedDEKSourceType === AES_GCM_SEED ? extendedNonceAesgcm(key) : aesgcmOf(key);
  return (data, authenticated) => open(readEncryptedObject(data).encryptedData, authenticated);
}

function annotationsProblem({ annotations }: EncryptedObject): string | undefined {
  let bytes = 0;
  for (const [name, value] of Object.entries(annotations)) {
    const labels = name.split('.');
    if (labels.length < 2 || name.length > DOMAIN_LENGTH_MAX || !labels.every((label) => DOMAIN_LABEL.test(label))) {
      return `${JSON.stringify(name.slice(0, 64))} is not a domain of at least two segments separated by dots`;
    }
    bytes += name.length + value.length;
  }
  if (bytes <= ANNOTATIONS_BYTES_MAX) return undefined;
  return `total size of annotations is ${bytes}, which exceeds the max size of ${ANNOTATIONS_BYTES_MAX}`;
}

function tooLong(what: string, bytes: number, max: number): string {
  return `${what} is ${bytes} bytes, which exceeds the max size of ${max}`;
}
