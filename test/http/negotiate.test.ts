import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeQuery } from '../../src/api/query.js';
import {
  discoveryTransforms,
  isPretty,
  negotiate,
  noTransforms,
  contentCoding,
  resourceTransforms,
  routerAccepts,
} from '../../src/http/negotiate.js';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const table = (version: string) => `application/json;as=Table;v=${version};g=meta.k8s.io`;
const KUBECTL = `${table('v1')},${table('v1beta1')},application/json`;

/** `json`, or `json Table v1` with a transform; undefined: 406. */
const rows: readonly [accept: string | undefined, want: string | undefined][] = [
  [undefined, 'json'],
  ['', 'json'],
  ['*/*', 'json'],
  ['*', 'json'],
  ['application/*', 'json'],
  ['application/json', 'json'],
  ['application/yaml', 'yaml'],
  [PROTOBUF, 'protobuf'],
  [`${PROTOBUF},application/json`, 'protobuf'],
  // q decides, then the order of the header; a specific range does not win over an earlier wildcard.
  [`application/json;q=0.5,${PROTOBUF}`, 'protobuf'],
  [`*/*,${PROTOBUF}`, 'json'],
  [`application/yaml;q=0.1,application/json;q=0.2,${PROTOBUF};q=0.15`, 'json'],
  ['application/json;q=0', 'json'],
  ['application/json;q=bogus,application/yaml;q=0.1', 'yaml'],
  // What cannot be had is skipped.
  ['text/html', undefined],
  ['text/html,application/xhtml+xml,*/*;q=0.8', 'json'],
  ['application/cbor', undefined],
  ['nonsense', undefined],
  ['a/b/c', undefined],
  [',,,', undefined],
  ['application/json;charset=utf-8', 'json'],
  // Transforms.
  [KUBECTL, 'json Table v1'],
  [table('v1beta1'), 'json Table v1beta1'],
  [table('v2'), undefined],
  [`${table('v2')},application/json`, 'json'],
  ['application/yaml;as=Table;v=v1;g=meta.k8s.io', 'yaml Table v1'],
  [`${PROTOBUF};as=Table;v=v1;g=meta.k8s.io`, undefined],
  [`${PROTOBUF};as=Table;v=v1;g=meta.k8s.io,${KUBECTL}`, 'json Table v1'],
  ['*/*;as=Table;v=v1;g=meta.k8s.io', 'json Table v1'],
  [`${PROTOBUF};as=PartialObjectMetadata;v=v1;g=meta.k8s.io`, 'protobuf PartialObjectMetadata v1'],
  ['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'json PartialObjectMetadataList v1'],
  ['application/json;as=Table;v=v1;g=apps', undefined],
  ['application/json;as=Other;v=v1;g=meta.k8s.io', undefined],
  ['application/json;v=v1', undefined],
  // Other parameters.
  ['application/json;stream=watch', 'json'],
  [`${PROTOBUF};stream=watch`, 'protobuf'],
  ['application/yaml;stream=watch', undefined],
  ['application/json;stream=other', undefined],
  ['application/json;sv=v1', 'json'],
  ['application/json;sv=v2', undefined],
  ['application/json;export=1', 'json'],
  // Parameters that say nothing are none.
  ['application/json;as=;v=;g=', 'json'],
  ['application/json;as=Table=x', 'json'],
];
for (const [accept, want] of rows) {
  test(`Accept: ${accept}`, () => {
    const media = negotiate(accept, resourceTransforms);
    const as = media?.as === undefined ? '' : ` ${media.as.kind} ${media.as.version}`;
    assert.equal(media === undefined ? undefined : `${media.encoding}${as}`, want);
  });
}

test('errors are never converted', () => {
  assert.equal(negotiate(table('v1'), noTransforms), undefined);
  assert.equal(negotiate(KUBECTL, noTransforms)?.as, undefined);
  assert.equal(negotiate('application/json;sv=v1', noTransforms), undefined);
});

test('aggregated discovery in its current version only', () => {
  const clause = (version: string) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
  const client = `${clause('v2')};profile=nopeer,${clause('v2')},${clause('v2beta1')},application/json`;
  assert.equal(negotiate(client, discoveryTransforms)?.as?.version, 'v2');
  assert.equal(negotiate(`${clause('v2beta1')},application/json`, discoveryTransforms)?.as, undefined);
});

// The router knows types and subtypes, and `*/*`, nothing else.
const routed: readonly [accept: string | undefined, want: boolean][] = [
  [undefined, true],
  ['*/*', true],
  ['application/json;as=Nothing', true],
  ['text/html;q=1, application/yaml', true],
  ['application/*', false],
  ['text/html', false],
];
for (const [accept, want] of routed) {
  test(`the router and Accept: ${accept}`, () => assert.equal(routerAccepts(accept), want));
}

test('some endpoints are JSON only', () => {
  assert.equal(routerAccepts('application/yaml', 'json'), false);
  assert.equal(routerAccepts('application/yaml, */*', 'json'), true);
  assert.equal(routerAccepts('application/json;q=0.1', 'json'), true);
});

const pretty: readonly [accept: string, query: string, agent: string | undefined, want: boolean][] = [
  ['application/json', '', undefined, false],
  ['application/json;pretty=1', '', undefined, true],
  ['application/json;pretty=1', 'pretty=0', undefined, true],
  ['application/json', 'pretty=true', undefined, true],
  ['application/json', 'pretty=yes', undefined, false],
  ['application/json', 'pretty', 'curl/8.5.0', true],
  ['application/json', '', 'curl/8.5.0', true],
  ['application/json', '', 'Wget/1.21', true],
  ['application/json', '', 'Mozilla/5.0 (X11)', true],
  ['application/json', '', 'kubectl/v1.36.0', false],
  ['application/json', 'pretty=0', 'curl/8.5.0', false],
  ['application/yaml', 'pretty=1', undefined, false],
];
for (const [accept, query, agent, want] of pretty) {
  test(`pretty: ${accept} ?${query} ${agent}`, () => {
    assert.equal(isPretty(negotiate(accept, noTransforms)!, decodeQuery(query), agent), want);
  });
}

const codings: readonly [header: string | undefined, want: 'gzip' | 'zstd' | undefined, elsewhere?: 'gzip'][] = [
  [undefined, undefined],
  ['gzip', 'gzip'],
  ['deflate, gzip ,br', 'gzip'],
  ['gzip;q=1', undefined],
  ['gzip;q=0', undefined],
  ['*', undefined],
  ['GZIP', undefined],
  ['mygzip', undefined],
  ['zstd', 'zstd'],
  ['ZSTD', 'zstd'],
  ['gzip, deflate, br, zstd', 'zstd', 'gzip'],
  ['zstd;q=0.5, gzip', 'gzip', 'gzip'],
  ['zstd;q=0.5, gzip;q=0.5', 'zstd'],
  ['zstd ; q=0.4, gzip;q=0.5', undefined],
  ['gzip;q=0, zstd;q=0.001', 'zstd'],
  ['zstd;q=0', undefined],
  ['zstd;q=0, gzip', 'gzip', 'gzip'],
  ['zstd;q=2', undefined],
  ['zstd;q=0.5, identity', undefined],
  ['gzip, *;q=1', 'gzip', 'gzip'],
  ['zstdx, x-zstd', undefined],
];
for (const [header, want, elsewhere] of codings) {
  test(`Accept-Encoding: ${header}`, () => {
    assert.equal(contentCoding(header, true), want);
    assert.equal(contentCoding(header, false), elsewhere ?? (want === 'zstd' ? undefined : want));
  });
}
