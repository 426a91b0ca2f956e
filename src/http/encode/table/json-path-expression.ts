import { isObject } from '../../../lib/is-object.js';
import { compareValues, FloatLiteral, OPERATORS, type Operator, plainValue } from './json-path-compare.js';

/**
 * JSONPath as `additionalPrinterColumns` use it, without the braces: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`,
 * `.spec.ports[*].port`, `.metadata.annotations.a\.b`, `['a','b']`, `[-1]`, `[0:2]`, `..image`.
 *
 * The grammar is that of client-go's jsonpath, and so is what cannot be evaluated: an index out of bounds, a list that is none, a comparison of
 * unlike values. All of these make the whole result `undefined`, also where other values of a wildcard would have been found.
 */
export type JsonPath = (value: unknown) => readonly unknown[] | undefined;

/** From values to those that they lead to; undefined: it cannot be evaluated. */
type Step = (values: readonly unknown[]) => readonly unknown[] | undefined;

/** Throws SyntaxError for what is no path. */
export function compileJsonPath(path: string): JsonPath {
  const walk = chain(new PathReader(path).steps());
  return (value) => walk([value])?.map(plainValue);
}

function chain(steps: readonly Step[]): Step {
  return (values) => {
    let found: readonly unknown[] | undefined = values;
    for (const step of steps) {
      found = step(found);
      if (found === undefined) return undefined;
    }
    return found;
  };
}

function member(name: string): Step {
  return (values) => values.flatMap((value) => (isObject(value) && Object.hasOwn(value, name) ? [value[name]] : []));
}

function childrenOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
}

const everything: Step = (values) => values.flatMap(childrenOf);

/** The values that have something in them, and all such that are in these. */
const descendants: Step = (values) => values.flatMap(within);
function within(value: unknown): readonly unknown[] {
  const children = childrenOf(value);
  return children.length === 0 ? [] : [value, ...children.flatMap(within)];
}

const same =
  (value: unknown): Step =>
  (values) =>
    values.map(() => value);

const text =
  (value: string): Step =>
  () => [value];

const impossible: Step = () => undefined;

/** `[from:to:by]`; `[3]` is from 3 to behind it, and `[]` is the first. */
function slice(from: number | undefined, to: number | undefined, by: number | undefined, isIndex: boolean): Step {
  return (values) => {
    const found: unknown[] = [];
    for (const value of values) {
      if (value === null) continue;
      if (!Array.isArray(value)) return undefined;
      const { length } = value;
      let start = from ?? 0;
      if (start < 0) start += length;
      let end = isIndex ? (from ?? 0) + 1 : (to ?? length);
      if (end < 0 || (end === 0 && isIndex)) end += length;
      if (start === end) return found;
      if (start < 0 || start >= length || end > length || end < start) return undefined;
      if (by !== undefined && by <= 0) return undefined;
      for (let index = start; index < end; index += by ?? 1) found.push(value[index]);
    }
    return found;
  };
}

function union(parts: readonly Step[]): Step {
  return (values) => {
    const found: unknown[] = [];
    for (const part of parts) {
      const more = part(values);
      if (more === undefined) return undefined;
      found.push(...more);
    }
    return found;
  };
}

/** Elements that have a value at a path, whatever it is; one that cannot be evaluated counts as there. */
const having =
  (path: Step): Step =>
  (values) =>
    filtered(values, (element) => path([element])?.length !== 0);

const comparing = (left: Step, operator: string, right: Step): Step => {
  const known = OPERATORS.find((one) => one === operator);
  return (values) => filtered(values, (element) => holds(left([element]), known, right([element])));
};

function holds(
  left: readonly unknown[] | undefined,
  operator: Operator | undefined,
  right: readonly unknown[] | undefined,
): boolean | undefined {
  if (left === undefined) return undefined;
  if (left.length === 0) return false;
  if (left.length > 1 || right === undefined) return undefined;
  if (right.length === 0) return false;
  return right.length > 1 || operator === undefined ? undefined : compareValues(left[0], operator, right[0]);
}

function filtered(
  lists: readonly unknown[],
  isWanted: (element: unknown) => boolean | undefined,
): readonly unknown[] | undefined {
  const found: unknown[] = [];
  for (const list of lists) {
    if (!Array.isArray(list)) return undefined;
    for (const element of list) {
      const wanted = isWanted(element);
      if (wanted === undefined) return undefined;
      if (wanted) found.push(element);
    }
  }
  return found;
}

