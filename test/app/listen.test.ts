import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAddress } from '../../src/app/listen.js';
import { UsageError } from '../../src/app/usage-error.js';

const at =
  (...addresses: string[]) =>
  async () =>
    addresses.map((address) => ({ address }));

test('localhost has to be a loopback address', async () => {
  await checkAddress('localhost', at('127.0.0.1', '::1'));
  await checkAddress('127.0.0.1', at('10.0.0.1'));
  await checkAddress('localhost', () => Promise.reject(new Error('ENOTFOUND')));
  await assert.rejects(
    checkAddress('localhost', at('127.0.0.1', '10.0.0.1')),
    (error) => error instanceof UsageError && /^localhost is 10\.0\.0\.1 .* give 127\.0\.0\.1$/.test(error.message),
  );
});
