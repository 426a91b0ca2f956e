import { CONFIGURATION_PATH, type IssuerDocuments, KEYS_PATH } from '../auth/issuer-documents.js';
import { goJsonIndented } from './encode/go-json.js';
import type { Discovery } from './discovery.js';
import { type Answer, type Exchange, json, NOT_FOUND, type Outcome, plainText } from './exchange.js';
import { type Health, type HealthEndpoint, healthEndpoints } from './health.js';
import type { Metrics } from './metrics.js';
import { discoveryTransforms, negotiate, noTransforms, representations, routerAccepts } from './negotiate.js';
import { withoutSlashes } from './paths.js';
import { allValues } from './query.js';
import type { OpenApiAnswers } from './openapi/answer.js';
import { documentAnswer, problemAnswer } from './respond.js';
import { type BuildInfo, versionDocument } from './version.js';
import type { PlainDocument } from './respond.js';

export interface DocumentContext {
  /** What is missing below the others is not there, as if nobody had routed it. */
  readonly isBuiltInGroup: (group: string) => boolean;
  readonly discovery: () => Discovery;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly build: BuildInfo;
  readonly openApi: () => Promise<OpenApiAnswers>;
  /** undefined: it is not said who issues tokens of service accounts. */
  readonly issuer: IssuerDocuments | undefined;
  /** Documents of somebody else, who may answer instead; absent: there is nobody. */
  readonly forwardOpenApi?:
    | ((exchange: Exchange, path: string, own: () => Promise<Outcome>) => Promise<Outcome>)
    | undefined;
  /** Of what is served here and of what is forwarded; absent: nothing is. Never rejects. */
  readonly mergedDiscovery?: (() => Promise<Discovery>) | undefined;
}

/** Everything that is not a resource: discovery, version, health, metrics and the index (spec section 7). */
export async function answerDocument(exchange: Exchange, alone: DocumentContext, path: string): Promise<Outcome> {
  const merged = /^\/apis?(\/|$)/.test(path) ? await alone.mergedDiscovery?.() : undefined;
  const context = merged === undefined ? alone : { ...alone, discovery: () => merged };
  const discovery = context.discovery();
  switch (path) {
    case '/':
    case '/index.html':
      return json(goJsonIndented({ paths: indexOf(context) }));
    case '/version':
    case '/version/':
      return getOnly(exchange, () => version(exchange, context));
    case '/metrics':
      return {
        code: 200,
        headers: { 'content-type': context.metrics.contentType },
        body: await context.metrics.text(),
      };
    case '/metrics/slis':
      return {
        code: 200,
        headers: { 'content-type': context.metrics.contentType },
        body: await context.health.metrics.text(),
      };
    case '/api':
    case '/api/':
      return getOnly(exchange, () =>
        root(exchange, context, true, true, () => discovery.apiVersions(exchange.request.localAddress)),
      );
    case '/apis':
    case '/apis/':
      return root(exchange, context, path === '/apis', false, () => discovery.groupList);
    default:
      return (
        (await health(exchange, context, path)) ??
        issuer(exchange, context, path) ??
        (path.startsWith('/openapi/') ? await openApi(exchange, context, path) : undefined) ??
        groupOrVersion(exchange, context, path)
      );
  }
}

async function openApi(exchange: Exchange, context: DocumentContext, path: string): Promise<Outcome | undefined> {
  const own = async () => (await context.openApi())(exchange, path);
  const { forwardOpenApi } = context;
  if (forwardOpenApi === undefined) return own();
  return forwardOpenApi(exchange, path, async () => (await own()) ?? NOT_FOUND);
}

/**
 * `/apis/<g>`, `/api/v1`, `/apis/<g>/<v>`. What is missing below a group that is served is said by a Status. The list of groups, each
 * group, and versions of CRDs have no route upstream: any method reads them, and no router looks at Accept.
 */
function groupOrVersion(exchange: Exchange, context: DocumentContext, path: string): Answer {
  const discovery = context.discovery();
  const [first, ...rest] = withoutSlashes(path.slice(1)).split('/');
  if (first !== 'api' && first !== 'apis') return NOT_FOUND;
  const [group, version, ...more] = first === 'api' ? ['', ...rest] : rest;
  if (group === undefined || (group === '' && first === 'apis')) return NOT_FOUND;
  const known = group === '' ? discovery.apiVersions('') : discovery.group(group);
  if (known === undefined) return NOT_FOUND;
  const document = version === undefined ? discovery.group(group) : discovery.resources(group, version);
  if (document === undefined || more.length > 0) return context.isBuiltInGroup(group) ? unrouted(exchange) : NOT_FOUND;
  const isRouted = group === '' || (version !== undefined && context.isBuiltInGroup(group));
  return isRouted ? getOnly(exchange, () => plain(exchange, document, true)) : plain(exchange, document, false);
}

