import { Document, isScalar, Scalar, visit } from 'yaml';
import { compareYamlKeys, goNumber } from '../api/go-yaml.js';
import { JsonNumber } from './json-parse.js';

/**
 * YAML as kubectl prints it: made from the JSON, members sorted by name, lists not indented. Strings
 * are quoted as Go's YAML does: double where YAML 1.1 would read something else (`"true"`, `"1.5"`),
 * single where a plain scalar cannot stand (`'a: b'`), literal blocks for several lines.
 */
export function toYaml(value: unknown): string {
  const document = new Document(plain(value), {
    version: '1.1',
    sortMapEntries: (a, b) => compareYamlKeys(textOf(a.key), textOf(b.key)),
    aliasDuplicateObjects: false,
    customTags: (tags) => [goNumber, ...tags],
  });
  // The version is for quoting only: a %YAML line is not what kubectl prints.
  document.directives = undefined as unknown as NonNullable<typeof document.directives>;
  visit(document, {
    Scalar(key, node) {
      if (typeof node.value !== 'string') return;
      const style = styleOf(node.value, key === 'key');
      if (style !== undefined) node.type = style;
    },
  });
  return document.toString({ indentSeq: false, lineWidth: 80, singleQuote: true, blockQuote: 'literal' });
}

/** What YAML 1.1 resolves to something that is not a string, as Go's resolver has it. */
const ambiguous = new RegExp(
  [
    '^(?:|~|null|Null|NULL|y|Y|n|N)$',
    '^(?:true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)$',
    '^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$',
    '^[-+]?(?:\\.[0-9]+|[0-9][0-9_]*(?:\\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$',
    '^(?:[-+]?\\.(?:inf|Inf|INF)|\\.(?:nan|NaN|NAN))$',
    '^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\\.[0-9_]*)?$',
    '^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?$',
  ].join('|'),
);

function styleOf(text: string, isKey: boolean): Scalar.Type | undefined {
  if (text === '=' || text === '<<') return Scalar.PLAIN;
  if (ambiguous.test(text)) return Scalar.QUOTE_DOUBLE;
  if (/[\p{Cc}\u2028\u2029\ufeff]/u.test(text.replaceAll('\n', ''))) return Scalar.QUOTE_DOUBLE;
  if (!text.includes('\n')) return undefined;
  // A block cannot say blanks before a line break, and says leading blanks only with an indicator.
  return isKey || /[ \t](?:\n|$)/.test(text) || /^\s/.test(text) ? Scalar.QUOTE_DOUBLE : Scalar.BLOCK_LITERAL;
}

function textOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

/** Numbers whose text matters become what they are worth; everything else is as it is. */
function plain(value: unknown): unknown {
  if (value instanceof JsonNumber) return value.valueOf();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
  }
  return value;
}
