import { apiVersionOf } from '../api/gvr.js';
import type { ModRevision } from '../api/revision.js';
import { assert } from '../lib/assert.js';
import { varintSize, writeVarint } from '../lib/bytes.js';
import { isCanonical } from './canonical.js';
import { type ByteWriter, CodecError, type KindCodec, type WireWriter } from './codec.js';
import {
  isCustomResourceDefinition,
  toCustomResourceDefinitionV1,
  withServicePort,
} from './custom-resource-definition.js';
import { conversionInto, conversionOf } from './conversions.js';
import { ConvertedCodec } from './converted-codec.js';
import { CustomResourceCodec } from './custom-resource.js';
import { encodeObject } from './encode.js';
import { encodingOf, envelope, envelopeHead, openEnvelope, unreadable } from './envelope.js';
import {
  isJsonObject,
  JsonNumber,
  type JsonObject,
  JsonSyntaxError,
  type JsonValue,
  parseExact,
  parseJson,
} from './json-parse.js';
import { findKind, isServedFrom } from './kinds.js';
import type { Kind, SelectableField } from './kind.js';
import { dropManagedFields } from './managed-fields.js';
import { MessageCodec } from './message-codec.js';
import { normalize } from './normalize.js';
import { type ReadDefaults, readDefaultsOf } from './read-defaults.js';
import { compileField, type FieldReader } from './scan.js';
import { messageNameOf, sameLayout } from './schema.js';
import { spliceProtobuf } from './splice.js';
import { holderOf, transcode, transcodeWith } from './transcode.js';
import { typeMetaHead } from './transcode-generator.js';
import { after, readEnd, textOf } from './wire.js';
import { createWriter } from './writer.js';

export interface KindCodecOptions {
  /**
   * Fill in what a server adds on read: defaults of fields that are newer than the object (read-defaults.ts), and the
   * types of nested objects (transcode.ts). True unless said otherwise; Go's encoder alone does neither.
   */
  readonly readDefaults?: boolean;
  /** Leave `metadata.managedFields` out of wire forms (`--omit-managed-fields`). */
  readonly omitManagedFields?: boolean;
}

export function createKindCodec(kind: Kind, options: KindCodecOptions = {}): KindCodec {
  if (kind.custom !== undefined) return new CustomResourceCodec(kind, kind.custom, options.omitManagedFields === true);
  const served = options.readDefaults !== false;
  const builtIn = (one: Kind) => new BuiltInCodec(one, served, options.omitManagedFields === true);
  const { storedAs } = kind;
  if (storedAs === undefined) return builtIn(kind);
  const stored = findKind(storedAs.group, storedAs.version, kind.resource);
  const conversion = conversionOf(kind);
  assert(stored !== undefined && conversion !== undefined, `${kind.kind} of ${kind.group} can be converted`);
  return new ConvertedCodec(builtIn(kind), builtIn(stored), conversion);
}

class BuiltInCodec extends MessageCodec implements KindCodec {
  slowDecodes = 0;
  private readonly apiVersion: string;
  private readonly omitsManagedFields: boolean;
  private readonly defaults: ReadDefaults | undefined;
  /** The envelope as a current server writes it, up to the length of raw. */
  private readonly head: Buffer;
  /** What answers begin with, up to the length of raw. */
  private readonly typeHead: Buffer;
  private readonly listTypeHead: Buffer;
  private readonly typeMeta: string;
  private readonly transcoder: ReturnType<typeof holderOf>;
  /** By `apiVersion kind` of stored values: the empty string if it can be read as ours, else why not. */
  private readonly foreign = new Map<string, string>();

  constructor(kind: Kind, served: boolean, omitsManagedFields: boolean) {
    super(kind);
    this.omitsManagedFields = omitsManagedFields;
    this.defaults = served ? readDefaultsOf(kind) : undefined;
    this.apiVersion = apiVersionOf(kind.group, kind.version);
    const storedAs = apiVersionOf(kind.group, kind.storageVersion ?? kind.version);
    this.head = envelopeHead(storedAs, kind.kind, 0).subarray(0, -1);
    this.typeHead = envelopeHead(this.apiVersion, kind.kind, 0).subarray(0, -1);
    this.listTypeHead = envelopeHead(this.apiVersion, kind.listKind, 0).subarray(0, -1);
    this.foreign.set(`${this.apiVersion} ${kind.kind}`, '');
    this.typeMeta = typeMetaHead(this.apiVersion, kind.kind);
    this.transcoder = holderOf(kind.message, served);
  }

