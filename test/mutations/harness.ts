import { type Mutation, of } from './mutation.js';

const SLOTS = 'src/engine/slot-btree.ts';
const HEAP = 'src/pressure/heap-versions.ts';
/** Both engines of the file, and no other. */
const trees = { only: '^(btree|hash\\+btree|engine (btree|hash\\+btree))' } as const;

/** Experiments: engines and representations to compare with, twins, recordings, the search for the limit. */
export const harnessMutations: readonly Mutation[] = [
  ...of(
    SLOTS,
    ['engine/engine'],
    [
      [`${SLOTS} I1`, 'leaf.slots.copyWithin(this.#position + 1, this.#position, leaf.count);', '', trees],
      [`${SLOTS} I2`, '    this.#freeSlots.push(slot);\n', '', trees],
      [`${SLOTS} I3`, 'this.#columns.setSecond(id, hash);', 'this.#columns.setSecond(id, hash ^ 1);', trees],
    ],
  ),
  ...of(
    HEAP,
    ['pressure/representations'],
    [
      [`${HEAP} H1`, '      this.#free.push(id);\n', ''],
      [`${HEAP} H2`, 'entry.supersededAt = supersededAt;', 'entry.supersededAt = supersededAt + 1;'],
      [`${HEAP} H3`, '    this.#retiredBytes += sizeOf(entry);\n', ''],
    ],
  ),
  ...of(
    'src/engine/twin.ts',
    ['engine/twin'],
    [
      [
        'what the second engine lacks at the end is a difference',
        'if (!different && position < walk.ids.length)',
        'if (!different && position < 0)',
      ],
      ['a reader that has had enough sees no difference', 'if (!goOn) this.stopped = true;', ''],
    ],
  ),
  ...of(
    'src/recording/format.ts',
    ['recording/recording'],
    [
      ['a damaged block is noticed', ' || crc32(raw) !== head.readUInt32LE(8)', ''],
      ['times of a recording add up', 'this.#us += reader.number();', 'this.#us = reader.number();'],
    ],
  ),
  ...of(
    'src/pressure/limit.ts',
    ['pressure/limit'],
    [['a limit passed as often as asked for', 'tried.get(low)!.passes < repeats', 'tried.get(low)!.passes < 1']],
  ),
  ...of(
    'src/http/http1-response.ts',
    ['http/straight-get', 'http/slow-clients', 'http/http1-watch'],
    [
      [
        'a GET says what the routed request says',
        "    if (code !== 304) headers['content-length'] = String(body.length);\n",
        '',
      ],
      ['a WebSocket ends with its connection', 'raw.socket === null || leaves', 'raw.socket === null'],
      ['a request in a queue ends with its connection', 'raw.socket === null || leaves', 'leaves'],
    ],
  ),
  ...of(
    'src/http/server.ts',
    ['http/http1-watch'],
    [
      [
        'what was an upgrade ends with its connection',
        'http1Response(reply.raw, true)',
        'http1Response(reply.raw, false)',
      ],
    ],
  ),
  ...of(
    'src/http/http2-response.ts',
    ['http/straight-get', 'http/http2', 'http/metrics'],
    [
      [
        'a GET over HTTP/2 says what the routed request says',
        "    if (code !== 304) headers['content-length'] = String(body.length);\n",
        '',
      ],
      ['HTTP/2 has no Connection header', "  delete headers['connection'];\n", ''],
      ['a stream that is reset is let go', "    stream.on('error', ignoreError);\n", ''],
    ],
  ),
];
