import { type Mutation, of } from './mutation.js';

/** What is written down, and when it may be used. */
const RESTORED = ['cache/restored-state'] as const;
const CHECKPOINT = ['checkpoint/checkpoint'] as const;

export const checkpointMutations: readonly Mutation[] = [
  ...of('src/cache/restored-state.ts', RESTORED, [
    ['src/cache/restored-state.ts I1', 'this.#ids[idAtCapture] === NONE', 'true'],
    ['src/cache/restored-state.ts I2', 'revision > history.tail && revision <= this.revision', 'revision > 0'],
    ['src/cache/restored-state.ts I3', 'this.#loose[id] = 0;', ''],
  ]),
  ...of('src/checkpoint/match-store.ts', CHECKPOINT, [
    ['src/checkpoint/match-store.ts M1', 'if (store.raftTerm < raftTerm)', 'if (store.raftTerm < 0)'],
    [
      'src/checkpoint/match-store.ts M2',
      'countOnly: true, revision }, () => {}, signal);',
      'countOnly: true }, () => {}, signal);',
    ],
    ['src/checkpoint/match-store.ts M3', 'if (!same)', 'if (stored.count > 1)'],
  ]),
  ...of('src/checkpoint/format.ts', CHECKPOINT, [
    [
      'a flipped bit is noticed',
      'if (crc32(payload, crc32(head.subarray(0, 16), seed)) !== want) {',
      'if (crc32(payload, crc32(head.subarray(0, 16), seed)) < -want) {',
    ],
  ]),
  ...of('src/checkpoint/checkpoints.ts', CHECKPOINT, [
    [
      'private kinds are not written',
      "if (this.#options.isPrivate(kind) || cache.state !== 'ready'",
      "if (cache.state !== 'ready'",
    ],
    [
      'what was restored is not written again',
      'content: contentText(0, 1), revision,',
      'content: contentText(0, 0), revision,',
    ],
  ]),
  ...of('src/cache/watch-cache.ts', CHECKPOINT, [
    [
      'a restored history is the one that was written',
      'this.history.clear(history.tail, nowMs - history.tailAgeMs);',
      'this.history.clear(revision, nowMs);',
    ],
  ]),
  ...of(
    'src/source/list-prefix.ts',
    ['source/page-gate'],
    [
      [
        'the next page is under way while one is visited',
        'if (next !== undefined && source.fetch !== undefined) await',
        'if (next === undefined) await',
      ],
      [
        'a page is not visited further for a caller that gave up',
        'if (signal?.aborted) throw gaveUp(source);\n        at',
        'at',
      ],
      ['a page gives its room back', '    } finally {\n      leave();', '    } finally {\n'],
    ],
  ),
];
