// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source text.
import { type Mutation, of } from './mutation.js';

/** What is answered, and in what form. */
const readPlan: Mutation[] = of(
  'src/serve/read-plan.ts',
  ['serve/read-plan'],
  [
    [
      'read plan: GET without a resourceVersion',
      "return { read: 'mostRecent', from: progressTrusted ? from : 'source', limit: 0 };",
      "return { read: 'any', from: progressTrusted ? from : 'source', limit: 0 };",
    ],
    [
      'read plan: GET from a source whose progress is not trusted',
      "from: progressTrusted ? from : 'source', limit: 0 }",
      'from, limit: 0 }',
    ],
    ['read plan: GET of any state', "if (parsed.value === 0n) return { read: 'any', from, limit: 0 };", ''],
    [
      'read plan: GET of a malformed resourceVersion from a cache',
      "if (from === 'cache') return rejected({ kind: 'unclassified', message });",
      '',
    ],
    [
      'read plan: continue token without a revision',
      "if (token.value.revision < 0n) return { read: 'mostRecent', token: token.value };",
      '',
    ],
    [
      'read plan: continue token and resourceVersion',
      "if (resourceVersion !== '' && resourceVersion !== '0') {\n      const message = 'specifying",
      "if (resourceVersion !== '') {\n      const message = 'specifying",
    ],
    [
      'read plan: LIST without a resourceVersion',
      "if (resourceVersion === '') return { read: 'mostRecent' };",
      "if (resourceVersion === '') return { read: 'any' };",
    ],
    [
      'read plan: LIST of any state',
      "if (revision === 0n) return { read: 'any' };",
      "if (revision === 0n) return { read: 'mostRecent' };",
    ],
    [
      'read plan: LIST of an exact state',
      "if (resourceVersionMatch === 'Exact') return { read: 'exact', revision };",
      '',
    ],
    [
      'read plan: LIST with a limit and no match is exact',
      "if (isLegacyExact(options) && !singleKey) return { read: 'exact', revision };",
      '',
    ],
    [
      'read plan: one object has no pages',
      'if (isLegacyExact(options) && !singleKey) return',
      'if (isLegacyExact(options)) return',
    ],
    [
      'read plan: one object at an exact state',
      "(singleKey && (state.read === 'exact' || isLegacyExact(options)));",
      "(singleKey && state.read === 'exact');",
    ],
    ['read plan: consistent LIST without trusted progress', "(state.read === 'mostRecent' && !progressTrusted) ||", ''],
    ['read plan: pages while the cache fills', 'return limit > 0 && !filtered ?', 'return limit > 0 ?'],
    [
      'read plan: a cache ignores the limit at resourceVersion 0',
      "limit: options.resourceVersion === '0' && state.read === 'any' ? 0 : limit }",
      'limit }',
    ],
    [
      'read plan: WATCH is a WatchList when it starts from the beginning',
      'const defaulted = asWatch ? withWatchListDefaults(options) : options;',
      'const defaulted = options;',
    ],
    ['read plan: the deprecated watch path', 'const asWatch = !legacyPath || options.watch;', 'const asWatch = true;'],
    [
      'read plan: WATCH while the cache fills',
      "if (cache === 'unready') return { read: 'refusedUntilReady' };\n  const from",
      'const from',
    ],
    [
      'read plan: WATCH of the most recent state',
      "if (text === '') return { at: 'stateMostRecent' };",
      "if (text === '') return { at: 'stateAny' };",
    ],
    [
      'read plan: WATCH of any state',
      "return revision === 0n ? { at: 'stateAny' } : { at: 'stateNotOlderThan', revision };",
      "return { at: 'stateNotOlderThan', revision };",
    ],
    ['read plan: WATCH after a revision', "if (revision > 0n) return { at: 'after', revision };", ''],
    [
      'read plan: WATCH without a state',
      "return text === '' ? { at: 'afterMostRecent' } : { at: 'afterAny' };",
      "return { at: 'afterAny' };",
    ],
    [
      'read plan: initial-events-end needs trusted progress',
      "if (initialEventsEnd && from === 'cache' && !progressTrusted) {",
      "if (initialEventsEnd && from === 'source' && !progressTrusted) {",
    ],
    [
      'read plan: validation comes before the fields that a kind lacks',
      "if (causes.length > 0) return rejected({ kind: 'invalid', causes });\n  if (unsupportedField !== undefined) return rejected(unsupportedField);\n  const state",
      "if (unsupportedField !== undefined) return rejected(unsupportedField);\n  if (causes.length > 0) return rejected({ kind: 'invalid', causes });\n  const state",
    ],
    [
      'read plan: match Exact at resourceVersion 0',
      "if (match === 'Exact' && resourceVersion === '0') {",
      "if (match === 'Exact' && resourceVersion === '') {",
    ],
    [
      'read plan: match and continue',
      "if (options.continue !== '') causes.push(forbidden(MATCH_WITH_CONTINUE));\n    if",
      'if',
    ],
    [
      'read plan: sendInitialEvents of a LIST',
      'if (options.sendInitialEvents !== undefined) {',
      'if (options.sendInitialEvents === true) {',
    ],
    [
      'read plan: sendInitialEvents needs NotOlderThan',
      "if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {",
      "if (sendInitialEvents !== undefined && match === '') {",
    ],
  ],
);

