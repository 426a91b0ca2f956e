import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeContinueToken,
  encodeContinueToken,
  MOST_RECENT,
  renewContinueToken,
} from '../../src/serve/continue-token.js';

const PREFIX = '/registry/pods/';
const tokenOf = (json: string) => Buffer.from(json).toString('base64url');
const decode = (token: string) => {
  const result = decodeContinueToken(token, PREFIX);
  if (!result.ok) assert.ok(result.message.startsWith('continue key is not valid: '));
  return result.ok ? result.value : result.message.slice('continue key is not valid: '.length);
};

const accepted: [start: string, rv: string, startKey: string][] = [
  // The cache writes a slash before the key, the etcd client does not; both are read.
  ['/default/f2\\u0000', '57', '/registry/pods/default/f2\0'],
  ['f2\\u0000', '57', '/registry/pods/f2\0'],
  ['a', '-1', '/registry/pods/a'],
  ['/', '1', '/registry/pods/'],
  ['a', '9223372036854775807', '/registry/pods/a'],
];
for (const [start, rv, startKey] of accepted) {
  test(`start ${start} at ${rv} continues at ${JSON.stringify(startKey)}`, () => {
    const token = tokenOf(`{"v":"meta.k8s.io/v1","rv":${rv},"start":"${start}"}`);
    assert.deepEqual(decode(token), { startKey, revision: BigInt(rv) });
  });
}
test('members match in any case, as in Go', () => {
  const token = tokenOf('{"V":"meta.k8s.io/v1","RV":-1,"START":"x"}');
  assert.deepEqual(decode(token), { startKey: '/registry/pods/x', revision: -1n });
});

// The token is the text in base64url. Every message was given by apiserver's own storage.DecodeContinue (0.36).
const rejected: [json: string, message: string][] = [
  ['invalid', "invalid character 'i' looking for beginning of value"],
  ['', 'unexpected end of JSON input'],
  ['{', 'unexpected end of JSON input'],
  ['{}', 'server does not recognize this encoded version '],
  ['null', 'server does not recognize this encoded version '],
  ['1', 'json: cannot unmarshal number into Go value of type storage.continueToken'],
  ['"s"', 'json: cannot unmarshal string into Go value of type storage.continueToken'],
  ['[]', 'json: cannot unmarshal array into Go value of type storage.continueToken'],
  ['true', 'json: cannot unmarshal bool into Go value of type storage.continueToken'],
  ['tru', "invalid character ' ' in literal true (expecting 'e')"],
  ['{"v":"meta.k8s.io/v1"}', 'incorrect encoded start resourceVersion (version meta.k8s.io/v1)'],
  ['{"v":"meta.k8s.io/v1","rv":1}', 'encoded start key empty (version meta.k8s.io/v1)'],
  ['{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}', '../a'],
  ['{"v":"meta.k8s.io/v1","rv":1,"start":"a/"}', 'a/'],
  ['{"v":"meta.k8s.io/v1","rv":1,"start":"//a"}', '//a'],
  ['{"v":"v2","rv":1}', 'server does not recognize this encoded version v2'],
  [
    '{"v":"meta.k8s.io/v1","rv":"1","start":"a"}',
    'json: cannot unmarshal string into Go struct field continueToken.rv of type int64',
  ],
  ['{"v":1}', 'json: cannot unmarshal number into Go struct field continueToken.v of type string'],
  [
    '{"v":"meta.k8s.io/v1","rv":1.5}',
    'json: cannot unmarshal number 1.5 into Go struct field continueToken.rv of type int64',
  ],
  [
    '{"v":"meta.k8s.io/v1","rv":99999999999999999999}',
    'json: cannot unmarshal number 99999999999999999999 into Go struct field continueToken.rv of type int64',
  ],
  ['{"v":"meta.k8s.io/v1","rv":1,"start":"a"}x', "invalid character 'x' after top-level value"],
  ['{"v" "x"}', `invalid character '"' after object key`],
  ['{"v":"x"', 'unexpected end of JSON input'],
  ['{"v":"x",}', "invalid character '}' looking for beginning of object key string"],
  ['{v:1}', "invalid character 'v' looking for beginning of object key string"],
  ['{"v":01}', "invalid character '1' after object key:value pair"],
  [String.raw`{"v":"\q"}`, "invalid character 'q' in string escape code"],
  ['{"v":"\n"}', "invalid character '\\n' in string literal"],
  ['{"v":-}', "invalid character '}' in numeric literal"],
  ['{"v":1.}', "invalid character '}' after decimal point in numeric literal"],
  ['{"v":1e}', "invalid character '}' in exponent of numeric literal"],
  ['[1 2]', "invalid character '2' after array element"],
  ['{"v":null,"rv":null}', 'server does not recognize this encoded version '],
  ['{"v":{}}', 'json: cannot unmarshal object into Go struct field continueToken.v of type string'],
  ['{"v":"meta.k8s.io/v1","rv":1,"start":"."}', '.'],
  [
    '{"v":"meta.k8s.io/v1","rv":1e2,"start":"a"}',
    'json: cannot unmarshal number 1e2 into Go struct field continueToken.rv of type int64',
  ],
  ['{"v":"x" "y"}', `invalid character '"' after object key:value pair`],
  [String.raw`{"v":"\u00zz"}`, "invalid character 'z' in \\u hexadecimal character escape"],
  ['nul', "invalid character ' ' in literal null (expecting 'l')"],
  ["'", "invalid character '\\'' looking for beginning of value"],
  ['{"v":[1,2],"rv":1}', 'json: cannot unmarshal array into Go struct field continueToken.v of type string'],
  ['{"v":true}', 'json: cannot unmarshal bool into Go struct field continueToken.v of type string'],
];
for (const [json, message] of rejected) {
  test(`the token of ${JSON.stringify(json)} is rejected`, () => assert.equal(decode(tokenOf(json)), message));
}

