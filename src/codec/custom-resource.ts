import { printGo } from '../api/go-text.js';
import { apiVersionOf } from '../api/gvr.js';
import type { ModRevision } from '../api/revision.js';
import { InvariantError } from '../lib/assert.js';
import { varintSize, writeVarint } from '../lib/bytes.js';
import { type ByteWriter, CodecError, type KindCodec, type WireWriter } from './codec.js';
import { encodeObject } from './encode.js';
import { encodingOf, unreadable } from './envelope.js';
import {
  isJsonObject,
  JsonNumber,
  type JsonObject,
  JsonSyntaxError,
  type JsonValue,
  jsonText,
  parseExact,
  parseJson,
} from './json-parse.js';
import type { CustomKind, Kind, SelectableField } from './kind.js';
import { MessageCodec, OBJECT_META } from './message-codec.js';
import { type FieldReader, hit, seek } from './scan.js';
import { spliceProtobuf } from './splice.js';
import {
  compileSchema,
  dropNulls,
  eachEmbedded,
  fillDefaults,
  pruneObject,
  setMember,
  type Structural,
} from './structural-schema.js';
import { holderOf, transcodeWith } from './transcode.js';
import { textOf } from './wire.js';
import { createWriter } from './writer.js';

/** Fields of the wire form of a custom resource; those of selectable fields follow (custom-kind.ts). */
const METADATA = 0x0a;
const HEAD = 0x12;
const TAIL = 0x1a;
const RESOURCE_VERSION = 50; // of ObjectMeta

/**
 * The codec of a kind that a CRD defines. Its objects are JSON in etcd and on the wire, and nearly the same JSON:
 * a value that the schema does not change is kept as it was stored. Everything else in listwatch finds metadata, labels
 * and selectable fields by their tags in a protobuf message, so the wire form is one:
 *
 *     1  ObjectMeta, as of any kind: what indexes, selectors and partial objects read, and where the resourceVersion is
 *     2  the JSON up to the resourceVersion     {"apiVersion":"ex.io/v1",…"metadata":{…"resourceVersion":"
 *     3  the JSON behind it                     ","uid":"…"},"spec":{…}}
 *     4  the text of the first selectable field, unless it is empty; then of the second, and so on
 */
export class CustomResourceCodec extends MessageCodec implements KindCodec {
  slowDecodes = 0;
  private readonly custom: CustomKind;
  private readonly apiVersion: string;
  private readonly omitsManagedFields: boolean;
  private readonly schemas = new Map<string, Structural>();

  constructor(kind: Kind, custom: CustomKind, omitsManagedFields: boolean) {
    super(kind);
    this.custom = custom;
    this.apiVersion = apiVersionOf(kind.group, kind.version);
    this.omitsManagedFields = omitsManagedFields;
  }

  toWire(value: Uint8Array, start: number, end: number, modRevision: ModRevision, into: WireWriter): void {
    const encoding = encodingOf(value, start, end);
    if (encoding !== 'json') throw unreadable(encoding, value, start, end);
    const stored = textOf(value, start, end).trimEnd();
    let object = parsedObject(stored, JSON.parse);
    // Text that JSON.stringify gives back has no number, escape or space that Go would write another way.
    let kept = isSorted(object) && goJson(object) === stored;
    if (!kept) object = plainNumbers(parsedObject(stored, parseJson)) as JsonObject;
    const { changed, metadata } = this.asServed(object);
    kept &&= !changed;
    if (!kept) this.slowDecodes++;
    const text = kept ? stored : jsonText(object);
    const at = resourceVersionAt(text);
    const parts: [tag: number, content: string][] = [
      [HEAD, `${text.slice(0, at.index)}${at.before}"resourceVersion":"`],
      [TAIL, `"${at.after}${text.slice(at.index)}`],
    ];
    for (const { tag, path } of this.kind.selectableFields) {
      const content = selectableText(object, path);
      if (content !== '') parts.push([tag!, content]);
    }
    const message = messageOf(metadata, parts);
    spliceProtobuf(message, 0, message.length, modRevision, into);
  }

