import { type Mutation, of } from './mutation.js';

/** Engines, versions and indexes: how objects lie in memory. */
const TREE = 'src/engine/cow-btree.ts';
const cow = { only: '^cow-btree' } as const;

const engines: Mutation[] = [
  ...of(
    TREE,
    ['engine/engine'],
    [
      [`${TREE} I1`, 'if (!this.#reader.isBehindAll(leaf, key)) {', 'if (this.#root < 0) {', cow],
      [
        `${TREE} I2`,
        'if (nodes.bytes[leaf]! <= LEAF_BYTES_MAX || used < 2) return;',
        'if (nodes.bytes[leaf]! <= LEAF_BYTES_MAX * 2 || used < 2) return;',
        cow,
      ],
      [
        `${TREE} I3`,
        'this.#addNode(this.#nodes.level[child]! + 1, NOWHERE)',
        'this.#addNode(this.#nodes.level[child]! + 2, NOWHERE)',
        cow,
      ],
      [
        `${TREE} I4`,
        'if (position === 0) this.#firstChanged(place);\n    this.#splitLarge(place);',
        'this.#splitLarge(place);',
        cow,
      ],
      [
        `${TREE} I5`,
        'if (growth !== 0) this.#addTotals(place, 0, growth);',
        'if (growth > 0) this.#addTotals(place, 0, growth);',
        cow,
      ],
      [`${TREE} I6`, '      this.#ids.setFirst(slot, nodes.place[to]!);\n', '', cow],
      [`${TREE} I7`, 'this.#ids.setSecond(next, hash);', 'this.#ids.setSecond(next, hash ^ 1);', cow],
      [
        `${TREE} I8`,
        'this.#freePlaces.push(place);\n    this.#snapshots.release(node);',
        'this.#freePlaces.push(place);',
        cow,
      ],
      [
        'a snapshot of the tree never changes',
        'if (this.#nodes.born[node]! > this.#snapshots.youngestEpoch) return node;',
        'if (this.#nodes.born[node]! >= this.#snapshots.youngestEpoch) return node;',
        cow,
      ],
    ],
  ),
  ...of(
    'src/engine/shared-snapshots.ts',
    ['engine/engine'],
    [
      [`${TREE} I9`, 'this.youngestEpoch = this.epoch++;', 'this.youngestEpoch = this.epoch;', cow],
      [
        'a node waits for every snapshot that contains it',
        'this.#nodes.born[node]! <= older.epoch) older',
        'this.#nodes.born[node]! < older.epoch) older',
        cow,
      ],
    ],
  ),
  ...of(
    'src/engine/key-hash.ts',
    ['engine/engine'],
    [
      [
        'src/engine/key-hash.ts H1',
        'if (((slot - home) & mask) < ((slot - hole) & mask)) continue;',
        'if (slot < home) continue;',
        cow,
      ],
      ['src/engine/key-hash.ts H2', '    segment.used--;\n', '', cow],
      [
        'a key that fills its last word with old bytes is another key',
        '    for (let at = length; (at & 3) !== 0; at++) scratch[at] = 0;\n',
        '',
        cow,
      ],
    ],
  ),
  ...of(
    'src/engine/hash.ts',
    ['engine/engine'],
    [
      [
        'src/engine/hash.ts I1',
        'this.#place(next, this.#columns.first(previous), hash);',
        'this.#place(next, this.#columns.first(previous), hash ^ 1);',
        { only: '^hash' },
      ],
      [
        'src/engine/hash.ts I2',
        'if (changes.count > 0) this.#list = undefined;',
        'if (changes.count > 1) this.#list = undefined;',
        { only: '^hash' },
      ],
    ],
  ),
  ...of(
    'src/engine/sorted-array.ts',
    ['engine/engine'],
    [
      [
        'src/engine/sorted-array.ts I1',
        'return this.#reader.lowerBound(tail, 1, key) === 1',
        'return this.#reader.lowerBound(tail, 1, key) >= 0',
        { only: '^sorted-array' },
      ],
      [
        'src/engine/sorted-array.ts I2',
        'if (this.#shared.holders === 0 && size <= this.#ids.length) return; // I2',
        'if (size <= this.#ids.length) return; // I2',
        { only: '^sorted-array' },
      ],
    ],
  ),
];

