import type { Socket } from 'node:net';
import { quoteGo } from '../api/go-text.js';
import { isExact } from '../api/field-selector.js';
import { type ListOptions, type ListSyntax, parseListOptions } from '../api/list-options.js';
import type { KindCodec } from '../codec/codec.js';
import { ConvertedCodec } from '../codec/converted-codec.js';
import { isConvertedVersion, type Kind } from '../codec/kind.js';
import { type Failure, type Result, success } from '../serve/failure.js';
import type { ObjectAnswer, Reader, WatchFormat, WatchSession } from '../serve/reader.js';
import { parseIncludeObject } from './encode/table.js';
import { type Answer, type Exchange, NOT_FOUND, type Outcome, STREAMED } from './exchange.js';
import {
  formatWithoutManagedFields,
  listWithoutManagedFields,
  objectWithoutManagedFields,
  omitsManagedFields,
} from './managed-fields.js';
import type { Metrics } from './metrics.js';
import {
  isPretty,
  type MediaType,
  customTransforms,
  mediaTypes,
  negotiate,
  resourceTransforms,
  routerAccepts,
} from './negotiate.js';
import { objectAnswer, streamList, type View, type WriteContext } from './objects.js';
import type { ResourcePath } from './paths.js';
import { isSet } from './query.js';
import { documentAnswer, problemAnswer } from './respond.js';
import { isReview } from './reviews.js';
import { customScaleOf, scaleOf } from './scale.js';
import { scaleView } from './scale-view.js';
import type { Problem } from './to-status.js';
import { jsonFormat, partialJsonFormat } from './watch/json-format.js';
import { partialProtobufFormat, protobufFormat } from './watch/protobuf-format.js';
import { Http1Response } from './http1-response.js';
import { http1WatchSink } from './watch/http1-sink.js';
import type { WatchQuota } from './watch/quota.js';
import type { SharedChunk } from './watch/shared-chunk.js';
import { lengthScanner, lineScanner } from './watch/frames.js';
import { streamWatch } from './watch/stream.js';
import { tableFormat } from './watch/table-format.js';
import { acceptWebSocket } from './watch/websocket.js';

export interface ResourceContext extends WriteContext {
  readonly metrics: Metrics;
  /** The kind behind a served URL. */
  readonly findKind: (group: string, version: string, resource: string) => Kind | undefined;
  /** Below a group that is built in, everything is routed: what is missing there is said by a Status. */
  readonly isBuiltInGroup: (group: string) => boolean;
  /** False at first: a group that is not found may be there a moment later. */
  readonly kindsKnown: () => boolean;
  readonly readerFor: (kind: Kind) => Reader;
  readonly shuttingDown: () => boolean;
  readonly watchQuota: WatchQuota;
  readonly sharedChunk: SharedChunk;
  readonly listSyntax: ListSyntax;
}

/** Subresources that kube-apiserver acts upon, or forwards to a kubelet: what `kubectl logs` and `exec` ask for. */
const DEEDS: ReadonlySet<string> = new Set([
  ...['attach', 'binding', 'eviction', 'exec', 'log', 'portforward', 'proxy'].map((deed) => `pods/${deed}`),
  ...['nodes/proxy', 'services/proxy', 'serviceaccounts/token'],
]);

/** Whether the request is a WATCH: these have no deadline, and are counted apart. */
export function isWatch(method: string, path: ResourcePath, query: ReadonlyMap<string, string>): boolean {
  if (method !== 'GET' || path.subresource !== undefined) return false;
  return path.watch || (path.name === undefined && isSet(query.get('watch')));
}

/**
 * GET, LIST and WATCH of objects, in the order of kube-apiserver's checks: the route, the method,
 * what the router thinks of Accept, then the handler's own negotiation and the query (spec 2.1, 2.9).
 */