  toWire(value: Uint8Array, start: number, end: number, modRevision: ModRevision, into: WireWriter): void {
    // The usual value: our own type, written by a current server.
    if (this.kind.storageVersion === undefined && startsWith(value, start, end, this.head)) {
      const rawEnd = readEnd(value, start + this.head.length, end);
      const rawStart = after.at;
      if (end - rawEnd === 4 && isTail(value, rawEnd)) {
        this.messageToWire(value, rawStart, rawEnd, modRevision, into);
        return;
      }
    }
    const encoding = encodingOf(value, start, end);
    if (encoding === 'json') {
      this.jsonToWire(textOf(value, start, end), modRevision, into);
      return;
    }
    if (encoding !== 'protobuf') throw unreadable(encoding, value, start, end);
    const { apiVersion, kind, rawStart, rawEnd } = openEnvelope(value, start, end);
    const conversion = conversionInto(this.kind, apiVersion, kind);
    if (conversion !== undefined) {
      const object = parseStored(messageToJson(messageNameOf(apiVersion, kind)!, value, rawStart, rawEnd));
      this.convertedToWire(conversion.toStored(object as JsonObject), modRevision, into);
      return;
    }
    this.assertReadable(apiVersion, kind);
    this.messageToWire(value, rawStart, rawEnd, modRevision, into);
  }

  /** What a conversion has made lacks no defaults: the other type has its own. */
  private convertedToWire(object: JsonObject, modRevision: ModRevision, into: WireWriter): void {
    this.slowDecodes++;
    const { bytes } = encodeObject(this.kind.message, object);
    spliceProtobuf(bytes, 0, bytes.length, modRevision, into);
    if (this.omitsManagedFields) dropManagedFields(into);
  }

  private messageToWire(b: Uint8Array, start: number, end: number, modRevision: ModRevision, into: WireWriter): void {
    if (isCanonical(this.kind.message, b, start, end)) {
      this.canonicalToWire(b, start, end, modRevision, into);
      return;
    }
    this.slowDecodes++;
    const canonical = normalize(this.kind.message, b, start, end);
    this.canonicalToWire(canonical, 0, canonical.length, modRevision, into);
  }

  private canonicalToWire(b: Uint8Array, start: number, end: number, modRevision: ModRevision, into: WireWriter): void {
    if (this.defaults === undefined || this.defaults.complete(b, start, end)) {
      spliceProtobuf(b, start, end, modRevision, into);
    } else {
      this.slowDecodes++;
      const object = this.parsed(b, start, end, true);
      this.defaults.apply(object);
      const { bytes } = encodeObject(this.kind.message, object);
      spliceProtobuf(bytes, 0, bytes.length, modRevision, into);
    }
    if (this.omitsManagedFields) dropManagedFields(into);
  }

  /** JSON-stored kinds (CRDs, APIServices), and servers that run with JSON storage. */
  private jsonToWire(text: string, modRevision: ModRevision, into: WireWriter): void {
    const object = parseStored(text);
    const converted = this.converted(object);
    if (converted !== undefined) {
      this.convertedToWire(converted, modRevision, into);
      return;
    }
    this.slowDecodes++;
    const { bytes } = encodeObject(this.kind.message, this.readable(object));
    this.canonicalToWire(bytes, 0, bytes.length, modRevision, into);
  }

  /** A parsed object of a type that is stored as ours nowadays. */
  private converted(object: JsonValue): JsonObject | undefined {
    if (!isJsonObject(object)) return undefined;
    return conversionInto(this.kind, String(object['apiVersion']), String(object['kind']))?.toStored(object);
  }

