import { type Mutation, of } from './mutation.js';

/** The hollow cluster: what it measures must not flatter, and what it plays must happen. */
export const hollowMutations: readonly Mutation[] = [
  ...of(
    'src/hollow/latencies.ts',
    ['hollow/parts'],
    [
      ['hollow: a call that failed is counted', 'this.count++;\n    this.failed++;', 'this.failed++;'],
      [
        'hollow: a percentile is not rounded down',
        'Math.ceil(this.count * share - 1e-9)',
        'Math.floor(this.count * share)',
      ],
    ],
  ),
  ...of(
    'src/hollow/lags.ts',
    ['hollow/parts'],
    [
      [
        'hollow: an event before the answer has a lag',
        'for (const atMs of this.#early.get(resourceVersion) ?? []) this.#add(write, atMs);',
        '',
      ],
    ],
  ),
  ...of(
    'src/hollow/runtime.ts',
    ['hollow/parts'],
    [['hollow: a relist makes events of changes only', 'if (last === state) continue;', '']],
  ),
  ...of(
    'src/hollow/service-levels.ts',
    ['hollow/hollow'],
    [
      [
        'hollow: what was not measured is not met',
        "every(({ verdict }) => verdict === 'met')",
        "every(({ verdict }) => verdict !== 'missed')",
        { only: 'a run passes' },
      ],
    ],
  ),
  ...of(
    'src/hollow/kubelet.ts',
    ['hollow/hollow'],
    [
      [
        'hollow: a pod whose containers have stopped goes',
        "type === 'ContainerDied' && held.stopping",
        "type === 'ContainerDied' && !held.stopping",
        { only: 'density test over the embedded store, read as protobuf' },
      ],
    ],
  ),
];
