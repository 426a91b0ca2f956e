import protobuf from 'protobufjs';

type Message = Record<string, unknown>;

/**
 * Decodes a message by looking at its description field by field, as a library does that generates no code. The result is what
 * `type.decode`, protobufjs' generated function, gives.
 */
export function decodeReflectively(type: protobuf.Type, bytes: Uint8Array): object {
  return decode(type, protobuf.Reader.create(bytes), bytes.length);
}

function decode(type: protobuf.Type, reader: protobuf.Reader, end: number): object {
  const object = type.create();
  const message = object as unknown as Message;
  while (reader.pos < end) {
    const tag = reader.uint32();
    const field = type.fieldsById[tag >>> 3];
    if (field === undefined) reader.skipType(tag & 7);
    else if (field instanceof protobuf.MapField) addEntry(message, field, reader);
    else if (field.repeated) {
      const list = message[field.name] as unknown[];
      if (list.length === 0) message[field.name] = [readValue(field, reader)];
      else list.push(readValue(field, reader));
    } else message[field.name] = readValue(field, reader);
  }
  return object;
}

function readValue(
  { resolvedType, type }: Pick<protobuf.Field, 'resolvedType' | 'type'>,
  reader: protobuf.Reader,
): unknown {
  if (resolvedType instanceof protobuf.Type) {
    const size = reader.uint32();
    return decode(resolvedType, reader, reader.pos + size);
  }
  return scalar(resolvedType === null ? type : 'int32', reader);
}

function scalar(type: string, reader: protobuf.Reader): unknown {
  return (reader as unknown as Record<string, () => unknown>)[type]!();
}

function addEntry(message: Message, field: protobuf.MapField, reader: protobuf.Reader): void {
  const size = reader.uint32();
  const end = reader.pos + size;
  let key = '';
  let value: unknown;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) key = String(scalar(field.keyType, reader));
    else if (tag >>> 3 === 2) value = readValue(field, reader);
    else reader.skipType(tag & 7);
  }
  if (!Object.hasOwn(message, field.name)) message[field.name] = {};
  (message[field.name] as Message)[key] = value;
}
