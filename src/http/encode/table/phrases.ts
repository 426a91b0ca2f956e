import { ageOf, type Elapsed } from './human-duration.js';
import { at, entries, items, type Json, text } from './json-path.js';

/** Pieces of cells that several kinds share (spec 10.1). */
export function age(object: Json): Elapsed | string {
  return ageOf(text(object, 'metadata.creationTimestamp'));
}

export function orElse(value: string, fallback: string): string {
  return value === '' ? fallback : value;
}

export function joined(values: readonly string[], fallback = ''): string {
  return values.length === 0 ? fallback : values.join(',');
}

export function annotation(object: Json, name: string): string | undefined {
  const annotations = at(object, 'metadata.annotations') as Record<string, string> | null | undefined;
  return annotations != null && Object.hasOwn(annotations, name) ? annotations[name] : undefined;
}

/** Marks the class that is taken when none is named. */
export function nameWithDefault(object: Json, ...annotations: string[]): string {
  const isDefault = annotations.some((name) => annotation(object, name) === 'true');
  return isDefault ? `${text(object, 'metadata.name')} (default)` : text(object, 'metadata.name');
}

/** `k=v` pairs sorted by key. */
export function labelPairs(object: Json, path: string): string {
  return joined(
    entries(object, path).map(([key, value]) => `${key}=${value}`),
    '<none>',
  );
}

/** What `selector` reads of a metav1.LabelSelector. */
export const SELECTOR = '{matchLabels matchExpressions{key operator values}}';

/** A metav1.LabelSelector in its canonical text: requirements sorted by key. */
export function selector(object: Json, path: string): string {
  const terms: { key: string; text: string }[] = entries(object, `${path}.matchLabels`).map(([key, value]) => ({
    key,
    text: `${key}=${value}`,
  }));
  for (const expression of items(object, `${path}.matchExpressions`)) {
    const key = text(expression, 'key');
    const values = items(expression, 'values').map(String).sort();
    switch (text(expression, 'operator')) {
      case 'In':
        terms.push({ key, text: `${key} in (${values.join(',')})` });
        break;
      case 'NotIn':
        terms.push({ key, text: `${key} notin (${values.join(',')})` });
        break;
      case 'Exists':
        terms.push({ key, text: key });
        break;
      case 'DoesNotExist':
        terms.push({ key, text: `!${key}` });
        break;
      default:
        return '<error>';
    }
  }
  terms.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return joined(
    terms.map((term) => term.text),
    '<none>',
  );
}

/** What the two functions below read of a PodTemplateSpec. */
export const CONTAINERS = 'spec{containers{name image}}';

export function containerNames(object: Json, podSpecPath: string): string {
  return items(object, `${podSpecPath}.containers`)
    .map((container) => text(container, 'name'))
    .join(',');
}

export function containerImages(object: Json, podSpecPath: string): string {
  return items(object, `${podSpecPath}.containers`)
    .map((container) => text(container, 'image'))
    .join(',');
}

/** `a,b,c + 2 more...` */
export function firstThree(values: readonly string[], fallback: string): string {
  if (values.length === 0) return fallback;
  const shown = values.slice(0, 3).join(',');
  return values.length > 3 ? `${shown} + ${values.length - 3} more...` : shown;
}

/** The status of a condition by type: `True`, `False`, `Unknown`, or '' when there is none. */
export function condition(object: Json, type: string): string {
  for (const entry of items(object, 'status.conditions')) {
    if (text(entry, 'type') === type) return text(entry, 'status');
  }
  return '';
}

/** True, False and unset of a nilable boolean. */
export function yesNo(object: Json, path: string): string {
  const value = at(object, path);
  return value === undefined || value === null ? '<unset>' : value === true ? 'True' : 'False';
}
