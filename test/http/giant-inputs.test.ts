import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDurationMs, parseTimeoutMs } from '../../src/api/duration.js';
import { parseExtendedFieldSelector } from '../../src/api/extended-field-selector.js';
import { parseFieldSelector } from '../../src/api/field-selector.js';
import { parseInt64, quoteGo } from '../../src/api/go-text.js';
import { parseLabelSelector } from '../../src/api/label-selector.js';
import { decodeQuery } from '../../src/api/query.js';
import { parseResourceVersion } from '../../src/api/resource-version.js';
import { parseShardSelector } from '../../src/api/shard-selector.js';
import { bearerToken } from '../../src/auth/headers.js';
import { isLoopbackHost, isLoopbackOrigin } from '../../src/http/gate.js';
import { contentCoding, negotiate, resourceTransforms, routerAccepts } from '../../src/http/negotiate.js';
import { parseTarget, withoutSlashes } from '../../src/http/paths.js';
import { allValues } from '../../src/http/query.js';
import { decodeContinueToken } from '../../src/serve/continue-token.js';

// A head may have a megabyte, and is read in one go: whatever it holds, that must not take the square of its length, which
// would be minutes. The bound is far above what any of these takes, and far below that.

const SIZE = 2 ** 19;
const BOUND_MS = 3_000;

/** `unit` until there is half a megabyte of it. */
const run = (unit: string) => unit.repeat(Math.ceil(SIZE / unit.length)).slice(0, SIZE);
const names = Array.from({ length: SIZE / 8 }, (_, index) => `n${index.toString(36)}`);

const parsers: Readonly<Record<string, (text: string) => unknown>> = {
  parseLabelSelector,
  parseFieldSelector,
  parseExtendedFieldSelector,
  parseShardSelector,
  parseDurationMs,
  parseTimeoutMs,
  parseInt64,
  parseResourceVersion,
  decodeQuery,
  quoteGo,
  parseTarget: (text) => parseTarget(`/${text}`),
  parseTargetOfApi: (text) => parseTarget(`/api/v1/${text}`),
  withoutSlashes,
  allValues: (text) => allValues(text, 'exclude'),
  bearerToken: (text) => bearerToken(`Bearer ${text}`),
  isLoopbackHost,
  isLoopbackOrigin,
  accepts: (text) => [routerAccepts(text), negotiate(text, resourceTransforms)],
  contentCoding: (text) => contentCoding(text, true),
  decodeContinueToken: (text) => decodeContinueToken(text, '/registry/pods/'),
  decodeContinueTokenOfText: (text) => decodeContinueToken(Buffer.from(text).toString('base64url'), '/registry/pods/'),
};

const texts: Readonly<Record<string, string>> = {
  letters: run('a'),
  digits: run('9'),
  zeros: `${run('0')}x`,
  spaces: `x${run(' ')}x`,
  slashes: `${run('/')}x`,
  commas: run(','),
  terms: run('a,'),
  'absent terms': `!${names.join(',!')}`,
  'terms that differ': names.toReversed().join(','),
  'exact terms': names.map((name) => `${name}=${name}`).join(','),
  'a set': `a in (${names.toReversed().join(',')})`,
  'a set that is not closed': `a in (${run('b,')}`,
  'open parentheses': run('('),
  'letters that are not Latin': `a in (${run('é,')})`,
  'half escapes': run('%'),
  escapes: run('%41'),
  pairs: run('a=b&'),
  parameters: `application/json${run(';a=b')}`,
  types: run('text/plain, '),
  'qualities with spaces': `gzip${run(' ')};q=x`,
  backslashes: run('\\'),
  quotes: run('"'),
  'triple quotes': run('"""'),
  brackets: run('['),
  braces: run('{"a":'),
  dots: run('a.'),
  dashes: `a${run('-')}`,
  seconds: run('1s'),
  fractions: `1.${run('1')}s`,
  colons: run(':'),
};

for (const [name, parse] of Object.entries(parsers)) {
  test(`${name} reads half a megabyte of anything in linear time`, () => {
    for (const [what, text] of Object.entries(texts)) {
      const startMs = performance.now();
      parse(text);
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs < BOUND_MS, `${what}: ${Math.round(tookMs)} ms`);
    }
  });
}

test('numbers are read as before, whatever leads them', () => {
  for (const text of ['0', '-0', '+7', '0007', '-0042', '9223372036854775807', '-9223372036854775808']) {
    assert.deepEqual(parseInt64(text), { ok: true, value: BigInt(text.replace('+', '')) }, text);
  }
  assert.equal(parseInt64(`${'0'.repeat(1_000)}5`).ok, true);
  for (const text of ['9223372036854775808', '-9223372036854775809', '1'.repeat(1_000)]) {
    assert.match(JSON.stringify(parseInt64(text)), /value out of range/);
  }
  for (const text of ['', '-', '+', '1x', '0x1', ' 1']) {
    assert.match(JSON.stringify(parseInt64(text)), /invalid syntax/);
  }
  assert.deepEqual(parseResourceVersion('00018446744073709551615'), { ok: true, value: 2n ** 64n - 1n });
  assert.match(JSON.stringify(parseResourceVersion('18446744073709551616')), /value out of range/);
  assert.match(JSON.stringify(parseResourceVersion('1'.repeat(1_000))), /value out of range/);
  assert.deepEqual(parseDurationMs('0000000000000000000000001s'), { ok: true, value: 1_000 });
  assert.equal(parseDurationMs('10000000000000000000ns').ok, false);
  assert.equal(withoutSlashes('/apis//'), '/apis');
  assert.equal(withoutSlashes('//'), '');
});
