import type { IncomingHttpHeaders } from 'node:http';
import type { Answer, Exchange } from '../exchange.js';
import { parseAccept } from '../negotiate.js';
import { hashedUrl, OpenApi, type OpenApiDocument, type OpenApiOptions } from './documents.js';

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;
const JSON_TYPE = 'application/json';

/** Answers a path below `/openapi/`; undefined for one that is not there. Any method reads, as upstream. */
export type OpenApiAnswers = (exchange: Exchange, path: string) => Promise<Answer> | undefined;

/** `/openapi/v2`, `/openapi/v3` and what is below it (spec 7.4). */
export function createOpenApiAnswers(options: OpenApiOptions): OpenApiAnswers {
  const openApi = new OpenApi(options);
  return (exchange, path) => {
    if (path === '/openapi/v2') return v2(exchange, openApi);
    if (path === '/openapi/v3') return index(exchange, openApi);
    const key = /^\/openapi\/v3\/(.*)$/.exec(path)?.[1];
    return key === undefined ? undefined : v3(exchange, openApi, key);
  };
}

async function v2(exchange: Exchange, openApi: OpenApi): Promise<Answer> {
  const encoding = encodingOf(exchange, 'v2');
  const headers = { vary: 'Accept-Encoding, Accept' }; // whether it is compressed or not, as upstream
  if (encoding === undefined) return { code: 406, headers, body: '' };
  return documentAnswer(exchange, await openApi.v2(), encoding, headers);
}

async function index(exchange: Exchange, openApi: OpenApi): Promise<Answer> {
  return documentAnswer(exchange, await openApi.index(), { type: JSON_TYPE, isProtobuf: false }, {});
}

async function v3(exchange: Exchange, openApi: OpenApi, key: string): Promise<Answer> {
  const headers: Record<string, string> = { vary: 'Accept' };
  const encoding = encodingOf(exchange, 'v3');
  if (encoding === undefined) return { code: 406, headers, body: '' };
  const document = await openApi.v3(key);
  if (document === undefined) return { code: 200, headers, body: '' }; // as upstream has it
  const hash = exchange.request.query.get('hash') ?? '';
  if (hash !== '' && hash !== document.hash) {
    // Whoever has an old index is sent to what the new one would say.
    const location = hashedUrl(key, document.hash);
    return {
      code: 301,
      headers: { ...headers, location, etag: quoted(document), 'content-type': encoding.type },
      body: '',
    };
  }
  if (hash !== '') {
    headers['cache-control'] = 'public, immutable';
    headers['expires'] = new Date(openApi.nowMs() + YEAR_MS).toUTCString();
  }
  return documentAnswer(exchange, document, encoding, headers);
}

interface DocumentEncoding {
  /** Content-Type. */
  readonly type: string;
  readonly isProtobuf: boolean;
}

/** The first clause that names a form that there is; `@v1.0` is how old clients spell `.v1.0`. */
function encodingOf({ request }: Exchange, version: 'v2' | 'v3'): DocumentEncoding | undefined {
  const { accept } = request.headers;
  const subtype = `com.github.proto-openapi.spec.${version}.v1.0+protobuf`;
  const old = `com.github.proto-openapi.spec.${version}@v1.0+protobuf`;
  for (const clause of parseAccept(accept === undefined || accept === '' ? '*/*' : accept)) {
    if (clause.type !== 'application' && clause.type !== '*') continue;
    if (clause.subtype === 'json' || clause.subtype === '*') return { type: JSON_TYPE, isProtobuf: false };
    if (clause.subtype === subtype || clause.subtype === old) {
      return { type: `application/${subtype}`, isProtobuf: true };
    }
  }
  return undefined;
}

async function documentAnswer(
  { request }: Exchange,
  document: OpenApiDocument,
  { type, isProtobuf }: DocumentEncoding,
  more: Readonly<Record<string, string>>,
): Promise<Answer> {
  const lastModified = new Date(document.madeMs).toUTCString();
  const headers = { ...more, etag: quoted(document), 'last-modified': lastModified };
  if (isUnchanged(request.headers, document)) return { code: 304, headers, body: '' };
  const body = isProtobuf ? await document.protobuf() : document.json;
  return { code: 200, headers: { ...headers, 'content-type': type }, body };
}

/** If-None-Match decides, and only without it If-Modified-Since. */
function isUnchanged(headers: IncomingHttpHeaders, document: OpenApiDocument): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) {
    return tags.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === quoted(document));
  }
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return Math.floor(document.madeMs / 1000) * 1000 <= since; // false when it is not a time
}

function quoted({ hash }: OpenApiDocument): string {
  return `"${hash}"`;
}
