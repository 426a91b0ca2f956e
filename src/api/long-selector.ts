import type { FieldRequirement } from './field-selector.js';
import { parseInt64 } from './go-text.js';
import type { LabelRequirement } from './label-selector.js';

/**
 * Selectors of many terms, of which a head has room for a hundred thousand. Term by term, each object would cost what the
 * selector is long; here it costs what its labels are, and what is asked of one label is a look-up or two.
 *
 * The tests say what `matchesLabel` and `matchesField` say of all terms.
 */
const SHORT = 16;

/** Whether it is worth it: a few terms are faster one by one. */
export function isLong(requirements: readonly { readonly values?: readonly string[] }[]): boolean {
  let count = 0;
  for (const { values } of requirements) count += 1 + (values?.length ?? 0);
  return count > SHORT;
}

/** What all terms about one label or field say of its value. */
export class Condition {
  #allowed: ReadonlySet<string> | undefined;
  readonly #excluded = new Set<string>();
  #above: bigint | undefined;
  #below: bigint | undefined;

  allow(values: readonly string[]): void {
    const before = this.#allowed;
    this.#allowed = new Set(before === undefined ? values : values.filter((value) => before.has(value)));
  }

  exclude(values: readonly string[]): void {
    for (const value of values) this.#excluded.add(value);
  }

  /** Of texts that are whole numbers. */
  bound(operator: 'gt' | 'lt', text: string): void {
    const bound = parseInt64(text);
    if (!bound.ok) this.allow([]);
    else if (operator === 'gt') this.#above = max(this.#above, bound.value);
    else this.#below = this.#below === undefined || bound.value < this.#below ? bound.value : this.#below;
  }

  holds(value: string): boolean {
    if (this.#allowed?.has(value) === false || this.#excluded.has(value)) return false;
    if (this.#above === undefined && this.#below === undefined) return true;
    const number = parseInt64(value);
    if (!number.ok) return false;
    return (
      (this.#above === undefined || number.value > this.#above) &&
      (this.#below === undefined || number.value < this.#below)
    );
  }
}

function max(a: bigint | undefined, b: bigint): bigint {
  return a === undefined || b > a ? b : a;
}

/** Of all labels of an object. */
export function labelTest(requirements: readonly LabelRequirement[]): (labels: ReadonlyMap<string, string>) => boolean {
  const conditions = new Map<string, Condition>();
  const demanded = new Set<string>();
  for (const { key, operator, values } of requirements) {
    let condition = conditions.get(key);
    if (condition === undefined) conditions.set(key, (condition = new Condition()));
    switch (operator) {
      case '=':
      case '==':
      case 'in':
        condition.allow(values);
        break;
      case '!=':
      case 'notin':
        condition.exclude(values);
        continue;
      case '!':
        condition.allow([]);
        continue;
      case 'gt':
      case 'lt':
        condition.bound(operator, values[0]!);
        break;
      case 'exists':
        break;
    }
    demanded.add(key);
  }
  return (labels) => {
    let found = 0;
    for (const [key, value] of labels) {
      if (conditions.get(key)?.holds(value) === false) return false;
      if (demanded.has(key)) found++;
    }
    return found === demanded.size;
  };
}

/** By field. A field that is absent compares as ''. */
export function fieldConditions(requirements: readonly FieldRequirement[]): ReadonlyMap<string, Condition> {
  const conditions = new Map<string, Condition>();
  for (const { field, operator, value, values = [] } of requirements) {
    let condition = conditions.get(field);
    if (condition === undefined) conditions.set(field, (condition = new Condition()));
    switch (operator) {
      case '=':
      case '==':
        condition.allow([value]);
        break;
      case '!=':
        condition.exclude([value]);
        break;
      case 'in':
        condition.allow(values);
        break;
      case 'notin':
        condition.exclude(values);
        break;
      case 'exists':
        condition.exclude(['']);
        break;
      case '!':
        condition.allow(['']);
        break;
    }
  }
  return conditions;
}