/** The router looks at Accept only once it has found a path. */
function unrouted({ request }: Exchange): Answer {
  return problemAnswer(request, { kind: 'noRoute' });
}

/** `/api` and `/apis`: the classic document, or everything at once for clients that ask for it (spec 7.2). `/apis/` has the first only. */
function root(
  exchange: Exchange,
  context: DocumentContext,
  mayAggregate: boolean,
  core: boolean,
  classic: () => PlainDocument,
): Answer {
  const { request } = exchange;
  if (core && !routerAccepts(request.headers.accept)) return plain(exchange, classic(), core);
  const media = negotiate(request.headers.accept, mayAggregate ? discoveryTransforms : noTransforms);
  if (media?.as === undefined) return plain(exchange, classic(), core);
  const document = context.discovery().aggregated(core);
  const headers = { etag: document.etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === document.etag) return { code: 304, headers, body: '' };
  const answer = documentAnswer(request, media, document);
  // Clients read the body as the aggregated type only when the response says so.
  const parameters = `;g=${media.as.group};v=${media.as.version};as=${media.as.kind}`;
  const contentType = `${answer.headers['content-type']}${parameters}`;
  return { ...answer, headers: { ...headers, 'content-type': contentType } };
}

function plain({ request }: Exchange, document: PlainDocument, isRouted: boolean): Answer {
  if (isRouted && !routerAccepts(request.headers.accept)) {
    return problemAnswer(request, { kind: 'notAcceptableRoute', offered: 'documents' });
  }
  const media = negotiate(request.headers.accept, noTransforms);
  if (media === undefined) return problemAnswer(request, { kind: 'notAcceptable' });
  return documentAnswer(request, media, document);
}

function version({ request }: Exchange, { build }: DocumentContext): Answer {
  if (!routerAccepts(request.headers.accept, 'json')) {
    return problemAnswer(request, { kind: 'notAcceptableRoute', offered: 'json' });
  }
  return json(goJsonIndented(versionDocument(build)));
}

/** Who issues tokens of service accounts: his configuration, or his keys. */
function issuer(exchange: Exchange, { issuer }: DocumentContext, path: string): Answer | undefined {
  const root = [CONFIGURATION_PATH, KEYS_PATH].find((one) => path === one || path.startsWith(`${one}/`));
  if (root === undefined || issuer === undefined) return undefined;
  if (path !== root && path !== `${root}/`) return unrouted(exchange);
  return getOnly(exchange, () => {
    const { headers: asked, isSecure, localAddress } = exchange.request;
    const offered = root === KEYS_PATH ? 'keys' : 'json';
    if (!routerAccepts(asked.accept, offered)) {
      return problemAnswer(exchange.request, { kind: 'notAcceptableRoute', offered });
    }
    const origin = `${isSecure ? 'https' : 'http'}://${localAddress}`;
    const headers = { 'content-type': representations[offered], 'cache-control': `public, max-age=${ISSUER_SECONDS}` };
    return { code: 200, headers, body: root === KEYS_PATH ? issuer.keys : issuer.configuration(origin) };
  });
}

/** For how long those who verify tokens may keep what they have read, as kube-apiserver says of keys in files. */
const ISSUER_SECONDS = 3_600;

function getOnly({ request }: Exchange, answer: () => Answer): Answer {
  return request.method === 'GET' ? answer() : problemAnswer(request, { kind: 'methodNotAllowed' });
}

/** Health endpoints answer any method. */
async function health(exchange: Exchange, context: DocumentContext, path: string): Promise<Answer | undefined> {
  const match = /^\/(healthz|livez|readyz)(?:\/(.+))?$/.exec(path);
  if (match === null) return undefined;
  const endpoint = match[1] as HealthEndpoint;
  const { query, search } = exchange.request;
  const answer =
    match[2] === undefined
      ? await context.health.all(endpoint, query.has('verbose'), allValues(search, 'exclude'))
      : await context.health.one(endpoint, match[2]);
  if (answer === undefined) return NOT_FOUND;
  const text = plainText(answer.code, answer.body);
  if (answer.nosniff) return text;
  return { ...text, headers: { 'content-type': 'text/plain; charset=utf-8' } };
}

function indexOf({ discovery, health, issuer }: DocumentContext): string[] {
  const checks = healthEndpoints.flatMap((endpoint) => [
    `/${endpoint}`,
    ...health.names(endpoint).map((name) => `/${endpoint}/${name}`),
  ]);
  const others = ['/metrics', '/metrics/slis', '/openapi/v2', '/openapi/v3', '/openapi/v3/', '/version'];
  const ofIssuer = issuer === undefined ? [] : [CONFIGURATION_PATH, KEYS_PATH];
  return [...discovery().paths, ...checks, ...others, ...ofIssuer].sort();
}
