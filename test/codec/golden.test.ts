import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeMessage } from '../../src/codec/encode.js';
import { messageToJson } from '../../src/codec/kind-codec.js';
import { kindByObject, kinds } from '../../src/codec/kinds.js';
import { canonicalQuantity } from '../../src/codec/quantity.js';
import { hasMessage, messageNameOf } from '../../src/codec/schema.js';
import { apiVersionOf } from '../../src/api/gvr.js';
import { repositoryRoot } from '../support/command.js';
import { difference, jsonOf, problemWith, readPairs, servedJsonOf } from './golden.js';

const pairs = readPairs('pairs.ndjson');

for (const pair of pairs) {
  test(`${pair.apiVersion} ${pair.kind} is byte-identical with Go both ways`, () => {
    assert.equal(problemWith(pair), undefined);
  });
}

test('there is a pair of every kind in the registry', () => {
  const covered = new Set(pairs.map((pair) => `${pair.apiVersion} ${pair.kind}`));
  const missing = kinds.filter((kind) => !covered.has(`${apiVersionOf(kind.group, kind.version)} ${kind.kind}`));
  assert.deepEqual(missing, []);
});

for (const [index, pair] of readPairs('one-way.ndjson').entries()) {
  test(`${pair.apiVersion} ${pair.kind} that JSON cannot carry back (${index})`, () => {
    assert.equal(jsonOf(pair), pair.json);
  });
}

for (const [index, pair] of readPairs('json-stored.ndjson').entries()) {
  test(`${pair.apiVersion} ${pair.kind} stored as JSON (${index})`, () => {
    // Through protobuf an empty list and no list are the same (spec 1.4), so `conditions: []` reads null.
    const want = pair.json.replace('"conditions":[]', '"conditions":null');
    assert.equal(servedJsonOf(pair), want, difference(want, servedJsonOf(pair)));
  });
}

test('every registered kind is served from its own pair', () => {
  for (const pair of pairs) {
    const kind = kindByObject(pair.apiVersion, pair.kind);
    if (kind === undefined || kind.storedAs !== undefined) continue; // nobody stores these: conversions.test.ts
    assert.equal(servedJsonOf(pair), pair.json, `${pair.apiVersion} ${pair.kind}`);
  }
});

interface Scalars {
  quantities: { input: string; canonical?: string; error?: boolean }[];
  times: { seconds: string; nanos: number; time: string | null; microTime: string | null }[];
  floats: { input: string; text: string }[];
  strings: { bytes: string; json: string }[];
}
const scalars = JSON.parse(readFileSync(`${repositoryRoot}/fixtures/golden/quantities.json`, 'utf8')) as Scalars;

test(`${scalars.quantities.length} quantities are as Go prints them`, () => {
  for (const { input, canonical, error } of scalars.quantities) {
    if (error === true) assert.throws(() => canonicalQuantity(input), { name: 'QuantityError' }, input);
    else assert.equal(canonicalQuantity(input), canonical, JSON.stringify(input));
  }
});

const META = 'k8s.io.apimachinery.pkg.apis.meta.v1';

test('times are as Go prints them', () => {
  for (const { seconds, nanos, time, microTime } of scalars.times) {
    const bytes = Buffer.concat([Buffer.of(8), varint(BigInt(seconds)), Buffer.of(16), varint(BigInt(nanos))]);
    // A Time on the wire has whole seconds; so what is less than a second after Go's zero time becomes zero.
    const wholeSeconds = seconds === '-62135596800' ? null : time;
    assert.equal(JSON.parse(messageToJson(`${META}.Time`, bytes)), wholeSeconds, `Time ${seconds}.${nanos}`);
    assert.equal(JSON.parse(messageToJson(`${META}.MicroTime`, bytes)), microTime, `MicroTime ${seconds}.${nanos}`);
  }
});

test('floats are as Go prints them', () => {
  const schema = 'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';
  const head = encodeMessage(schema, { maximum: 1 });
  const at = head.lastIndexOf(Buffer.from([0, 0, 0, 0, 0, 0, 0xf0, 0x3f]));
  assert.ok(at > 0);
  for (const { input, text } of scalars.floats) {
    const bytes = Buffer.from(head);
    Buffer.from(input, 'hex').reverse().copy(bytes, at); // the input is the bits as one number
    assert.equal(messageToJson(schema, bytes), `{"maximum":${text}}`, input);
  }
});

test('strings are escaped as Go escapes them', () => {
  for (const { bytes, json } of scalars.strings) {
    const text = Buffer.from(bytes, 'base64');
    const message = Buffer.concat([Buffer.of(10), varint(BigInt(text.length)), text]);
    assert.equal(
      messageToJson('k8s.io.api.core.v1.LocalObjectReference', message),
      text.length === 0 ? '{}' : `{"name":${json}}`,
    );
  }
});

test('objects of the documents: zero values', () => {
  const rows: [apiVersion: string, kind: string, json: string][] = [
    ['v1', 'Pod', '{"metadata":{},"spec":{"containers":null},"status":{}}'],
    ['v1', 'Service', '{"metadata":{},"spec":{},"status":{"loadBalancer":{}}}'],
    ['coordination.k8s.io/v1', 'Lease', '{"metadata":{},"spec":{}}'],
    [
      'apps/v1',
      'Deployment',
      '{"metadata":{},"spec":{"selector":null,"template":{"metadata":{},"spec":{"containers":null}},"strategy":{}},"status":{}}',
    ],
  ];
  for (const [apiVersion, kind, json] of rows) {
    assert.equal(messageToJson(messageNameOf(apiVersion, kind)!, Buffer.alloc(0)), json);
  }
  // Zero Pod of spec 5.5.
  const pod =
    '0a100a0012001a0022002a00320038004200121c1a00320042004a0052005800600068008201008a01009a0100c201001a130a001a0022002a0032004a005a0072008801 00'.replace(
      ' ',
      '',
    );
  assert.equal(encodeMessage('k8s.io.api.core.v1.Pod', {}).toString('hex'), pod);
});

test('the schema knows what it does not know', () => {
  assert.equal(messageNameOf('v1', 'Nothing'), undefined);
  assert.equal(messageNameOf('constructor', ''), undefined);
  assert.equal(hasMessage('toString'), false);
});

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
