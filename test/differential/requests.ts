import type { Random } from '../../src/lib/random.js';
import type { RawRequest } from '../support/http-client.js';
import { fieldSelector, labelSelector } from './selectors.js';
import { continueToken } from './tokens.js';
import type { KindUnderTest, World } from './world.js';

/** One request for both servers. */
export interface ReadRequest extends RawRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Streams, and reads that wait for a revision: run beside the others, many at a time. */
  readonly slow: boolean;
  /** What the request is, for the grouping of differences: `LIST`, `GET`, `WATCH`, `METHOD`, `PATH`. */
  readonly shape: Shape;
  readonly resource: string;
}
export type Shape = 'GET' | 'LIST' | 'WATCH' | 'METHOD' | 'PATH';

const JSON_TYPE = 'application/json';
const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';
const META = 'v=v1;g=meta.k8s.io';

/**
 * The next request of a run: valid, odd or malformed, decided by `random` alone (and by which tokens
 * were harvested so far). Left out, because the peer is not kube-apiserver there: Tables that would be
 * answered (its columns are the default ones), subresources, discovery, selectors by fields that it
 * does not know, metadata of a list asked for as an object or the reverse (the message names a Go type
 * that the peer does not have), `resourceVersion=00` (0 to some of upstream's checks and not to others), and every method that would write. And what Node cannot carry: bytes
 * beyond ASCII in a request line, values that are not UTF-8.
 */
export function nextRequest(random: Random, world: World): ReadRequest {
  const choice = random.float();
  if (choice < 0.17) return getOne(random, world);
  if (choice < 0.68) return list(random, world);
  if (choice < 0.82) return watch(random, world);
  if (choice < 0.88) return otherMethod(random, world);
  return oddPath(random, world);
}

function getOne(random: Random, world: World): ReadRequest {
  const kind = random.pick(world.kinds);
  const object = random.pick(kind.objects);
  const name = random.chance(0.8) ? object.name : random.pick(oddNames);
  const namespace = random.chance(0.9) ? object.namespace : kind.namespaced ? random.pick(oddNamespaces) : undefined;
  const query = new QueryBuilder(random);
  let slow = false;
  query.maybe(0.4, 'resourceVersion', () => {
    const version = resourceVersion(random, world);
    slow = version.waits;
    return version.text;
  });
  query.maybe(0.05, 'resourceVersionMatch', () => random.pick(matches));
  query.maybe(0.05, 'watch', () => random.pick(['true', '0', '']));
  query.maybe(0.04, 'export', () => random.pick(['true', 'false', '1', '', 'x']));
  query.maybe(0.03, 'exact', () => random.pick(['true', '']));
  query.common();
  return {
    method: 'GET',
    path: `${pathOf(kind, namespace, name)}${query.text()}`,
    headers: headers(random, 'object'),
    slow,
    shape: 'GET',
    resource: kind.resource,
  };
}

function list(random: Random, world: World): ReadRequest {
  const kind = random.pick(world.kinds);
  const namespace = scope(random, kind);
  const query = new QueryBuilder(random);
  const slow = listParameters(random, world, kind, namespace, query);
  query.maybe(0.04, 'watch', () => random.pick(['0', 'false', 'False', 'FALSE']));
  query.maybe(0.04, 'sendInitialEvents', () => random.pick(['true', 'false', '', '0']));
  query.maybe(0.04, 'timeoutSeconds', () => random.pick(oddNumbers));
  query.common();
  return {
    method: 'GET',
    path: `${pathOf(kind, namespace)}${query.text()}`,
    headers: headers(random, 'list'),
    slow,
    shape: 'LIST',
    resource: kind.resource,
  };
}

/** resourceVersion x match x limit x continue x selectors. True when the answer may wait for a revision. */
function listParameters(
  random: Random,
  world: World,
  kind: KindUnderTest,
  namespace: string | undefined,
  query: QueryBuilder,
): boolean {
  let slow = false;
  const version = () => {
    const chosen = resourceVersion(random, world);
    slow ||= chosen.waits;
    return chosen.text;
  };
  if (random.chance(0.25)) {
    query.add('continue', continueToken(random, world));
    query.maybe(0.8, 'limit', () => limit(random));
    // Not 0: upstream then ignores the limit when the page comes from its cache, and heeds it when it comes from etcd.
    query.maybe(0.08, 'resourceVersion', () => nonZero(version()));
    query.maybe(0.04, 'resourceVersionMatch', () => random.pick(matches));
  } else {
    query.maybe(0.55, 'resourceVersion', version);
    query.maybe(0.35, 'resourceVersionMatch', () => random.pick(matches));
    query.maybe(0.4, 'limit', () => limit(random));
  }
  query.maybe(0.25, 'labelSelector', () => labelSelector(random));
  query.maybe(0.25, 'fieldSelector', () => fieldSelector(random, kind));
  // Upstream's tokens are broken here (serve/scope.ts): it loses or repeats items. And its pages after the first
  // promise more where it has not looked yet.
  if (namespace === undefined && query.value('fieldSelector')?.includes('metadata.namespace')) query.remove('limit');
  return slow;
}

