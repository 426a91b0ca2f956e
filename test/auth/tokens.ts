import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** A key pair as kube-apiserver's operators have them. */
export interface TokenKey {
  readonly privatePem: string;
  readonly publicPem: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** What kube-apiserver writes into `kid`. */
  readonly id: string;
}

export function rsaKey(): TokenKey {
  return described(generateKeyPairSync('rsa', { modulusLength: 2048 }));
}

export function ecKey(namedCurve = 'P-256'): TokenKey {
  return described(generateKeyPairSync('ec', { namedCurve }));
}

function described({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): TokenKey {
  return {
    privateKey,
    publicKey,
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    id: createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64url'),
  };
}

/** A signed token (RFC 7515, compact). `header`: `alg` says how it is signed; it has no `kid` unless given. */
export function jwt(
  key: TokenKey,
  claims: object,
  header: { readonly alg?: string; readonly [name: string]: unknown } = {},
): string {
  const algorithm = header.alg ?? (key.privateKey.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256');
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ ...header, alg: algorithm })}.${part(claims)}`;
  const how = algorithm.startsWith('PS')
    ? { key: key.privateKey, padding: 6, saltLength: -1 }
    : algorithm.startsWith('ES')
      ? { key: key.privateKey, dsaEncoding: 'ieee-p1363' as const }
      : { key: key.privateKey };
  return `${signed}.${sign(`sha${algorithm.slice(2)}`, Buffer.from(signed), how).toString('base64url')}`;
}
