import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileShard, formatShardSelector, parseShardSelector, shardHash } from '../../src/api/shard-selector.js';

// Every answer is apiserver's own (0.36): sharding.Parse, Selector.String, and HashField.
const UID = 'object.metadata.uid';
const ZERO = "'0x0000000000000000'";
const HALF = "'0x8000000000000000'";
const ALL = "'0x10000000000000000'";
const lower = `shardRange(${UID}, ${ZERO}, ${HALF})`;
const upper = `shardRange(${UID}, ${HALF}, ${ALL})`;
const ofNamespace = `shardRange(object.metadata.namespace, ${ZERO}, ${HALF})`;

describe('shard selectors and their canonical text', () => {
  const accepted: [text: string, canonical: string][] = [
    [lower, lower],
    [`shardRange(${UID},${ZERO},${HALF})`, lower],
    [`  shardRange( ${UID} ,\n${ZERO},\t${HALF} )\u00a0`, lower],
    [`${lower}||${upper}`, `${lower} || ${upper}`],
    [`(${lower} || (${upper}))`, `${lower} || ${upper}`],
    [`${upper} || ${lower} || ${upper}`, `${upper} || ${lower} || ${upper}`],
    [ofNamespace, ofNamespace],
    [`shardRange(${UID}, "0x0000000000000000", ${HALF})`, lower],
    [`shardRange(${UID}, '''0x0000000000000000''', r${HALF})`, lower],
    [`shardRange(${UID}, '\\x30x\\u0030000000000000000', ${HALF})`, lower],
    [`shardRange((object).metadata.uid, ${ZERO}, ${HALF}) // the first half`, lower],
    // The receiver of a call is not looked at.
    [`x.shardRange(${UID}, ${ZERO}, ${HALF})`, lower],
  ];
  for (const [text, want] of accepted) {
    test(text, () => {
      const selector = parseShardSelector(text);
      assert.ok(selector.ok, selector.ok ? '' : selector.message);
      assert.equal(formatShardSelector(selector.value), want);
      assert.deepEqual(parseShardSelector(want), selector, 'the canonical text parses to the same selector');
    });
  }
});

const EMPTY = 'empty shard selector is not allowed; omit the parameter for unfiltered lists';
const EXPRESSION =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const orElse = 'expected shardRange() call or || operator';
const only = 'only shardRange() and || are allowed';
const supported = `supported: ${UID}, object.metadata.namespace`;
const path = 'shardRange() first argument: expected field path (e.g. object.metadata.uid), got expression kind';
const between = (start: string, end = HALF) => `shardRange(${UID}, ${start}, ${end})`;

