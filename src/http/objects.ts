import { promisify } from 'node:util';
import { gzip as gzipCallback, constants as zlib } from 'node:zlib';
import { apiVersionOf } from '../api/gvr.js';
import type { KindCodec } from '../codec/codec.js';
import { isSecret } from '../codec/kind.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { ownTurn } from '../lib/line.js';
import { zstdFrame } from '../lib/zstd.js';
import type { ListAnswer, ObjectAnswer } from '../serve/reader.js';
import { Body, COMPRESS_ABOVE_BYTES, pooledChunkBytes } from './encode/body.js';
import { ChunkPool } from './encode/chunk-pool.js';
import { type FilledRows, type ListBody, type ListDocument, wholeBody } from './encode/document.js';
import { listMetaJson } from './encode/envelope.js';
import { GzipMember } from './encode/gzip-member.js';
import { GzipTable, isTableCompressed } from './encode/gzip-table.js';
import { isJsonCompressed, JoinedList, type ListFrame } from './encode/joined-list.js';
import { indentJson, jsonListFrame, writeJsonList, writePrettyJsonList } from './encode/json.js';
import {
  type MetaVersion,
  partialListDocument,
  partialProtobufList,
  writePartialJson,
  writePartialProtobuf,
} from './encode/partial.js';
import { emptyWire, protobufList, protobufObject } from './encode/protobuf.js';
import { createTableEncoder, type IncludeObject, tableListDocument, tableObjectDocument } from './encode/table.js';
import { BufferWriter, writeText } from './encode/writer.js';
import { jsonToYaml, writeYamlList } from './encode/yaml.js';
import { ZstdFrame } from './encode/zstd-frame.js';
import { type Answer, type Exchange, type Outcome, STREAMED } from './exchange.js';
import { type ContentCoding, contentCoding, type Encoding, mediaTypes } from './negotiate.js';

/** What the client wants to see of an object, after negotiation. */
export interface View {
  readonly encoding: Encoding;
  readonly pretty: boolean;
  readonly shape: 'object' | 'partial' | 'table';
  /** Of meta.k8s.io, for partial objects and Tables. */
  readonly metaVersion: MetaVersion;
  readonly includeObject: IncludeObject;
}

export interface WriteContext {
  readonly clock: Clock;
  readonly limits: Limits;
  /** What bodies are put together in. */
  readonly chunks: ChunkPool;
}

export function createChunkPool({ listChunkBytes, listSpareBytesMax }: Limits): ChunkPool {
  return new ChunkPool(pooledChunkBytes(listChunkBytes), listSpareBytesMax);
}

const gzip = promisify(gzipCallback);

/** Answers a GET: one object is small enough to be made whole. */
export function objectAnswer(
  context: WriteContext,
  codec: KindCodec,
  answer: ObjectAnswer,
  view: View,
): Answer | Promise<Answer> {
  const headers = { 'content-type': mediaTypes[view.encoding], ...staleness(answer.staleMs) };
  if (view.shape === 'table')
    return tableBody(context, codec, answer, view).then((body) => ({ code: 200, headers, body }));
  return { code: 200, headers, body: objectBody(codec, answer, view) };
}

function objectBody(codec: KindCodec, answer: ObjectAnswer, view: View): string | Uint8Array {
  const { wire } = answer;
  if (view.encoding === 'protobuf' && view.shape === 'object') return protobufObject(codec, wire);
  const into = new BufferWriter(4096);
  if (view.encoding === 'protobuf') {
    writePartialProtobuf(codec, view.metaVersion, wire, into);
    return into.written();
  }
  if (view.shape === 'partial') writePartialJson(codec, view.metaVersion, wire, into);
  else codec.toJson(wire.bytes, wire.start, wire.end, true, into);
  if (view.encoding === 'yaml') return jsonToYaml(into.written().toString('utf8'));
  writeText(into, '\n');
  return view.pretty ? indentJson(into.written()) : into.written();
}