export function answerResource(
  exchange: Exchange,
  context: ResourceContext,
  path: ResourcePath,
): Outcome | Promise<Outcome> {
  const { request } = exchange;
  const refuse = (problem: Problem) => problemAnswer(request, problem);
  const kind = context.findKind(path.group, path.version, path.resource);
  if (kind === undefined ? !context.isBuiltInGroup(path.group) : kind.custom !== undefined && !isRoute(kind, path)) {
    if (kind !== undefined) return missingBelow(exchange, context, kind, path, refuse);
    return context.kindsKnown() ? NOT_FOUND : refuse({ kind: 'starting' });
  }
  if (kind === undefined || !isRoute(kind, path)) {
    if (isReview(path)) return refuse({ kind: 'methodNotAllowed' });
    const what = `${path.resource}/${path.subresource ?? ''}`;
    return refuse(DEEDS.has(what) ? { kind: 'notServed', what } : { kind: 'noRoute' });
  }
  if (kind.custom !== undefined && isVerbOfOneNamespace(exchange, kind, path)) return NOT_FOUND;
  label(exchange, kind, path);
  if (kind.deprecation !== undefined) warn(exchange, context, kind.deprecation);
  if (request.method !== 'GET' && !isHeadOfCustom(exchange, kind, path)) {
    if (isWrite(request.method, kind, path)) return refuse({ kind: 'readOnly', method: request.method });
    return refuse(
      kind.custom === undefined
        ? { kind: 'methodNotAllowed' }
        : { kind: 'noVerb', group: kind.group, resource: kind.resource },
    );
  }
  const { accept } = request.headers;
  const offered = path.name === undefined || path.watch ? 'streams' : 'documents';
  // Custom resources are not behind upstream's router, whose own look at Accept they do without.
  if (kind.custom === undefined && !routerAccepts(accept, offered))
    return refuse({ kind: 'notAcceptableRoute', offered });
  const media = negotiate(accept, transformsOf(kind));
  if (media === undefined) return refuse({ kind: 'notAcceptable' });
  if (path.namespace === '' && path.name !== undefined && !path.watch) {
    return refuse(badRequest('Namespace parameter required.'));
  }
  const view = viewOf(exchange, media);
  if ('kind' in view) return refuse(view);
  if (isWatch(request.method, path, request.query)) return watch(exchange, context, kind, path, view, media);
  return path.name === undefined
    ? list(exchange, context, kind, path, view, media)
    : get(exchange, context, kind, path, path.name, view, media);
}

function transformsOf(kind: Kind) {
  return kind.custom === undefined ? resourceTransforms : customTransforms;
}

/** A subresource that a custom resource does not have is said to be a missing object; for all else there is no route. */
function missingBelow(
  exchange: Exchange,
  context: ResourceContext,
  kind: Kind,
  path: ResourcePath,
  refuse: (problem: Problem) => Outcome,
): Outcome {
  const { name, subresource } = path;
  if (subresource === undefined || name === undefined || !isRoute(kind, { ...path, subresource: undefined })) {
    return NOT_FOUND;
  }
  if (kind.deprecation !== undefined) warn(exchange, context, kind.deprecation);
  return refuse({ kind: 'notFound', group: kind.group, resource: kind.resource, name });
}

/** What kube-apiserver would do here: everything else is not allowed there either. */
function isWrite(method: string, kind: Kind, path: ResourcePath): boolean {
  if (path.watch) return false;
  if (path.name !== undefined) {
    return method === 'PUT' || method === 'PATCH' || (method === 'DELETE' && path.subresource === undefined);
  }
  return (method === 'POST' || method === 'DELETE') && (!kind.namespaced || path.namespace !== undefined);
}

/** Across all namespaces, upstream's handler of custom resources knows lists and watches only. */
function isVerbOfOneNamespace({ request }: Exchange, { namespaced }: Kind, { namespace }: ResourcePath): boolean {
  return namespaced && namespace === undefined && request.method !== 'GET' && request.method !== 'HEAD';
}

/**
 * Upstream's handler of custom resources goes by verbs, and a HEAD is a get or a list like a GET (spec 2.9). One that
 * would watch is refused: it could only be silent until its timeout.
 */
function isHeadOfCustom({ request }: Exchange, { custom }: Kind, path: ResourcePath): boolean {
  return request.method === 'HEAD' && custom !== undefined && !isWatch('GET', path, request.query);
}

/** Which of the forms of spec 2.9 exist for a kind. */
export function isRoute(kind: Kind, path: ResourcePath): boolean {
  if (path.malformed) return false;
  if (path.namespace !== undefined && !kind.namespaced) return false;
  const single = path.name !== undefined;
  if (kind.namespaced && single && path.namespace === undefined) return false;
  if (path.subresource === undefined) return true;
  return !path.watch && kind.subresources.includes(path.subresource);
}

