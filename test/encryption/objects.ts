import { createCipheriv, createHash, randomBytes } from 'node:crypto';

export const IDENTITY = { identity: {} };

const keyOf = (name: string) => createHash('sha256').update(`key ${name}`).digest();

/** A provider with these keys. */
export function gcm(...names: string[]): object {
  return { aesgcm: { keys: names.map((name) => ({ name, secret: keyOf(name).toString('base64') })) } };
}

/** An EncryptionConfiguration of one resource. */
export function fileOf(resource: string, providers: readonly object[]): string {
  return JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: [resource], providers }],
  });
}

/** As kube-apiserver writes it with that provider. */
export function encryptGcm(key: string, plain: string, keyName: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', keyOf(keyName), nonce);
  cipher.setAAD(Buffer.from(key));
  const parts = [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([Buffer.from(`k8s:enc:aesgcm:v1:${keyName}:`), ...parts]);
}
