import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { test } from 'node:test';
import { issuerDocuments, issuerProblem } from '../../src/auth/issuer-documents.js';
import { readVerificationKeys } from '../../src/auth/jwt.js';

const problems: readonly [issuer: string | undefined, problem: string | undefined][] = [
  ['https://issuer.example', undefined],
  ['https://issuer.example:8443/a/b', undefined],
  [undefined, 'no issuer is given'],
  ['api', 'it is no URL'],
  ['http://issuer.example', 'its scheme is not https'],
  ['https://issuer.example?a=b', 'it has a query'],
  ['https://issuer.example#a', 'it has a fragment'],
];
for (const [issuer, problem] of problems) {
  test(`issuer ${issuer}: ${problem ?? 'has documents'}`, () => assert.equal(issuerProblem(issuer), problem));
}

const spki = { type: 'spki', format: 'pem' } as const;
const pairs = [
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('ec', { namedCurve: 'P-521' }),
].map(({ publicKey, privateKey }) => ({
  publicKey: publicKey.export(spki),
  privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
}));

test('the keys are those that verify tokens, without a private part', () => {
  const pem = `${pairs[0]!.publicKey}${pairs[1]!.privateKey}${pairs[2]!.publicKey}`;
  const documents = issuerDocuments('https://issuer.example', undefined, readVerificationKeys(pem));
  const { keys } = JSON.parse(documents.keys) as { keys: readonly (JsonWebKey & { kid: string })[] };
  assert.deepEqual(
    keys.map((key) => Object.keys(key).join()),
    ['use,kty,kid,alg,n,e', 'use,kty,kid,crv,alg,x,y', 'use,kty,kid,crv,alg,x,y'],
  );
  for (const [index, key] of keys.entries()) {
    assert.equal(createPublicKey({ key, format: 'jwk' }).export(spki), pairs[index]!.publicKey);
    assert.equal(key.kid, readVerificationKeys(`${pairs[index]!.publicKey}`)[0]!.id);
  }
  assert.deepEqual(
    keys.map(({ alg }) => alg),
    ['RS256', 'ES256', 'ES512'],
  );
});

test('the configuration names the algorithms once, and the keys of the server that was asked or those elsewhere', () => {
  const keys = readVerificationKeys(`${pairs[2]!.publicKey}${pairs[0]!.publicKey}${pairs[0]!.publicKey}`);
  const here = issuerDocuments('https://issuer.example', undefined, keys).configuration('https://10.0.0.1:6443');
  assert.deepEqual(JSON.parse(here), {
    issuer: 'https://issuer.example',
    jwks_uri: 'https://10.0.0.1:6443/openid/v1/jwks',
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES512', 'RS256'],
  });
  const elsewhere = issuerDocuments('https://issuer.example', 'https://keys.example/jwks', keys).configuration('');
  assert.match(elsewhere, /"jwks_uri":"https:\/\/keys\.example\/jwks"/);
});