async function tableBody(
  context: WriteContext,
  codec: KindCodec,
  answer: ObjectAnswer,
  view: View,
): Promise<Uint8Array> {
  const into = new BufferWriter(4096);
  const encoder = createTableEncoder(codec, view.metaVersion, view.includeObject, context.clock.nowMs);
  const document = tableObjectDocument(view.metaVersion, encoder, answer.wire, String(answer.revision));
  await writeDocument(document, view, wholeBody(into));
  return into.written();
}

/** Streams a LIST. The caller disposes the answer, on every path. */
export async function streamList(
  exchange: Exchange,
  context: WriteContext,
  codec: KindCodec,
  answer: ListAnswer,
  view: View,
): Promise<Outcome> {
  const { clock, limits } = context;
  const { sink, request } = exchange;
  const coding = contentCoding(request.headers['accept-encoding']?.toString());
  const list = await listWriter(context, codec, answer, view, () => sink.closed);
  if (list === undefined) return STREAMED;
  const { contentLength } = list;
  const joined = coding === undefined ? undefined : await joinedList(coding, list, answer, view, limits);
  if (!exchange.claim()) return STREAMED;
  const body = new Body({
    sink,
    clock,
    chunkBytes: limits.listChunkBytes,
    chunks: isSecret(codec.kind) ? createChunkPool(limits) : context.chunks, // bytes of Secrets do not stay behind
    sliceMs: limits.listSliceMs,
    coding,
    compressed: joined !== undefined,
    contentLength,
    start: (head) =>
      exchange.writeHead(200, {
        'content-type': mediaTypes[view.encoding],
        ...staleness(answer.staleMs),
        ...(head.coding === undefined ? {} : codingHeaders(head.coding)),
        ...(head.contentLength === undefined ? {} : { 'content-length': String(head.contentLength) }),
      }),
  });
  try {
    await ownTurn();
    if (await (joined ?? list).write(body)) await body.end();
  } catch (error) {
    // Nothing but a cut says that what was sent is not the whole list.
    exchange.cut();
    throw error;
  } finally {
    exchange.bytes = joined?.size ?? body.bytesOut;
  }
  return STREAMED;
}

interface ListWriter {
  /** When it is known before the first byte. */
  readonly contentLength: number | undefined;
  /** What stands around the items, where `answer.runs` has them in the form that is written. */
  readonly frame: ListFrame | undefined;
  readonly filled?: FilledRows | undefined;
  /** Resolves to false when the client is gone. */
  write(body: ListBody): Promise<boolean>;
}

/** undefined: the client left. */
async function listWriter(
  context: WriteContext,
  codec: KindCodec,
  answer: ListAnswer,
  view: View,
  gone: () => boolean,
): Promise<ListWriter | undefined> {
  if (view.encoding === 'protobuf') {
    if (view.shape !== 'partial') return protobufList(codec, answer);
    const { clock, limits } = context;
    return partialProtobufList(codec, view.metaVersion, answer, clock, limits.listSliceMs, gone);
  }
  const document = listDocument(context, codec, answer, view);
  const compact = view.encoding === 'json' && !view.pretty;
  const kept = compact && (document.runs !== undefined || document.filled !== undefined);
  return {
    contentLength: undefined,
    frame: kept ? jsonListFrame(document) : undefined,
    filled: kept ? document.filled : undefined,
    write: (body) => writeDocument(document, view, body),
  };
}