  /** Changes an object to what the version that is served shows of it (spec 1.4). */
  private asServed(object: JsonObject): { readonly changed: boolean; readonly metadata: Uint8Array } {
    const storedVersion = this.storedVersion(object);
    const { metadata: given } = object;
    let changed = !isJsonObject(given);
    const metadata: JsonObject = isJsonObject(given) ? given : {};
    if (changed) object['metadata'] = metadata;
    const dropped = ['resourceVersion', ...(this.omitsManagedFields ? ['managedFields'] : [])];
    for (const member of dropped) {
      if (!Object.hasOwn(metadata, member)) continue;
      delete metadata[member];
      changed = true;
    }
    // A bookmark is an object without a name, and shows nothing but its resourceVersion.
    if (metadata['name'] !== undefined) {
      changed = this.coerce(object, storedVersion) || changed;
      changed = fillDefaults(object, this.schema(storedVersion)) || changed;
      if (!isGeneration(metadata['generation'])) {
        metadata['generation'] = 1;
        changed = true;
      }
      if (storedVersion !== this.kind.version) {
        object['apiVersion'] = this.apiVersion;
        // The other version's defaults are not filled in.
        this.coerce(object, this.kind.version);
        changed = true;
      }
    }
    const tidy = tidyMetadata(metadata);
    if (tidy.metadata !== metadata) {
      object['metadata'] = tidy.metadata;
      changed = true;
    }
    return { changed, metadata: tidy.bytes };
  }

  private coerce(object: JsonObject, version: string): boolean {
    const schema = this.schema(version);
    let changed = false;
    if (!this.custom.preservesUnknownFields) {
      changed = pruneObject(object, schema);
      changed = dropNulls(object, schema) || changed;
    }
    eachEmbedded(object, schema, (embedded) => {
      changed = tidyEmbedded(embedded) || changed;
    });
    return changed;
  }

  private schema(version: string): Structural {
    let schema = this.schemas.get(version);
    if (schema === undefined) this.schemas.set(version, (schema = compileSchema(this.custom.schemas[version])));
    return schema;
  }

  /** The version that the object is stored as, if it can be shown as ours. */
  private storedVersion({ apiVersion, kind }: JsonObject): string {
    if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
      throw new CodecError("Object 'Kind' is missing: apiVersion and kind must be strings");
    }
    if (kind !== this.kind.kind) {
      throw new CodecError(`the value is a ${apiVersion} ${kind}, not a ${this.apiVersion} ${this.kind.kind}`);
    }
    if (apiVersion === this.apiVersion) return this.kind.version;
    const version = apiVersion.slice(this.kind.group.length + 1);
    if (!apiVersion.startsWith(`${this.kind.group}/`) || !Object.hasOwn(this.custom.schemas, version)) {
      throw new CodecError(`request to convert CR from an invalid group/version: ${apiVersion}`);
    }
    if (this.custom.converts === 'webhook') {
      throw new CodecError(
        `CustomResourceDefinition ${this.custom.definition} converts by webhook, which listwatch does not call: ` +
          `the object is stored as ${apiVersion} and cannot be shown as ${this.apiVersion}`,
      );
    }
    return version;
  }

  /** apiVersion and kind are members among others: items of lists have them, too. */
  toJson(bytes: Uint8Array, start: number, end: number, _typeMeta: boolean, into: ByteWriter): void {
    into.reserve(end - start);
    if (seek(bytes, start, end, HEAD)) copy(bytes, into);
    if (seek(bytes, start, end, METADATA) && seek(bytes, hit.start, hit.end, RESOURCE_VERSION)) copy(bytes, into);
    if (seek(bytes, start, end, TAIL)) copy(bytes, into);
  }

  protected compileSelectable({ tag, absent }: SelectableField): FieldReader {
    return { read: (b, start, end) => (seek(b, start, end, tag!) ? textOf(b, hit.start, hit.end) : absent) };
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    const writer = createWriter(end - start);
    this.toJson(bytes, start, end, true, writer);
    const text = writer.bytes.toString('utf8', 0, writer.position);
    const object = parseExact(text);
    return /[0-9]{16}/.test(text) ? plainNumbers(object as JsonValue, -0) : object;
  }

  /** As kube-apiserver stores it: in the storage version, with sorted members and a newline. */
  toStored(object: unknown): Uint8Array {
    if (!isJsonObject(object)) throw new CodecError('the value is no object');
    const { apiVersion, metadata } = object;
    const storedAs = apiVersionOf(this.kind.group, this.kind.storageVersion ?? this.kind.version);
    if (apiVersion !== storedAs && this.custom.converts === 'webhook')
      this.storedVersion({ ...object, apiVersion: storedAs });
    const { resourceVersion: _, selfLink: __, ...kept } = isJsonObject(metadata) ? metadata : {};
    return Buffer.from(`${jsonText({ ...object, apiVersion: storedAs, metadata: kept })}\n`);
  }

  envelopeHead(): Uint8Array {
    throw new InvariantError(`${this.custom.definition}: custom resources have no protobuf form`);
  }
}