const LIST = ['serve/list', 'serve/shards'] as const;
const serve: Mutation[] = [
  ...of(
    'src/serve/continue-token.ts',
    ['serve/continue-token', 'serve/list'],
    [
      [
        'continue token: the page starts behind the last key',
        '${lastKey.slice(prefix.length)}\\0`, revision);',
        '${lastKey.slice(prefix.length)}`, revision);',
      ],
      [
        'continue token: it does not climb out of its prefix',
        'if (cleanPath(key) !== key) return',
        'if (key === prefix) return',
      ],
      [
        'continue token: revision 0 is none',
        'if (revision === 0n) return unparsable(',
        'if (revision < 0n) return unparsable(',
      ],
      ['continue token: version', 'if (version !== VERSION) return', "if (version === '') return"],
      [
        'continue token: an expired one is renewed for the most recent state',
        'encodeStart(token.startKey.slice(prefix.length), MOST_RECENT)',
        'encodeStart(token.startKey.slice(prefix.length), Number(token.revision))',
      ],
      ['continue token: a cache writes the slash', "leadingSlash ? '/' : ''", "leadingSlash ? '' : ''"],
    ],
  ),
  ...of('src/serve/list.ts', LIST, [
    ['remainingItemCount: not with selectors', 'remainingItemCount: more && !selected ?', 'remainingItemCount: more ?'],
    [
      'remainingItemCount: a shard is no selector',
      'remainingItemCount: more && !selected ?',
      'remainingItemCount: more && filter === undefined ?',
    ],
    ['a page ends with its limit only if the plan counts more', 'return plan.inRange > ids.length;', 'return true;'],
    [
      'a page ends with its limit only if something follows',
      'return behind === undefined ? undefined : behind.ids.some((id) => id !== last);',
      'return true;',
    ],
    [
      'too large resource version',
      'if (await cache.waitFor(revision, context.limits.freshWaitMs, signal)) return success(undefined);',
      'await cache.waitFor(revision, context.limits.freshWaitMs, signal);\n  return success(undefined);',
    ],
    [
      'an exact LIST answers with the revision that was asked for',
      'const revision = exactRevision ?? snapshot.revision;',
      'const revision = cache.revision;',
    ],
  ]),
  ...of('src/serve/direct.ts', LIST, [
    [
      'straight from the store: a page holds no more than its limit',
      'if (limit > 0 && this.count >= limit) {',
      'if (limit > 0 && this.count > limit) {',
    ],
    ['straight from the store: all pages are of one revision', 'if (!pinned) revision = result.revision;', ''],
    ['straight from the store: what does not match leaves no bytes', '          writer.position = before;\n', ''],
  ]),
  ...of(
    'src/serve/filter.ts',
    [...LIST, 'serve/watch'],
    [
      [
        'field selectors are ANDed',
        'if (!matchesField(field, codec.field(bytes, start, end, field.field))) return false;',
        'if (!matchesField(field, codec.field(bytes, start, end, field.field))) break;',
      ],
      [
        'a shard has a filter of its own',
        "id: `${selectors?.id ?? ''}\\0${formatShardSelector(shard)}`,",
        "id: `${selectors?.id ?? ''}`,",
      ],
      [
        'a shard is ANDed with the other selectors',
        'if (selectors !== undefined && !selectors.matches(bytes, start, end)) return false;',
        '',
      ],
      [
        'a shard of namespaces hashes the namespace',
        "shard.field === 'object.metadata.uid' ? 'uid' : 'namespace'",
        "shard.field === 'object.metadata.uid' ? 'uid' : 'uid'",
      ],
      [
        'shardSelector means nothing while its gate is off',
        "if (!enabled || text === '') return success(undefined);",
        "if (text === '') return success(undefined);",
      ],
    ],
  ),
  ...of(
    'src/serve/watch.ts',
    ['serve/shards', 'serve/watch'],
    [
      [
        'WATCH straight from the store without another selector is not sharded',
        "(plan.from === 'cache' || selected) ?",
        "(plan.from === 'cache' || plan.from === 'source') ?",
      ],
      ['a negative timeout is over', 'if (timeoutSeconds < 0n) return -1;', 'if (timeoutSeconds < 0n) return 1_000;'],
    ],
  ),
  ...of(
    'src/serve/freshness.ts',
    ['serve/freshness'],
    [
      [
        'a probe that was under way is not used',
        '      waiting ??= (running?.',
        '      if (running !== undefined) return running;\n      waiting ??= (running?.',
      ],
      ['requests of one turn share a probe', '?? endOfTurn())', '?? Promise.resolve())'],
    ],
  ),
  ...of(
    'src/serve/direct-watch.ts',
    ['serve/watch'],
    [
      [
        'straight from the store: an object that leaves is DELETED with what it was',
        'this.#resplice(previous, modRevision)',
        'this.#resplice(previous, modRevision - 1)',
      ],
      [
        'straight from the store: the watch goes on behind the last revision',
        'startRevision: this.#received + 1,',
        'startRevision: this.#received + 2,',
      ],
    ],
  ),
];