function get(
  exchange: Exchange,
  context: ResourceContext,
  kind: Kind,
  path: ResourcePath,
  name: string,
  view: View,
  media: MediaType,
): Outcome | Promise<Outcome> {
  const { request } = exchange;
  const refuse = (problem: Problem) => problemAnswer(request, problem);
  if (isSet(request.query.get('export'))) {
    return refuse(badRequest('the export parameter, deprecated since v1.14, is no longer supported'));
  }
  const invalid = nameProblems(name);
  if (invalid.length > 0) return refuse(badRequest(`Name parameter invalid: ${quoteGo(name)}: ${invalid.join(';')}`));
  const { reader, codec } = shownAs(context, kind, view);
  const show = (result: Result<ObjectAnswer>) => {
    if (!result.ok) return refuse(result.failure);
    return path.subresource === 'scale'
      ? scale(exchange, context, reader, result.value, view, media)
      : object(exchange, context, codec, result.value, view, media);
  };
  const result = reader.get({
    namespace: path.namespace || undefined,
    name,
    resourceVersion: request.query.get('resourceVersion') ?? '',
    get signal() {
      return exchange.signal;
    },
  });
  return result instanceof Promise ? result.then(show) : show(result);
}

function scale(
  { request }: Exchange,
  { clock }: ResourceContext,
  { kind: { custom }, codec }: Reader,
  answer: ObjectAnswer,
  view: View,
  media: MediaType,
): Outcome {
  using found = answer;
  const made = custom?.scale === undefined ? success(scaleOf(codec, found)) : customScaleOf(codec, found, custom.scale);
  if (!made.ok) return problemAnswer(request, made.failure);
  if (media.as?.kind === 'PartialObjectMetadataList') {
    const type = custom === undefined ? '*autoscaling.Scale' : '*v1.Scale';
    return problemAnswer(request, { kind: 'notConvertible', message: noList(type) });
  }
  return documentAnswer(request, media, scaleView(made.value, view, custom !== undefined, clock.nowMs()));
}

function noList(goType: string): string {
  return `you requested PartialObjectMetadataList, but the requested object is not a list (${goType})`;
}

/** A GET's object, as the client wants to see it; disposes it. */
function object(
  exchange: Exchange,
  context: ResourceContext,
  codec: KindCodec,
  answer: ObjectAnswer,
  view: View,
  media: MediaType,
): Outcome | Promise<Outcome> {
  const { kind } = codec;
  const dispose = () => answer[Symbol.dispose]();
  let made: Answer | Promise<Answer> | undefined;
  try {
    if (media.as?.kind === 'PartialObjectMetadataList') {
      if (kind.custom !== undefined) {
        return problemAnswer(exchange.request, { kind: 'unclassified', message: 'content is not a list' });
      }
      return problemAnswer(exchange.request, { kind: 'notConvertible', message: noList(goType(kind, false)) });
    }
    const shown = omitsManagedFields(exchange) ? objectWithoutManagedFields(kind, answer) : answer;
    made = objectAnswer(context, codec, shown, view);
  } finally {
    // A Table still reads the object.
    if (!(made instanceof Promise)) dispose();
  }
  return made instanceof Promise ? made.finally(dispose) : made;
}

async function list(
  exchange: Exchange,
  context: ResourceContext,
  kind: Kind,
  path: ResourcePath,
  view: View,
  media: MediaType,
): Promise<Outcome> {
  const { request } = exchange;
  const refuse = (problem: Problem) => problemAnswer(request, problem);
  const options = parseListOptions(request.query, context.listSyntax);
  if (!options.ok) return refuse(badRequest(options.message));
  const { reader, codec } = shownAs(context, kind, view);
  const result = await reader.list({
    namespace: path.namespace || undefined,
    options: options.value,
    signal: exchange.signal,
  });
  if (!result.ok) return refuse(result.failure);
  using answer = result.value;
  if (isExplained(exchange)) exchange.headers['x-listwatch-plan'] = answer.plan ?? 'source';
  if (media.as?.kind === 'PartialObjectMetadata') {
    const message = `you requested PartialObjectMetadata, but the requested object is a list (${goType(kind, true)})`;
    return refuse({ kind: 'notConvertible', message });
  }
  if (!omitsManagedFields(exchange)) return await streamList(exchange, context, codec, answer, view);
  const shown = await listWithoutManagedFields(context, kind, answer, () => exchange.sink.closed);
  return shown === undefined ? STREAMED : await streamList(exchange, context, codec, shown, view);
}

/** Neither the header nor the parameter means anything to kube-apiserver: it answers the same without the plan. */
function isExplained({ request }: Exchange): boolean {
  return request.headers['x-listwatch-explain'] === '1' || request.query.get('explain') === 'listwatch';
}