/** What is no int64 is dropped as malformed, and one that is missing is repaired. */
function isGeneration(value: JsonValue | undefined): boolean {
  return typeof value === 'bigint' || (Number.isSafeInteger(value) && value !== 0);
}

/** Metadata as Go's type has it, and its bytes; the same object when it is so already. */
function tidyMetadata(metadata: JsonObject): { readonly metadata: JsonObject; readonly bytes: Uint8Array } {
  let valid = metadata;
  let encoded: ReturnType<typeof encodeObject>;
  try {
    encoded = encodeObject(OBJECT_META, metadata);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    valid = validMembers(metadata);
    encoded = encodeObject(OBJECT_META, valid);
  }
  const { bytes, unknownFields } = encoded;
  if (valid === metadata && unknownFields.length === 0 && isTidy(metadata)) return { metadata, bytes };
  const writer = createWriter(bytes.length * 2);
  transcodeWith(holderOf(OBJECT_META), '', bytes, 0, bytes.length, writer);
  const typed = plainNumbers(parseJson(writer.bytes.toString('utf8', 0, writer.position))) as JsonObject;
  return jsonText(typed) === jsonText(metadata) ? { metadata, bytes } : { metadata: typed, bytes };
}

/** apiVersion and kind are text or not there, and metadata is as Go's type has it, also when it is null. */
function tidyEmbedded(embedded: JsonObject): boolean {
  let changed = false;
  for (const member of ['apiVersion', 'kind']) {
    if (!Object.hasOwn(embedded, member) || typeof embedded[member] === 'string') continue;
    delete embedded[member];
    changed = true;
  }
  const { metadata } = embedded;
  const tidy = metadata === null ? {} : isJsonObject(metadata) ? tidyMetadata(metadata).metadata : metadata;
  if (tidy === metadata) return changed;
  embedded['metadata'] = tidy!;
  return true;
}

/** What does not have its type is left out, and the rest shown. */
function validMembers(metadata: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(metadata).filter(([name, value]) => {
      try {
        encodeObject(OBJECT_META, { [name]: value });
        return true;
      } catch {
        return false;
      }
    }),
  );
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** A quick look that finds nothing that Go's type would leave out or write another way; false: it takes a closer one. */
function isTidy(value: JsonValue, member = ''): boolean {
  if (member === 'fieldsV1') return true;
  if (typeof value === 'string') {
    if (value === '') return false;
    return !(member === 'time' || member.endsWith('Timestamp')) || TIME.test(value);
  }
  if (value === null || value === 0) return false;
  if (typeof value !== 'object') return true;
  if (member === 'labels' || member === 'annotations') return Object.values(value).every((entry) => entry !== null);
  const entries = Object.entries(value);
  return (entries.length > 0 || member === '') && entries.every(([name, of]) => isTidy(of, name));
}