const malformed: [token: string, message: string][] = [
  ['abc', "invalid character 'i' looking for beginning of value"],
  ['a', 'illegal base64 data at input byte 0'],
  ['!!!', 'illegal base64 data at input byte 0'],
  ['ab=', 'illegal base64 data at input byte 2'],
  ['YQ==', 'illegal base64 data at input byte 2'],
  ['aGk\nh', "invalid character 'h' looking for beginning of value"],
  ['_w', "invalid character 'ÿ' looking for beginning of value"],
  ['w6k', "invalid character 'Ã' looking for beginning of value"],
  ['abcde', 'illegal base64 data at input byte 4'],
];
for (const [token, message] of malformed) {
  test(`the token ${JSON.stringify(token)} is rejected`, () => assert.equal(decode(token), message));
}

test('deep nesting is refused, not recursed into', () => {
  assert.equal(decode(tokenOf('['.repeat(12_000))), 'exceeded max depth');
});

test('tokens are byte for byte those of kube-apiserver', () => {
  const json = (token: string) => Buffer.from(token, 'base64url').toString();
  assert.equal(
    json(encodeContinueToken('/registry/pods/default/f2', PREFIX, 57, true)),
    String.raw`{"v":"meta.k8s.io/v1","rv":57,"start":"/default/f2\u0000"}`,
  );
  assert.equal(
    json(encodeContinueToken('/registry/pods/default/f2', '/registry/pods/default/', 57, false)),
    String.raw`{"v":"meta.k8s.io/v1","rv":57,"start":"f2\u0000"}`,
  );
  assert.equal(
    json(encodeContinueToken('/registry/pods/a<&>', PREFIX, 1, false)),
    String.raw`{"v":"meta.k8s.io/v1","rv":1,"start":"a\u003c\u0026\u003e\u0000"}`,
  );
  assert.doesNotMatch(encodeContinueToken('/registry/pods/a', PREFIX, 1, false), /=/);
});

test('an expired token is renewed at the same place in the most recent state', () => {
  const token = decodeContinueToken(encodeContinueToken('/registry/pods/default/f2', PREFIX, 57, true), PREFIX);
  assert.ok(token.ok);
  const renewed = decodeContinueToken(renewContinueToken(token.value, PREFIX), PREFIX);
  assert.deepEqual(renewed, {
    ok: true,
    value: { startKey: '/registry/pods/default/f2\0', revision: BigInt(MOST_RECENT) },
  });
});
