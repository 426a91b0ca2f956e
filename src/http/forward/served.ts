import type { Kind } from '../../codec/kind.js';
import type { Discovery } from '../discovery.js';
import type { ExchangeRequest } from '../exchange.js';
import { type ParsedPath, withoutSlashes } from '../paths.js';
import { isSet } from '../query.js';
import { isRoute } from '../resources.js';

/** What listwatch serves itself. */
export interface Served {
  readonly findKind: (group: string, version: string, resource: string) => Kind | undefined;
  readonly discovery: () => Discovery;
}

/** Documents of which listwatch has its own, whatever the method. */
const DOCUMENTS: ReadonlySet<string> = new Set([
  '',
  '/index.html',
  '/version',
  '/metrics',
  '/metrics/slis',
  '/api',
  '/apis',
]);

/**
 * Whether listwatch answers a request, or the target of `--forward-to` does. Reads of served kinds and documents about what is
 * served are ours; everything else is not.
 */
export function isAnsweredHere(
  { method, path, target }: Pick<ExchangeRequest, 'method' | 'path' | 'target'>,
  served: Served,
): boolean {
  switch (path.type) {
    case 'bad':
    case 'incomplete':
      return true; // nobody knows what is meant
    case 'resource': {
      if (method !== 'GET' && method !== 'HEAD') return false;
      const kind = served.findKind(path.group, path.version, path.resource);
      return kind !== undefined && isRoute(kind, path);
    }
    case 'other':
      // `OPTIONS *` and its like name nothing.
      return !path.path.startsWith('/') || target === '' || isOurDocument(path.path, served);
  }
}

function isOurDocument(path: string, { discovery }: Served): boolean {
  const trimmed = withoutSlashes(path);
  if (DOCUMENTS.has(trimmed) || /^\/(healthz|livez|readyz)(\/|$)/.test(path)) return true;
  if (trimmed.startsWith('/openapi/')) {
    const key = /^\/openapi\/v3\/(.+)$/.exec(trimmed)?.[1];
    return key === undefined || key === 'api' || key === 'apis' || isServed(key, discovery());
  }
  return isServed(trimmed.slice(1), discovery());
}

/** `api/v1`, `apis/apps` or `apis/apps/v1` of what is served here. */
function isServed(place: string, discovery: Discovery): boolean {
  const [first, ...rest] = place.split('/');
  if (first === 'api') return rest.length === 1 && discovery.resources('', rest[0]!) !== undefined;
  if (first !== 'apis') return false;
  const [group = '', version] = rest;
  if (rest.length > 2) return false;
  return (version === undefined ? discovery.group(group) : discovery.resources(group, version)) !== undefined;
}

const STREAMING: ReadonlySet<string> = new Set(['attach', 'exec', 'log', 'portforward', 'proxy']);

/**
 * Requests without a deadline, which no bound of requests in flight counts (spec 9.2): watches, and what `kubectl logs`, `exec`,
 * `attach`, `port-forward` and `proxy` ask for.
 */
export function isLongRunning({
  method,
  path,
  query,
}: Pick<ExchangeRequest, 'method' | 'query'> & { readonly path: ParsedPath }): boolean {
  if (path.type === 'other') return path.path.startsWith('/debug/pprof/');
  if (path.type !== 'resource') return false;
  if (path.subresource !== undefined) return STREAMING.has(path.subresource);
  return path.watch || (method === 'GET' && isSet(query.get('watch')));
}