/** The list put together from compressed parts; undefined where there are none, or the list is too small for it. */
async function joinedList(
  coding: ContentCoding,
  { contentLength, frame, filled }: ListWriter,
  { runs }: ListAnswer,
  { encoding }: View,
  { deflateAhead }: Limits,
): Promise<(Pick<ListWriter, 'write'> & { readonly size: number }) | undefined> {
  if (frame === undefined || runs === undefined) return undefined;
  // Rows of Tables are kept deflated only: as zstd they are compressed for each answer.
  if (filled !== undefined && coding === 'zstd') return undefined;
  if (filled !== undefined) return isTableCompressed(frame, filled) ? new GzipTable(frame, filled, runs) : undefined;
  const large =
    contentLength === undefined ? await isJsonCompressed(frame, runs) : contentLength > COMPRESS_ABOVE_BYTES;
  if (!large) return undefined;
  const format = encoding === 'protobuf' ? 'protobuf' : 'json';
  return coding === 'zstd'
    ? new JoinedList(new ZstdFrame(), frame, runs, format, deflateAhead)
    : new JoinedList(new GzipMember(), frame, runs, format, deflateAhead);
}

function listDocument(context: WriteContext, codec: KindCodec, answer: ListAnswer, view: View): ListDocument {
  switch (view.shape) {
    case 'table': {
      const encoder = createTableEncoder(codec, view.metaVersion, view.includeObject, context.clock.nowMs);
      return tableListDocument(codec, view.metaVersion, encoder, answer);
    }
    case 'partial':
      return partialListDocument(codec, view.metaVersion, answer);
    case 'object': {
      const { group, version, listKind } = codec.kind;
      const wire = emptyWire();
      const apiVersion = apiVersionOf(group, version);
      return {
        ...(codec.kind.custom === undefined
          ? { members: { kind: listKind, apiVersion, metadata: listMetaJson(answer, answer.shard) } }
          : { members: { apiVersion }, after: { kind: listKind, metadata: customListMeta(answer) } }),
        itemsKey: 'items',
        count: answer.count,
        runs: view.encoding === 'json' && !view.pretty ? answer.runs : undefined,
        item(index, into) {
          const { bytes, start, end } = answer.at(index, wire);
          codec.toJson(bytes, start, end, false, into);
        },
      };
    }
  }
}

/** Lists of custom resources are maps upstream: sorted, with an empty `continue`, and never a shard (spec 5.4, 6.3). */
function customListMeta(answer: ListAnswer): Record<string, unknown> {
  const { remainingItemCount, resourceVersion } = answer;
  return {
    continue: answer.continue ?? '',
    ...(remainingItemCount === undefined ? {} : { remainingItemCount }),
    resourceVersion,
  };
}

function writeDocument(document: ListDocument, view: View, body: ListBody): Promise<boolean> {
  if (view.encoding === 'yaml') return writeYamlList(document, body);
  return view.pretty ? writePrettyJsonList(document, body) : writeJsonList(document, body);
}

/** Age of the data while the source is out of reach, in whole seconds. */
function staleness(staleMs: number): Record<string, string> {
  return staleMs > 0 ? { 'x-listwatch-stale-seconds': String(Math.ceil(staleMs / 1000)) } : {};
}

/** Compresses a body that was made whole, under the same rule as streamed ones. */
export function compressed(exchange: Exchange, answer: Answer): Answer | Promise<Answer> {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
  if (body.length <= COMPRESS_ABOVE_BYTES) return body === answer.body ? answer : { ...answer, body };
  return smaller(exchange, answer, body);
}

async function smaller(exchange: Exchange, answer: Answer, body: Uint8Array): Promise<Answer> {
  const coding = contentCoding(exchange.request.headers['accept-encoding']?.toString());
  if (coding === undefined) return { ...answer, body };
  const headers: Record<string, string> = { ...answer.headers, ...codingHeaders(coding) };
  // A cache must not give one client's form of a document to another: what it varied by before still counts.
  const { vary } = answer.headers;
  if (vary !== undefined) headers['vary'] = vary.includes('Accept-Encoding') ? vary : `${vary}, ${headers['vary']}`;
  const packed = coding === 'zstd' ? zstdFrame(body) : gzip(body, { level: zlib.Z_BEST_SPEED });
  return { ...answer, headers, body: await packed };
}

function codingHeaders(coding: ContentCoding): Record<string, string> {
  return { 'content-encoding': coding, vary: 'Accept-Encoding' };
}
