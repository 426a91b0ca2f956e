import { type Mutation, of } from './mutation.js';

/** LISTs that are put together from encoded leaves. */
export const listMutations: readonly Mutation[] = [
  ...of(
    'src/engine/nodes.ts',
    ['engine/engine'],
    [
      [
        'an edition names one content: a replaced version',
        'this.slots[(node << FANOUT_SHIFT) + index] = value;\n    this.edition[node] = 0;',
        'this.slots[(node << FANOUT_SHIFT) + index] = value;',
        { only: '^cow-btree' },
      ],
      [
        'an edition names one content: a leaf that was split',
        'this.used[node] = count;\n    this.edition[node] = 0;',
        'this.used[node] = count;',
        { only: '^cow-btree' },
      ],
    ],
  ),
  ...of(
    'src/serve/runs.ts',
    ['serve/fragments', 'http/fragments'],
    [
      ['a part of a leaf is not the leaf', 'if (count === leaf.count) {', 'if (count > 0) {'],
      ['what was started is released', 'for (const job of this.#jobs.values()) job.cancel();', ''],
    ],
  ),
  ...of(
    'src/serve/fragments.ts',
    ['serve/fragments', 'http/fragments'],
    [
      [
        'a fragment is of one edition',
        'if (held?.edition === edition) return { take',
        'if (held !== undefined) return { take',
      ],
      ['what is being encoded is shared', 'if (encoding === undefined) {', 'if (encoding?.keep !== null) {'],
      [
        'half of a leaf pays for the JSON of all of it',
        '* 2 < ids.length) {\n      const part',
        '* 2 <= ids.length) {\n      const part',
      ],
      [
        'half of a leaf pays for the rows of all of it',
        '* 2 < ids.length) {\n      const rows',
        '* 2 <= ids.length) {\n      const rows',
      ],
      [
        'what is being compressed is shared',
        'if (compressing === undefined) {',
        'if (compressing !== (1 as unknown)) {',
      ],
      ['leaves with large objects are not kept', 'if (!large) this.#cache.keep', 'this.#cache.keep'],
    ],
  ),
  ...of(
    'src/serve/wire-leaves.ts',
    ['serve/wire-leaves'],
    [
      ['a copied leaf is of one edition', 'if (held?.edition === edition) {', 'if (held !== undefined) {'],
      ['a newer copied leaf stays', 'if (held.edition > edition) return false;', ''],
      [
        'a part of a copied leaf',
        'into.append(made.bytes.subarray(made.starts[start]!, made.starts[end]!));',
        'into.append(made.bytes);',
      ],
    ],
  ),
  ...of(
    'src/serve/fragment-cache.ts',
    ['serve/wire-leaves'],
    [['copied leaves give way to fragments', 'rank < own ? Infinity : idleSince', 'idleSince']],
  ),
  ...of(
    'src/serve/json-leaf.ts',
    ['serve/json-leaf'],
    [
      ['neighbours of two pieces are not one', 'pieceOf[next] === pieceOf[start] && ', ''],
      ['neighbours with something between them are not one', ' && starts[next] === ends[next - 1]! + 1', ''],
      ['a leaf that is worn is copied', '(live >= PATCHED_BYTES_MIN && !isWorn)', 'live >= PATCHED_BYTES_MIN'],
      ['a leaf that is not worn is not copied', '(live >= PATCHED_BYTES_MIN && !isWorn)', 'live < 0'],
      [
        'pieces that nothing lies in are let go',
        'const pieces: Buffer[] = [];',
        'const pieces: Buffer[] = [base.pieces[0]!];',
      ],
      ['commas stand between pieces', 'if (index > start) into.copy(COMMA, 0, 1);', ''],
    ],
  ),
  ...of(
    'src/http/encode/body.ts',
    ['http/body'],
    [
      [
        'a buffer that the transport reads is not filled',
        'if (!error) for (const buffer of filled) chunks.give(buffer);\n    });',
        '});\n    for (const buffer of filled) chunks.give(buffer);',
      ],
      ['what a broken connection may read is not filled', 'if (!error) for (const', 'for (const'],
      ['what the kernel took at once is used again', '    await ownTick();\n', ''],
      ['pieces of a buffer that grew', 'if (this.#cutAt > 0) this.#filled.push(before);\n    else ', ''],
      ['what is copied goes on in another chunk', 'this.position > 0 && end - start >', 'end - start < 0 &&'],
      ['pieces that lie elsewhere are gathered', 'this.#pending >= chunkBytes * (GATHERED - 1)', 'true'],
      ['what is copied is never more than a chunk', 'this.position >= chunkBytes || ', ''],
      ['what goes out one by one is not gathered', 'sink.writeAll === undefined || this', 'this'],
      [
        'large pieces keep their place',
        '    this.#cut();\n    this.#pieces.push(bytes);',
        '    this.#pieces.push(bytes);',
      ],
    ],
  ),
  ...of(
    'src/http/encode/chunk-pool.ts',
    ['http/body'],
    [
      ['the pool is bounded', ' && this.#spare.length < this.#spareMax', ''],
      ['chunks have one size', 'buffer.length === this.chunkBytes && ', ''],
    ],
  ),
  ...of(
    'src/http/encode/gzip-member.ts',
    ['http/fragments'],
    [
      ['the CRC of the whole', 'combineCrc(this.#crc, crc, shift)', 'combineCrc(this.#crc, crc, 1)'],
      ['the length of the whole', 'this.size += size;', 'this.size += 1;'],
    ],
  ),
  ...of(
    'src/serve/deflated-rows.ts',
    ['http/table-rows'],
    [
      ['a rest is compressed for the gap in front of it', '(wanted === undefined || wanted === gap)', 'gap !== 0'],
      ['kept rests have the gaps asked for', 'if (base.gaps[row] !== gaps[row - start]) return false;', ''],
      ['a rest needs the one before it', '(gap === ALONE || follows) && ', ''],
      ['the gap is looked back across', 'deflater.write(rest, gap, into);', 'deflater.write(rest, 0, into);'],
    ],
  ),
  ...of(
    'src/serve/leaf-rows.ts',
    ['serve/fragments', 'serve/wire-leaves'],
    [['an id alone is not a version', 'revisions[found] === revision', 'found >= 0']],
  ),
  ...of(
    'src/serve/fragments.ts',
    ['http/table-rows', 'http/fragments'],
    [
      [
        'kept rows are of one edition',
        'if (held?.edition === edition) return { rows',
        'if (held !== undefined) return { rows',
      ],
      [
        'rows of leaves with large objects are not kept',
        "if (!this.#isLarge(ids, versions)) this.#cache.keep(scope, place, 'table'",
        "this.#cache.keep(scope, place, 'table'",
      ],
    ],
  ),
  ...of(
    'src/serve/fragment-cache.ts',
    ['serve/fragment-cache'],
    [
      ['the bound holds', 'if (this.bytes + needed <= this.#bytesMax) return true;', 'return true;'],
      ['what is in use stays', 'rank < own ? Infinity : idleSince', 'Infinity'],
      ['rows take the room of JSON', 'table: 2,', 'table: 1,'],
      ['what saves more is not dropped for what saves less', 'rank <= own; rank++', 'rank < RANK_COUNT; rank++'],
      ['the latest edition stays', 'before.edition > fragment.edition', 'before.edition < 0'],
      ['a closed storage keeps nothing', 'if (scope.closed || ', 'if ('],
    ],
  ),
  ...of(
    'src/http/encode/joined-list.ts',
    ['http/fragments'],
    [['bodies up to the threshold are not compressed', 'return size > COMPRESS_ABOVE_BYTES;\n}', 'return true;\n}']],
  ),
];