const selectors: Mutation[] = [
  ...of(
    'src/api/label-selector.ts',
    ['api/label-selector'],
    [
      [
        'label != matches what lacks the label',
        'return value === undefined || !values.includes(value);',
        'return value !== undefined && !values.includes(value);',
      ],
      [
        'label > compares integers',
        "return operator === 'gt' ? left.value > right.value",
        "return operator === 'gt' ? left.value >= right.value",
      ],
    ],
  ),
  ...of(
    'src/api/shard-selector.ts',
    ['api/shard-selector'],
    [
      ['a shard starts at its start', 'hash.low >= startLow', 'hash.low > startLow'],
      ['a shard ends before its end', 'hash.low < endLow', 'hash.low <= endLow'],
      ['FNV-1a, upper half', 'Math.floor(product / 2 ** 32)', '0'],
      [
        'shardRange: ranges are of one field',
        'const other = calls.value.find((call) => call.field !== field);',
        'const other = calls.value.find((call) => call.field === undefined);',
      ],
      [
        'shardRange: 2^64 alone has 17 digits',
        'if (hex.length === 17 && text !== TWO_TO_64) {',
        'if (hex.length === 18) {',
      ],
    ],
  ),
  ...of(
    'src/api/cel-expression.ts',
    ['api/shard-selector'],
    [
      ['CEL: || binds looser than &&', "['||'],\n  ['&&'],", "['&&'],\n  ['||'],"],
      ['CEL: depth is bounded', 'if (++this.#depth > DEPTH_MAX)', 'if (++this.#depth > DEPTH_MAX + 1)'],
    ],
  ),
  ...of(
    'src/api/query.ts',
    ['api/list-options'],
    [['the first of repeated parameters counts', ' || parameters.has(key)) continue;', ') continue;']],
  ),
  ...of(
    'src/api/list-options.ts',
    ['api/list-options'],
    [
      [
        'no value of a boolean parameter is malformed',
        "value !== '0' && value.toLowerCase() !== 'false'",
        "value === '1' || value === 'true'",
      ],
    ],
  ),
];

const CODEC = [
  'codec/rules',
  'codec/splice',
  'codec/golden',
  'codec/decode',
  'codec/normalize',
  'codec/scan',
  'codec/corrupt',
] as const;
const codec: Mutation[] = [
  ...of('src/codec/splice.ts', CODEC, [
    ['the resourceVersion has its place among the fields', 'if (tag > RESOURCE_VERSION) break;', ''],
    [
      'lengths around a spliced resourceVersion',
      'const metadataSize = metadataEnd - metadataStart - (to - from) + 2 + digits;',
      'const metadataSize = metadataEnd - metadataStart + 2 + digits;',
    ],
    ['JSON: the resourceVersion has its place among the members', 'return difference < 0;', 'return difference > 0;'],
  ]),
  ...of('src/codec/canonical.ts', CODEC, [
    ['canonical: varints are as short as can be', 'if (byte === 0 && i > start) return -1;', ''],
    [
      'canonical: fields without a value are written',
      'return `if(!(i<end&&${test}))return false;${value}`;',
      'return `if(i<end&&${test}){${value}}`;',
    ],
    ['canonical: nothing is left over', 'return i===end;}`;', 'return i<=end;}`;'],
  ]),
  ...of(
    'src/codec/scan.ts',
    [...CODEC, 'serve/list'],
    [
      [
        'a scan goes on until it is behind the field',
        'if (found >> 3 > tag >> 3) return false;',
        'if (found >> 3 > 1) return false;',
      ],
      [
        'a label without a value has an empty one',
        'if (!seek(b, entryStart, entryEnd, 18)) hit.start = hit.end = entryEnd;',
        '',
      ],
    ],
  ),
];

