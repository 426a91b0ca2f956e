import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  verify,
  type VerifyKeyObjectInput,
  X509Certificate,
} from 'node:crypto';
import { isObject } from '../lib/is-object.js';

/** A public key that tokens may be signed by. */
export interface VerificationKey {
  /** SHA-256 of the key in DER form, base64url: what kube-apiserver writes into `kid`. */
  readonly id: string;
  readonly key: KeyObject;
}

/** A token that has been taken apart, and about which nothing is verified yet. */
export interface Jwt {
  readonly algorithm: string;
  /** '' when there is none. */
  readonly keyId: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What is signed. */
  readonly signed: string;
  readonly signature: Buffer;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;
const KEY_BLOCKS = new Set(['PUBLIC KEY', 'RSA PUBLIC KEY', 'PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY']);

/**
 * Keys of a PEM text: public or private keys, or certificates, RSA or ECDSA, as kube-apiserver takes them. Throws Error when there
 * is none, or one that does not parse or is of another type; no message holds a part of a key.
 */
export function readVerificationKeys(pem: string): VerificationKey[] {
  const keys: VerificationKey[] = [];
  for (const [block, type] of pem.matchAll(BLOCK)) {
    const isCertificate = type === 'CERTIFICATE';
    // Others, such as EC PARAMETERS before a private key, are passed over.
    if (!isCertificate && !KEY_BLOCKS.has(type!)) continue;
    let key: KeyObject;
    try {
      key = isCertificate ? new X509Certificate(block).publicKey : createPublicKey(block);
    } catch {
      throw new Error(`key ${keys.length + 1} (${type}) does not parse`);
    }
    const curve = key.asymmetricKeyDetails?.namedCurve ?? '';
    if (key.asymmetricKeyType !== 'rsa' && !(key.asymmetricKeyType === 'ec' && curve in CURVES)) {
      throw new Error(`key ${keys.length + 1} is neither RSA nor ECDSA over P-256, P-384 or P-521`);
    }
    const der = key.export({ type: 'spki', format: 'der' });
    keys.push({ id: createHash('sha256').update(der).digest('base64url'), key });
  }
  if (keys.length === 0) throw new Error('no public or private key or certificate in PEM form');
  return keys;
}

const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** undefined: it is no JWS in compact form whose payload is an object. */
export function parseJwt(token: string): Jwt | undefined {
  const parts = token.split('.');
  const [head, payload, signature] = parts;
  if (parts.length !== 3 || head === undefined || payload === undefined || signature === undefined) return undefined;
  if (!BASE64URL.test(head) || !BASE64URL.test(payload) || !BASE64URL.test(signature)) return undefined;
  const header = objectOf(head);
  const claims = objectOf(payload);
  if (header === undefined || claims === undefined) return undefined;
  const { alg, kid, crit } = header as { readonly alg?: unknown; readonly kid?: unknown; readonly crit?: unknown };
  // What must be understood is not.
  if (typeof alg !== 'string' || crit !== undefined) return undefined;
  return {
    algorithm: alg,
    keyId: typeof kid === 'string' ? kid : '',
    claims,
    signed: `${head}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

function objectOf(part: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as unknown;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** By which kube-apiserver signs with the other half of a key that `readVerificationKeys` has read. */
export function signingAlgorithm(key: KeyObject): string {
  return key.asymmetricKeyType === 'rsa' ? 'RS256' : CURVES[key.asymmetricKeyDetails!.namedCurve!]!;
}

/**
 * Whether the key has signed it. The algorithm must be one of the key's own type (RFC 7518), so that a public key never
 * passes for the secret of an HMAC, and `none` for a signature.
 */
export function isSignedBy({ algorithm, signed, signature }: Jwt, key: KeyObject): boolean {
  const how = verification(algorithm, key);
  return how !== undefined && verify(`sha${algorithm.slice(2)}`, Buffer.from(signed), how, signature);
}

function verification(algorithm: string, key: KeyObject): VerifyKeyObjectInput | undefined {
  if (key.asymmetricKeyType === 'rsa') {
    if (/^RS(256|384|512)$/.test(algorithm)) return { key, padding: constants.RSA_PKCS1_PADDING };
    if (/^PS(256|384|512)$/.test(algorithm)) {
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
    }
    return undefined;
  }
  const own = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  return own === algorithm ? { key, dsaEncoding: 'ieee-p1363' } : undefined;
}