async function watch(
  exchange: Exchange,
  context: ResourceContext,
  kind: Kind,
  path: ResourcePath,
  view: View,
  media: MediaType,
): Promise<Outcome> {
  const { request } = exchange;
  const refuse = (problem: Problem) => problemAnswer(request, problem);
  if (context.shuttingDown()) return refuse({ kind: 'shuttingDown' });
  const giveBack = context.watchQuota.take(request.client);
  if (giveBack === undefined) {
    context.metrics.watchRefused(exchange.labels);
    return refuse({ kind: 'tooManyWatches', client: request.client, max: context.limits.watchesPerClientMax });
  }
  exchange.sink.onClose(giveBack);
  const parsed = parseListOptions(request.query, context.listSyntax);
  if (!parsed.ok) return refuse(badRequest(parsed.message));
  const options = withName(parsed.value, path.name);
  if (options === undefined) return refuse(badRequest("fieldSelector metadata.name doesn't match requested name"));
  const { reader, codec } = shownAs(context, kind, view);
  const made = watchFormat(context, codec, view);
  // Watches of one format share their frames, those of both versions on one cache as well.
  const format = codec === reader.codec ? made : { ...made, id: `${made.id} of ${kind.version}` };
  const result = await reader.watch({
    namespace: path.namespace || undefined,
    options,
    signal: exchange.signal,
    legacyPath: path.watch,
    format: omitsManagedFields(exchange) ? formatWithoutManagedFields(kind, format) : format,
  });
  if (!result.ok) return refuse(result.failure);
  const session = media.as?.kind === 'PartialObjectMetadataList' ? withoutEvents(result.value) : result.value;
  // Whether the form can be streamed is upstream's last question: what is wrong with the request comes first.
  if (view.encoding === 'yaml') {
    session.cancel();
    return refuse({ kind: 'notAcceptableStream' });
  }
  if (!exchange.claim()) {
    session.cancel();
    return STREAMED;
  }
  const binary = view.encoding === 'protobuf';
  const sent = context.metrics.watchEvents(exchange.labels);
  const events = binary ? lengthScanner() : lineScanner();
  const stream = (sink: typeof exchange.sink) =>
    streamWatch({
      session,
      sink,
      clock: context.clock,
      lingerMs: context.limits.lingerMs,
      sent(chunk) {
        exchange.bytes += chunk.length;
        sent.count += context.sharedChunk.events(chunk, events);
      },
    });
  if (request.upgrade !== undefined) {
    const { upgrade } = request;
    upgrade.response.detachSocket(upgrade.socket as Socket);
    let accepted = false;
    acceptWebSocket(upgrade, binary ? lengthScanner() : lineScanner(), binary, (sink) => {
      accepted = true;
      exchange.endWatch = stream(sink);
    });
    if (!accepted) session.cancel();
    return STREAMED;
  }
  if (isExplained(exchange)) exchange.headers['x-listwatch-plan'] = session.plan;
  exchange.writeHead(200, { 'content-type': binary ? PROTOBUF_STREAM : mediaTypes.json });
  const { response } = exchange;
  response.flushHead();
  exchange.endWatch = stream(
    response instanceof Http1Response ? http1WatchSink(response, context.sharedChunk) : response,
  );
  return STREAMED;
}

/**
 * Where an answer comes from. kube-apiserver makes Tables and metadata of what it has read, before it converts that to the
 * version that is asked for: so these are of the version that is stored, and only whole objects are of their own.
 */
function shownAs(
  { findKind, readerFor }: ResourceContext,
  kind: Kind,
  view: View,
): { readonly reader: Reader; readonly codec: KindCodec } {
  const { group, resource, storedAs } = kind;
  const own = readerFor(kind);
  const stored =
    view.shape === 'object' || storedAs === undefined || !isConvertedVersion(kind)
      ? undefined
      : findKind(group, storedAs.version, resource);
  if (stored === undefined) return { reader: own, codec: own.codec };
  const reader = readerFor(stored);
  const isWhole = view.shape === 'table' && view.includeObject === 'Object' && own.codec instanceof ConvertedCodec;
  return { reader, codec: isWhole ? own.codec.overStored(reader.codec) : reader.codec };
}

/** No object of an event is a list: kube-apiserver cannot show the first of them as one, and ends the stream there. */
function withoutEvents(session: WatchSession): WatchSession {
  return {
    plan: session.plan,
    cancel: () => session.cancel(),
    start: (sink) =>
      session.start({
        write() {
          sink.end();
          return false;
        },
        end: () => sink.end(),
      }),
  };
}

