import { CodecError } from './codec.js';
import type { SelectableField } from './kind.js';
import { type Field, messageType } from './schema.js';
import { after, readBool, readEnd, readInt64, readTag, skipField, textOf } from './wire.js';

/**
 * Reads single values out of an object's wire bytes: metadata, labels, selectable fields. One pass
 * that skips what is not asked for; nothing is allocated but the resulting string.
 *
 * Wire bytes are canonical (see canonical.ts), so fields ascend and a search can stop early.
 */
const NAME = 10;
const NAMESPACE = 26;
const UID = 42;
export const LABELS = 90;

/** Finds a field by its tag; true leaves the value's range in `hit`, until the next call. */
export const hit = { start: 0, end: 0 };

export function seek(b: Uint8Array, start: number, end: number, tag: number): boolean {
  for (let at = start; at < end; ) {
    const found = readTag(b, at, end);
    const from = after.at;
    if (found === tag) {
      hit.end = (tag & 7) === 2 ? readEnd(b, from, end) : skipField(b, from, end, tag);
      hit.start = (tag & 7) === 2 ? after.at : from;
      return true;
    }
    if (found >> 3 > tag >> 3) return false;
    at = skipField(b, from, end, found);
  }
  return false;
}

/** The range of ObjectMeta in an object; start === end when absent. */
export function metadataRange(b: Uint8Array, start: number, end: number): { start: number; end: number } {
  return seek(b, start, end, 10) ? { start: hit.start, end: hit.end } : { start, end: start };
}

function metadataText(b: Uint8Array, start: number, end: number, tag: number): string {
  if (!seek(b, start, end, 10) || !seek(b, hit.start, hit.end, tag)) return '';
  return textOf(b, hit.start, hit.end);
}

/** Where the text of the uid or the namespace lies; start === end when absent. Overwritten by the next read of this module. */
export function metadataTextRange(
  b: Uint8Array,
  start: number,
  end: number,
  field: 'uid' | 'namespace',
): { readonly start: number; readonly end: number } {
  const found = seek(b, start, end, 10) && seek(b, hit.start, hit.end, field === 'uid' ? UID : NAMESPACE);
  if (!found) hit.start = hit.end = start;
  return hit;
}

export function objectName(b: Uint8Array, start: number, end: number): string {
  return metadataText(b, start, end, NAME);
}

export function objectNamespace(b: Uint8Array, start: number, end: number): string {
  return metadataText(b, start, end, NAMESPACE);
}

export function objectUid(b: Uint8Array, start: number, end: number): string {
  return metadataText(b, start, end, UID);
}

