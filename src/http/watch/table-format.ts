import type { ModRevision } from '../../api/revision.js';
import type { ByteWriter, KindCodec, WireObject } from '../../codec/codec.js';
import type { WatchFormat } from '../../serve/reader.js';
import { goJson } from '../encode/go-json.js';
import type { MetaVersion } from '../encode/partial.js';
import { createTableEncoder, type IncludeObject, tableMembers } from '../encode/table.js';
import { writeText } from '../encode/writer.js';
import { toEventStatus } from '../to-status.js';
import { bookmarkObjects } from './event-objects.js';

/**
 * Every event is a Table of one row (spec 3.11). Only the first event of a stream names the
 * columns; a bookmark always carries its metadata, where clients read the resourceVersion.
 */
export function tableFormat(
  codec: KindCodec,
  version: MetaVersion,
  includeObject: IncludeObject,
  nowMs: () => number,
): WatchFormat {
  const encoder = createTableEncoder(codec, version, includeObject, nowMs);
  const bookmarkEncoder = includeObject === 'None' ? createTableEncoder(codec, version, 'Metadata', nowMs) : encoder;
  const write = (
    type: string,
    wire: WireObject,
    revision: ModRevision,
    first: boolean,
    into: ByteWriter,
    rows = encoder,
  ) => {
    const members = tableMembers(version, { resourceVersion: String(revision) }, first ? encoder.columns : null);
    writeText(into, `{"type":"${type}","object":${goJson(members).slice(0, -1)},"rows":[`);
    rows.row(wire, into);
    writeText(into, ']}}\n');
  };
  return {
    id: `table/${version}/${includeObject}`,
    firstDiffers: true,
    event: write,
    bookmark: (revision, initialEventsEnd, first, into) =>
      write('BOOKMARK', bookmarkObjects(codec).at(revision, initialEventsEnd), revision, first, into, bookmarkEncoder),
    error: (failure, into) => writeText(into, `{"type":"ERROR","object":${goJson(toEventStatus(failure))}}\n`),
  };
}
