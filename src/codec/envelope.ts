import { unreadableReason } from '../api/unreadable-value.js';
import { CodecError, ENVELOPE_TAIL } from './codec.js';
import { after, readEnd, readTag, skipField, textOf } from './wire.js';

/**
 * The envelope around every protobuf object, in etcd and in responses (spec 1.3 and 5.5):
 *
 *     6b 38 73 00 | 0a typeMeta{apiVersion, kind} | 12 raw | 1a contentEncoding | 22 contentType
 */
export const MAGIC = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

export type Encoding = 'protobuf' | 'json' | 'encrypted' | 'cbor' | 'unknown';

/** What a stored value is, by its first bytes, in the order that kube-apiserver tries. */
export function encodingOf(value: Uint8Array, start: number, end: number): Encoding {
  if (hasPrefix(value, start, end, 'k8s:enc:')) return 'encrypted';
  if (end - start >= 4 && MAGIC.every((byte, index) => value[start + index] === byte)) return 'protobuf';
  if (end - start >= 3 && value[start] === 0xd9 && value[start + 1] === 0xd9 && value[start + 2] === 0xf7)
    return 'cbor';
  for (let at = start; at < end; at++) {
    const byte = value[at]!;
    if (byte === 32 || byte === 10 || byte === 13 || byte === 9) continue;
    return byte === 123 ? 'json' : 'unknown';
  }
  return 'unknown';
}

function hasPrefix(value: Uint8Array, start: number, end: number, prefix: string): boolean {
  if (end - start < prefix.length) return false;
  for (let k = 0; k < prefix.length; k++) if (value[start + k] !== prefix.charCodeAt(k)) return false;
  return true;
}

/** Why a value cannot be read, for the encodings that this program does not read. */
export function unreadable(encoding: Encoding, value: Uint8Array, start: number, end: number): CodecError {
  switch (encoding) {
    case 'encrypted': {
      // k8s:enc:<provider>:v1:<key name>: and then the ciphertext.
      const head = textOf(value, start, Math.min(end, start + 64))
        .split(':')
        .slice(2, 4)
        .join(':');
      return new CodecError(`no matching prefix found: the value is encrypted at rest (${head})`, 0);
    }
    case 'cbor':
      return new CodecError('the value is CBOR, which is not supported', 0);
    default: {
      const reason = unreadableReason(value, start, end);
      if (reason !== undefined) return new CodecError(reason);
      return new CodecError(
        start === end ? 'the value is empty' : 'the value is neither protobuf (k8s\\0) nor JSON',
        0,
      );
    }
  }
}

export interface Envelope {
  apiVersion: string;
  kind: string;
  /** The range of `raw`. */
  rawStart: number;
  rawEnd: number;
}

const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** Reads the envelope of a protobuf value. Throws CodecError. */
export function openEnvelope(value: Uint8Array, start: number, end: number): Envelope {
  const envelope: Envelope = { apiVersion: '', kind: '', rawStart: start, rawEnd: start };
  for (let at = start + MAGIC.length; at < end; ) {
    const tag = readTag(value, at, end);
    at = after.at;
    if (tag >> 3 > 4 || (tag & 7) !== 2) {
      at = skipField(value, at, end, tag);
      continue;
    }
    const to = readEnd(value, at, end);
    const from = after.at;
    at = to;
    if (tag === 10) readTypeMeta(value, from, to, envelope);
    else if (tag === 18) {
      envelope.rawStart = from;
      envelope.rawEnd = to;
    } else if (tag === 26 && to > from) {
      throw new CodecError(`content encoding ${JSON.stringify(textOf(value, from, to))} is not supported`, from);
    } else if (tag === 34 && to > from && textOf(value, from, to) !== PROTOBUF) {
      throw new CodecError(`content type ${JSON.stringify(textOf(value, from, to))} is not supported`, from);
    }
  }
  return envelope;
}

function readTypeMeta(value: Uint8Array, start: number, end: number, into: Envelope): void {
  for (let at = start; at < end; ) {
    const tag = readTag(value, at, end);
    if (tag === 10 || tag === 18) {
      const to = readEnd(value, after.at, end);
      const text = textOf(value, after.at, to);
      if (tag === 10) into.apiVersion = text;
      else into.kind = text;
      at = to;
    } else at = skipField(value, after.at, end, tag);
  }
}

/** Everything before `raw`: magic, type and the head of field 2. */
export function envelopeHead(apiVersion: string, kind: string, rawLength: number): Buffer {
  const version = Buffer.from(apiVersion);
  const name = Buffer.from(kind);
  const typeMeta = [0x0a, ...varint(version.length), ...version, 0x12, ...varint(name.length), ...name];
  return Buffer.from([...MAGIC, 0x0a, ...varint(typeMeta.length), ...typeMeta, 0x12, ...varint(rawLength)]);
}

/** A whole envelope around the bytes of a message. */
export function envelope(apiVersion: string, kind: string, raw: Uint8Array): Buffer {
  return Buffer.concat([envelopeHead(apiVersion, kind, raw.length), raw, ENVELOPE_TAIL]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}
