import { createDecipheriv, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { DecryptError, type OpenValue } from './transformer.js';

const BLOCK = 16;
const GCM_NONCE = 12;
const GCM_TAG = 16;
const SECRETBOX_NONCE = 24;
const SECRETBOX_TAG = 16;
const SEED_INFO = 32;
const FIRST_BLOCK = Buffer.of(1);
/** Texts of Kubernetes' own reader. */
const TOO_SHORT = 'the stored data was shorter than the required size';
const GCM_FAILED = 'cipher: message authentication failed';

/** 16 bytes of IV, then AES-CBC with PKCS#7 padding. It authenticates nothing: a changed value may open as other bytes. */
export function aescbc(key: Uint8Array): OpenValue {
  return (data) => {
    if (data.length < BLOCK) throw new DecryptError(TOO_SHORT);
    const body = data.subarray(BLOCK);
    if (body.length % BLOCK !== 0) {
      throw new DecryptError('the stored data is not a multiple of the block size');
    }
    const decipher = createDecipheriv(`aes-${key.length * 8}-cbc`, key, data.subarray(0, BLOCK));
    decipher.setAutoPadding(false);
    const padded = Buffer.concat([decipher.update(body), decipher.final()]);
    // Go's reader takes any padding that fits the value; OpenSSL's takes no more than a block.
    const padding = padded.at(-1) ?? 0;
    const size = padded.length - padding;
    if (padding === 0 || size < 0) throw new DecryptError('invalid PKCS7 data (empty or not padded)');
    if (!padded.subarray(size).every((byte) => byte === padding)) throw new DecryptError('invalid padding on input');
    return padded.subarray(0, size);
  };
}

/** 12 bytes of nonce, ciphertext, 16 bytes of tag; the etcd key is authenticated with it. */
export function aesgcm(key: Uint8Array): OpenValue {
  return aesgcmOf(createSecretKey(key));
}

export function aesgcmOf(key: KeyObject): OpenValue {
  const cipher = `aes-${key.symmetricKeySize! * 8}-gcm` as 'aes-256-gcm';
  return (data, authenticated) => {
    if (data.length < GCM_NONCE) throw new DecryptError(TOO_SHORT);
    if (data.length < GCM_NONCE + GCM_TAG) throw new DecryptError(GCM_FAILED);
    const decipher = createDecipheriv(cipher, key, data.subarray(0, GCM_NONCE), { authTagLength: GCM_TAG });
    decipher.setAAD(authenticated);
    decipher.setAuthTag(data.subarray(data.length - GCM_TAG));
    try {
      return Buffer.concat([decipher.update(data.subarray(GCM_NONCE, data.length - GCM_TAG)), decipher.final()]);
    } catch {
      throw new DecryptError(GCM_FAILED);
    }
  };
}

/**
 * 32 bytes, then what AES-GCM made with a key of its own: HKDF-Expand (SHA-256) of the seed over these bytes, as
 * kube-apiserver 1.29 and later write with KMS v2 (aes/aes_extended_nonce.go).
 */
export function extendedNonceAesgcm(seed: KeyObject): OpenValue {
  return (data, authenticated) => {
    if (data.length < SEED_INFO) throw new DecryptError(TOO_SHORT);
    const info = data.subarray(0, SEED_INFO);
    // One block of the expansion is the whole key: HMAC(seed, info | 1).
    const key = createHmac('sha256', seed).update(info).update(FIRST_BLOCK).digest();
    const open = aesgcmOf(createSecretKey(key));
    key.fill(0);
    return open(data.subarray(SEED_INFO), authenticated);
  };
}

/** NaCl's secretbox: 24 bytes of nonce, then the Poly1305 tag and the XSalsa20 ciphertext. */
export function secretbox(key: Uint8Array): OpenValue {
  return (data) => {
    if (data.length < SECRETBOX_NONCE + SECRETBOX_TAG) throw new DecryptError(TOO_SHORT);
    try {
      return xsalsa20poly1305(key, data.slice(0, SECRETBOX_NONCE)).decrypt(data.slice(SECRETBOX_NONCE));
    } catch {
      throw new DecryptError('invalid secretbox data: authentication failed');
    }
  };
}
