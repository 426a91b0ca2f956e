import { parseExtendedFieldSelector } from './extended-field-selector.js';
import { type FieldRequirement, parseFieldSelector } from './field-selector.js';
import { parseInt64 } from './go-text.js';
import { type LabelRequirement, parseLabelSelector } from './label-selector.js';
import { type Parsed, parsed, unparsable } from './parsed.js';
import { decodeQuery } from './query.js';

/** metav1.ListOptions after decoding, before validation: what the query says, nothing decided (spec 2.1). */
export interface ListOptions {
  readonly watch: boolean;
  readonly labelSelector: readonly LabelRequirement[];
  readonly fieldSelector: readonly FieldRequirement[];
  /** '' when absent. */
  readonly resourceVersion: string;
  /** '' when absent. */
  readonly resourceVersionMatch: string;
  /** 0: no limit. */
  readonly limit: number;
  /** '' when absent. */
  readonly continue: string;
  readonly timeoutSeconds: bigint | undefined;
  readonly allowWatchBookmarks: boolean;
  /** undefined: absent. */
  readonly sendInitialEvents: boolean | undefined;
  /** As written, since it means nothing while its feature gate is off (spec 6.3); '' when absent. */
  readonly shardSelector: string;
}

/** Extensions of the query, which kube-apiserver refuses. */
export interface ListSyntax {
  /** `in`, `notin`, presence on field selectors (extended-field-selector.ts). */
  readonly extendedFieldSelectors?: boolean;
}

/**
 * Decodes the raw query string of a LIST or WATCH (without the question mark), or the parameters
 * that `decodeQuery` made of it. The message of the first malformed parameter is kube-apiserver's
 * own and answers 400; numbers are looked at before selectors, as there.
 */
export function parseListOptions(
  query: string | ReadonlyMap<string, string>,
  syntax: ListSyntax = {},
): Parsed<ListOptions> {
  const parameters = typeof query === 'string' ? decodeQuery(query) : query;
  const text = (name: string) => parameters.get(name) ?? '';
  const timeout = parameters.get('timeoutSeconds');
  const timeoutSeconds = timeout === undefined ? undefined : parseInt64(timeout);
  if (timeoutSeconds !== undefined && !timeoutSeconds.ok) return timeoutSeconds;
  const limit = parseInt64(parameters.get('limit') ?? '0');
  if (!limit.ok) return limit;
  const labelSelector = parseLabelSelector(text('labelSelector'));
  if (!labelSelector.ok) return labelSelector;
  const parseFields = syntax.extendedFieldSelectors === true ? parseExtendedFieldSelector : parseFieldSelector;
  const fieldSelector = parseFields(text('fieldSelector'));
  if (!fieldSelector.ok) return fieldSelector;
  const parts = partsOf(labelSelector.value) + partsOf(fieldSelector.value);
  if (parts > SELECTOR_PARTS_MAX) {
    return unparsable(`the selectors have ${parts} terms and values; at most ${SELECTOR_PARTS_MAX} are accepted`);
  }
  return parsed({
    watch: parseBool(parameters.get('watch')) ?? false,
    labelSelector: labelSelector.value,
    fieldSelector: fieldSelector.value,
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
    limit: Math.max(0, Math.min(Number(limit.value), Number.MAX_SAFE_INTEGER)),
    continue: text('continue'),
    timeoutSeconds: timeoutSeconds?.value,
    allowWatchBookmarks: parseBool(parameters.get('allowWatchBookmarks')) ?? false,
    sendInitialEvents: parseBool(parameters.get('sendInitialEvents')),
    shardSelector: text('shardSelector'),
  });
}

/** A watch keeps its selectors; of a megabyte of text they would take fifteen. kube-apiserver has no such bound. */
const SELECTOR_PARTS_MAX = 10_000;

function partsOf(terms: readonly { readonly values?: readonly string[] }[]): number {
  return terms.reduce((count, { values }) => count + 1 + (values?.length ?? 0), 0);
}

/** No value of a boolean parameter is malformed: all but `0` and `false` are true, the empty one too. */
function parseBool(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : value !== '0' && value.toLowerCase() !== 'false';
}