const rejected: [text: string, message: string][] = [
  ['', EMPTY],
  [' \t\u00a0', EMPTY],
  // What is no shardRange() call.
  ['x', `unexpected expression kind 3; ${orElse}`],
  ['[1]', `unexpected expression kind 4; ${orElse}`],
  ['-1', `unexpected expression kind 5; ${orElse}`],
  ["{'a': 1}", `unexpected expression kind 6; ${orElse}`],
  ['a.b', `unexpected expression kind 7; ${orElse}`],
  ['a.A{b: 1}', `unexpected expression kind 8; ${orElse}`],
  ['x || f()', `unexpected expression kind 3; ${orElse}`],
  ['f() || x', `unsupported function "f"; ${only}`],
  ['a || b && c', `unexpected expression kind 3; ${orElse}`],
  ['a && b || c', `unsupported function "_&&_"; ${only}`],
  [`${lower} || x`, `unexpected expression kind 3; ${orElse}`],
  [`${lower} && ${upper}`, `unsupported function "_&&_"; ${only}`],
  [`!${lower}`, `unsupported function "!_"; ${only}`],
  ['a in b', `unsupported function "@in"; ${only}`],
  ['a ? b : c', `unsupported function "_?_:_"; ${only}`],
  ['a[0]', `unsupported function "_[_]"; ${only}`],
  [`.${lower}`, `unsupported function ".shardRange"; ${only}`],
  ['[].all(x, x)', `unsupported function "all"; ${only}`],
  // Arguments.
  ['shardRange()', 'shardRange() requires exactly 3 arguments, got 0'],
  [`shardRange(${UID}, ${ZERO}, ${HALF}, 1)`, 'shardRange() requires exactly 3 arguments, got 4'],
  [`shardRange('a', ${ZERO}, ${HALF})`, `${path} 5`],
  [`shardRange(a[0], ${ZERO}, ${HALF})`, `${path} 1`],
  [`shardRange(object.metadata.name, ${ZERO}, ${HALF})`, `unsupported field path "object.metadata.name"; ${supported}`],
  [`shardRange(.${UID}, ${ZERO}, ${HALF})`, `unsupported field path ".${UID}"; ${supported}`],
  [between('x'), "hexStart must be a string literal (e.g. '0xff'), got expression kind 3"],
  [between(ZERO, '[]'), "hexEnd must be a string literal (e.g. '0xff'), got expression kind 4"],
  [between('0x0000000000000000'), 'hexStart must be a string literal, got int64'],
  [between('1u'), 'hexStart must be a string literal, got uint64'],
  [between('.5'), 'hexStart must be a string literal, got float64'],
  [between('true'), 'hexStart must be a string literal, got bool'],
  [between('null'), 'hexStart must be a string literal, got structpb.NullValue'],
  [between("b'a'"), 'hexStart must be a string literal, got []uint8'],
  [between("'00'"), 'hexStart must have \'0x\' prefix, got "00"'],
  [between("'0x'"), "hexStart: hex value is required after '0x'"],
  [
    between("'0x0'"),
    'hexStart must be a 0x-prefixed 16-digit hex value, got "0x0" (did you mean "0x0000000000000000"?)',
  ],
  [
    between(ZERO, "'0x8'"),
    'hexEnd must be a 0x-prefixed 16-digit hex value, got "0x8" (did you mean "0x0000000000000008"?)',
  ],
  [between("'0xG'"), 'hexStart: invalid hex character "G" in "0xG"'],
  [between("'0xABCD'"), 'hexStart: invalid hex character "A" in "0xABCD"'],
  [between("'0x😀'"), 'hexStart: invalid hex character "😀" in "0x😀"'],
  [
    between(ZERO, "'0x20000000000000000'"),
    'hexEnd: 17-digit hex value must be \'0x10000000000000000\' (2^64), got "0x20000000000000000"',
  ],
  [between(ZERO, "'0x100000000000000000'"), 'hexEnd: hex value too long (18 chars, max 17): "100000000000000000"'],
  [between(HALF), 'shard range start 0x8000000000000000 must be less than end 0x8000000000000000'],
  [between(ALL), 'shard range start 0x10000000000000000 must be less than end 0x8000000000000000'],
  [
    `${lower} || ${ofNamespace}`,
    `all shard ranges must use the same field, got "${UID}" and "object.metadata.namespace"`,
  ],
  // The syntax is CEL's, and so are its errors.
  ['a b', "CEL parse error: Syntax error: extraneous input 'b' expecting <EOF>"],
  ['a b c', "CEL parse error: Syntax error: mismatched input 'b' expecting <EOF>"],
  ['(a', "CEL parse error: Syntax error: missing ')' at '<EOF>'"],
  ['f((a, b)', "CEL parse error: Syntax error: missing ')' at ','"],
  [`${lower} ||`, `CEL parse error: Syntax error: mismatched input '<EOF>' expecting ${EXPRESSION}`],
  [`|| ${lower}`, `CEL parse error: Syntax error: extraneous input '||' expecting ${EXPRESSION}`],
  [`${lower} | ${upper}`, "CEL parse error: Syntax error: token recognition error at: '| '"],
  [`${lower},${upper}`, "CEL parse error: Syntax error: mismatched input ',' expecting <EOF>"],
  [`shardRange(${UID} ${ZERO} ${HALF})`, `CEL parse error: Syntax error: mismatched input '${ZERO}' expecting ')'`],
  [`shardRange(${UID};${ZERO})`, "CEL parse error: Syntax error: token recognition error at: ';'"],
  ["'a", "CEL parse error: Syntax error: token recognition error at: ''a'"],
  ['a. (', "CEL parse error: Syntax error: no viable alternative at input '. ('"],
  ['{a 1}', "CEL parse error: Syntax error: missing ':' at '1'"],
  ['[a b]', "CEL parse error: Syntax error: extraneous input 'b' expecting {']', ','}"],
  ['namespace', 'CEL parse error: reserved identifier: namespace'],
  ['9223372036854775808', 'CEL parse error: invalid int literal'],
  ["'\\ud800'", 'CEL parse error: invalid unicode code point'],
  ['a.`b`', "CEL parse error: unsupported syntax: '`'"],
  [`${'('.repeat(250)}a${')'.repeat(250)}`, 'CEL parse error: expression recursion limit exceeded: 250'],
  [`a${'.a'.repeat(251)}`, 'CEL parse error: max recursion depth exceeded'],
  ['a'.repeat(100_001), 'CEL parse error: expression code point size exceeds limit: size: 100001, limit 100000'],
];
describe('what is no shard selector', () => {
  for (const [text, message] of rejected) {
    test(text.length > 100 ? `${text.slice(0, 20)}… of ${text.length}` : JSON.stringify(text), () =>
      assert.deepEqual(parseShardSelector(text), { ok: false, message }),
    );
  }
});

