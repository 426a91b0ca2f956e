import { compareUtf8 } from '../lib/bytes.js';
import { parseInt64, quoteGo } from './go-text.js';
import { type LabelToken, type LabelTokenType, lexLabelSelector } from './label-lexer.js';
import { labelKeyProblems, labelValueProblems } from './label-syntax.js';
import { type Parsed, parsed } from './parsed.js';

/** One ANDed term of a label selector (spec 6.1). */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';
  /** Sorted, without duplicates. */
  readonly values: readonly string[];
}

/**
 * Parses `a=b,c in (d,e),!f` with kube-apiserver's grammar and error texts. Terms come back ordered
 * by key, so that two spellings of one selector have one canonical text.
 */
export function parseLabelSelector(text: string): Parsed<readonly LabelRequirement[]> {
  try {
    return parsed(createParser(lexLabelSelector(text)).selector());
  } catch (error) {
    if (error instanceof SelectorSyntaxError) return { ok: false, message: error.message };
    throw error;
  }
}

/** Canonical text. */
export function formatLabelSelector(requirements: readonly LabelRequirement[]): string {
  return requirements.map(formatRequirement).join(',');
}

/** Does an object whose label `requirement.key` has this value (undefined: lacks it) match? */
export function matchesLabel(requirement: LabelRequirement, value: string | undefined): boolean {
  const { operator, values } = requirement;
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
    case 'lt':
      return value !== undefined && compares(operator, value, values[0]!);
  }
}

function compares(operator: 'gt' | 'lt', value: string, bound: string): boolean {
  const left = parseInt64(value);
  const right = parseInt64(bound);
  if (!left.ok || !right.ok) return false;
  return operator === 'gt' ? left.value > right.value : left.value < right.value;
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.join(',')})`;
    case 'gt':
      return `${key}>${values[0]}`;
    case 'lt':
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0]}`;
  }
}

class SelectorSyntaxError extends Error {}

const operators: Partial<Record<LabelTokenType, LabelRequirement['operator']>> = {
  in: 'in',
  '=': '=',
  '==': '==',
  '>': 'gt',
  '<': 'lt',
  notin: 'notin',
  '!=': '!=',
};

/** Recursive descent over the tokens; `in` and `notin` are plain identifiers except where an operator may stand. */
function createParser(tokens: readonly LabelToken[]) {
  let position = 0;
  const next = () => tokens[position++] ?? tokens.at(-1)!;
  const asValue = (token: LabelToken): LabelTokenType =>
    token.type === 'in' || token.type === 'notin' ? 'identifier' : token.type;
  const peek = () => tokens[position] ?? tokens.at(-1)!;
  const peekType = () => asValue(peek());
  const fail = (message: string): never => {
    throw new SelectorSyntaxError(message);
  };

  function selector(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const type = peekType();
      if (type === 'end') break;
      if (type !== 'identifier' && type !== '!') {
        fail(`found '${peek().literal}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(requirementOrFail());
      const separator = next();
      if (separator.type === 'end') break;
      if (separator.type !== ',') fail(`found '${separator.literal}', expected: ',' or 'end of string'`);
      if (peekType() !== 'identifier' && peekType() !== '!') {
        fail(`found '${peek().literal}', expected: identifier after ','`);
      }
    }
    return requirements.sort((a, b) => compareUtf8(a.key, b.key));
  }

  function requirementOrFail(): LabelRequirement {
    try {
      return requirement();
    } catch (error) {
      if (error instanceof SelectorSyntaxError) fail(`unable to parse requirement: ${error.message}`);
      throw error;
    }
  }

  function requirement(): LabelRequirement {
    let token = next();
    const absent = token.type === '!';
    if (absent) token = next();
    if (asValue(token) !== 'identifier') fail(`found '${token.literal}', expected: identifier`);
    const key = token.literal;
    const keyProblems = labelKeyProblems(key);
    if (keyProblems.length > 0) fail(`<nil>: Invalid value: ${quoteGo(key)}: ${keyProblems.join('; ')}`);
    if (absent) return { key, operator: '!', values: [] };
    if (peekType() === 'end' || peekType() === ',') return { key, operator: 'exists', values: [] };
    const operatorToken = next();
    const operator = operators[operatorToken.type];
    if (operator === undefined) {
      return fail(`found '${operatorToken.literal}', expected: in, notin, =, ==, !=, gt, lt`);
    }
    const values = operator === 'in' || operator === 'notin' ? set() : [exactValue()];
    checkValues(key, operator, values);
    return { key, operator, values };
  }

  function exactValue(): string {
    if (peekType() === 'end' || peekType() === ',') return '';
    const token = next();
    if (asValue(token) !== 'identifier') fail(`found '${token.literal}', expected: identifier`);
    return token.literal;
  }

  function set(): string[] {
    const open = next();
    if (open.type !== '(') fail(`found '${open.literal}' expected: '('`);
    const type = peekType();
    if (type === ')') {
      next();
      return [''];
    }
    if (type !== 'identifier' && type !== ',') fail(`found '${peek().literal}', expected: ',', ')' or identifier`);
    const values = new Set<string>();
    for (;;) {
      const token = next();
      if (asValue(token) === 'identifier') {
        values.add(token.literal);
        if (peekType() === ')') break;
        if (peekType() !== ',') fail(`found '${peek().literal}', expected: ',' or ')'`);
      } else if (token.type === ',') {
        if (values.size === 0) values.add(''); // "(,"
        if (peekType() === ')' || peekType() === ',') values.add(''); // ",)" and ",,"
        if (peekType() === ')') break;
      } else {
        fail(`found '${token.literal}', expected: ',', or identifier`);
      }
    }
    next(); // the closing parenthesis
    return [...values].sort(compareUtf8);
  }

  function checkValues(key: string, operator: LabelRequirement['operator'], values: readonly string[]): void {
    const problems: string[] = [];
    if ((operator === 'gt' || operator === 'lt') && !parseInt64(values[0]!).ok) {
      const rule = "for 'Gt', 'Lt' operators, the value must be an integer";
      problems.push(`values[0]: Invalid value: ${quoteGo(values[0]!)}: ${rule}`);
    }
    for (const [index, value] of values.entries()) {
      const valueProblems = labelValueProblems(value);
      if (valueProblems.length === 0) continue;
      problems.push(`values[${index}][${key}]: Invalid value: ${quoteGo(value)}: ${valueProblems.join('; ')}`);
    }
    const distinct = [...new Set(problems)];
    if (distinct.length > 0) fail(distinct.length === 1 ? distinct[0]! : `[${distinct.join(', ')}]`);
  }

  return { selector };
}