const http: Mutation[] = [
  ...of(
    'src/http/negotiate.ts',
    ['http/negotiate', 'http/refusals'],
    [
      ['Accept: clauses by falling q', 'return clauses.sort((a, b) => b.q - a.q);', 'return clauses;'],
      [
        'Accept: no Table as protobuf',
        "if (as.kind === 'Table') return encoding !== 'protobuf';",
        "if (as.kind === 'Table') return true;",
      ],
      [
        'Accept: both versions of meta.k8s.io',
        "(as.version !== 'v1' && as.version !== 'v1beta1')",
        "as.version !== 'v1'",
      ],
      ['gzip is a token of its own', "tokens.includes('gzip') ?", "acceptEncoding.includes('gzip') ?"],
      ['zstd is not for those who prefer gzip', "zstd >= (quality('gzip') ?? 0)", 'zstd >= 0'],
      ['q=0 is a refusal', 'zstd > 0 && ', ''],
      ['pretty for browsers and curl', "['curl', 'Wget', 'Mozilla/5.0']", "['Wget', 'Mozilla/5.0']"],
      [
        'the router knows no type/*',
        "types.some((type) => type === '*/*' || type === mediaTypes.json)",
        "types.some((type) => type.endsWith('/*') || type === mediaTypes.json)",
      ],
    ],
  ),
  ...of(
    'src/http/encode/body.ts',
    ['http/body'],
    [
      [
        "a client that takes every chunk at once does not keep a LIST's turn for ever",
        '    await ownTurn();\n    // The time spent waiting',
        '    // The time spent waiting',
      ],
    ],
  ),
  ...of(
    'src/http/encode/body.ts',
    ['http/fragments'],
    [
      [
        'bodies above the threshold are compressed',
        'Math.max(atLeast, contentLength ?? 0) > COMPRESS_ABOVE_BYTES;',
        'Math.max(atLeast, contentLength ?? 0) < 0;',
      ],
    ],
  ),
  ...of(
    'src/http/encode/envelope.ts',
    ['http/shards', 'http/encode', 'http/lists'],
    [
      [
        'shardInfo in protobuf lists',
        'if (shard !== undefined) parts.push(messageField(FIELD_5, textField(FIELD_1, shard)));',
        '',
      ],
      ['shardInfo in JSON lists', '...(shard === undefined ? {} : { shardInfo: { selector: shard } }),', ''],
    ],
  ),
  ...of(
    'src/http/watch/quota.ts',
    ['http/watch-quota'],
    [
      [
        'src/http/watch/quota.ts I1',
        'if (open >= this.#max) return undefined;',
        'if (open > this.#max) return undefined;',
      ],
      ['a watch gives its place back once', '      if (given) return;\n', ''],
      ['clients without watches are forgotten', 'if (left === 0) this.#open.delete(client);\n      else ', ''],
    ],
  ),
  ...of(
    'src/cache/initial-events.ts',
    ['http/watch-fragments'],
    [['initial events go on after the last one', '=== last ? start + 1 : start;', '=== last ? start : start;']],
  ),
  ...of(
    'src/serve/watch-fragments.ts',
    ['http/watch-fragments'],
    [
      [
        'what was encoded is of the same version',
        'if (kept !== undefined && found !== -1) {',
        'if (kept !== undefined) {',
      ],
      ['what was encoded is used', 'kept === undefined ? -1 : itemIn', 'kept !== undefined ? -1 : itemIn'],
    ],
  ),
  ...of(
    'src/http/watch/http1-sink.ts',
    ['http/http1-watch'],
    [
      ['a watch that waits for its connection', 'if (socket === null || ', 'if ('],
      ['a watch over HTTP/1.0 has no chunks', '!response.chunkedEncoding || ', ''],
    ],
  ),
  ...of(
    'src/http/watch/shared-chunk.ts',
    ['http/http1-watch'],
    [
      ['another chunk is counted anew', 'if (this.#counted !== chunk) {', 'if (this.#counted === undefined) {'],
      ['another chunk is encoded anew', 'if (this.#encoded !== chunk) {', 'if (this.#encoded === undefined) {'],
    ],
  ),
  ...of(
    'src/http/resources.ts',
    ['http/watch-quota'],
    [['a watch gives its place back when it ends', '  exchange.sink.onClose(giveBack);\n', '']],
  ),
];

export const answerMutations: readonly Mutation[] = [...readPlan, ...serve, ...selectors, ...codec, ...http];
