import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { CodecError } from './codec.js';

/**
 * The schema of every API type: field numbers from proto/<package>.proto, JSON names, order and
 * classes from proto/go-types.json (both generated, see proto/README.md).
 *
 * Loaded at first use, one package at a time: a server that serves pods parses five files.
 */
export type FieldClass =
  | 'message'
  | 'string'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'bytes'
  | 'Time'
  | 'MicroTime'
  | 'Quantity'
  | 'IntOrString'
  | 'RawExtension'
  | 'FieldsV1'
  | 'JSON'
  | 'JSONSchemaPropsOrBool'
  | 'JSONSchemaPropsOrArray'
  | 'JSONSchemaPropsOrStringArray'
  | 'items'
  | 'Unknown';

export interface Field {
  readonly name: string;
  /** The JSON member; '' for inline members. */
  readonly json: string;
  readonly inline: boolean;
  readonly omitEmpty: boolean;
  readonly omitZero: boolean;
  readonly pointer: boolean;
  readonly repeated: boolean;
  /** Keys are strings. */
  readonly map: boolean;
  /** Of one element, or of a map's value. */
  readonly class: FieldClass;
  readonly number: number;
  /** 0 varint, 1 fixed 64 bit, 2 length-delimited: as written on the wire, so 2 for maps. */
  readonly wireType: 0 | 1 | 2;
  /** `number << 3 | wireType`. */
  readonly tag: number;
  /** Full name of the element's message; '' for scalars. */
  readonly messageName: string;
}

export interface MessageType {
  readonly name: string;
  /** How a value is written in JSON; 'message' is an object of `fields`. */
  readonly class: FieldClass;
  /** Its JSON starts with kind and apiVersion, which are not in the message. */
  readonly typeMeta: boolean;
  /** In the order of the JSON members. */
  readonly fields: readonly Field[];
  /** In ascending order of their numbers, as they are written. */
  readonly byNumber: readonly Field[];
}

interface GoField {
  readonly name: string;
  readonly json: string;
  readonly inline?: boolean;
  readonly omitempty?: boolean;
  readonly omitzero?: boolean;
  readonly pointer?: boolean;
  readonly repeated?: boolean;
  readonly map?: boolean;
  readonly class: string;
}
interface GoTypes {
  readonly kinds: Readonly<Record<string, string>>;
  readonly messages: Readonly<Record<string, { class: string; typeMeta?: boolean; fields: readonly GoField[] }>>;
}

/** The folder of the generated files: one level below the root, whatever the output folder is called. */
const folder = new URL('../../../proto/', import.meta.url);

/** Classes that this code knows how to read and write; anything else in the schema is a new feature. */
const wireTypes: Readonly<Record<string, 0 | 1 | 2>> = {
  bool: 0,
  int32: 0,
  int64: 0,
  float64: 1,
};
const known = new Set<string>([
  ...['message', 'string', 'bool', 'int32', 'int64', 'float64', 'bytes', 'items', 'Unknown'],
  ...['Time', 'MicroTime', 'Quantity', 'IntOrString', 'RawExtension', 'FieldsV1', 'JSON'],
  ...['JSONSchemaPropsOrBool', 'JSONSchemaPropsOrArray', 'JSONSchemaPropsOrStringArray'],
]);

let loaded: GoTypes | undefined;
const roots = new Map<string, protobuf.Root>();
const types = new Map<string, MessageType>();

function goTypes(): GoTypes {
  loaded ??= JSON.parse(readFileSync(new URL('go-types.json', folder), 'utf8')) as GoTypes;
  return loaded;
}

/** The protobuf message of an apiVersion and kind, e.g. of `v1`, `PodList`. */
export function messageNameOf(apiVersion: string, kind: string): string | undefined {
  const table = goTypes().kinds;
  const key = `${apiVersion}/${kind}`;
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** Every apiVersion and kind that has a message. */
export function schemaKinds(): ReadonlyMap<string, string> {
  return new Map(Object.entries(goTypes().kinds));
}

export function hasMessage(name: string): boolean {
  return Object.hasOwn(goTypes().messages, name);
}

export function messageType(name: string): MessageType {
  const known = types.get(name);
  if (known !== undefined) return known;
  const type = load(name);
  types.set(name, type);
  return type;
}

/** The protobufjs descriptor, for tools; the server itself never decodes with it. */
export function protobufRoot(packageName: string): protobuf.Root {
  const known = roots.get(packageName);
  if (known !== undefined) return known;
  const root = new protobuf.Root();
  protobuf.parse(readFileSync(new URL(`${packageName}.proto`, folder), 'utf8'), root, { keepCase: true });
  roots.set(packageName, root);
  return root;
}

export function packageOf(messageName: string): string {
  return messageName.slice(0, messageName.lastIndexOf('.'));
}

/** Where the .proto file of a package lies. */
export function protoFile(packageName: string): URL {
  return new URL(`${packageName}.proto`, folder);
}

function load(name: string): MessageType {
  const go = hasMessage(name) ? goTypes().messages[name] : undefined;
  if (go === undefined) throw new CodecError(`no message ${name} in the schema`);
  const descriptor = protobufRoot(packageOf(name)).lookupType(name);
  const fields = go.fields.map((field): Field => {
    const proto = descriptor.fields[field.name];
    if (proto === undefined) throw new CodecError(`${name}: field ${field.name} is in go-types.json but not in .proto`);
    if (!known.has(field.class)) throw new CodecError(`${name}: field ${field.name} has unknown class ${field.class}`);
    const repeated = field.repeated === true;
    const map = field.map === true;
    const wireType = map ? 2 : (wireTypes[field.class] ?? 2);
    return {
      name: field.name,
      json: field.json,
      inline: field.inline === true,
      omitEmpty: field.omitempty === true,
      omitZero: field.omitzero === true,
      pointer: field.pointer === true,
      repeated,
      map,
      class: field.class as FieldClass,
      number: proto.id,
      wireType,
      tag: proto.id * 8 + wireType,
      messageName: proto.type.startsWith('.') ? proto.type.slice(1) : '',
    };
  });
  if (!known.has(go.class)) throw new CodecError(`${name}: unknown class ${go.class}`);
  return {
    name,
    class: go.class as FieldClass,
    typeMeta: go.typeMeta === true,
    fields,
    byNumber: [...fields].sort((a, b) => a.number - b.number),
  };
}

/**
 * Whether absent and zero differ for a field that is neither a list nor a map: absent is null in JSON and
 * is not written. Byte strings and nameless lists are slices in Go, so nil and empty differ there too.
 */
export function isNilable(field: Field): boolean {
  return field.pointer || field.class === 'bytes' || field.class === 'items';
}

/** True when bytes of one message mean the same, member for member, as the other: same fields, names and classes. */
export function sameLayout(left: string, right: string, seen = new Set<string>()): boolean {
  if (left === right || seen.has(`${left} ${right}`)) return true;
  seen.add(`${left} ${right}`);
  const a = messageType(left);
  const b = messageType(right);
  if (a.class !== b.class || a.byNumber.length !== b.byNumber.length) return false;
  return a.byNumber.every((field, index) => {
    const other = b.byNumber[index]!;
    return (
      field.tag === other.tag &&
      field.json === other.json &&
      field.class === other.class &&
      field.pointer === other.pointer &&
      field.repeated === other.repeated &&
      field.map === other.map &&
      (field.messageName === '') === (other.messageName === '') &&
      (field.messageName === '' || sameLayout(field.messageName, other.messageName, seen))
    );
  });
}