function watch(random: Random, world: World): ReadRequest {
  const kind = random.pick(world.kinds);
  const namespace = scope(random, kind);
  const query = new QueryBuilder(random);
  query.add('watch', random.pick(['1', 'true', 'true', '', 'yes', 'TRUE']));
  // Synthetic events and their closing bookmark may come with the next tick of a scheduler: give those streams time.
  const initial = random.chance(0.4);
  query.add('timeoutSeconds', random.chance(0.97) ? (initial ? '2' : '1') : random.pick(['abc', '1.5']));
  if (initial) {
    query.maybe(0.6, 'resourceVersion', () => random.pick(['0', '', String(world.revisions.now)]));
    if (random.chance(0.6)) {
      query.add('sendInitialEvents', random.pick(['true', '1', 'false']));
      query.maybe(0.9, 'resourceVersionMatch', () => random.pick(['NotOlderThan', 'NotOlderThan', 'Exact', 'Bogus']));
    }
  } else {
    query.add('resourceVersion', watchVersion(random, world));
    query.maybe(0.05, 'resourceVersionMatch', () => random.pick(matches));
  }
  query.maybe(0.4, 'allowWatchBookmarks', () => random.pick(['true', '1', 'false', '']));
  query.maybe(0.25, 'labelSelector', () => labelSelector(random));
  query.maybe(0.25, 'fieldSelector', () => fieldSelector(random, kind));
  query.maybe(0.05, 'limit', () => limit(random));
  query.maybe(0.03, 'continue', () => continueToken(random, world));
  query.common();
  const path = random.chance(0.1) ? legacyWatchPath(kind, namespace) : pathOf(kind, namespace);
  return {
    method: 'GET',
    path: `${path}${query.text()}`,
    headers: watchHeaders(random),
    slow: true,
    shape: 'WATCH',
    resource: kind.resource,
  };
}

/** Methods that write are sent only where no write can happen, whatever the server thinks of them. */
function otherMethod(random: Random, world: World): ReadRequest {
  const kind = random.pick(world.kinds);
  const object = random.pick(kind.objects);
  const item = pathOf(kind, object.namespace, object.name);
  const collection = pathOf(kind, kind.namespaced ? object.namespace : undefined);
  const [method, path] = random.pick<[string, string]>([
    ['HEAD', item],
    ['HEAD', collection],
    ['HEAD', `${kind.root}/doesnotexist`],
    ['OPTIONS', item],
    ['OPTIONS', collection],
    ['OPTIONS', `${kind.root}/doesnotexist`],
    ['OPTIONS', '/doesnotexist'],
    ['TRACE', collection],
    ['PROPFIND', collection],
    ['PROPFIND', item],
    ['SEARCH', `${kind.root}/doesnotexist`],
    ['POST', item],
    ['PUT', collection],
    ['PATCH', collection],
    ['POST', `${kind.root}/doesnotexist`],
    ['DELETE', `${kind.root}/doesnotexist`],
    ['PUT', '/doesnotexist'],
    ['PATCH', '/apis/doesnot.exist/v1/things'],
  ]);
  const query = new QueryBuilder(random);
  query.common();
  return {
    method,
    path: `${path}${query.text()}`,
    headers: headers(random, 'any'),
    slow: false,
    shape: 'METHOD',
    resource: kind.resource,
  };
}

