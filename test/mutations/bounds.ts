import { type Mutation, of } from './mutation.js';

/** Requests and memory that are bounded, and what is left out of objects. */
export const boundsMutations: readonly Mutation[] = [
  ...of(
    'src/http/in-flight.ts',
    ['http/in-flight'],
    [
      ['a request counts until its response has left', 'this.#count--;', ''],
      ['--max-requests-inflight', 'this.#count >= this.#max', 'this.#count > this.#max'],
      ['--max-requests-inflight=0 is no bound', 'this.#max > 0 && ', ''],
    ],
  ),
  ...of(
    'src/http/listeners.ts',
    ['http/connections'],
    [
      [
        'a connection that its client does not close is destroyed',
        'if (nowMs - sinceMs >= lingerMs) socket.destroy();',
        ';',
      ],
      ['PINGs prolong nothing', 'idleMs >= idleConnectionMs', 'idleMs < 0'],
      ['a refusal is not written into an answer', ' || response?.headersSent === true', ''],
      ['a head has to come in time', 'headersTimeout: requestHeadMs,', 'headersTimeout: 0,'],
      ['a request has to come in time', 'requestTimeout: requestTimeoutMs,', 'requestTimeout: 0,'],
    ],
  ),
  ...of(
    'src/http/request-body.ts',
    ['http/connections'],
    [
      ['bodies together are bounded', 'this.#total > this.#totalMax', 'this.#total < 0'],
      ['a body that is read counts no more', 'this.#total -= size;', ''],
    ],
  ),
  ...of(
    'src/http/answering.ts',
    ['http/connections'],
    [
      [
        'headers are not passed over',
        'request.rawHeaders.length >= 2 * limits.headersMax',
        'request.rawHeaders.length < 0',
      ],
      ['a refusal that is not read is given up', 'isLate || !exchange.hasDeadline', 'isLate'],
    ],
  ),
  ...of(
    'src/http/access.ts',
    ['auth/unknown-over-http2'],
    [['who is not known gets a connection for one request', "exchange.headers['connection'] = 'close';", 'void 0;']],
  ),
  ...of(
    'src/api/long-selector.ts',
    ['api/long-selector'],
    [['every label that is demanded is there', 'return found === demanded.size;', 'return true;']],
  ),
  ...of(
    'src/codec/encode.ts',
    ['codec/encode'],
    [['values of Secrets stand in no message', 'this.isPrivate ? typeNameOf(value) : shown(value)', 'shown(value)']],
  ),
  ...of(
    'src/codec/managed-fields.ts',
    ['codec/managed-fields', 'http/managed-fields'],
    [
      [
        'the length of what is left',
        'const metadataSize = managed - metadata.start;',
        'const metadataSize = metadata.end - metadata.start;',
      ],
      ['the size of a list without managed fields', ' - (varintSize(before) - varintSize(before - dropped));', ';'],
    ],
  ),
  ...of(
    'src/lib/line.ts',
    ['lib/line'],
    [
      ['one slice in a turn of the loop', 'taken = next !== undefined;', 'taken = false;'],
      ['whoever begins waits behind the line', 'if (taken || line.length > 0)', 'if (taken)'],
    ],
  ),
  ...of(
    'src/lib/memory-budget.ts',
    ['lib/memory-budget'],
    [
      [
        'src/lib/memory-budget.ts I1',
        'share < bounds[this.#level - 1]! - limits.memoryHysteresis',
        'share < bounds[this.#level - 1]!',
      ],
      ['src/lib/memory-budget.ts I2', 'this.usedBytes + this.reservedBytes + bytes', 'this.usedBytes + bytes'],
      ['one goes alone at a time', "this.rung !== 'refuse' || this.#alone ||", "this.rung !== 'refuse' ||"],
      ['src/lib/memory-budget.ts I3', 'if (!open) return; // I3', ''],
      ['what is shed is what is too much', 'Math.max(excess, before / 2)', 'before / 2'],
      ['cheap LISTs are never refused', 'costBytes > this.#options.limits.cheapListBytes', 'costBytes > 0'],
      ['garbage is asked for when memory is short', "if (this.rung === 'refuse') this.#options.pressed?.();", ''],
      ['histories come back', ': 1;\n    if (share', ': this.historyShare;\n    if (share'],
    ],
  ),
  ...of(
    'src/app/heap.ts',
    ['app/heap'],
    [
      ['garbage is collected when the loop is idle', 'if (idle && busyMs', 'if (busyMs'],
      [
        'collections take a twentieth of the time',
        'busyMs - this.#collectedBusyMs < this.#tookMs * COSTS',
        'busyMs === this.#collectedBusyMs',
      ],
    ],
  ),
  ...of(
    'src/serve/list-cost.ts',
    ['serve/admission'],
    [
      ['a page costs its share', 'limit > 0 ? limit : Number.POSITIVE_INFINITY', 'Number.POSITIVE_INFINITY'],
      [
        'an index lowers the cost',
        'Math.min(least, estimate), plan.estimated',
        'Math.max(least, estimate), plan.inRange',
      ],
    ],
  ),
  ...of(
    'src/serve/cached-list.ts',
    ['serve/admission'],
    [['a LIST gives its place back', 'this.#reservation[Symbol.dispose]();', '']],
  ),
  ...of(
    'src/http/managed-fields.ts',
    ['http/managed-fields'],
    [
      [
        'watches with and without managed fields share no frames',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
        'id: `${format.id}/omit-managed-fields`,',
        'id: format.id,',
      ],
    ],
  ),
];
