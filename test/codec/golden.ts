import { readFileSync } from 'node:fs';
import { NO_REVISION } from '../../src/api/revision.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { kindByObject } from '../../src/codec/kinds.js';
import { repositoryRoot } from '../support/command.js';
import { encodeObject } from '../../src/codec/encode.js';
import { envelope, openEnvelope } from '../../src/codec/envelope.js';
import { parseJson } from '../../src/codec/json-parse.js';
import { isCanonical } from '../../src/codec/canonical.js';
import { normalize } from '../../src/codec/normalize.js';
import { messageNameOf } from '../../src/codec/schema.js';
import { holderOf, transcodeWith } from '../../src/codec/transcode.js';
import { typeMetaHead } from '../../src/codec/transcode-generator.js';
import { createWriter } from '../../src/codec/writer.js';

/** A pair that Go wrote: what etcd stores, and the JSON a server answers (fixtures/golden/README.md). */
export interface Pair {
  readonly apiVersion: string;
  readonly kind: string;
  readonly key: string;
  readonly stored: Buffer;
  readonly json: string;
}

export function parsePairs(ndjson: string): Pair[] {
  return ndjson
    .trim()
    .split('\n')
    .map((line) => {
      const pair = JSON.parse(line) as Omit<Pair, 'stored'> & { stored: string };
      return { ...pair, stored: Buffer.from(pair.stored, 'base64'), json: pair.json.trimEnd() };
    });
}

export function readPairs(name: string): Pair[] {
  return parsePairs(readFileSync(`${repositoryRoot}/fixtures/golden/${name}`, 'utf8'));
}

export function messageOf(pair: Pair): string {
  const name = messageNameOf(pair.apiVersion, pair.kind);
  if (name === undefined) throw new Error(`no message for ${pair.apiVersion} ${pair.kind}`);
  return name;
}

/** Stored bytes to JSON, through the transcoder of the server. */
export function jsonOf(pair: Pair): string {
  const { rawStart, rawEnd } = openEnvelope(pair.stored, 0, pair.stored.length);
  const writer = createWriter(64);
  transcodeWith(
    holderOf(messageOf(pair)),
    typeMetaHead(pair.apiVersion, pair.kind),
    pair.stored,
    rawStart,
    rawEnd,
    writer,
  );
  return writer.bytes.toString('utf8', 0, writer.position);
}

/** JSON to the stored value, through the encoder. */
export function storedOf(pair: Pair): Buffer {
  const { bytes, unknownFields } = encodeObject(messageOf(pair), parseJson(pair.json, { keepSource: true }));
  if (unknownFields.length > 0) throw new Error(`unknown fields: ${unknownFields.join(', ')}`);
  return envelope(pair.apiVersion, pair.kind, bytes);
}

/** The bytes of the message inside the envelope. */
export function rawOf(pair: Pair): Buffer {
  const { rawStart, rawEnd } = openEnvelope(pair.stored, 0, pair.stored.length);
  return pair.stored.subarray(rawStart, rawEnd);
}

/** Every way in which a pair may be wrong; undefined if none. */
export function problemWith(pair: Pair): string | undefined {
  const json = jsonOf(pair);
  if (json !== pair.json) return `stored -> JSON differs: ${difference(pair.json, json)}`;
  const stored = storedOf(pair);
  if (!stored.equals(pair.stored)) {
    return `JSON -> stored differs: ${difference(pair.stored.toString('latin1'), stored.toString('latin1'))}`;
  }
  const raw = rawOf(pair);
  if (!isCanonical(messageOf(pair), raw, 0, raw.length)) return 'what Go wrote is taken for not canonical';
  if (!normalize(messageOf(pair), raw, 0, raw.length).equals(raw)) return 'normalizing changes what Go wrote';
  return undefined;
}

export function difference(want: string, got: string): string {
  let at = 0;
  while (at < want.length && want[at] === got[at]) at++;
  const shown = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 60), at + 60));
  return `at ${at}: want ${shown(want)}, got ${shown(got)}`;
}

/** Through the codec of the kind: stored value -> wire -> JSON, as the server does. */
export function servedJsonOf(pair: Pair): string {
  const { apiVersion } = JSON.parse(pair.json) as { apiVersion: string };
  const codec = createKindCodec(kindByObject(apiVersion, pair.kind)!, { readDefaults: false });
  const wire = createWriter();
  codec.toWire(pair.stored, 0, pair.stored.length, NO_REVISION, wire);
  const json = createWriter();
  codec.toJson(wire.bytes, wire.start, wire.position, true, json);
  return json.bytes.toString('utf8', 0, json.position);
}
