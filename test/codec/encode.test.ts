import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeMessage, encodeObject } from '../../src/codec/encode.js';
import { JsonNumber, parseJson } from '../../src/codec/json-parse.js';
import { parseExact } from '../../src/codec/json-parse.js';
import { createKindCodec, messageToJson } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { canonicalQuantity } from '../../src/codec/quantity.js';

const POD = 'k8s.io.api.core.v1.Pod';
const META = 'k8s.io.apimachinery.pkg.apis.meta.v1';

// What a manifest may get wrong, and how it is told.
const errors: [message: string, json: string, error: string][] = [
  [
    POD,
    '{"spec":{"containers":[{"ports":[{"containerPort":"x"}]}]}}',
    'spec.containers[0].ports[0].containerPort: expected integer, got string "x"',
  ],
  [POD, '{"spec":{"containers":{}}}', 'spec.containers: expected array, got an object'],
  [POD, '{"spec":[]}', 'spec: expected object, got an array'],
  [POD, '{"spec":{"hostNetwork":"true"}}', 'spec.hostNetwork: expected boolean, got string "true"'],
  [POD, '{"spec":{"nodeName":5}}', 'spec.nodeName: expected string, got number 5'],
  [POD, '{"spec":{"priority":1.5}}', 'spec.priority: expected integer, got number 1.5'],
  [POD, '{"spec":{"priority":1.0}}', 'spec.priority: expected integer, got number 1.0'],
  [POD, '{"spec":{"priority":2147483648}}', 'spec.priority: 2147483648 does not fit int32'],
  [
    POD,
    '{"metadata":{"generation":9223372036854775808}}',
    'metadata.generation: 9223372036854775808 does not fit int64',
  ],
  [POD, '{"metadata":{"labels":{"a/b":1}}}', 'metadata.labels["a/b"]: expected string, got number 1'],
  [
    POD,
    '{"metadata":{"creationTimestamp":"today"}}',
    'metadata.creationTimestamp: expected a time as 2006-01-02T15:04:05Z07:00, got "today"',
  ],
  [
    POD,
    '{"metadata":{"creationTimestamp":"2023-02-29T00:00:00Z"}}',
    'metadata.creationTimestamp: expected a time as 2006-01-02T15:04:05Z07:00, got "2023-02-29T00:00:00Z"',
  ],
  [
    'k8s.io.api.coordination.v1.Lease',
    '{"spec":{"renewTime":"2026-01-02T03:04:05Z"}}',
    'spec.renewTime: expected a time as 2006-01-02T15:04:05.000000Z07:00, got "2026-01-02T03:04:05Z"',
  ],
  [
    POD,
    '{"spec":{"containers":[{"resources":{"limits":{"cpu":"1 core"}}}]}}',
    "spec.containers[0].resources.limits.cpu: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    POD,
    '{"spec":{"containers":[{"livenessProbe":{"httpGet":{"port":true}}}]}}',
    'spec.containers[0].livenessProbe.httpGet.port: expected integer or string, got boolean true',
  ],
  ['k8s.io.api.core.v1.Secret', '{"data":{"a":"?"}}', 'data.a: expected base64 (standard alphabet, padded)'],
  // Values of Secrets stand in no message.
  ['k8s.io.api.core.v1.Secret', '{"stringData":{"a":12345}}', 'stringData.a: expected string, got a number'],
  ['k8s.io.api.core.v1.Secret', '{"stringData":{"a":1.50}}', 'stringData.a: expected string, got a number'],
  ['k8s.io.api.core.v1.Secret', '{"stringData":{"a":true}}', 'stringData.a: expected string, got a boolean'],
  ['k8s.io.api.core.v1.Secret', '{"data":"hunter2"}', 'data: expected object, got a string'],
  ['k8s.io.api.core.v1.Secret', '{"data":{"a":["hunter2"]}}', 'data.a: expected string, got an array'],
  [POD, '7', 'expected object, got number 7'],
];
for (const [message, json, error] of errors) {
  test(`refused: ${error}`, () => {
    assert.throws(() => encodeObject(message, parseJson(json)), { name: 'CodecError', message: error });
  });
}

test('unknown members are reported, wherever they are', () => {
  const { unknownFields } = encodeObject(
    POD,
    parseJson('{"apiVersion":"v1","kind":"Pod","x":1,"spec":{"containers":[{"name":"a","imag":"b"}],"z":{}}}'),
  );
  assert.deepEqual(unknownFields, ['spec.containers[0].imag', 'spec.z', 'x']);
  assert.throws(() => encodeMessage(POD, { specs: {} }), /has no field specs/);
});

test('null is the zero value, wherever it stands', () => {
  const nulls =
    '{"metadata":null,"spec":{"containers":[null],"nodeName":null,"priority":null,"hostNetwork":null,"overhead":{"cpu":null},"volumes":null},"status":null}';
  const zeros = '{"metadata":{},"spec":{"containers":[{}],"overhead":{"cpu":"0"}}}';
  assert.ok(encodeMessage(POD, parseJson(nulls)).equals(encodeMessage(POD, parseJson(zeros))));
});

