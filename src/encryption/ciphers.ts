import { createDecipheriv } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { DecryptError, type OpenValue } from './transformer.js';

const BLOCK = 16;
const GCM_NONCE = 12;
const GCM_TAG = 16;
const SECRETBOX_NONCE = 24;
const SECRETBOX_TAG = 16;

/** 16 bytes of IV, then AES-CBC with PKCS#7 padding. It authenticates nothing: a changed value may open as other bytes. */
export function aescbc(key: Uint8Array): OpenValue {
  return (data) => {
    if (data.length < BLOCK) throw new DecryptError('the stored data was shorter than the required size');
    const body = data.subarray(BLOCK);
    if (body.length % BLOCK !== 0) {
      throw new DecryptError('the stored data is not a multiple of the block size');
    }
    const decipher = createDecipheriv(`aes-${key.length * 8}-cbc`, key, data.subarray(0, BLOCK));
    try {
      return Buffer.concat([decipher.update(body), decipher.final()]);
    } catch {
      throw new DecryptError('invalid padding on input');
    }
  };
}

/** 12 bytes of nonce, ciphertext, 16 bytes of tag; the etcd key is authenticated with it. */
export function aesgcm(key: Uint8Array): OpenValue {
  return (data, authenticated) => {
    if (data.length < GCM_NONCE + GCM_TAG) {
      throw new DecryptError('the stored data was shorter than the required size');
    }
    const cipher = `aes-${key.length * 8}-gcm` as 'aes-256-gcm';
    const decipher = createDecipheriv(cipher, key, data.subarray(0, GCM_NONCE), { authTagLength: GCM_TAG });
    decipher.setAAD(authenticated);
    decipher.setAuthTag(data.subarray(data.length - GCM_TAG));
    try {
      return Buffer.concat([decipher.update(data.subarray(GCM_NONCE, data.length - GCM_TAG)), decipher.final()]);
    } catch {
      throw new DecryptError('cipher: message authentication failed');
    }
  };
}

/** NaCl's secretbox: 24 bytes of nonce, then the Poly1305 tag and the XSalsa20 ciphertext. */
export function secretbox(key: Uint8Array): OpenValue {
  return (data) => {
    if (data.length < SECRETBOX_NONCE + SECRETBOX_TAG) {
      throw new DecryptError('the stored data was shorter than the required size');
    }
    try {
      return xsalsa20poly1305(key, data.slice(0, SECRETBOX_NONCE)).decrypt(data.slice(SECRETBOX_NONCE));
    } catch {
      throw new DecryptError('invalid secretbox data: authentication failed');
    }
  };
}
