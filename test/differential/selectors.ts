import type { Random } from '../../src/lib/random.js';
import type { KindUnderTest } from './world.js';

const labelKeys = [
  'app',
  'tier',
  'version',
  'pod-template-hash',
  'kubernetes.io/os',
  'missing',
  'kubernetes.io/metadata.name',
];
const labelValues = ['app-01', 'app-17', 'frontend', 'backend', 'batch', 'v2.1', 'v1.20', 'linux', 'team-01', '', '7'];

/** A label selector: mostly well formed, often with odd spacing, sometimes a soup of its tokens. */
export function labelSelector(random: Random): string {
  if (random.chance(0.12)) return soup(random, labelTokens);
  const terms = Array.from({ length: 1 + random.int(3) }, () => labelTerm(random));
  const joined = terms.join(random.pick([',', ',', ', ', ' ,']));
  return random.chance(0.08) ? mutate(random, joined) : joined;
}

function labelTerm(random: Random): string {
  const key = random.pick(labelKeys);
  const value = () => random.pick(labelValues);
  const values = () => Array.from({ length: random.int(4) }, value).join(random.pick([',', ', ']));
  return random.pick([
    () => `${key}=${value()}`,
    () => `${key}==${value()}`,
    () => `${key} = ${value()}`,
    () => `${key}!=${value()}`,
    () => `${key} in (${values()})`,
    () => `${key} notin (${values()})`,
    () => `${key} in(${value()})`,
    () => `${key} in ( ${value()} , ${value()} )`,
    () => key,
    () => `!${key}`,
    () => `! ${key}`,
    () => `${key}>${random.int(30)}`,
    () => `${key} < ${random.int(30)}`,
    () => `${key}>-5`,
  ])();
}

const labelTokens = [
  ...[
    'a',
    'app',
    'in',
    'notin',
    '=',
    '==',
    '!=',
    '!',
    '>',
    '<',
    '(',
    ')',
    ',',
    ' ',
    '\t',
    '\n',
    'x/y',
    'x/',
    '/y',
    'a/b/c',
  ],
  ...[
    '-a',
    'a-',
    'A.b',
    '_',
    '.',
    '1',
    '007',
    'é',
    '"',
    "'",
    '\\',
    '\u0000',
    '<script>',
    '&',
    `${'x'.repeat(64)}`,
    'exists',
  ],
  ...[`${'d.'.repeat(127)}dd/k`, '===', '=>', 'gt', 'lt', '%', '\u2028', '\u{1f600}', '\r'],
];

/** A field selector over what both servers know, or malformed. */
export function fieldSelector(random: Random, kind: KindUnderTest): string {
  if (kind.defaultFields !== true && random.chance(0.1)) return soup(random, fieldTokens);
  const terms = Array.from({ length: random.chance(0.7) ? 1 : 2 }, () => fieldTerm(random, kind));
  const joined = terms.join(',');
  return kind.defaultFields !== true && random.chance(0.06) ? mutateField(random, joined) : joined;
}

function fieldTerm(random: Random, kind: KindUnderTest): string {
  const operator = random.pick(['=', '=', '==', '!=']);
  const object = random.pick(kind.objects);
  const choice = random.float();
  if (choice < 0.35)
    return `metadata.name${operator}${random.chance(0.85) ? object.name : random.pick(['missing', '', 'a\\,b', 'a/b', '..', '%'])}`;
  if (choice < 0.6) return `metadata.namespace${operator}${object.namespace ?? random.pick(['', 'team-01'])}`;
  const fields = Object.entries(kind.fields);
  if (choice < 0.92 && fields.length > 0) {
    const [field, values] = random.pick(fields);
    return `${field}${operator}${random.pick(values)}`;
  }
  if (kind.defaultFields === true) return random.pick(['metadata.name', 'metadata.name=a=b', 'metadata.name=\\x']);
  return `${random.pick(['spec.color', 'metadata.uid', 'Metadata.name', '', 'metadata.labels.app'])}${operator}x`;
}

const fieldTokens = [
  'metadata.name',
  'metadata.namespace',
  '=',
  '==',
  '!=',
  '!',
  ',',
  '\\',
  '\\,',
  '\\=',
  '\\\\',
  ' ',
  'x',
  'é',
  '"',
  '<',
];

function soup(random: Random, tokens: readonly string[]): string {
  return Array.from({ length: 1 + random.int(6) }, () => random.pick(tokens)).join('');
}

/** One character removed, doubled or replaced. */
export function mutate(random: Random, text: string, alphabet = 'a=!,()<> -_./"'): string {
  if (text === '') return random.pick([...alphabet]);
  const at = random.int(text.length);
  const replacement = random.pick(['', `${text[at]}${text[at]}`, random.pick([...alphabet])]);
  return text.slice(0, at) + replacement + text.slice(at + 1);
}

/** A mutated field name may become one that only kube-apiserver knows; keep the names, break the rest. */
function mutateField(random: Random, text: string): string {
  return text + random.pick(['=', '\\', '\\x', '!', ' ', '==', ',', ',,']);
}