const VERSIONS = 'src/versions/create-versions.ts';
const versions: Mutation[] = [
  ...of(
    VERSIONS,
    ['versions/versions'],
    [
      [`${VERSIONS} I1`, '    this.stats.live--;\n', ''],
      [
        `${VERSIONS} I2`,
        'const address = this.#allocator.allocate(size);',
        'const address = this.#allocator.allocate(Math.max(1, size - 40));',
      ],
      [
        'keys are compared up to their last byte',
        'return rest === 0 || ((slab[start + whole]! ^ words[whole]!) & FIRST_BYTES[rest]!) === 0;',
        'return true;',
      ],
      [
        'a copy by words ends with its object',
        'byte < end; byte++) slab[offset',
        'byte < ((end + 3) & -4); byte++) slab[offset',
      ],
      [`${VERSIONS} I4`, '    this.stats.retiredBytes += size;\n', ''],
      [
        `${VERSIONS} I6`,
        'if (!(createRevision > 0 && createRevision <= modRevision && modRevision',
        'if (!(createRevision > 0 && modRevision',
      ],
      [
        `${VERSIONS} I7`,
        'fill(this.#fillOnFree, offset, offset + size)',
        'fill(this.#fillOnFree, offset, offset + size + 64)',
      ],
      [
        'bytes of Secrets are zeroed when they are freed',
        'options.zeroOnFree === true ? 0 :',
        'options.zeroOnFree === true ? -1 :',
      ],
    ],
  ),
  ...of(
    'src/versions/retention.ts',
    ['versions/versions'],
    [
      ['a pinned version is not freed', 'supersededAt >= this.pins.oldest)', 'supersededAt > this.pins.oldest + 1)'],
      [
        'a version that the history names is not freed',
        'if (supersededAt > historyTail || ',
        'if (supersededAt > historyTail + 1 || ',
      ],
    ],
  ),
  ...of(
    'src/versions/retire-queue.ts',
    ['versions/versions'],
    [[`${VERSIONS} I3`, 'if (supersededAt < this.#lastRevision) {', 'if (supersededAt < 0) {']],
  ),
  ...of(
    'src/versions/pins.ts',
    ['versions/versions'],
    [[`${VERSIONS} I5`, 'while (at > 0 && this.#held[at - 1]!.revision > revision) at--;', '']],
  ),
  ...of(
    'src/versions/size-classes.ts',
    ['versions/allocators', 'versions/versions'],
    [
      ['src/versions/size-classes.ts A1', '    spans[word]! |= bit;\n', ''],
      ['src/versions/size-classes.ts A2', 'if (used + 1 === CLASS_SLOTS[sizeClass]) this.#link(span, sizeClass);', ''],
      ['src/versions/size-classes.ts A3', '    region.freeCount++;\n', ''],
    ],
  ),
  ...of(
    'src/versions/linear-scan.ts',
    ['versions/allocators', 'versions/versions'],
    [
      [
        'src/versions/linear-scan.ts A1',
        'const joinsNext = this.#starts[low] === end && end % this.#unitsPerSlab !== 0;',
        'const joinsNext = this.#starts[low] === -1;',
      ],
      ['src/versions/linear-scan.ts A3', '    this.usedBytes -= units * UNIT_BYTES;\n', ''],
    ],
  ),
  ...of(
    'src/versions/segregated-map.ts',
    ['versions/allocators', 'versions/versions'],
    [
      ['src/versions/segregated-map.ts A1', 'if (end % this.#granulesPerSlab !== 0) {', 'if (end < 0) {'],
      ['src/versions/segregated-map.ts A2', '    this.#startByEnd.delete(start + length);\n', ''],
      ['src/versions/segregated-map.ts A3', '    this.usedBytes -= granules * this.#granuleBytes;\n', ''],
    ],
  ),
];

const INDEX = ['indexer/indexers', 'indexer/parts-and-past', 'indexer/agrees-with-scanning'] as const;
const indexes: Mutation[] = [
  ...of('src/indexer/dictionary.ts', INDEX, [
    [
      'src/indexer/dictionary.ts D1',
      'slab[to + offset] = bytes[start + offset]!;',
      'slab[to + offset] = bytes[offset]!;',
    ],
    [
      'src/indexer/dictionary.ts D2',
      'if (((from - home) & mask) < ((from - slot) & mask)) continue;',
      'if (from < home) continue;',
    ],
  ]),
  ...of('src/indexer/column.ts', INDEX, [
    ['src/indexer/column.ts C1', 'if (before !== NO_VALUE) this.#leave(before, row);', ''],
    ['src/indexer/column.ts C2', '    this.dictionary.release(value);\n', ''],
  ]),
  ...of('src/indexer/rows.ts', INDEX, [
    [
      'src/indexer/rows.ts R1',
      'this.#rowOf[previous] = SUPERSEDED;\n    this.#place(row, next);',
      'this.#place(row, next);\n    this.#rowOf[next] = SUPERSEDED;',
    ],
    [
      'a superseded version is not taken for the current one',
      'this.#rowOf[id] = SUPERSEDED;',
      'this.#rowOf[id] = UNKNOWN;',
    ],
  ]),
  ...of('src/indexer/label-terms.ts', INDEX, [
    ['src/indexer/label-terms.ts T1', 'this.#entrySet[entry] = set;', 'this.#entrySet[entry] = 0;'],
    [
      'src/indexer/label-terms.ts T2',
      'if (this.#termsOf.remove(key, term) === 0) this.#keys.release(key);',
      'this.#termsOf.remove(key, term);',
    ],
    ['src/indexer/label-terms.ts T3', 'this.#keyRows[this.#keyOfTerm[term]!]! += change;', ''],
  ]),
  ...of('src/indexer/kind-index.ts', INDEX, [
    ['src/indexer/kind-index.ts K1', '        rows.remove(row);\n', ''],
    ['src/indexer/kind-index.ts K2', 'held.ready = held.filled >= this.#rows.touched;', 'held.ready = true;'],
  ]),
  ...of('src/indexer/planner.ts', INDEX, [
    [
      'postings of now hold what is older than the state that is read',
      'return versions.modRevision(id) <= revision;',
      'return versions.modRevision(id) > 0;',
    ],
    [
      'postings hold what was current then and is not now',
      'for (const id of restored) if (within(id) &&',
      'for (const id of restored.subarray(1)) if (within(id) &&',
    ],
    [
      'what no index decides is read from the bytes',
      'return new ListedSelection(plan, snapshot, ids, decided ? undefined : filter);',
      'return new ListedSelection(plan, snapshot, ids, undefined);',
    ],
    ['an index does not decide a shard', '(selector.partial === true ? 1 : 0)', '(selector.partial === true ? 0 : 0)'],
  ]),
];

export const storageMutations: readonly Mutation[] = [...engines, ...versions, ...indexes];
