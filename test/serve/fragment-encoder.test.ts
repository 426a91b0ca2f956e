import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findKind } from '../../src/codec/kinds.js';
import { InThreadEncoder } from '../../src/serve/fragment-encoder.js';
import { encoderSuite, storedItems } from '../suites/encoder-suite.js';

encoderSuite('InThreadEncoder', new InThreadEncoder(), async () => {});

test('what was encoded is not touched by what is encoded later', () => {
  const encoder = new InThreadEncoder();
  const pods = storedItems(findKind('', 'v1', 'pods')!);
  const first = encoder.start(pods.items).take();
  assert.ok(!(first instanceof Promise));
  const text = first.bytes.toString();
  encoder.start(storedItems(findKind('', 'v1', 'services')!).items).take();
  assert.equal(first.bytes.toString(), text);
});
