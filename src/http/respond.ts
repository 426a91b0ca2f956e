import type { Status } from '../api/status.js';
import { writeEnvelope } from './encode/envelope.js';
import { goJson, goJsonIndented } from './encode/go-json.js';
import { indentJson } from './encode/json.js';
import { encodeMessage, statusMessage } from './encode/messages.js';
import { BufferWriter } from './encode/writer.js';
import { yamlOf } from './encode/yaml.js';
import { type Answer, bareText, type ExchangeRequest } from './exchange.js';
import { isPretty, type MediaType, mediaTypes, negotiate, noTransforms } from './negotiate.js';
import { isBare, type Problem, toStatus } from './to-status.js';

/** A document that exists as plain JSON and has a protobuf message: discovery, Status. */
export interface PlainDocument {
  readonly json: Readonly<Record<string, unknown>>;
  readonly apiVersion: string;
  readonly kind: string;
  readonly messageName: string;
}

/** An error, in a form that the client said it accepts (spec 4.5). Errors are never converted. */
export function problemAnswer(request: ExchangeRequest, problem: Problem): Answer {
  const status = toStatus(problem);
  const headers: Record<string, string> = {};
  const retryAfter = status.details?.retryAfterSeconds ?? 0;
  if (retryAfter > 0) headers['retry-after'] = String(retryAfter);
  if (status.code === 405) headers['allow'] = 'GET';
  if (status.code === 403) headers['x-content-type-options'] = 'nosniff';
  if (isBare(problem)) {
    const { kind: _kind, apiVersion: _apiVersion, ...bare } = status;
    return bareText(status.code, `${goJson(bare)}\n`, headers);
  }
  return statusAnswer(request, status, headers);
}

function statusAnswer(request: ExchangeRequest, status: Status, headers: Record<string, string>): Answer {
  const media = negotiate(request.headers.accept, noTransforms);
  if (media === undefined) {
    const body = goJsonIndented(status);
    return { code: status.code, headers: { ...headers, 'content-type': mediaTypes.json }, body };
  }
  const message = () => statusMessage(status);
  const body = encodePlain(request, media, status, { apiVersion: 'v1', kind: 'Status', message });
  return { code: status.code, headers: { ...headers, 'content-type': mediaTypes[media.encoding] }, body };
}

export function documentAnswer(request: ExchangeRequest, media: MediaType, document: PlainDocument): Answer {
  const message = () => encodeMessage(document.messageName, document.json);
  const body = encodePlain(request, media, document.json, { ...document, message });
  return { code: 200, headers: { 'content-type': mediaTypes[media.encoding] }, body };
}

function encodePlain(
  request: ExchangeRequest,
  media: MediaType,
  json: unknown,
  type: { apiVersion: string; kind: string; message: () => Uint8Array },
): string | Uint8Array {
  switch (media.encoding) {
    case 'yaml':
      return yamlOf(json);
    case 'protobuf': {
      const into = new BufferWriter(4096);
      writeEnvelope(type.apiVersion, type.kind, type.message(), into);
      return into.written();
    }
    case 'json':
      return prettyOrCompact(request, media, `${goJson(json)}\n`);
  }
}

/** Compact JSON with its newline, or the indented form without one. */
export function prettyOrCompact(
  request: ExchangeRequest,
  media: MediaType,
  compact: string | Uint8Array,
): string | Uint8Array {
  if (!isPretty(media, request.query, request.headers['user-agent'])) return compact;
  return indentJson(typeof compact === 'string' ? Buffer.from(compact) : compact);
}