function oddPath(random: Random, world: World): ReadRequest {
  const kind = random.pick(world.kinds);
  const object = random.pick(kind.objects);
  const { root, resource } = kind;
  const namespace = object.namespace ?? 'team-01';
  const item = pathOf(kind, object.namespace, object.name);
  const collection = pathOf(kind, undefined);
  const path = random.pick([
    () => `${collection}/`,
    () => `${item}/`,
    () => `/${collection}`,
    () => `${root}/${resource.toUpperCase()}`,
    () => `${root.toUpperCase()}/${resource}`,
    () => `${root}/doesnotexist`,
    () => `${root}/doesnotexist/x`,
    () => `${root}/namespaces/${namespace}/doesnotexist`,
    () => `${root}/namespaces/${namespace}/doesnotexist/x`,
    () => `${root}/namespaces/${namespace}/${resource}/${object.name}/doesnotexist`,
    () => `${root}/namespaces/${namespace}/${resource}/${object.name}/doesnotexist/x`,
    () => `${root}/${resource}/${object.name}`,
    () => `${root}/${resource}/${object.name}/${object.name}`,
    () => `${root}/namespaces/${namespace}/${resource}`,
    () => `${root}/namespaces/${namespace}/${resource}/`,
    () => `${root}/namespaces//${resource}`,
    () => `${root}/namespaces//${resource}/${object.name}`,
    () => `${root}//${resource}`,
    () => `${root}/./${resource}`,
    () => `${root}/x/../${resource}`,
    () => `${root}/${resource.slice(0, -1)}%${hexOf(resource.at(-1) ?? 's')}`,
    () => `${item.slice(0, -1)}%${hexOf(item.at(-1) ?? 'x')}`,
    () => `${item}%20`,
    () => `${item}%00`,
    () => `${item}%zz`,
    () => `${item}%`,
    () => `${item}%2F`,
    () => `${item}%25`,
    () => `${item}%2Fx`,
    () => `${item};x=y`,
    () => `${collection}%2F${object.name}`,
    () => `${item}${'x'.repeat(random.pick([300, 2_000, 10_000]))}`,
    () => `${root}/watch/${resource}/`,
    () => `${root}/watch`,
    () => `${root}/watch/doesnotexist`,
    () => `${root}/watch/namespaces/${namespace}/doesnotexist`,
    () => `${root}/watch/watch/${resource}`,
    () => `${root}/proxy/${resource}`,
    () => `${root}/proxy/namespaces/${namespace}/${resource}/${object.name}`,
    () => `/api/v2/${resource}`,
    () => `/api/v1beta1/${resource}`,
    () => '/api/v2',
    () => `/apis/doesnot.exist/v1/${resource}`,
    () => '/apis/doesnot.exist/v1',
    () => '/apis/doesnot.exist',
    () => `/apis/apps/v1beta9/${resource}`,
    () => '/apis/apps/v1beta9',
    () => `/apis//v1/${resource}`,
    () => '/apis/apps//deployments',
    () => `/API/v1/${resource}`,
    () => `/apiextra/v1/${resource}`,
    () => '/doesnotexist',
    () => '/doesnotexist/',
    () => '/favicon.ico',
    () => '/..',
    () => '//',
    () => '/%C3%A9',
    () => '/%ff',
  ])();
  const query = new QueryBuilder(random);
  if (path.includes('/watch')) query.add('timeoutSeconds', '1');
  query.common();
  return {
    method: 'GET',
    path: `${path}${query.text()}`,
    headers: headers(random, 'any'),
    slow: path.includes('/watch'),
    shape: 'PATH',
    resource,
  };
}

const nonZero = (version: string) => (version === '0' ? '' : version);
const hexOf = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0');

function pathOf(kind: KindUnderTest, namespace?: string, name?: string): string {
  const parts = [kind.root, ...(namespace === undefined ? [] : ['namespaces', namespace]), kind.resource];
  return [...parts, ...(name === undefined ? [] : [name])].join('/');
}

function legacyWatchPath(kind: KindUnderTest, namespace?: string): string {
  return `${kind.root}/watch${pathOf(kind, namespace).slice(kind.root.length)}`;
}

function scope(random: Random, kind: KindUnderTest): string | undefined {
  if (!kind.namespaced || random.chance(0.5)) return undefined;
  return random.chance(0.9) ? random.pick(kind.objects).namespace : random.pick(oddNamespaces);
}

const oddNames = [
  'missing',
  'MiXed',
  'a..b',
  'a%2Eb',
  '%2E',
  '%2E%2E',
  'a%25b',
  'a%2541',
  'a%20b',
  'a:b',
  'a,b',
  '%C3%BC',
  'a%0Ab',
];
const oddNamespaces = ['missing', 'UPPER', 'default', 'a_b', '%C3%BC', 'a%25b', '*'];
const matches = ['Exact', 'NotOlderThan', 'Exact', 'NotOlderThan', 'exact', 'Bogus', '', 'a"b<c>'];
const oddNumbers = [
  '0',
  '1',
  '-1',
  'abc',
  '',
  '1.5',
  '9223372036854775807',
  '9223372036854775808',
  ' 1',
  '+1',
  '1_0',
  '0x10',
  '-9223372036854775809',
];