  /** Checks the type of a parsed object and converts it to ours where that is possible. */
  private readable(object: JsonValue): unknown {
    if (typeof object !== 'object' || object === null || Array.isArray(object) || object instanceof JsonNumber) {
      throw new CodecError('the value is JSON, but not an object');
    }
    const apiVersion = object['apiVersion'];
    const kind = object['kind'];
    if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
      throw new CodecError("Object 'Kind' is missing: apiVersion and kind must be strings");
    }
    if (this.kind.kind === 'CustomResourceDefinition' && isCustomResourceDefinition(apiVersion, kind)) {
      return toCustomResourceDefinitionV1(object);
    }
    this.assertReadable(apiVersion, kind);
    return this.kind.kind === 'APIService' ? withServicePort(object) : object;
  }

  /** A value of another version is read as ours only if its bytes mean the same (kinds.ts says which may). */
  private assertReadable(apiVersion: string, kind: string): void {
    const key = `${apiVersion} ${kind}`;
    let problem = this.foreign.get(key);
    if (problem === undefined) {
      problem = this.problemWith(apiVersion, kind);
      if (this.foreign.size < 64) this.foreign.set(key, problem);
    }
    if (problem !== '') throw new CodecError(problem);
  }

  private problemWith(apiVersion: string, kind: string): string {
    const ours = `${this.apiVersion} ${this.kind.kind}`;
    const message = messageNameOf(apiVersion, kind);
    if (kind !== this.kind.kind || message === undefined) return `the value is a ${apiVersion} ${kind}, not a ${ours}`;
    if (!isServedFrom(this.kind, apiVersion) || !sameLayout(message, this.kind.message)) {
      return `the value is stored as ${apiVersion}, which cannot be served as ${ours} without conversion`;
    }
    return '';
  }

  toJson(bytes: Uint8Array, start: number, end: number, typeMeta: boolean, into: ByteWriter): void {
    transcodeWith(this.transcoder, typeMeta ? this.typeMeta : '', bytes, start, end, into);
  }

  protected compileSelectable(field: SelectableField): FieldReader {
    return compileField(this.kind.message, field);
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    return this.parsed(bytes, start, end, false);
  }

  private parsed(bytes: Uint8Array, start: number, end: number, keepSource: boolean): unknown {
    const writer = createWriter((end - start) * 2);
    this.toJson(bytes, start, end, true, writer);
    const text = writer.bytes.toString('utf8', 0, writer.position);
    return keepSource ? parseJson(text, { keepSource }) : parseExact(text);
  }

  toStored(object: unknown, unknownFields?: string[]): Uint8Array {
    const readable = this.readable(object as JsonValue) as Record<string, unknown>;
    const metadata = readable['metadata'];
    const blanked =
      typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
        ? { ...readable, metadata: { ...metadata, resourceVersion: '', selfLink: '' } }
        : readable;
    const encoded = encodeObject(this.kind.message, blanked);
    unknownFields?.push(...encoded.unknownFields);
    return envelope(this.apiVersion, this.kind.kind, encoded.bytes);
  }

  envelopeHead(listKind: boolean, rawLength: number): Uint8Array {
    const type = listKind ? this.listTypeHead : this.typeHead;
    const head = Buffer.allocUnsafe(type.length + varintSize(rawLength));
    head.set(type);
    writeVarint(head, type.length, rawLength);
    return head;
  }
}

function startsWith(value: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let k = 0; k < prefix.length; k++) if (value[start + k] !== prefix[k]) return false;
  return true;
}

function isTail(value: Uint8Array, at: number): boolean {
  return value[at] === 0x1a && value[at + 1] === 0 && value[at + 2] === 0x22 && value[at + 3] === 0;
}

function parseStored(text: string): JsonValue {
  try {
    return parseJson(text, { keepSource: true });
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw new CodecError(`invalid JSON: ${error.message}`, error.offset);
    throw error;
  }
}

/** Any message of the schema, as Go would print it; parsed. For Status, WatchEvent, discovery and tools. */
export function messageToJson(messageName: string, bytes: Uint8Array, start = 0, end = bytes.length): string {
  const canonical = isCanonical(messageName, bytes, start, end)
    ? bytes.subarray(start, end)
    : normalize(messageName, bytes, start, end);
  const writer = createWriter(canonical.length * 2);
  transcode(messageName, canonical, 0, canonical.length, writer);
  return writer.bytes.toString('utf8', 0, writer.position);
}