function messageOf(metadata: Uint8Array, parts: readonly [tag: number, content: string][]): Buffer {
  const sizes = parts.map(([, content]) => Buffer.byteLength(content));
  let size = 1 + varintSize(metadata.length) + metadata.length;
  for (const [index, length] of sizes.entries()) size += varintSize(parts[index]![0]) + varintSize(length) + length;
  const message = Buffer.allocUnsafe(size);
  message[0] = METADATA;
  let at = writeVarint(message, 1, metadata.length);
  message.set(metadata, at);
  at += metadata.length;
  for (const [index, [tag, content]] of parts.entries()) {
    at = writeVarint(message, writeVarint(message, at, tag), sizes[index]!);
    at += message.write(content, at);
  }
  return message;
}

/** Where `"resourceVersion":"…"` belongs in compact, sorted JSON, and the commas around it. */
function resourceVersionAt(text: string): { readonly index: number; readonly before: string; readonly after: string } {
  const metadata = memberAt(text, 0, (name) => name === 'metadata');
  const start = metadata.value;
  const next = memberAt(text, start, (name) => name > 'resourceVersion');
  if (next.name !== undefined) return { index: next.start, before: '', after: ',' };
  return { index: next.start, before: text[next.start - 1] === '{' ? '' : ',', after: '' };
}

/** The first member of the object at `start` whose name is wanted; without one, `start` is where the object closes. */
function memberAt(text: string, start: number, wanted: (name: string) => boolean) {
  let at = start + 1;
  while (text[at] !== '}') {
    const nameEnd = valueEnd(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    if (wanted(name)) return { name, start: at, value: nameEnd + 1 };
    at = valueEnd(text, nameEnd + 1);
    if (text[at] === ',') at++;
  }
  return { name: undefined, start: at, value: at };
}

/** The index behind a value of compact JSON. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      at++;
      while (text.charCodeAt(at) !== 34) at += text.charCodeAt(at) === 92 ? 2 : 1;
      if (depth === 0) return at + 1;
    } else if (code === 123 || code === 91) depth++;
    else if (code === 125 || code === 93) {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (code === 44 && depth === 0) return at;
  }
  return text.length;
}

function copy(bytes: Uint8Array, into: ByteWriter): void {
  into.reserve(hit.end - hit.start);
  into.bytes.set(new Uint8Array(bytes.buffer, bytes.byteOffset + hit.start, hit.end - hit.start), into.position);
  into.position += hit.end - hit.start;
}

/** As Go prints it; what is missing or null is the empty text (spec 6.2). */
function selectableText(object: JsonObject, path: string): string {
  let value: JsonValue | undefined = object;
  for (const member of path.split('.')) value = isJsonObject(value) ? value[member] : undefined;
  return value === undefined || value === null ? '' : printGo(value);
}

function parsedObject(text: string, parse: (text: string) => unknown): JsonObject {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw new CodecError(`invalid JSON: ${error.message}`, error.offset);
    // V8 does not say where; our own parser does.
    if (error instanceof SyntaxError) return parsedObject(text, parseJson);
    throw error;
  }
  if (!isJsonObject(value)) throw new CodecError('the value is JSON, but not an object');
  return value;
}

/**
 * Numbers as Go's interface{} holds them: int64, or float64. In what is stored, `-0` has no fraction and is an integer; what we print that way
 * is a float.
 */
function plainNumbers(value: JsonValue, negativeZero = 0): JsonValue {
  if (value instanceof JsonNumber) return value.text === '-0' ? negativeZero : float(value.valueOf(), value.text);
  if (typeof value === 'bigint') {
    return BigInt.asIntN(64, value) === value ? value : float(Number(value), value.toString());
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = plainNumbers(value[index]!, negativeZero);
  } else if (isJsonObject(value)) {
    for (const name of Object.keys(value)) {
      const member = value[name]!;
      if (typeof member === 'object' || typeof member === 'bigint') {
        setMember(value, name, plainNumbers(member, negativeZero));
      }
    }
  }
  return value;
}

function float(value: number, text: string): number {
  if (!Number.isFinite(value)) throw new CodecError(`cannot unmarshal number ${text} into Go value of type float64`);
  return value;
}

function isSorted(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isSorted);
  let last = '';
  for (const name in value) {
    if (name < last || !isSorted((value as JsonObject)[name]!)) return false;
    last = name;
  }
  return true;
}

const ESCAPED = /[<>&\u2028\u2029]/g;

function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    ESCAPED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