test('toStored blanks what etcd does not hold', () => {
  const codec = createKindCodec(findKind('', 'v1', 'configmaps')!);
  const object = (metadata: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata });
  const unknown: string[] = [];
  const blanked = codec.toStored({ ...object({ name: 'a', resourceVersion: '5', selfLink: '/x' }), nope: 1 }, unknown);
  assert.deepEqual(blanked, codec.toStored(object({ name: 'a' })));
  assert.deepEqual(unknown, ['nope']);
  assert.throws(() => codec.toStored({ apiVersion: 'v1', kind: 'Pod' }), /not a v1 ConfigMap/);
  assert.throws(() => codec.toStored([]), /not an object/);
});

test('documents that the server itself writes', () => {
  const status = {
    metadata: {},
    status: 'Failure',
    message: 'no',
    reason: 'NotFound',
    details: { name: 'x', causes: [{ reason: 'r' }] },
    code: 404,
  };
  const bytes = encodeMessage(`${META}.Status`, { kind: 'Status', apiVersion: 'v1', ...status });
  assert.deepEqual(JSON.parse(messageToJson(`${META}.Status`, bytes)), status);
  const resources = {
    groupVersion: 'v1',
    resources: [
      { name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get'], shortNames: ['po'] },
    ],
  };
  assert.deepEqual(
    JSON.parse(messageToJson(`${META}.APIResourceList`, encodeMessage(`${META}.APIResourceList`, resources))),
    resources,
  );
});

// Spec 5.3.
const quantities: [input: string, canonical: string][] = [
  ['1000m', '1'],
  ['1500m', '1500m'],
  ['0.5Gi', '512Mi'],
  ['1.5Gi', '1536Mi'],
  ['1024Mi', '1Gi'],
  ['1000k', '1M'],
  ['1000', '1k'],
  ['100000000', '100M'],
  ['1e3', '1e3'],
  ['1.1e3', '1100'],
  ['1e19', '10e18'],
  ['0.1Mi', '104857600m'],
  ['0.1n', '1n'],
  ['1000000Ki', '1000000Ki'],
  ['0', '0'],
  ['-0.5', '-500m'],
  ['9223372036854775808Ki', '9223372036854775807'],
];
for (const [input, canonical] of quantities) {
  test(`quantity ${input} is ${canonical}`, () => {
    assert.equal(canonicalQuantity(input), canonical);
    assert.equal(canonicalQuantity(canonical), canonical); // and stays so
  });
}

test('canonical quantities are fixed points', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[+-]?[0-9]{1,25}(\.[0-9]{0,12})?$/),
      fc.constantFrom(
        '',
        'n',
        'u',
        'm',
        'k',
        'M',
        'G',
        'T',
        'P',
        'E',
        'Ki',
        'Mi',
        'Gi',
        'Ti',
        'Pi',
        'Ei',
        'e3',
        'E-3',
        'e12',
      ),
      (number, suffix) => {
        const once = canonicalQuantity(number + suffix);
        assert.equal(canonicalQuantity(once), once);
      },
    ),
    { numRuns: 3000 },
  );
});

test('JSON integers beyond 2^53 are exact', () => {
  assert.deepEqual(parseJson('[9007199254740993,-9223372036854775808,1.0,1e3,-0,12]'), [
    9007199254740993n,
    -9223372036854775808n,
    new JsonNumber('1.0'),
    new JsonNumber('1e3'),
    new JsonNumber('-0'),
    12,
  ]);
  assert.deepEqual(parseExact('{"a":9007199254740993}'), { a: 9007199254740993n });
  assert.deepEqual(parseExact('{"a":"9007199254740993"}'), { a: '9007199254740993' });
});

test('the JSON parser agrees with JSON.parse', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const plain = (value: unknown): unknown =>
        value instanceof JsonNumber || typeof value === 'bigint'
          ? Number(value instanceof JsonNumber ? value.text : value)
          : Array.isArray(value)
            ? value.map(plain)
            : typeof value === 'object' && value !== null
              ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
              : value;
      // Both sides as text: `__proto__` is a member like any other.
      assert.equal(JSON.stringify(plain(parseJson(text))), JSON.stringify(plain(JSON.parse(text))));
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), (text) => {
      const accepts = (parse: (input: string) => unknown) => {
        try {
          parse(text);
          return true;
        } catch {
          return false;
        }
      };
      assert.equal(accepts(parseJson), accepts(JSON.parse), JSON.stringify(text));
    }),
    { numRuns: 2000 },
  );
});

const syntax: [text: string, error: string][] = [
  ['', 'line 1, column 1: unexpected end of JSON'],
  ['{\n  "a": 1,\n  b: 2\n}', 'line 3, column 3: expected a member name, got "b"'],
  ['[1 2]', 'line 1, column 4: expected "," or "]", got "2"'],
  ['{"a":tru}', 'line 1, column 6: unexpected character "t"'],
  ['"\\x"', 'line 1, column 1: invalid escape in a string'],
  ['01', 'line 1, column 2: unexpected text after the JSON value'],
];
for (const [text, error] of syntax) {
  test(`syntax: ${error}`, () => assert.throws(() => parseJson(text), { name: 'JsonSyntaxError', message: error }));
}
