import { memberOf, objectOf, objectText } from './autoscaler-json.js';
import { type JsonObject, type JsonValue, jsonText } from './json-parse.js';
import { canonicalQuantity, QuantityError } from './quantity.js';

/**
 * The metrics of an autoscaler as autoscaling/v1 writes them in annotations, from and to those of v2: targets and measured values
 * stand beside the name of a metric, where v2 has an object for each.
 */

/** Members of metrics, one for each type, in the order in which Go writes them. */
const TYPES = ['object', 'pods', 'resource', 'containerResource', 'external'] as const;
type Type = (typeof TYPES)[number];

const ZERO = '"0"';

export function specText(spec: JsonObject): string {
  return metricText(spec, 'target', {
    object: ({ describedObject, selector, name, value, averageValue }) => [
      ['target', describedObject],
      ['metricName', name],
      ['targetValue', value ?? ZERO],
      ['selector', selector],
      ['averageValue', averageValue],
    ],
    pods: ({ name, averageValue, selector }) => [
      ['metricName', name],
      ['targetAverageValue', averageValue ?? ZERO],
      ['selector', selector],
    ],
    resource: ({ resource, averageUtilization, averageValue }) => [
      ['name', resource],
      ['targetAverageUtilization', averageUtilization],
      ['targetAverageValue', averageValue],
    ],
    containerResource: ({ resource, averageUtilization, averageValue, container }) => [
      ['name', resource],
      ['targetAverageUtilization', averageUtilization],
      ['targetAverageValue', averageValue],
      ['container', container],
    ],
    external: ({ name, selector, value, averageValue }) => [
      ['metricName', name],
      ['metricSelector', selector],
      ['targetValue', value],
      ['targetAverageValue', averageValue],
    ],
  });
}

export function statusText(status: JsonObject): string {
  return metricText(status, 'current', {
    object: ({ describedObject, selector, name, value, averageValue }) => [
      ['target', describedObject],
      ['metricName', name],
      ['currentValue', value ?? ZERO],
      ['selector', selector],
      ['averageValue', averageValue],
    ],
    pods: ({ name, averageValue, selector }) => [
      ['metricName', name],
      ['currentAverageValue', averageValue ?? ZERO],
      ['selector', selector],
    ],
    resource: ({ resource, averageUtilization, averageValue }) => [
      ['name', resource],
      ['currentAverageUtilization', averageUtilization],
      ['currentAverageValue', averageValue ?? ZERO],
    ],
    containerResource: ({ resource, averageUtilization, averageValue, container }) => [
      ['name', resource],
      ['currentAverageUtilization', averageUtilization],
      ['currentAverageValue', averageValue ?? ZERO],
      ['container', container],
    ],
    external: ({ name, selector, value, averageValue }) => [
      ['metricName', name],
      ['metricSelector', selector],
      ['currentValue', value ?? ZERO],
      ['currentAverageValue', averageValue],
    ],
  });
}

/** JSON texts of what a metric of v2 has; undefined is absent. */
interface Texts {
  readonly describedObject: string | undefined;
  readonly resource: string | undefined;
  readonly container: string | undefined;
  readonly name: string | undefined;
  readonly selector: string | undefined;
  readonly value: string | undefined;
  readonly averageValue: string | undefined;
  readonly averageUtilization: string | undefined;
}

function metricText(
  metric: JsonObject,
  amounts: 'target' | 'current',
  members: Readonly<Record<Type, (texts: Texts) => readonly (readonly [name: string, text: string | undefined])[]>>,
): string {
  return objectText([
    ['type', jsonText(metric['type'])],
    ...TYPES.map((type) => {
      const source = objectOf(metric[type]);
      return [type, source === undefined ? undefined : objectText(members[type](textsOf(source, amounts)))] as const;
    }),
  ]);
}

function textsOf(source: JsonObject, amounts: 'target' | 'current'): Texts {
  const metric = objectOf(source['metric']);
  const amount = objectOf(source[amounts]);
  const textIn = (object: JsonObject | undefined, name: string) => {
    const value = object?.[name];
    return value === undefined || value === null ? undefined : jsonText(value);
  };
  return {
    describedObject: textIn(source, 'describedObject'),
    resource: textIn(source, 'name'),
    container: textIn(source, 'container'),
    name: textIn(metric, 'name'),
    selector: textIn(metric, 'selector'),
    value: textIn(amount, 'value'),
    averageValue: textIn(amount, 'averageValue'),
    averageUtilization: textIn(amount, 'averageUtilization'),
  };
}

/** What an autoscaler aims at that says nothing of metrics. */
export const DEFAULT_CPU_PERCENTAGE = 80;

/** The metric that v1 has a member for. */
export function cpuSpec(percentage: JsonValue): JsonObject {
  return {
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percentage } },
  };
}

