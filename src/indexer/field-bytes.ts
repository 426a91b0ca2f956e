import { CodecError } from '../codec/codec.js';
import type { Kind, SelectableField } from '../codec/kind.js';
import { compilePath, hit, type Path, seek } from '../codec/scan.js';
import { readBool, readInt64 } from '../codec/wire.js';
import { type ByteRange, utf8 } from '../lib/bytes.js';

/** Points `into` at the text that a field selector compares, as UTF-8: in the object, or wherever else it lies. */
export type LocateField = (object: ByteRange, into: ByteRange) => void;

/** The bytes of the text that `KindCodec.field` returns for this label; undefined: the kind does not have it. */
export function compileLocator(kind: Kind, label: string): LocateField | undefined {
  const field = fieldOf(kind, label);
  if (field === undefined) return undefined;
  const absent = utf8(field.absent);
  if (field.path === '') return (_, into) => point(into, absent);
  if (field.tag !== undefined) return locateText(field.tag, absent);
  const read = locate(compilePath(kind.message, field.path), absent);
  if (field.fallbackPath === undefined) return read;
  const fallback = locate(compilePath(kind.message, field.fallbackPath), absent);
  return (object, into) => {
    read(object, into);
    if (into.start === into.end) fallback(object, into);
  };
}

function fieldOf(kind: Kind, label: string): SelectableField | undefined {
  const own = kind.selectableFields.find((field) => field.label === label);
  if (own !== undefined) return own;
  if (label === 'metadata.name' || (label === 'metadata.namespace' && kind.namespaceSelectable)) {
    return { label, path: label, absent: '' };
  }
  return undefined;
}

const TRUE = utf8('true');
const FALSE = utf8('false');

function locate({ tags, leaf }: Path, absent: Uint8Array): LocateField {
  if (!['string', 'bool', 'int32', 'int64'].includes(leaf.class)) throw new CodecError(`${leaf.name} is not a scalar`);
  return ({ bytes, start, end }, into) => {
    let from = start;
    let to = end;
    for (const tag of tags) {
      if (!seek(bytes, from, to, tag)) return point(into, absent);
      from = hit.start;
      to = hit.end;
    }
    switch (leaf.class) {
      case 'bool':
        return point(into, readBool(bytes, from, to) ? TRUE : FALSE);
      case 'int32':
      case 'int64':
        return point(into, utf8(readInt64(bytes, from, to).toString()));
      default:
        into.bytes = bytes;
        into.start = from;
        into.end = to;
    }
  };
}

/** The text of a field of the object's own message. */
function locateText(tag: number, absent: Uint8Array): LocateField {
  return ({ bytes, start, end }, into) => {
    if (!seek(bytes, start, end, tag)) return point(into, absent);
    into.bytes = bytes;
    into.start = hit.start;
    into.end = hit.end;
  };
}

function point(into: ByteRange, text: Uint8Array): void {
  into.bytes = text;
  into.start = 0;
  into.end = text.length;
}
