import { hasZstd } from '../lib/zstd.js';
import type { Query } from './query.js';
import { parseBool } from './query.js';

/**
 * Which representation a client gets (spec 4.1 - 4.5 and 4.7).
 *
 * Clauses of Accept are tried by falling `q`, in header order among equals; each against the
 * serializers in their fixed order. A clause whose parameters cannot be met is skipped.
 */
export type Encoding = 'json' | 'yaml' | 'protobuf';

export const mediaTypes: Readonly<Record<Encoding, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
};
const serializers: readonly Encoding[] = ['json', 'yaml', 'protobuf'];

export const ACCEPTED_TYPES = serializers.map((encoding) => mediaTypes[encoding]).join(', ');
export const STREAM_TYPES = `${mediaTypes.json};stream=watch, ${mediaTypes.protobuf};stream=watch`;

/** What `as`, `g` and `v` ask for. */
export interface Transform {
  readonly kind: string;
  readonly group: string;
  readonly version: string;
}

export interface MediaType {
  readonly encoding: Encoding;
  readonly as: Transform | undefined;
  /** The clause said `pretty=1`. */
  readonly pretty: boolean;
}

export interface Clause {
  readonly type: string;
  readonly subtype: string;
  readonly q: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Endpoints differ in the transforms they allow; see `resourceTransforms` and `noTransforms`. */
export interface TransformRule {
  (encoding: Encoding, as: Transform): boolean;
  /** Whether clients may name the version of the server's own groups, `sv=v1`. */
  readonly serverVersion?: true;
  /** False: objects themselves are not to be had in this encoding, only what they are converted to. */
  plain?(encoding: Encoding): boolean;
}

/** Errors, discovery and other documents: never converted. */
export const noTransforms: TransformRule = () => false;

/** GET, LIST and WATCH of objects: Tables (not as protobuf) and metadata only, in both versions of meta.k8s.io. */
export const resourceTransforms: TransformRule = Object.assign(
  (encoding: Encoding, as: Transform) => {
    if (as.group !== 'meta.k8s.io' || (as.version !== 'v1' && as.version !== 'v1beta1')) return false;
    if (as.kind === 'Table') return encoding !== 'protobuf';
    return as.kind === 'PartialObjectMetadata' || as.kind === 'PartialObjectMetadataList';
  },
  { serverVersion: true as const },
);

/** The same for custom resources, which have no protobuf form of their own. */
export const customTransforms: TransformRule = Object.assign(
  (encoding: Encoding, as: Transform) => resourceTransforms(encoding, as),
  { serverVersion: true as const, plain: (encoding: Encoding) => encoding !== 'protobuf' },
);

/**
 * `/api` and `/apis`: aggregated discovery in its current version, for any profile. Whoever takes it at all gets it, wherever it stands in
 * the list: the classic document is negotiated only without it.
 */
export const discoveryTransforms: TransformRule = Object.assign(
  (_encoding: Encoding, as: Transform) =>
    as.group === 'apidiscovery.k8s.io' && as.version === 'v2' && as.kind === 'APIGroupDiscoveryList',
  { plain: () => false },
);

/** The representation to send, or undefined: 406. */
export function negotiate(accept: string | undefined, allows: TransformRule): MediaType | undefined {
  if (accept === undefined || accept === '') return { encoding: 'json', as: undefined, pretty: false };
  for (const clause of remembered(parsed, accept, parseAccept)) {
    for (const encoding of serializers) {
      if (!matches(clause, encoding)) continue;
      const accepted = meet(clause, encoding, allows);
      if (accepted !== undefined) return accepted;
    }
  }
  return undefined;
}

/** What an endpoint is registered with: JSON alone, every encoding, those and their streams, or keys, which are JSON of a type of their own. */
export type Representations = 'json' | 'documents' | 'streams' | 'keys';

export const representations: Readonly<Record<Representations, string>> = {
  json: mediaTypes.json,
  documents: ACCEPTED_TYPES,
  streams: `${ACCEPTED_TYPES}, ${STREAM_TYPES}`,
  keys: 'application/jwk-set+json',
};

/** The check that the router makes before any handler: type and subtype only, and no `type/*`. */
export function routerAccepts(accept: string | undefined, offered: Representations = 'documents'): boolean {
  if (accept === undefined || accept === '') return true;
  if (offered === 'keys') return typesOf(accept).some((type) => type === '*/*' || type === representations.keys);
  const least = remembered(routed, accept, routerNeeds);
  return least === 'any' || (least === 'all' && offered !== 'json');
}

/** What an endpoint must be registered with so that the router takes the header: anything, every encoding, or no such thing exists. */
function routerNeeds(accept: string): 'any' | 'all' | 'none' {
  const types = typesOf(accept);
  if (types.some((type) => type === '*/*' || type === mediaTypes.json)) return 'any';
  return types.some((type) => serializers.some((encoding) => mediaTypes[encoding] === type)) ? 'all' : 'none';
}

function typesOf(accept: string): string[] {
  return accept.split(',').map((clause) => clause.split(';', 1)[0]!.trim());
}

/** Clients send the same few headers over and over. */
const parsed = new Map<string, readonly Clause[]>();
const routed = new Map<string, ReturnType<typeof routerNeeds>>();
const REMEMBERED_COUNT_MAX = 256;
const REMEMBERED_LENGTH_MAX = 1_024;

function remembered<T>(memory: Map<string, T>, header: string, read: (header: string) => T): T {
  let found = memory.get(header);
  if (found === undefined) {
    found = read(header);
    if (memory.size < REMEMBERED_COUNT_MAX && header.length <= REMEMBERED_LENGTH_MAX) memory.set(header, found);
  }
  return found;
}

export function parseAccept(header: string): readonly Clause[] {
  const clauses: Clause[] = [];
  for (const part of header.split(',')) {
    const [range = '', ...rest] = part.split(';');
    const [type = '', subtypeText, ...more] = range.split('/').map((text) => text.trim());
    if (more.length > 0 || type === '') continue;
    // A lone `*` means `*/*`; any other type needs its subtype.
    const subtype = subtypeText ?? (type === '*' ? '*' : '');
    if (subtype === '') continue;
    const parameters = new Map<string, string>();
    let q = 1;
    for (const parameter of rest) {
      // As goautoneg: a parameter without a value, or with a second equals sign, is none.
      const [nameText = '', valueText = '', ...rest] = parameter.split('=');
      if (valueText === '' || (rest.length > 0 && rest.join('') !== '')) continue;
      const name = nameText.trim();
      const value = valueText.trim();
      if (name === 'q') q = Number.isFinite(Number(value)) ? Number(value) : 0;
      else parameters.set(name, value);
    }
    clauses.push({ type, subtype, q, parameters });
  }
  return clauses.sort((a, b) => b.q - a.q);
}

function matches(clause: Clause, encoding: Encoding): boolean {
  const [type, subtype] = mediaTypes[encoding].split('/');
  return (
    (clause.type === '*' && clause.subtype === '*') ||
    (clause.type === type && (clause.subtype === '*' || clause.subtype === subtype))
  );
}

function meet(clause: Clause, encoding: Encoding, allows: TransformRule): MediaType | undefined {
  const { parameters } = clause;
  const stream = parameters.get('stream');
  if (stream !== undefined && stream !== '' && (stream !== 'watch' || encoding === 'yaml')) return undefined;
  const serverVersion = parameters.get('sv');
  if (
    serverVersion !== undefined &&
    serverVersion !== '' &&
    (serverVersion !== 'v1' || allows.serverVersion !== true)
  ) {
    return undefined;
  }
  const converted = parameters.has('as') || parameters.has('g') || parameters.has('v');
  const as = converted
    ? { kind: parameters.get('as') ?? '', group: parameters.get('g') ?? '', version: parameters.get('v') ?? '' }
    : undefined;
  if (as === undefined ? allows.plain?.(encoding) === false : !allows(encoding, as)) return undefined;
  return { encoding, as, pretty: parameters.get('pretty') === '1' };
}

/** Spec 4.7: the clause, then the query, then who asks. Only JSON is ever pretty. */
export function isPretty(media: MediaType, query: Query, userAgent: string | undefined): boolean {
  if (media.encoding !== 'json') return false;
  if (media.pretty) return true;
  const asked = query.get('pretty') ?? '';
  if (asked !== '') return parseBool(asked) ?? false;
  return userAgent !== undefined && ['curl', 'Wget', 'Mozilla/5.0'].some((agent) => userAgent.startsWith(agent));
}

export type ContentCoding = 'gzip' | 'zstd';

/**
 * How a large body is compressed. `gzip` must be a token of its own: parameters and wildcards do not count (spec 4.6). Upstream
 * knows no other; `zstd` is ours, for whoever names it and prefers nothing that it names beside it (RFC 9110, section 12.5.3).
 */
export function contentCoding(acceptEncoding: string | undefined, zstd = hasZstd): ContentCoding | undefined {
  if (acceptEncoding === undefined) return undefined;
  const tokens = acceptEncoding.split(',').map((token) => token.trim());
  if (zstd && isZstdPreferred(tokens)) return 'zstd';
  return tokens.includes('gzip') ? 'gzip' : undefined;
}

function isZstdPreferred(tokens: readonly string[]): boolean {
  const quality = (name: string) => {
    const qualities = tokens.map((token) => qualityOf(token, name)).filter((value) => value !== undefined);
    return qualities.length === 0 ? undefined : Math.max(...qualities);
  };
  const zstd = quality('zstd') ?? 0;
  return zstd > 0 && zstd >= (quality('gzip') ?? 0) && zstd >= (quality('identity') ?? 0);
}

/** Of a token of this name; undefined: it is another one, or its quality cannot be read. */
function qualityOf(token: string, name: string): number | undefined {
  const match = /^([^\s;]+)(?:\s*;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/.exec(token);
  return match?.[1]?.toLowerCase() === name ? Number(match[2] ?? 1) : undefined;
}
