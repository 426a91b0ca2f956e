import { type FieldRequirement, parseFieldSelector } from '../api/field-selector.js';
import { quoteGo } from '../api/go-text.js';
import { formatLabelSelector, type LabelRequirement, parseLabelSelector } from '../api/label-selector.js';
import type { ResourceAttributes } from '../auth/attributes.js';
import { isObject, textMember } from '../lib/is-object.js';

type Json = Readonly<Record<string, unknown>>;

/** What the spec of an access review says about selectors. */
export interface ReviewSelectors {
  readonly selected: Pick<ResourceAttributes, 'fields' | 'labelSelector'>;
  /** What of them does not count, since it does not parse: without it more is asked for, not less. */
  readonly problems: readonly string[];
}

/** Of `resourceAttributes`; a text: what is wrong with the review. */
export function readSelectors(attributes: Json): ReviewSelectors | string {
  const fields = read(attributes, 'fieldSelector', parseFieldSelector, fieldRequirement);
  if (typeof fields === 'string') return fields;
  const labels = read(attributes, 'labelSelector', parseLabelSelector, labelRequirement);
  if (typeof labels === 'string') return labels;
  return {
    selected: {
      ...(fields.counting.length === 0 ? {} : { fields: fields.counting }),
      ...(labels.counting.length === 0 ? {} : { labelSelector: formatLabelSelector(labels.counting) }),
    },
    problems: [...fields.problems, ...labels.problems],
  };
}

interface Selector<T> {
  readonly counting: readonly T[];
  readonly problems: readonly string[];
}

function read<T>(
  attributes: Json,
  name: 'fieldSelector' | 'labelSelector',
  parse: (text: string) => { readonly ok: true; readonly value: readonly T[] } | { readonly ok: false },
  requirementOf: (expression: Json) => T | undefined,
): Selector<T> | string {
  const selector = attributes[name];
  if (!isObject(selector)) return { counting: [], problems: [] };
  const where = `spec.resourceAttributes.${name}`;
  const raw = textMember(selector, 'rawSelector');
  const { requirements } = selector;
  const expressions = Array.isArray(requirements) ? requirements.filter(isObject) : [];
  if (raw !== '' && expressions.length > 0) {
    return `${where}.rawSelector: Invalid value: ${quoteGo(raw)}: may not specified at the same time as requirements`;
  }
  if (raw === '' && expressions.length === 0) {
    return `${where}.requirements: Required value: when ${where} is specified, requirements or rawSelector is required`;
  }
  const ignored = `${where} ignored due to parse error`;
  if (raw !== '') {
    const parsed = parse(raw);
    return parsed.ok ? { counting: parsed.value, problems: [] } : { counting: [], problems: [ignored] };
  }
  const counting = expressions.map(requirementOf).filter((one) => one !== undefined);
  if (counting.length === expressions.length) return { counting, problems: [] };
  return {
    counting,
    problems: [counting.length === 0 ? ignored : `${where} partially ignored due to parse error`],
  };
}

function valuesOf({ values }: Json): readonly string[] {
  return Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
}

/** One value, as kube-apiserver's own field selectors have it. */
function fieldRequirement(expression: Json): FieldRequirement | undefined {
  const name = textMember(expression, 'operator');
  const operator = name === 'In' ? '=' : name === 'NotIn' ? '!=' : undefined;
  const [value, ...others] = valuesOf(expression);
  if (operator === undefined || value === undefined || others.length > 0) return undefined;
  return { field: textMember(expression, 'key'), operator, value };
}

const OPERATORS: Readonly<Record<string, LabelRequirement['operator'] | undefined>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
};

/** undefined: it could not be written as text either. */
function labelRequirement(expression: Json): LabelRequirement | undefined {
  const operator = OPERATORS[textMember(expression, 'operator')];
  if (operator === undefined) return undefined;
  const values = valuesOf(expression);
  if ((operator === 'in' || operator === 'notin') !== values.length > 0) return undefined;
  const parsed = parseLabelSelector(formatLabelSelector([{ key: textMember(expression, 'key'), operator, values }]));
  const [requirement, ...others] = parsed.ok ? parsed.value : [];
  return others.length === 0 && requirement?.key === expression['key'] ? requirement : undefined;
}
