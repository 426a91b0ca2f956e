import { promisify } from 'node:util';
import { gzip as gzipCallback, constants as zlib } from 'node:zlib';
import { apiVersionOf } from '../api/gvr.js';
import type { KindCodec } from '../codec/codec.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { ownTurn } from '../lib/line.js';
import type { ListAnswer, ObjectAnswer } from '../serve/reader.js';
import { Body, GZIP_ABOVE_BYTES } from './encode/body.js';
import { type FilledRows, type ListBody, type ListDocument, wholeBody } from './encode/document.js';
import { listMetaJson } from './encode/envelope.js';
import { GzipList, isJsonCompressed, type ListFrame } from './encode/gzip-list.js';
import { GzipTable, isTableCompressed } from './encode/gzip-table.js';
import { indentJson, jsonListFrame, writeJsonList, writePrettyJsonList } from './encode/json.js';
import {
  type MetaVersion,
  partialListDocument,
  partialProtobufList,
  writePartialJson,
  writePartialProtobuf,
} from './encode/partial.js';
import { emptyWire, protobufList, writeProtobufObject } from './encode/protobuf.js';
import { createTableEncoder, type IncludeObject, tableListDocument, tableObjectDocument } from './encode/table.js';
import { BufferWriter, writeText } from './encode/writer.js';
import { jsonToYaml, writeYamlList } from './encode/yaml.js';
import { type Answer, type Exchange, type Outcome, STREAMED } from './exchange.js';
import { type Encoding, mediaTypes, offersGzip } from './negotiate.js';

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
}

const gzip = promisify(gzipCallback);

/** Answers a GET: one object is small enough to be made whole. */
export async function objectAnswer(
  context: WriteContext,
  codec: KindCodec,
  answer: ObjectAnswer,
  view: View,
): Promise<Answer> {
  const body = await objectBody(context, codec, answer, view);
  const headers = { 'content-type': mediaTypes[view.encoding], ...staleness(answer.staleMs) };
  return { code: 200, headers, body };
}

async function objectBody(context: WriteContext, codec: KindCodec, answer: ObjectAnswer, view: View) {
  const { wire } = answer;
  const into = new BufferWriter(4096);
  if (view.encoding === 'protobuf') {
    if (view.shape === 'partial') writePartialProtobuf(codec, view.metaVersion, wire, into);
    else writeProtobufObject(codec, answer, into);
    return into.written();
  }
  if (view.shape === 'table') {
    const encoder = createTableEncoder(codec, view.metaVersion, view.includeObject, context.clock.nowMs);
    const document = tableObjectDocument(view.metaVersion, encoder, wire, String(answer.revision));
    await writeDocument(document, view, wholeBody(into));
    return into.written();
  }
  if (view.shape === 'partial') writePartialJson(codec, view.metaVersion, wire, into);
  else codec.toJson(wire.bytes, wire.start, wire.end, true, into);
  if (view.encoding === 'yaml') return jsonToYaml(into.written().toString('utf8'));
  writeText(into, '\n');
  return view.pretty ? indentJson(into.written()) : into.written();
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
  const gzipOffered = offersGzip(request.headers['accept-encoding']?.toString());
  const list = await listWriter(context, codec, answer, view, () => sink.closed);
  if (list === undefined) return STREAMED;
  const { contentLength } = list;
  const member = gzipOffered ? await gzipMember(list, answer, view, limits) : undefined;
  if (!exchange.claim()) return STREAMED;
  const body = new Body({
    sink,
    clock,
    chunkBytes: limits.listChunkBytes,
    sliceMs: limits.listSliceMs,
    gzipOffered,
    gzipped: member !== undefined,
    contentLength,
    start: (head) =>
      exchange.writeHead(200, {
        'content-type': mediaTypes[view.encoding],
        ...staleness(answer.staleMs),
        ...(head.gzip ? { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } : {}),
        ...(head.contentLength === undefined ? {} : { 'content-length': String(head.contentLength) }),
      }),
  });
  try {
    await ownTurn();
    if (await (member ?? list).write(body)) await body.end();
  } catch (error) {
    // Nothing but a cut says that what was sent is not the whole list.
    exchange.cut();
    throw error;
  } finally {
    exchange.bytes = member?.size ?? body.bytesOut;
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
async function gzipMember(
  { contentLength, frame, filled }: ListWriter,
  { runs }: ListAnswer,
  { encoding }: View,
  { deflateAhead }: Limits,
): Promise<GzipList | GzipTable | undefined> {
  if (frame === undefined || runs === undefined) return undefined;
  if (filled !== undefined) return isTableCompressed(frame, filled) ? new GzipTable(frame, filled, runs) : undefined;
  const large = contentLength === undefined ? await isJsonCompressed(frame, runs) : contentLength > GZIP_ABOVE_BYTES;
  return large ? new GzipList(frame, runs, encoding === 'protobuf' ? 'protobuf' : 'json', deflateAhead) : undefined;
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
      return {
        members: {
          kind: listKind,
          apiVersion: apiVersionOf(group, version),
          metadata: listMetaJson(answer, answer.shard),
        },
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

function writeDocument(document: ListDocument, view: View, body: ListBody): Promise<boolean> {
  if (view.encoding === 'yaml') return writeYamlList(document, body);
  return view.pretty ? writePrettyJsonList(document, body) : writeJsonList(document, body);
}

/** Age of the data while the source is out of reach, in whole seconds. */
function staleness(staleMs: number): Record<string, string> {
  return staleMs > 0 ? { 'x-listwatch-stale-seconds': String(Math.ceil(staleMs / 1000)) } : {};
}

/** Compresses a body that was made whole, under the same rule as streamed ones. */
export async function compressed(exchange: Exchange, answer: Answer): Promise<Answer> {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
  const offered = offersGzip(exchange.request.headers['accept-encoding']?.toString());
  if (!offered || body.length <= GZIP_ABOVE_BYTES) return { ...answer, body };
  const headers = { ...answer.headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' };
  return { ...answer, headers, body: await gzip(body, { level: zlib.Z_BEST_SPEED }) };
}
