import type { KindCodec, WireObject } from '../../codec/codec.js';
import { ENVELOPE_TAIL } from '../../codec/codec.js';
import { copyBytes } from '../../lib/bytes.js';
import type { ListAnswer } from '../../serve/reader.js';
import type { ListBody } from './document.js';
import { type ListMeta, listMetaField } from './envelope.js';
import type { ListFrame } from './joined-list.js';
import { writeBytes } from './writer.js';

export function emptyWire(): WireObject {
  return { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
}

const NOTHING = new Uint8Array(0);

/** One object: the envelope around the stored bytes. */
export function protobufObject(codec: KindCodec, { bytes, start, end }: WireObject): Buffer {
  const head = codec.envelopeHead(false, end - start);
  const body = Buffer.allocUnsafe(head.length + (end - start) + ENVELOPE_TAIL.length);
  body.set(head);
  copyBytes(body, head.length, bytes, start, end);
  body.set(ENVELOPE_TAIL, body.length - ENVELOPE_TAIL.length);
  return body;
}

/**
 * A whole LIST is a constant head, the stored items as they lie (each with its list-item header),
 * and the envelope's tail, so that its length is known before the first byte.
 */
export function protobufList(codec: KindCodec, answer: ListAnswer) {
  const meta = listMetaField(answer satisfies ListMeta, answer.shard);
  const head = Buffer.concat([codec.envelopeHead(true, meta.length + answer.itemBytes), meta]);
  return {
    contentLength: head.length + answer.itemBytes + ENVELOPE_TAIL.length,
    frame: { head, separator: NOTHING, tail: ENVELOPE_TAIL } satisfies ListFrame,
    async write(body: ListBody): Promise<boolean> {
      writeBytes(body, head);
      const { runs } = answer;
      for (let run = 0; run < (runs?.count ?? 0); run++) {
        runs!.protobuf(run, body);
        if (body.due() && !(await body.flush())) return false;
      }
      const item = emptyWire();
      for (let index = 0; runs === undefined && index < answer.count; index++) {
        answer.at(index, item);
        writeBytes(body, item.bytes, item.headerStart, item.end);
        if (body.due() && !(await body.flush())) return false;
      }
      writeBytes(body, ENVELOPE_TAIL);
      return true;
    },
  };
}