const PROTOBUF_STREAM = 'application/vnd.kubernetes.protobuf;stream=watch';

function watchFormat(context: ResourceContext, codec: KindCodec, view: View): WatchFormat {
  const { clock } = context;
  switch (view.shape) {
    case 'table':
      return tableFormat(codec, view.metaVersion, view.includeObject, clock.nowMs);
    case 'partial':
      return view.encoding === 'protobuf'
        ? partialProtobufFormat(codec, view.metaVersion)
        : partialJsonFormat(codec, view.metaVersion);
    case 'object':
      return view.encoding === 'protobuf' ? protobufFormat(codec) : jsonFormat(codec);
  }
}

/** The single-object form of the deprecated path is a selector on the name (spec 2.8). */
function withName(options: ListOptions, name: string | undefined): ListOptions | undefined {
  if (name === undefined) return options;
  const named = options.fieldSelector.find((term) => term.field === 'metadata.name' && isExact(term));
  if (named !== undefined) return named.value === name ? options : undefined;
  const requirement = { field: 'metadata.name', operator: '=', value: name } as const;
  return { ...options, fieldSelector: [...options.fieldSelector, requirement] };
}

function viewOf({ request }: Exchange, media: MediaType): View | Failure {
  const { as } = media;
  const includeObject = as?.kind === 'Table' ? parseIncludeObject(request.query.get('includeObject')) : 'Metadata';
  if (includeObject === undefined) {
    const text = quoteGo(request.query.get('includeObject') ?? '');
    return badRequest(
      `Unable to convert to Table as requested: includeObject: Invalid value: ${text}: ` +
        "must be 'Metadata', 'Object', 'None', or empty",
    );
  }
  return {
    encoding: media.encoding,
    pretty: isPretty(media, request.query, request.headers['user-agent']),
    shape: as === undefined ? 'object' : as.kind === 'Table' ? 'table' : 'partial',
    metaVersion: as?.version === 'v1beta1' ? 'v1beta1' : 'v1',
    includeObject,
  };
}

/** For a request that does not get as far as its handler; what is not served stays without labels. */
export function labelResource(exchange: Exchange, context: ResourceContext, path: ResourcePath): void {
  const kind = context.findKind(path.group, path.version, path.resource);
  if (kind !== undefined && isRoute(kind, path)) label(exchange, kind, path);
}

function label(exchange: Exchange, kind: Kind, path: ResourcePath): void {
  const { request, labels } = exchange;
  labels.group = kind.group;
  labels.version = kind.version;
  labels.resource = kind.resource;
  labels.subresource = path.subresource ?? '';
  const collection = path.name === undefined;
  labels.scope = !collection ? 'resource' : path.namespace !== undefined ? 'namespace' : 'cluster';
  if (request.method !== 'GET' && request.method !== 'HEAD') return;
  labels.verb = isWatch(request.method, path, request.query) ? 'WATCH' : collection ? 'LIST' : 'GET';
}

/** RFC 7234: `299 - "<text>"`, with quotes and backslashes escaped (spec 4.9), in UTF-8: a header's characters are bytes to Node. */
function warn(exchange: Exchange, context: ResourceContext, text: string): void {
  const bytes = Buffer.from(text.replace(/["\\]/g, '\\$&'));
  exchange.headers['warning'] = `299 - "${bytes.toString('latin1')}"`;
  const removed = /unavailable in v([0-9.]+)\+/.exec(text)?.[1] ?? '';
  context.metrics.deprecatedRequested(exchange.labels, removed);
}

/** What a name may not be, in kube-apiserver's words (path.IsValidPathSegmentName). */
function nameProblems(name: string): string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%']
    .filter((character) => name.includes(character))
    .map((character) => `may not contain '${character}'`);
}

/** How Go prints the internal type of a kind, e.g. `*core.PodList`. */
function goType(kind: Kind, isList: boolean): string {
  if (kind.custom !== undefined) return `*unstructured.Unstructured${isList ? 'List' : ''}`;
  const packages: Readonly<Record<string, string>> = { '': 'core', 'internal.apiserver.k8s.io': 'apiserverinternal' };
  const group = kind.storedAs?.group ?? kind.group;
  const name = packages[group] ?? group.split('.')[0]!;
  return `*${name}.${isList ? kind.listKind : kind.kind}`;
}

function badRequest(message: string): Failure {
  return { kind: 'badRequest', message };
}
