import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCsv } from '../../src/auth/csv.js';
import { bearerToken, hasSpaceForToken } from '../../src/auth/headers.js';
import { StaticTokens } from '../../src/auth/token-file.js';

const rows: readonly [text: string, want: string[][]][] = [
  ['a,b,c\n', [['a', 'b', 'c']]],
  [
    'a,b\r\n\r\nc,d',
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  ],
  ['a,"b,""c""\nd",e\n', [['a', 'b,"c"\nd', 'e']]],
  [',,\n', [['', '', '']]],
  ['', []],
];
for (const [text, want] of rows) test(`CSV ${JSON.stringify(text)}`, () => assert.deepEqual(parseCsv(text), want));

for (const [text, line] of [
  ['a,b\nsecret"x,c', 2],
  ['a\n"secret', 2],
  ['"secret"x,b', 1],
] as const) {
  test(`CSV ${JSON.stringify(text)} is refused without telling what it says`, () => {
    assert.throws(
      () => parseCsv(text),
      (error: Error) => error.message.startsWith(`line ${line}: `) && !error.message.includes('secret'),
    );
  });
}

test('a row with too few columns is refused without telling its token', () => {
  assert.throws(
    () => new StaticTokens('ok,jane,1\ns3cret,jane'),
    (error: Error) =>
      error.message.startsWith('row 2: expected at least 3 columns') && !error.message.includes('s3cret'),
  );
});

test('groups are split at commas and not trimmed; a later row wins; rows without a token are skipped', () => {
  const tokens = new StaticTokens('t,old,1\n,nobody,2\nt,jane,u1,"dev, ops"\n');
  assert.deepEqual(tokens.find('t'), {
    name: 'jane',
    uid: 'u1',
    groups: ['dev', ' ops', 'system:authenticated'],
    extra: {},
  });
  assert.equal(tokens.skipped, 1);
  assert.equal(tokens.find(''), undefined);
});

const headers: readonly [header: string | undefined, want: string | undefined][] = [
  [undefined, undefined],
  ['', undefined],
  ['Bearer abc', 'abc'],
  ['bEARER abc ignored words', 'abc'],
  ['  Bearer abc  ', 'abc'],
  ['Bearer  abc', undefined],
  ['Bearer', undefined],
  ['Basic abc', undefined],
];
for (const [header, want] of headers) {
  test(`Authorization ${JSON.stringify(header)}`, () => assert.equal(bearerToken(header), want));
}

test('a second space before a token is seen', () => {
  const spaced = ['Bearer  abc', ' bearer  abc'];
  for (const header of spaced) assert.equal(hasSpaceForToken(header), true, header);
  for (const [header] of headers) {
    if (header === undefined || !spaced.includes(header)) assert.equal(hasSpaceForToken(header), false, header);
  }
});
