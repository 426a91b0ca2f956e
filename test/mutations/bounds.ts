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