/** Calls `visit` with the ranges of every label's key and value until it returns false. */
function eachLabel(
  b: Uint8Array,
  start: number,
  end: number,
  visit: (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => boolean,
): void {
  if (!seek(b, start, end, 10)) return;
  const metadataEnd = hit.end;
  for (let at = hit.start; seek(b, at, metadataEnd, LABELS); ) {
    const entryStart = hit.start;
    const entryEnd = hit.end;
    at = entryEnd;
    let keyStart = 0;
    let keyEnd = 0;
    if (seek(b, entryStart, entryEnd, 10)) {
      keyStart = hit.start;
      keyEnd = hit.end;
    }
    let valueStart = 0;
    let valueEnd = 0;
    if (seek(b, entryStart, entryEnd, 18)) {
      valueStart = hit.start;
      valueEnd = hit.end;
    }
    if (!visit(keyStart, keyEnd, valueStart, valueEnd)) return;
  }
}

export function labelsOf(b: Uint8Array, start: number, end: number): Map<string, string> {
  const labels = new Map<string, string>();
  eachLabel(b, start, end, (keyStart, keyEnd, valueStart, valueEnd) => {
    labels.set(textOf(b, keyStart, keyEnd), textOf(b, valueStart, valueEnd));
    return true;
  });
  return labels;
}

export function labelOf(b: Uint8Array, start: number, end: number, key: string): string | undefined {
  return seekLabel(b, start, end, bytesOf(key)) ? textOf(b, hit.start, hit.end) : undefined;
}

/** -1: the object has no such label; 0: it has another value; 1: it has this value. Allocates nothing. */
export function compareLabel(
  b: Uint8Array,
  start: number,
  end: number,
  key: Uint8Array,
  value: Uint8Array,
): -1 | 0 | 1 {
  if (!seekLabel(b, start, end, key)) return -1;
  return rangeEquals(b, hit.start, hit.end, value) ? 1 : 0;
}

/** Leaves the range of the label's value in `hit`. */
function seekLabel(b: Uint8Array, start: number, end: number, key: Uint8Array): boolean {
  if (!seek(b, start, end, 10)) return false;
  const metadataEnd = hit.end;
  for (let at = hit.start; seek(b, at, metadataEnd, LABELS); ) {
    const entryStart = hit.start;
    const entryEnd = hit.end;
    at = entryEnd;
    if (!seek(b, entryStart, entryEnd, 10) || !rangeEquals(b, hit.start, hit.end, key)) continue;
    if (!seek(b, entryStart, entryEnd, 18)) hit.start = hit.end = entryEnd;
    return true;
  }
  return false;
}

function rangeEquals(b: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false;
  for (let k = 0; k < expected.length; k++) if (b[start + k] !== expected[k]) return false;
  return true;
}

let cachedKey = '';
let cachedKeyBytes: Uint8Array = Buffer.alloc(0);

function bytesOf(key: string): Uint8Array {
  if (key !== cachedKey) {
    cachedKey = key;
    cachedKeyBytes = Buffer.from(key);
  }
  return cachedKeyBytes;
}

/** A compiled path: the tags to follow, and how to print what is there. */
export interface FieldReader {
  read(b: Uint8Array, start: number, end: number): string;
}

export interface Path {
  readonly tags: readonly number[];
  readonly leaf: Field;
}

/** Compiles a selectable field of a kind. */
export function compileField(messageName: string, field: SelectableField): FieldReader {
  if (field.path === '') return { read: () => field.absent };
  const path = scalar(messageName, field.path);
  const fallback = field.fallbackPath === undefined ? undefined : scalar(messageName, field.fallbackPath);
  return {
    read(b, start, end) {
      const text = readPath(b, start, end, path, field.absent);
      return text === '' && fallback !== undefined ? readPath(b, start, end, fallback, field.absent) : text;
    },
  };
}

/** Whether the field is written at all. */
export function hasPath(b: Uint8Array, start: number, end: number, path: Path): boolean {
  let from = start;
  let to = end;
  for (const tag of path.tags) {
    if (!seek(b, from, to, tag)) return false;
    from = hit.start;
    to = hit.end;
  }
  return true;
}

function readPath(b: Uint8Array, start: number, end: number, path: Path, absent: string): string {
  let from = start;
  let to = end;
  for (const tag of path.tags) {
    if (!seek(b, from, to, tag)) return absent;
    from = hit.start;
    to = hit.end;
  }
  switch (path.leaf.class) {
    case 'bool':
      return readBool(b, from, to) ? 'true' : 'false';
    case 'int32':
    case 'int64':
      return to - from === 1 ? String(b[from]) : readInt64(b, from, to).toString();
    default:
      return textOf(b, from, to);
  }
}

/** `status.podIPs[0].ip` to tags; only element 0 of a list can be named, which is the first that occurs. */
export function compilePath(messageName: string, path: string): Path {
  const tags: number[] = [];
  let message = messageName;
  let leaf: Field | undefined;
  for (const step of path.split('.')) {
    const name = step.replace(/\[0\]$/, '');
    const found = findMember(message, name);
    if (found === undefined || found.leaf.repeated !== (name !== step) || found.leaf.map) {
      throw new CodecError(`${messageName} has no field ${path}`);
    }
    tags.push(...found.tags);
    leaf = found.leaf;
    message = leaf.messageName;
  }
  if (leaf === undefined) throw new CodecError('an empty path');
  return { tags, leaf };
}

function scalar(messageName: string, path: string): Path {
  const compiled = compilePath(messageName, path);
  if (!['string', 'bool', 'int32', 'int64'].includes(compiled.leaf.class)) {
    throw new CodecError(`${messageName}: ${path} is not a string, bool or integer`);
  }
  return compiled;
}

/** A member by its JSON name, through inline messages. */
function findMember(messageName: string, json: string): { tags: number[]; leaf: Field } | undefined {
  if (messageName === '') return undefined;
  for (const field of messageType(messageName).fields) {
    if (!field.inline && field.json === json) return { tags: [field.tag], leaf: field };
    if (field.inline) {
      const inner = findMember(field.messageName, json);
      if (inner !== undefined) return { tags: [field.tag, ...inner.tags], leaf: inner.leaf };
    }
  }
  return undefined;
}
