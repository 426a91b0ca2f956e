import type { ModRevision } from '../api/revision.js';
import { NO_REVISION } from '../api/revision.js';
import { type ByteWriter, CodecError, type KindCodec, type WireWriter } from './codec.js';
import type { Conversion } from './conversion.js';
import { isJsonObject } from './json-parse.js';
import type { SelectableField } from './kind.js';
import { MessageCodec } from './message-codec.js';
import { compileField, type FieldReader } from './scan.js';
import { spliceProtobuf } from './splice.js';
import { createWriter } from './writer.js';

/**
 * The codec of a kind that is stored as another one. A value is read as what it is, with all that a server makes of it on reading, and
 * then converted; from there on its bytes are those of any kind:
 *
 *     stored value ──codec of the stored kind──> its wire form ──conversion──> message ──splice──> our wire form
 */
export class ConvertedCodec extends MessageCodec implements KindCodec {
  private readonly served: KindCodec;
  private readonly stored: KindCodec;
  private readonly conversion: Conversion;
  /** Used again: the wire form of the stored kind. */
  private readonly scratch = createWriter();

  constructor(served: KindCodec, stored: KindCodec, conversion: Conversion) {
    super(served.kind);
    this.served = served;
    this.stored = stored;
    this.conversion = conversion;
  }

  /** The codec of the stored kind, but for JSON, which shows its objects as ours: rows of Tables are of both. */
  overStored(stored: KindCodec): KindCodec {
    const toJson: KindCodec['toJson'] = (bytes, start, end, typeMeta, into) => {
      const message = this.conversion.toServed(bytes, start, end);
      this.toJson(message, 0, message.length, typeMeta, into);
    };
    return Object.create(stored, { toJson: { value: toJson } }) as KindCodec;
  }

  get slowDecodes(): number {
    return this.stored.slowDecodes;
  }

  toWire(value: Uint8Array, start: number, end: number, modRevision: ModRevision, into: WireWriter): void {
    const { scratch } = this;
    scratch.position = 0;
    this.stored.toWire(value, start, end, NO_REVISION, scratch);
    const message = this.conversion.toServed(scratch.bytes, scratch.start, scratch.position);
    spliceProtobuf(message, 0, message.length, modRevision, into);
  }

  toStored(object: unknown, unknownFields?: string[]): Uint8Array {
    // As ours first: errors and unknown fields are about what was written.
    this.served.toStored(object, unknownFields);
    if (!isJsonObject(object)) throw new CodecError('the value is no object');
    return this.stored.toStored(this.conversion.toStored(object));
  }

  toJson(bytes: Uint8Array, start: number, end: number, typeMeta: boolean, into: ByteWriter): void {
    this.served.toJson(bytes, start, end, typeMeta, into);
  }

  protected compileSelectable(field: SelectableField): FieldReader {
    return compileField(this.kind.message, field);
  }

  read(bytes: Uint8Array, start: number, end: number): unknown {
    return this.served.read(bytes, start, end);
  }

  envelopeHead(listKind: boolean, rawLength: number): Uint8Array {
    return this.served.envelopeHead(listKind, rawLength);
  }
}