function limit(random: Random): string {
  return random.chance(0.8)
    ? random.pick(['1', '2', '3', '7', '20', '100', '500', '1000000', '0'])
    : random.pick(oddNumbers);
}

function resourceVersion(random: Random, world: World): { text: string; waits: boolean } {
  const { compacted, beforeCaches, history, now } = world.revisions;
  const choice = random.float();
  if (choice < 0.2) return { text: '0', waits: false };
  if (choice < 0.28) return { text: '', waits: false };
  if (choice < 0.45) return { text: String(now), waits: false };
  if (choice < 0.65) return { text: String(random.pick(history)), waits: false };
  if (choice < 0.73) return { text: String(beforeCaches), waits: false };
  if (choice < 0.81) return { text: String(random.pick([compacted, 1, 2])), waits: false };
  if (choice < 0.86) {
    const future = random.pick([String(now + 1_000), String(now + 1), '9223372036854775807', '9223372036854775808']);
    return { text: future, waits: true };
  }
  const odd = random.pick([
    'abc',
    '-1',
    '+5',
    ' 5',
    '5 ',
    '007',
    '1.0',
    '1e3',
    '0x10',
    '18446744073709551616',
    '1_000',
    '\u0665',
    '"<>&',
    '5\n',
  ]);
  return { text: odd, waits: odd === '1_000' };
}

function watchVersion(random: Random, world: World): string {
  const { compacted, beforeCaches, history, now } = world.revisions;
  const choice = random.float();
  if (choice < 0.5) return String(random.pick(history));
  if (choice < 0.65) return String(now);
  if (choice < 0.75) return String(beforeCaches);
  if (choice < 0.82) return String(random.pick([compacted, 1]));
  if (choice < 0.88) return String(now + 1_000);
  return random.pick(['abc', '-1', '00', '18446744073709551616', '007', '1.5']);
}

function headers(random: Random, answers: 'object' | 'list' | 'any'): Record<string, string> {
  const all: Record<string, string> = {};
  const accept = acceptHeader(random, answers);
  if (accept !== undefined) all['accept'] = accept;
  if (random.chance(0.15)) {
    all['accept-encoding'] = random.pick([
      'gzip',
      'gzip, deflate',
      'deflate,gzip',
      'gzip;q=1',
      'identity',
      '*',
      'br',
      'GZIP',
      '',
    ]);
  }
  if (random.chance(0.1))
    all['user-agent'] = random.pick(['curl/8.0', 'Mozilla/5.0 (X)', 'Wget/1', 'Curl/8', 'kubectl/v1.36']);
  if (random.chance(0.05)) all['audit-id'] = random.pick(['my-audit-id', 'x'.repeat(100), '0']);
  return all;
}

function acceptHeader(random: Random, answers: 'object' | 'list' | 'any'): string | undefined {
  const partial = { object: 'PartialObjectMetadata', list: 'PartialObjectMetadataList', any: 'Bogus' }[answers];
  const choice = random.float();
  if (choice < 0.3) return JSON_TYPE;
  if (choice < 0.5) return PROTOBUF_TYPE;
  if (choice < 0.56) return undefined;
  if (choice < 0.6) return `${PROTOBUF_TYPE},${JSON_TYPE}`;
  if (choice < 0.65) return 'application/yaml';
  if (choice < 0.72) return `${JSON_TYPE};as=${partial};${META}`;
  if (choice < 0.78) return `${PROTOBUF_TYPE};as=${partial};${META}`;
  if (choice < 0.81) return `application/yaml;as=${partial};${META}`;
  return random.pick([
    '*/*',
    'application/*',
    '*',
    'text/html',
    'text/html, */*;q=0.1',
    `${JSON_TYPE};q=0`,
    `${JSON_TYPE};q=0.1,${PROTOBUF_TYPE};q=0.9`,
    `${JSON_TYPE};q=0.9,${PROTOBUF_TYPE};q=0.1`,
    `application/yaml;q=0.5, ${JSON_TYPE};q=0.5`,
    `${JSON_TYPE};q=abc`,
    `${JSON_TYPE};q=2,application/yaml;q=1`,
    `${JSON_TYPE};pretty=1`,
    `${JSON_TYPE};pretty=0`,
    `${JSON_TYPE};charset=utf-8`,
    `${JSON_TYPE};sv=v1`,
    `${JSON_TYPE};sv=v2`,
    `${JSON_TYPE};stream=watch`,
    `${JSON_TYPE};stream=bogus`,
    `application/yaml;stream=watch`,
    `${JSON_TYPE};export=1`,
    `${JSON_TYPE};as=${partial};v=v1beta1;g=meta.k8s.io`,
    `${JSON_TYPE};as=${partial};v=v2;g=meta.k8s.io`,
    `${JSON_TYPE};as=${partial};v=v1;g=wrong`,
    `${JSON_TYPE};as=${partial}`,
    `${JSON_TYPE};as=Bogus;${META}`,
    `${JSON_TYPE};as=Bogus;${META},${JSON_TYPE}`,
    `${JSON_TYPE};v=v1`,
    `${JSON_TYPE};g=`,
    `${JSON_TYPE};as=`,
    `${PROTOBUF_TYPE};as=Table;${META}`,
    `${PROTOBUF_TYPE};as=Table;${META},${JSON_TYPE}`,
    `${JSON_TYPE} ; as = ${partial} ; v = v1 ; g = meta.k8s.io`,
    `${JSON_TYPE};as="${partial}";v="v1";g="meta.k8s.io"`,
    'APPLICATION/JSON',
    'application/json,',
    ',application/json',
    ',',
    '',
    ';',
    'application',
    'application/',
    '/json',
    'application/json/x',
    'application/json;',
    'application/json;;',
    'application/json;x',
    'application/json;=',
    'application/vnd.kubernetes.protobuf;stream=watch',
    'application/cbor',
    'application/apply-patch+yaml, application/yaml',
    'application/json; q=0.3; as=x, application/yaml; q=0.2',
  ]);
}

