import type { ByteWriter, KindCodec, WireObject } from '../../codec/codec.js';
import { ENVELOPE_TAIL } from '../../codec/codec.js';
import { withoutInternalAnnotations } from '../../codec/internal-annotations.js';
import type { Clock } from '../../lib/clock.js';
import { nextTurn } from '../../lib/line.js';
import type { ListAnswer } from '../../serve/reader.js';
import type { ListBody, ListDocument } from './document.js';
import { envelopeHead, fieldSize, listMetaField, listMetaJson, writeFieldHeader } from './envelope.js';
import { emptyWire } from './protobuf.js';
import { writeBytes, writeText } from './writer.js';

/** Both versions of meta.k8s.io have the same objects under another apiVersion. */
export type MetaVersion = 'v1' | 'v1beta1';

const OBJECT = 'PartialObjectMetadata';
const LIST = 'PartialObjectMetadataList';
const METADATA_TAG = 0x0a;
const ITEM_TAG = 0x12;

/** `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{...}}` */
export function writePartialJson(codec: KindCodec, version: MetaVersion, wire: WireObject, into: ByteWriter): void {
  writeText(into, `{"kind":"${OBJECT}","apiVersion":"meta.k8s.io/${version}","metadata":`);
  const { bytes, start, end } = withoutInternalAnnotations(codec.kind, wire);
  codec.metadataToJson(bytes, start, end, into);
  writeText(into, '}');
}

export function partialListDocument(codec: KindCodec, version: MetaVersion, answer: ListAnswer): ListDocument {
  const wire = emptyWire();
  return {
    members: { kind: LIST, apiVersion: `meta.k8s.io/${version}`, metadata: listMetaJson(answer) },
    itemsKey: 'items',
    count: answer.count,
    nullWhenEmpty: true,
    item: (index, into) => writePartialJson(codec, version, answer.at(index, wire), into),
  };
}

/** Bytes of the bare PartialObjectMetadata message of an object. */
export function partialMessageSize(codec: KindCodec, wire: WireObject): number {
  const shown = withoutInternalAnnotations(codec.kind, wire);
  const { start, end } = codec.metadataRange(shown.bytes, shown.start, shown.end);
  return fieldSize(end - start);
}

/** Its bytes: the ObjectMeta as field 1. */
export function writePartialMessage(codec: KindCodec, wire: WireObject, into: ByteWriter): void {
  const shown = withoutInternalAnnotations(codec.kind, wire);
  const { start, end } = codec.metadataRange(shown.bytes, shown.start, shown.end);
  writeFieldHeader(into, METADATA_TAG, end - start);
  writeBytes(into, shown.bytes, start, end);
}

export function partialEnvelopeHead(version: MetaVersion, rawLength: number): Uint8Array {
  return envelopeHead(`meta.k8s.io/${version}`, OBJECT, rawLength);
}

export function writePartialProtobuf(codec: KindCodec, version: MetaVersion, wire: WireObject, into: ByteWriter): void {
  writeBytes(into, partialEnvelopeHead(version, partialMessageSize(codec, wire)));
  writePartialMessage(codec, wire, into);
  writeBytes(into, ENVELOPE_TAIL);
}

const MEASURED_PER_TURN = 10_000;

/**
 * The envelope states the length in front, so the metadata is measured in a first pass over the
 * (immutable) answer; the second one writes. Undefined when the client left meanwhile.
 */
export async function partialProtobufList(
  codec: KindCodec,
  version: MetaVersion,
  answer: ListAnswer,
  clock: Clock,
  sliceMs: number,
  gone: () => boolean,
) {
  const item = emptyWire();
  let itemBytes = 0;
  let sliceStartMs = clock.monotonicMs();
  for (let index = 0; index < answer.count; index++) {
    itemBytes += fieldSize(partialMessageSize(codec, answer.at(index, item)));
    if (index % MEASURED_PER_TURN !== MEASURED_PER_TURN - 1 || clock.monotonicMs() - sliceStartMs < sliceMs) continue;
    await nextTurn();
    sliceStartMs = clock.monotonicMs();
    if (gone()) return undefined;
  }
  const meta = listMetaField(answer);
  const head = Buffer.concat([envelopeHead(`meta.k8s.io/${version}`, LIST, meta.length + itemBytes), meta]);
  return {
    contentLength: head.length + itemBytes + ENVELOPE_TAIL.length,
    frame: undefined,
    async write(body: ListBody): Promise<boolean> {
      writeBytes(body, head);
      for (let index = 0; index < answer.count; index++) {
        answer.at(index, item);
        writeFieldHeader(body, ITEM_TAG, partialMessageSize(codec, item));
        writePartialMessage(codec, item, body);
        if (body.due() && !(await body.flush())) return false;
      }
      writeBytes(body, ENVELOPE_TAIL);
      return true;
    },
  };
}
