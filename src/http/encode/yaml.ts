import { createRequire } from 'node:module';
import type { Pair, Scalar, Tags } from 'yaml';
import { compareYamlKeys, goNumber } from '../../api/go-yaml.js';
import type { ListBody, ListDocument } from './document.js';
import { isNull } from './json.js';
import { BufferWriter, writeText } from './writer.js';

/** Loaded when the first YAML is asked for: few clients do, and it takes a tenth of a start's modules. */
let library: typeof import('yaml') | undefined;
function yamlLibrary(): typeof import('yaml') {
  library ??= createRequire(import.meta.url)('yaml') as typeof import('yaml');
  return library;
}

/** For all that reads or writes as Go does: the library's tags, without a dot as a number. */
export function goTags(tags: Tags): Tags {
  return tags.map(withoutDot);
}

/** As sigs.k8s.io/yaml: keys sorted, sequences not indented, nothing folded. */
const style = {
  version: '1.1',
  sortMapEntries: (a: Pair, b: Pair) => compareYamlKeys(keyText(a), keyText(b)),
  aliasDuplicateObjects: false,
  indentSeq: false,
  lineWidth: 0,
  customTags: (tags: Tags) => [goNumber, ...goTags(tags)],
} as const;

function keyText({ key }: Pair): string {
  return String((key as Scalar).value);
}

/** YAML 1.1 has it that a dot alone is a number; to Go's library it is text, so that keys of managedFields have no quotes. */
function withoutDot(tag: Tags[number]): Tags[number] {
  if (typeof tag === 'string' || !(tag.test?.test('.') ?? false)) return tag;
  return { ...tag, test: new RegExp(`(?!^\\.$)${tag.test!.source}`, tag.test!.flags) } as typeof tag;
}

/** Every string and every number of a JSON text. */
const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/g;
/** An integer that a JavaScript number may not hold exactly. */
const longInteger = /^-?[0-9]{16,}$/;
const INTEGER_MARK = '\u0000integer:';

/** Line breaks to a reader of YAML 1.1, such as kubectl; and the byte order mark, which it drops. As Go escapes them. */
const ESCAPES: Readonly<Record<string, string>> = {
  ...{ '\u0085': '\\N', '\u2028': '\\L', '\u2029': '\\P', '\ufeff': '\\uFEFF' },
};
const breaksForOthers = /[\u0085\u2028\u2029\ufeff]/;
const everyBreakForOthers = new RegExp(breaksForOthers, 'g');

export function yamlOf(value: unknown): string {
  const text = yamlLibrary().stringify(value, style);
  return breaksForOthers.test(text) ? escaped(value) : text;
}

/** The library knows the line breaks of YAML 1.2 only: text with others is quoted, and they are escaped. */
function escaped(value: unknown): string {
  const { Document, Scalar, visit } = yamlLibrary();
  const document = new Document(value, style);
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value === 'string' && breaksForOthers.test(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document.toString(style).replace(everyBreakForOthers, (character) => ESCAPES[character]!);
}

/** JSON text as YAML; 64-bit integers stay exact. */
export function jsonToYaml(json: string): string {
  return yamlOf(parseExact(json));
}

function parseExact(json: string): unknown {
  let exact = true;
  const marked = json.replace(stringOrNumber, (token) => {
    if (!longInteger.test(token)) return token;
    exact = false;
    return JSON.stringify(`${INTEGER_MARK}${token}`);
  });
  if (exact) return JSON.parse(json);
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(INTEGER_MARK) ? BigInt(value.slice(INTEGER_MARK.length)) : value,
  );
}

/** Members sorted around the items, as the keys of the whole document would be. Resolves to false when the client is gone. */
export async function writeYamlList(list: ListDocument, body: ListBody): Promise<boolean> {
  const members = Object.entries({ ...list.members, ...list.after });
  const part = (wanted: (key: string) => boolean) => {
    const chosen = members.filter(([key]) => wanted(key));
    return chosen.length === 0 ? '' : yamlOf(Object.fromEntries(chosen));
  };
  writeText(
    body,
    part((key) => key < list.itemsKey),
  );
  writeText(body, `${list.itemsKey}:${isNull(list) ? ' null' : list.count === 0 ? ' []' : ''}\n`);
  const piece = new BufferWriter(16 * 2 ** 10);
  for (let index = 0; index < list.count; index++) {
    piece.position = 0;
    list.item(index, piece);
    writeText(body, asSequenceItem(jsonToYaml(piece.written().toString('utf8'))));
    if (body.due() && !(await body.flush())) return false;
  }
  writeText(
    body,
    part((key) => key > list.itemsKey),
  );
  return true;
}

/** `- ` in front of the first line, two spaces in front of the others; block scalars stay as they are relative to it. */
function asSequenceItem(yaml: string): string {
  return `- ${yaml.replace(/\n$/, '').replaceAll(/\n(?!\n|$)/g, '\n  ')}\n`;
}