export function cpuStatus(percentage: JsonValue): JsonObject {
  return { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: percentage } } };
}

/** An element of the annotation to a MetricSpec of v2. */
export function specOf(spec: JsonObject): JsonObject {
  return metricOf(spec, {
    object(source) {
      const averageValue = memberOf(source, 'averageValue');
      const value = memberOf(source, 'targetValue') ?? '0';
      const isAverage = averageValue !== undefined;
      // v1 always has a value; zero means none beside an average.
      return {
        ...named(source, 'selector'),
        describedObject: referenceOf(source),
        target: {
          type: isAverage ? 'AverageValue' : 'Value',
          ...(isAverage ? { averageValue } : {}),
          ...(isAverage && isZero(value) ? {} : { value }),
        },
      };
    },
    pods: (source) => ({
      ...named(source, 'selector'),
      target: { type: 'AverageValue', averageValue: memberOf(source, 'targetAverageValue') ?? '0' },
    }),
    resource: (source) => ({ ...resourceOf(source), target: resourceTarget(source) }),
    containerResource: (source) => ({
      ...resourceOf(source),
      container: memberOf(source, 'container') ?? '',
      target: resourceTarget(source),
    }),
    external(source) {
      const value = memberOf(source, 'targetValue');
      return {
        ...named(source, 'metricSelector'),
        target: {
          type: value === undefined ? 'AverageValue' : 'Value',
          ...present('value', value),
          ...present('averageValue', memberOf(source, 'targetAverageValue')),
        },
      };
    },
  });
}

/** An element of the annotation to a MetricStatus of v2. */
export function statusOf(status: JsonObject): JsonObject {
  return metricOf(status, {
    object: (source) => ({
      ...named(source, 'selector'),
      describedObject: referenceOf(source),
      current: {
        value: memberOf(source, 'currentValue') ?? '0',
        ...present('averageValue', memberOf(source, 'averageValue')),
      },
    }),
    pods: (source) => ({
      ...named(source, 'selector'),
      current: { averageValue: memberOf(source, 'currentAverageValue') ?? '0' },
    }),
    resource: (source) => ({ ...resourceOf(source), current: resourceCurrent(source) }),
    containerResource: (source) => ({
      ...resourceOf(source),
      container: memberOf(source, 'container') ?? '',
      current: resourceCurrent(source),
    }),
    external: (source) => ({
      ...named(source, 'metricSelector'),
      current: {
        value: memberOf(source, 'currentValue') ?? '0',
        ...present('averageValue', memberOf(source, 'currentAverageValue')),
      },
    }),
  });
}

function metricOf(metric: JsonObject, read: Readonly<Record<Type, (source: JsonObject) => JsonObject>>): JsonObject {
  const made: JsonObject = { type: memberOf(metric, 'type') ?? '' };
  for (const type of TYPES) {
    const source = memberOf(metric, type);
    if (source === undefined) continue;
    const object = objectOf(source);
    made[type] = object === undefined ? source : read[type](object);
  }
  return made;
}

function named(source: JsonObject, selector: string): JsonObject {
  return {
    metric: {
      name: memberOf(source, 'metricName') ?? '',
      ...present('selector', memberOf(source, selector)),
    },
  };
}

function referenceOf(source: JsonObject): JsonObject {
  const target = objectOf(memberOf(source, 'target')) ?? {};
  return {
    kind: memberOf(target, 'kind') ?? '',
    name: memberOf(target, 'name') ?? '',
    apiVersion: memberOf(target, 'apiVersion') ?? '',
  };
}

function resourceOf(source: JsonObject): JsonObject {
  return { name: memberOf(source, 'name') ?? '' };
}

function resourceTarget(source: JsonObject): JsonObject {
  const averageUtilization = memberOf(source, 'targetAverageUtilization');
  return {
    type: averageUtilization === undefined ? 'AverageValue' : 'Utilization',
    ...present('averageUtilization', averageUtilization),
    ...present('averageValue', memberOf(source, 'targetAverageValue')),
  };
}

function resourceCurrent(source: JsonObject): JsonObject {
  return {
    averageValue: memberOf(source, 'currentAverageValue') ?? '0',
    ...present('averageUtilization', memberOf(source, 'currentAverageUtilization')),
  };
}

function present(name: string, value: JsonValue | undefined): JsonObject {
  return value === undefined ? {} : { [name]: value };
}

function isZero(quantity: JsonValue): boolean {
  try {
    return /^0*(\.0*)?[A-Za-z]*$/.test(canonicalQuantity(String(quantity)));
  } catch (error) {
    if (error instanceof QuantityError) return false; // whoever encodes it says so
    throw error;
  }
}
