import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { test } from 'node:test';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import fc from 'fast-check';
import { connected, readEncryptionConfiguration, transformersOf } from '../../src/encryption/configuration.js';
import { DecryptError, decrypt } from '../../src/encryption/transformer.js';

const KEY = Buffer.alloc(32, 7);
const OTHER = Buffer.alloc(32, 8);
const ETCD_KEY = Buffer.from('/registry/secrets/d/s');

/** As kube-apiserver writes: prefix, nonce, what the cipher made. */
const write = {
  aescbc(key: Uint8Array, plain: Uint8Array, nonce = Buffer.alloc(16, 1)): Buffer {
    const cipher = createCipheriv('aes-256-cbc', key, nonce);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final()]);
  },
  aesgcm(key: Uint8Array, plain: Uint8Array, nonce = Buffer.alloc(12, 1), authenticated = ETCD_KEY): Buffer {
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(authenticated);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  },
  secretbox(key: Uint8Array, plain: Uint8Array, nonce = Buffer.alloc(24, 1)): Buffer {
    return Buffer.concat([nonce, xsalsa20poly1305(key, nonce).encrypt(plain)]);
  },
};
type Provider = keyof typeof write;
const providers = Object.keys(write) as Provider[];

const value = (provider: Provider, name: string, body: Uint8Array) =>
  Buffer.concat([Buffer.from(`k8s:enc:${provider}:v1:${name}:`), body]);

function noKms(): never {
  throw new Error('there is no KMS provider');
}

/** `aescbc/a=KEY aescbc/b=OTHER identity`. */
function secretsWith(...given: (readonly [Provider, string, Uint8Array] | 'identity')[]) {
  const all = given.map((one) =>
    one === 'identity'
      ? { identity: {} }
      : { [one[0]]: { keys: [{ name: one[1], secret: Buffer.from(one[2]).toString('base64') }] } },
  );
  const file = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets'], providers: all }],
  };
  return transformersOf(connected(readEncryptionConfiguration(JSON.stringify(file)), noKms), '', 'secrets')!;
}

for (const provider of providers) {
  const transformers = secretsWith([provider, 'k', KEY]);
  test(`${provider}: what was written is read`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (plain) => {
        assert.deepEqual(
          Buffer.from(decrypt(transformers, value(provider, 'k', write[provider](KEY, plain)), ETCD_KEY)),
          Buffer.from(plain),
        );
      }),
    );
  });

  test(`${provider}: every length that is too short is an error`, () => {
    const whole = value(provider, 'k', write[provider](KEY, Buffer.from('hello')));
    for (let length = 0; length < whole.length; length++) {
      if (provider === 'aescbc' && length === 'k8s:enc:aescbc:v1:k:'.length + 16) continue;
      assert.throws(() => decrypt(transformers, whole.subarray(0, length), ETCD_KEY), DecryptError, `${length} bytes`);
    }
  });

  test(`${provider}: another key is an error that tells nothing of the value`, () => {
    const body = value(provider, 'k', write[provider](OTHER, Buffer.from('hunter2-hunter2')));
    assert.throws(
      () => decrypt(transformers, body, ETCD_KEY),
      (error: Error) => error instanceof DecryptError && !error.message.includes('hunter2'),
    );
  });

  test(`${provider}: keys are found in every state of a rotation`, () => {
    const old = value(provider, 'old', write[provider](KEY, Buffer.from('v')));
    const current = value(provider, 'new', write[provider](OTHER, Buffer.from('v')));
    const plain = Buffer.from('{}');
    const states = [
      secretsWith([provider, 'old', KEY], [provider, 'new', OTHER], 'identity'),
      secretsWith([provider, 'new', OTHER], [provider, 'old', KEY], 'identity'),
      secretsWith('identity', [provider, 'new', OTHER], [provider, 'old', KEY]),
    ];
    for (const state of states) {
      assert.equal(Buffer.from(decrypt(state, old, ETCD_KEY)).toString(), 'v');
      assert.equal(Buffer.from(decrypt(state, current, ETCD_KEY)).toString(), 'v');
      assert.deepEqual(decrypt(state, plain, ETCD_KEY), plain);
    }
    const gone = secretsWith([provider, 'new', OTHER], 'identity');
    const transformer = provider === 'secretbox' ? 'Secretbox' : 'AES';
    assert.throws(
      () => decrypt(gone, old, ETCD_KEY),
      new DecryptError(`no matching key was found for the provided ${transformer} transformer`),
    );
    // One name for two keys: the first one fails, the second one is tried.
    const same = secretsWith([provider, 'old', OTHER], [provider, 'old', KEY]);
    assert.equal(Buffer.from(decrypt(same, old, ETCD_KEY)).toString(), 'v');
  });
}

for (const provider of ['aesgcm', 'secretbox'] as const) {
  test(`${provider}: every flipped bit is an error`, () => {
    const transformers = secretsWith([provider, 'k', KEY]);
    const whole = value(provider, 'k', write[provider](KEY, Buffer.from('a secret value')));
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => decrypt(transformers, flipped, ETCD_KEY), DecryptError, `bit ${bit}`);
    }
  });
}

test('aesgcm: a value that was moved to another key is an error', () => {
  const whole = value('aesgcm', 'k', write.aesgcm(KEY, Buffer.from('v')));
  assert.throws(
    () => decrypt(secretsWith(['aesgcm', 'k', KEY]), whole, Buffer.from('/registry/secrets/d/t')),
    DecryptError,
  );
});

test('secretbox opens the golden box of NaCl', () => {
  // tests/secretbox.c of NaCl: firstkey, nonce, and the first and last bytes of m and c belong together.
  const key = Buffer.from('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389', 'hex');
  const nonce = Buffer.from('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37', 'hex');
  const message = Buffer.from(
    'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
    'hex',
  );
  const box = Buffer.from(
    'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
    'hex',
  );
  const opened = decrypt(
    secretsWith(['secretbox', 'k', key]),
    value('secretbox', 'k', Buffer.concat([nonce, box])),
    ETCD_KEY,
  );
  assert.equal(Buffer.from(opened).toString('hex'), message.toString('hex'));
});

test('identity alone refuses what is encrypted', () => {
  assert.throws(
    () => decrypt(secretsWith('identity'), value('aescbc', 'k', Buffer.alloc(32)), ETCD_KEY),
    new DecryptError('no matching prefix found'),
  );
});
