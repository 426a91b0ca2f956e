/**
 * The path parser of the API (spec 2.9). Not the router's: names may be long, percent escapes are
 * decoded once over the whole path, and nothing is cleaned or redirected. Slashes at the end do not
 * count, as in upstream's router.
 *
 *     /api/v1/namespaces/ns/pods/p/status
 *          │       └ namespace     │    └ subresource
 *          └ version, core group   └ name
 */
export type ParsedPath = ResourcePath | OtherPath | IncompletePath | BadPath;

export interface ResourcePath {
  readonly type: 'resource';
  readonly group: string;
  readonly version: string;
  /** The deprecated `/watch/` right after the version. */
  readonly watch: boolean;
  /** '': `/namespaces//pods`, which is all namespaces. */
  readonly namespace: string | undefined;
  readonly resource: string;
  /** undefined: the collection. */
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** More segments than a request has, or an empty one in the middle: nothing is registered there. */
  readonly malformed: boolean;
}

/** Discovery, health and everything else with fewer segments. */
export interface OtherPath {
  readonly type: 'other';
  readonly path: string;
}

/** A verb in front of nothing, `/api/v1/watch`: upstream fails to say what is meant. */
export interface IncompletePath {
  readonly type: 'incomplete';
  /** As the client wrote it. */
  readonly target: string;
}

export interface BadPath {
  readonly type: 'bad';
}

export interface Target {
  readonly path: ParsedPath;
  /** What follows the question mark, undecoded; '' when absent. */
  readonly search: string;
}

/** Reads a request target: origin form, or the absolute form that proxies send. */
export function parseTarget(target: string): Target {
  const origin = target.startsWith('/') ? target : target.replace(/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#]*/, '');
  const question = origin.indexOf('?');
  const search = question < 0 ? '' : origin.slice(question + 1);
  const raw = question < 0 ? origin : origin.slice(0, question);
  const path = unescapePath(raw === '' ? '/' : raw);
  if (path === undefined) return { path: { type: 'bad' }, search };
  return { path: parsePath(path, origin), search };
}

/** Takes an already decoded path. `target`: what the client wrote. */
export function parsePath(path: string, target = path): ParsedPath {
  const other: OtherPath = { type: 'other', path };
  if (!path.startsWith('/')) return other;
  const segments = path.slice(1).split('/');
  const core = segments[0] === 'api';
  if (!core && segments[0] !== 'apis') return other;
  const group = core ? '' : segments[1];
  const version = core ? segments[1] : segments[2];
  let rest = segments.slice(core ? 2 : 3);
  const trailing = rest.length - (rest.findLastIndex((segment) => segment !== '') + 1);
  if (group === undefined || version === undefined || (!core && (group === '' || version === ''))) return other;
  if (trailing === rest.length) return other;
  rest = rest.slice(0, rest.length - trailing);
  if (rest.length === 1 && (rest[0] === 'watch' || rest[0] === 'proxy')) return { type: 'incomplete', target };

  const watch = rest[0] === 'watch';
  if (watch) rest = rest.slice(1);
  // A namespace's own subresources look like resources in it; all other three-segment forms are collections.
  const inNamespace =
    rest[0] === 'namespaces' && rest.length > 2 && !(rest.length === 3 && isNamespaceSubresource(rest[2]!));
  const namespace = inNamespace ? rest[1] : undefined;
  const [resource = '', name, subresource, ...extra] = inNamespace ? rest.slice(2) : rest;
  const emptyMiddle = resource === '' || name === '' || subresource === '';
  return {
    type: 'resource',
    group,
    version,
    watch,
    namespace,
    resource,
    name,
    subresource,
    malformed: version === '' || emptyMiddle || extra.length > 0,
  };
}

/** Without the slashes at its end. A loop: of a run of slashes in the middle, `/\/+$/` takes the square of its length. */
export function withoutSlashes(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === '/') end--;
  return path.slice(0, end);
}

function isNamespaceSubresource(segment: string): boolean {
  return segment === 'status' || segment === 'finalize';
}

/** Decodes percent escapes once; undefined when one is malformed. Bytes that are not UTF-8 become U+FFFD. */
function unescapePath(raw: string): string | undefined {
  if (!raw.includes('%')) return raw;
  if (/%(?![0-9a-fA-F]{2})/.test(raw)) return undefined;
  try {
    return decodeURIComponent(raw);
  } catch {
    return Buffer.from(
      raw.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    ).toString('utf8');
  }
}
