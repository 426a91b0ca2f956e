import { type FieldRequirement, parseFieldSelector } from '../api/field-selector.js';
import { quoteGo } from '../api/go-text.js';
import { formatLabelSelector, type LabelRequirement, parseLabelSelector } from '../api/label-selector.js';
import type { StatusCause } from '../api/status.js';
import type { ResourceAttributes } from '../auth/attributes.js';
import { isObject, textMember } from '../lib/is-object.js';
import { forbiddenValue, invalid, required } from './review-problems.js';

type Json = Readonly<Record<string, unknown>>;

/** What the spec of an access review says about selectors. */
export interface ReviewSelectors {
  readonly selected: Pick<ResourceAttributes, 'fields' | 'labelSelector'>;
  /** What of them does not count, since it does not parse: without it more is asked for, not less. */
  readonly problems: readonly string[];
  /** Why the review is refused. */
  readonly causes: readonly StatusCause[];
}

/** Of `resourceAttributes`. */
export function readSelectors(attributes: Json): ReviewSelectors {
  const fields = read(attributes, 'fieldSelector', parseFieldSelector, fieldRequirement);
  const labels = read(attributes, 'labelSelector', parseLabelSelector, labelRequirement);
  return {
    selected: {
      ...(fields.counting.length === 0 ? {} : { fields: fields.counting }),
      ...(labels.counting.length === 0 ? {} : { labelSelector: formatLabelSelector(labels.counting) }),
    },
    problems: [...fields.problems, ...labels.problems],
    causes: [...fields.causes, ...labels.causes],
  };
}

interface Selector<T> extends Pick<ReviewSelectors, 'problems' | 'causes'> {
  readonly counting: readonly T[];
}

function read<T>(
  attributes: Json,
  name: 'fieldSelector' | 'labelSelector',
  parse: (text: string) => { readonly ok: true; readonly value: readonly T[] } | { readonly ok: false },
  requirementOf: (expression: Json) => T | undefined,
): Selector<T> {
  const selector = attributes[name];
  if (!isObject(selector)) return NONE;
  const where = `spec.resourceAttributes.${name}`;
  const raw = textMember(selector, 'rawSelector');
  const { requirements } = selector;
  const expressions = Array.isArray(requirements) ? requirements.filter(isObject) : [];
  const causes = expressions.flatMap((one, index) => problemsOf(one, `${where}.requirements[${index}]`, name));
  if (raw !== '' && expressions.length > 0) {
    const twice = invalid(`${where}.rawSelector`, quoteGo(raw), 'may not specified at the same time as requirements');
    return { ...NONE, causes: [twice, ...causes] };
  }
  if (raw === '' && expressions.length === 0) {
    const message = `when ${where} is specified, requirements or rawSelector is required`;
    return { ...NONE, causes: [required(`${where}.requirements`, message)] };
  }
  const ignored = `${where} ignored due to parse error`;
  if (raw !== '') {
    const parsed = parse(raw);
    return parsed.ok ? { ...NONE, counting: parsed.value } : { ...NONE, problems: [ignored] };
  }
  const counting = expressions.map(requirementOf).filter((one) => one !== undefined);
  if (counting.length === expressions.length) return { counting, problems: [], causes };
  return {
    counting,
    problems: [counting.length === 0 ? ignored : `${where} partially ignored due to parse error`],
    causes,
  };
}

const NONE = { counting: [], problems: [], causes: [] };

/** Operators that are not known may be of a newer client: what they require does not count, and is no reason to refuse. */
function problemsOf(expression: Json, where: string, of: 'fieldSelector' | 'labelSelector'): StatusCause[] {
  const operator = textMember(expression, 'operator');
  const count = valuesOf(expression).length;
  const causes: StatusCause[] = [];
  if (of === 'fieldSelector' && textMember(expression, 'key') === '') {
    causes.push(required(`${where}.key`, 'must be specified'));
  }
  if (/^(Not)?In$/.test(operator) && count === 0) {
    causes.push(required(`${where}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
  }
  if (/^(Exists|DoesNotExist)$/.test(operator) && count > 0) {
    const message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    causes.push(forbiddenValue(`${where}.values`, message));
  }
  return causes;
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
