import { MAGIC, openEnvelope } from '../codec/envelope.js';
import type { Kind } from '../codec/kind.js';
import { projectorOf } from '../codec/projector.js';
import { after, readEnd, readTag, skipField, textOf } from '../codec/wire.js';
import type { Encoding } from './frames.js';

/** An object as JSON gives it, or those members of it that were asked for. */
export interface ReadObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion: string;
    readonly [member: string]: unknown;
  };
  readonly [member: string]: unknown;
}

/** Always wanted: who it is and which state of it. */
export const IDENTITY = 'metadata{name namespace resourceVersion}';

/** `members`: as codec/projector.ts has them. JSON is parsed whole, as a client does. */
export function readObject(encoding: Encoding, kind: Kind, body: Buffer, members: string): ReadObject {
  if (encoding === 'json') return readJson(body);
  const { rawStart, rawEnd } = openEnvelope(body, 0, body.length);
  return projectorOf(kind.message, `${IDENTITY} ${members}`)(body, rawStart, rawEnd) as ReadObject;
}

export function readJson(body: Buffer): ReadObject {
  return JSON.parse(body.toString('utf8')) as ReadObject;
}

export function readList(encoding: Encoding, kind: Kind, body: Buffer, members: string) {
  if (encoding === 'json') {
    const { metadata, items } = JSON.parse(body.toString('utf8')) as JsonList;
    return { resourceVersion: metadata.resourceVersion, continue: metadata.continue ?? '', items: items ?? [] };
  }
  const { rawStart, rawEnd } = openEnvelope(body, 0, body.length);
  const project = projectorOf(kind.message, `${IDENTITY} ${members}`);
  const items: ReadObject[] = [];
  let metadata = { resourceVersion: '', continue: '' };
  for (let at = rawStart; at < rawEnd; ) {
    const tag = readTag(body, at, rawEnd);
    if (tag !== 10 && tag !== 18) {
      at = skipField(body, after.at, rawEnd, tag);
      continue;
    }
    const end = readEnd(body, after.at, rawEnd);
    if (tag === 10) metadata = readListMeta(body, after.at, end);
    else items.push(project(body, after.at, end) as ReadObject);
    at = end;
  }
  return { ...metadata, items };
}

interface JsonList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items?: readonly ReadObject[] | null;
}

/** metav1.ListMeta: resourceVersion is field 2, continue is field 3. */
function readListMeta(body: Buffer, start: number, end: number) {
  const metadata = { resourceVersion: '', continue: '' };
  for (let at = start; at < end; ) {
    const tag = readTag(body, at, end);
    if (tag === 18 || tag === 26) {
      const to = readEnd(body, after.at, end);
      metadata[tag === 18 ? 'resourceVersion' : 'continue'] = textOf(body, after.at, to);
      at = to;
    } else at = skipField(body, after.at, end, tag);
  }
  return metadata;
}

/** What the server said about a call that failed, in one line. */
export function readError(body: Buffer, status: number): string {
  if (body.subarray(0, MAGIC.length).equals(MAGIC)) return `status ${status}: ${protobufMessage(body)}`;
  try {
    const { message } = JSON.parse(body.toString('utf8')) as { message?: unknown };
    if (typeof message === 'string') return `status ${status}: ${message}`;
  } catch {
    // Not the API's own answer: a proxy's, say.
  }
  return `status ${status}`;
}

function protobufMessage(body: Buffer): string {
  const { rawStart, rawEnd } = openEnvelope(body, 0, body.length);
  const { message } = projectorOf('k8s.io.apimachinery.pkg.apis.meta.v1.Status', 'message')(body, rawStart, rawEnd);
  return String(message ?? '');
}