const hashes: [value: string, hash: string][] = [
  ['', '0xcbf29ce484222325'],
  ['a', '0xaf63dc4c8601ec8c'],
  ['foobar', '0x85944171f73967e8'],
  ['default', '0xebada5168620c5fe'],
  ['kube-system', '0xdf65c7bc1d82b35e'],
  ['é😀', '0x52da6ebdce68376c'],
  ['8f14e45f-ceea-467f-ab5b-0123456789ab', '0x6c8dd86ada6648b1'],
];
describe('the hash is FNV-1a of 64 bits', () => {
  for (const [value, want] of hashes) {
    test(JSON.stringify(value), () => assert.equal(shardHash(Buffer.from(value)), want));
  }
});

/** The same in plain big numbers. */
function slowHash(value: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of value) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

const bound = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n }),
  // Bounds that share the upper half, where the lower one decides.
  fc.constantFrom(0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n),
);
const hex = (value: bigint) => `0x${value.toString(16).padStart(16, '0')}`;

test('a value is in a shard when its hash is in one of the ranges, start included and end excluded', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(bound, bound), { minLength: 1, maxLength: 4 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(5),
      (pairs, value, near) => {
        const hash = slowHash(value);
        // Ranges that begin or end right at the hash.
        const edges: [bigint, bigint][] = [
          [hash, hash + 1n],
          [0n, hash + 1n],
          [hash + 1n, 2n ** 64n],
          [0n, hash],
          [hash, 2n ** 64n],
        ];
        const chosen = [...pairs, ...(near < 5 ? [edges[near]!] : [])];
        const ranges = chosen.map(([a, b]): [bigint, bigint] => (a < b ? [a, b] : [b, a])).filter(([a, b]) => a < b);
        if (ranges.length === 0) return;
        const text = ranges.map(([a, b]) => `shardRange(${UID}, '${hex(a)}', '${hex(b)}')`).join(' || ');
        const selector = parseShardSelector(text);
        assert.ok(selector.ok, selector.ok ? '' : selector.message);
        const padded = Buffer.concat([Buffer.from('xy'), value, Buffer.from('z')]);
        const got = compileShard(selector.value)(padded, 2, 2 + value.length);
        assert.equal(shardHash(value), hex(hash));
        assert.equal(
          got,
          ranges.some(([a, b]) => hash >= a && hash < b),
          `${hex(hash)} in ${text}`,
        );
      },
    ),
    { numRuns: 2_000 },
  );
});

test('no text makes the parser throw, or takes it long', () => {
  const piece = fc.constantFrom(
    ...['shardRange', '(', ')', '||', ',', UID, ZERO, '.', "'", '"', '[', ']', '{', '}', '?', ':', '-', '!', 'in'],
    ...['`', '\\', '0x', '1', ' ', '|', 'r"""', "b'", 'true', '//', '\n', 'é'],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const result = parseShardSelector(pieces.join(''));
      if (!result.ok) assert.ok(result.message !== '');
    }),
    { numRuns: 3_000 },
  );
});
