/** What filters of JSONPath compare by: `[?(@.port>80)]`. */
export const OPERATORS = ['==', '!=', '<', '<=', '>', '>='] as const;
export type Operator = (typeof OPERATORS)[number];

/**
 * As Go's templates compare: values of one type only, in which an integer is another type than a number with a fraction; whether one is less is
 * asked of numbers and texts. undefined: these cannot be compared.
 */
export function compareValues(left: unknown, operator: Operator, right: unknown): boolean | undefined {
  const type = typeOf(left);
  if (type === undefined || type !== typeOf(right)) return undefined;
  const [a, b] = [plainValue(left) as number, plainValue(right) as number];
  if (operator === '==' || operator === '!=') return areEqual(type, a, b) === (operator === '==');
  if (type === 'boolean') return undefined;
  switch (operator) {
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}

/** A number that was written with a fraction in a path: `1.0` is not the integer 1. */
export class FloatLiteral {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export function plainValue(value: unknown): unknown {
  return value instanceof FloatLiteral ? value.value : value;
}

/** A bigint is never `===` a number. */
function areEqual(type: string, a: number | bigint, b: number | bigint): boolean {
  return type === 'integer' ? BigInt(a) === BigInt(b) : a === b;
}

const INT64 = 2 ** 63;

function typeOf(value: unknown): 'boolean' | 'string' | 'integer' | 'float' | undefined {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'bigint') return 'integer';
  if (value instanceof FloatLiteral) return 'float';
  if (typeof value !== 'number') return undefined;
  return Number.isInteger(value) && value >= -INT64 && value < INT64 ? 'integer' : 'float';
}