/** Behind these a name ends, unless a backslash stands in front. */
const NAME = /(?:\\[\s\S]|[^\\ \t\r\n.,[\]$@{}])*/y;
const WORD = /[^ \t\r\n.,[\]$@{}]+/y;
const NUMBER = /[+-]?[0-9.]*/y;
const BRACKET = /([^\]\n]*)\]/y;
const KEY = /^'([^']*)'$/;
const SLICE = /^(-?\d*)(:-?\d*)?(:-?\d*)?$/;
const COMPARISON = /^([^!<>=]+)([!<>=]+)(.+)$/;
const START_OF_WORD = /[\p{L}\p{Nd}_]/uy;

class PathReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  steps(): Step[] {
    const steps: Step[] = [];
    let isRecursive = false;
    while (this.#at < this.#text.length) {
      const wasRecursive: boolean = isRecursive;
      isRecursive = false;
      if (this.#take('[?(')) steps.push(this.#filter());
      else if (this.#take('..')) {
        if (wasRecursive) this.#fail();
        steps.push(descendants);
        isRecursive = !this.#is(START_OF_WORD);
        if (!isRecursive) steps.push(this.#name());
      } else if (this.#take(' ') || this.#take('@') || this.#take('$')) isRecursive = wasRecursive;
      else if (this.#take('[')) steps.push(...this.#bracket());
      else if (this.#is(/["']/y)) steps.push(text(this.#quoted()));
      else if (this.#take('.')) steps.push(this.#name());
      else if (this.#is(/[+\-\d]/y)) steps.push(same(this.#number()));
      else if (this.#is(START_OF_WORD)) steps.push(this.#word());
      else this.#fail();
    }
    return steps;
  }

  #name(): Step {
    const [name] = this.#match(NAME);
    return name === '*' ? everything : member(name.replaceAll('\\', ''));
  }

  /** Keywords of templates mean nothing in a column. */
  #word(): Step {
    const [word] = this.#match(WORD);
    return word === 'true' || word === 'false' ? same(word === 'true') : impossible;
  }

  #number(): number | FloatLiteral {
    const [digits] = this.#match(NUMBER);
    if (/^[+-]?\d+$/.test(digits)) return Number(digits);
    return /^[+-]?\d+\.\d*$/.test(digits) ? new FloatLiteral(Number(digits)) : this.#fail();
  }

  #quoted(): string {
    const quote = this.#text[this.#at]!;
    const [, content] = this.#match(quote === "'" ? /'((?:\\[\s\S]|[^'\\\n])*)'/y : /"((?:\\[\s\S]|[^"\\\n])*)"/y);
    return content!.replace(/\\(.)/g, '$1');
  }

  #bracket(): readonly Step[] {
    const [, inside] = this.#match(BRACKET);
    const content = inside === '*' ? ':' : inside!;
    const parts = content.split(',');
    if (parts.length > 1) {
      return [union(parts.map((part) => chain(new PathReader(`[${part.replace(/^ +| +$/g, '')}]`).steps())))];
    }
    const key = KEY.exec(content);
    if (key !== null) return new PathReader(`.${key[1]}`).steps();
    const bounds = SLICE.exec(content);
    if (bounds === null) return this.#fail();
    const [, from = '', to, by] = bounds;
    const bound = (digits = ''): number | undefined => {
      if (digits === '-') return this.#fail();
      return digits === '' ? undefined : Number(digits);
    };
    return [slice(bound(from), bound(to?.slice(1)), bound(by?.slice(1)), to === undefined)];
  }

  #filter(): Step {
    const content = this.#text.slice(this.#at, this.#filterEnd());
    this.#at += content.length;
    if (!this.#take(')]')) this.#fail();
    const comparison = COMPARISON.exec(content);
    const path = (of: string) => chain(new PathReader(of).steps());
    if (comparison === null) return having(path(content));
    const [, left, operator, right] = comparison;
    return comparing(path(left!), operator!, path(right!));
  }

  /** The parenthesis that is not within the first pair of quotes. */
  #filterEnd(): number {
    let quote: string | undefined;
    let isOpen = false;
    for (let at = this.#at; at < this.#text.length; at++) {
      const character = this.#text[at]!;
      if (character === '\n') break;
      if (character === ')' && !isOpen) return at;
      if (character !== '"' && character !== "'") continue;
      if (quote === undefined) {
        quote = character;
        isOpen = true;
      } else if (character === quote && this.#text[at - 1] !== '\\') isOpen = false;
    }
    return this.#fail();
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #is(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    return pattern.test(this.#text);
  }

  #match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) this.#fail();
    this.#at += match[0].length;
    return match;
  }

  #fail(): never {
    throw new SyntaxError(`unexpected text at ${this.#at} of the JSONPath ${this.#text}`);
  }
}
