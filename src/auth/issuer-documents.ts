import { signingAlgorithm, type VerificationKey } from './jwt.js';

/** Where those who verify tokens of service accounts elsewhere find who issues them, and the keys. */
export const CONFIGURATION_PATH = '/.well-known/openid-configuration';
export const KEYS_PATH = '/openid/v1/jwks';

/** JSON, as it is sent. */
export interface IssuerDocuments {
  /** OpenID Connect Discovery 1.0, section 3: what of it is required, and somebody who only verifies needs. `origin` is of the server that was asked. */
  configuration(origin: string): string;
  /** RFC 7517, section 5. */
  readonly keys: string;
}

/** Why there are no documents of this issuer; undefined: there are. */
export function issuerProblem(issuer: string | undefined): string | undefined {
  if (issuer === undefined) return 'no issuer is given';
  if (!URL.canParse(issuer)) return 'it is no URL';
  const { protocol, search, hash } = new URL(issuer);
  if (protocol !== 'https:') return 'its scheme is not https';
  if (search !== '') return 'it has a query';
  return hash === '' ? undefined : 'it has a fragment';
}

/** `issuer` is without a problem. `keysUrl`: where others have the keys; absent: here. */
export function issuerDocuments(
  issuer: string,
  keysUrl: string | undefined,
  keys: readonly VerificationKey[],
): IssuerDocuments {
  const algorithms = [...new Set(keys.map(({ key }) => signingAlgorithm(key)))].sort();
  return {
    configuration: (origin) =>
      JSON.stringify({
        issuer,
        jwks_uri: keysUrl ?? `${origin}${KEYS_PATH}`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: algorithms,
      }),
    keys: JSON.stringify({ keys: keys.map(webKey) }),
  };
}

/** The members in the order in which kube-apiserver has them. */
function webKey({ id, key }: VerificationKey) {
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  return { use: 'sig', kty, kid: id, crv, alg: signingAlgorithm(key), x, y, n, e };
}
