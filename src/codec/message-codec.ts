import type { ModRevision } from '../api/revision.js';
import { type ByteWriter, CodecError, type WireObject, type WireWriter } from './codec.js';
import type { Kind, SelectableField } from './kind.js';
import { compileField, type FieldReader, labelOf, labelsOf, metadataRange } from './scan.js';
import { spliceProtobuf } from './splice.js';
import { holderOf, transcodeWith } from './transcode.js';

export const OBJECT_META = 'k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** What every codec does alike, because every wire form is a protobuf message whose first field is the ObjectMeta. */
export abstract class MessageCodec {
  readonly kind: Kind;
  private readonly metadataTranscoder = holderOf(OBJECT_META);
  private readonly fields = new Map<string, FieldReader>();

  constructor(kind: Kind) {
    this.kind = kind;
  }

  /** Reads one of the kind's selectable fields from its wire form. */
  protected abstract compileSelectable(field: SelectableField): FieldReader;

  resplice(wire: WireObject, modRevision: ModRevision, into: WireWriter): void {
    spliceProtobuf(wire.bytes, wire.start, wire.end, modRevision, into);
  }

  metadataToJson(bytes: Uint8Array, start: number, end: number, into: ByteWriter): void {
    const range = metadataRange(bytes, start, end);
    transcodeWith(this.metadataTranscoder, '', bytes, range.start, range.end, into);
  }

  metadataRange(bytes: Uint8Array, start: number, end: number): { start: number; end: number } {
    return metadataRange(bytes, start, end);
  }

  label(bytes: Uint8Array, start: number, end: number, key: string): string | undefined {
    return labelOf(bytes, start, end, key);
  }

  labels(bytes: Uint8Array, start: number, end: number): Map<string, string> {
    return labelsOf(bytes, start, end);
  }

  field(bytes: Uint8Array, start: number, end: number, label: string): string {
    let reader = this.fields.get(label);
    if (reader === undefined) {
      reader = this.compileLabel(label);
      this.fields.set(label, reader);
    }
    return reader.read(bytes, start, end);
  }

  private compileLabel(label: string): FieldReader {
    const { message, selectableFields, namespaceSelectable } = this.kind;
    const selectable = selectableFields.find((field) => field.label === label);
    if (selectable !== undefined) return this.compileSelectable(selectable);
    if (label === 'metadata.name' || (label === 'metadata.namespace' && namespaceSelectable)) {
      return compileField(message, { label, path: label, absent: '' });
    }
    throw new CodecError(`field label not supported: ${label}`);
  }
}