function watchHeaders(random: Random): Record<string, string> {
  const accept = random.pick([
    JSON_TYPE,
    JSON_TYPE,
    JSON_TYPE,
    PROTOBUF_TYPE,
    PROTOBUF_TYPE,
    `${JSON_TYPE};stream=watch`,
    `${PROTOBUF_TYPE};stream=watch`,
    `${JSON_TYPE};as=PartialObjectMetadata;${META}`,
    `${PROTOBUF_TYPE};as=PartialObjectMetadata;${META}`,
    'application/yaml',
    'application/yaml,application/json',
    '*/*',
    'text/html',
    `${JSON_TYPE};pretty=1`,
    `${PROTOBUF_TYPE};as=Table;${META}`,
  ]);
  return {
    accept,
    ...(random.chance(0.1) ? { 'accept-encoding': 'gzip' } : {}),
    ...(random.chance(0.05) ? { 'user-agent': 'curl/8.0' } : {}),
  };
}

/** A query in the order given, with the oddities that a client may write around it. */
class QueryBuilder {
  readonly #random: Random;
  #pairs: string[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  add(name: string, value: string): void {
    const encoded = encodeURIComponent(value);
    this.#pairs.push(`${name}=${this.#random.chance(0.1) ? encoded.replaceAll('%20', '+') : encoded}`);
  }

  value(name: string): string | undefined {
    const pair = this.#pairs.find((candidate) => candidate.startsWith(`${name}=`));
    return pair === undefined ? undefined : decodeURIComponent(pair.slice(name.length + 1));
  }

  remove(name: string): void {
    this.#pairs = this.#pairs.filter((pair) => !pair.startsWith(`${name}=`));
  }

  maybe(probability: number, name: string, value: () => string): void {
    if (this.#random.chance(probability)) this.add(name, value());
  }

  /** Parameters that every request may carry, and what is no parameter at all. */
  common(): void {
    const random = this.#random;
    this.maybe(0.08, 'pretty', () => random.pick(['1', 'true', 'True', 't', '0', 'false', '', 'yes']));
    this.maybe(0.04, 'timeout', () =>
      random.pick(['30s', '1h', '0', '0s', 'abc', '5', '1m30s', '-1s', '', '1.5s', '10µs9h']),
    );
    this.maybe(0.03, 'includeObject', () => random.pick(['Metadata', 'None', 'Foo']));
    if (random.chance(0.06)) {
      this.#pairs.push(
        random.pick([
          'a=b',
          'limit',
          '=x',
          '',
          '%zz=1',
          'x=%zz',
          'limit=1;x=2',
          'resourceVersion',
          'a[]=1',
          'LIMIT=1',
          '&&',
          'x=%ff',
        ]),
      );
    }
    if (random.chance(0.03) && this.#pairs.length > 0) {
      const [name = 'limit'] = random.pick(this.#pairs).split('=', 1);
      this.#pairs.push(`${name}=other`); // only the first value of a repeated parameter counts
    }
  }

  text(): string {
    return this.#pairs.length === 0 ? (this.#random.chance(0.03) ? '?' : '') : `?${this.#pairs.join('&')}`;
  }
}
