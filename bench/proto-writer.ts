import { varintSize, writeVarint } from '../src/lib/bytes.js';

/** Just enough protobuf to write stored values by hand, as Go's generated code does: empty strings included. */
export class ProtoWriter {
  readonly #parts: Uint8Array[] = [];

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'));
  }

  bytes(field: number, value: Uint8Array): this {
    const head = new Uint8Array(varintSize(field * 8 + 2) + varintSize(value.length));
    writeVarint(head, writeVarint(head, 0, field * 8 + 2), value.length);
    this.#parts.push(head, value);
    return this;
  }

  varint(field: number, value: number): this {
    const part = new Uint8Array(varintSize(field * 8) + varintSize(value));
    writeVarint(part, writeVarint(part, 0, field * 8), value);
    this.#parts.push(part);
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.varint(field, value ? 1 : 0);
  }

  message(field: number, build: (writer: ProtoWriter) => void): this {
    const inner = new ProtoWriter();
    build(inner);
    return this.bytes(field, inner.finish());
  }

  /** Entries of a map, in the order of their keys. */
  map(
    field: number,
    entries: Record<string, string>,
    value = (writer: ProtoWriter, text: string) => writer.text(2, text),
  ): this {
    for (const key of Object.keys(entries).sort()) {
      this.message(field, (entry) => void value(entry.text(1, key), entries[key]!));
    }
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** `k8s\0` and runtime.Unknown, as kube-apiserver stores built-in kinds. */
export function storedValue(apiVersion: string, kind: string, message: Uint8Array): Buffer {
  const unknown = new ProtoWriter()
    .message(1, (typeMeta) => void typeMeta.text(1, apiVersion).text(2, kind))
    .bytes(2, message)
    .text(3, '')
    .text(4, '');
  return Buffer.concat([Buffer.from('k8s\0', 'latin1'), unknown.finish()]);
}
