// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source text.
import { type Mutation, of } from './mutation.js';

/** What Table cells are made of. */
export const tableMutations: readonly Mutation[] = [
  ...of(
    'src/codec/projector.ts',
    ['http/table-projection'],
    [
      ['projection: the walk ends behind the last member', 'Math.max(0, ...fields', 'Math.min(...fields'],
      ['projection: text that is not UTF-8', "text.includes('\\ufffd')", "text.includes('\\ufffc')"],
      [
        'projection: a key that assigning does not set',
        "if (key !== '__proto__') map[key] = value;",
        'if (key) map[key] = value;',
      ],
      ['projection: integers beyond 2^53', 'Number.isNaN(value) ? readInt64(b, start, end) : value', 'value'],
      ['projection: what is absent and shown as zero', 'return `${v}??${zero}`;', 'return v;'],
    ],
  ),
  ...of(
    'src/http/encode/table/pods.ts',
    ['http/table-projection'],
    [['tables declare what they read', 'spec{nodeName containers{}', 'spec{containers{}']],
  ),
  ...of(
    'src/serve/list.ts',
    ['serve/consistent-reads'],
    [
      [
        'consistent reads that etcd answers are counted as such',
        'await listDirectly(context, work), true);',
        'await listDirectly(context, work), false);',
      ],
      [
        'only LISTs of the most recent state are counted',
        "return plan.read === 'mostRecent' ? counted(",
        'return plan ? counted(',
      ],
    ],
  ),
  ...of(
    'src/http/encode/table.ts',
    ['http/partial-splice'],
    [['cells are escaped as Go escapes them', "/^[ !#-%'-;=?-[\\]-~]*$/", '/^[ !#-;=?-[\\]-~]*$/']],
  ),
  ...of(
    'src/http/encode/table.ts',
    ['http/table-rows'],
    [
      ['kept rows show the time of the answer', 'durationJson(nowMs - fromMs[hole]!)', 'durationJson(fromMs[hole]!)'],
      ['kept rows begin with their first hole', 'let hole = firstHole[start]!;', 'let hole = 0;'],
      ['a duration in a hole is escaped as one in a cell', 'text === INVALID ? INVALID_JSON : text', 'text'],
      ['only one form of rows is kept', "version === 'v1' && includeObject === 'Metadata' && ", ''],
    ],
  ),
  ...of(
    'src/serve/leaf-rows.ts',
    ['http/table-rows'],
    [['holes move with the rows that are copied', 'base.holes[hole]! + moved', 'base.holes[hole]!']],
  ),
];
