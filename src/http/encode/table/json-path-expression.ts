import { isObject } from '../../../lib/is-object.js';

/**
 * JSONPath as `additionalPrinterColumns` use it, without the braces: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`,
 * `.spec.ports[*].port`, `.metadata.annotations.a\.b`, `['a','b']`, `[-1]`, `[0:2]`, `..image`.
 */
export type JsonPath = (value: unknown) => readonly unknown[];

type Step = (values: readonly unknown[]) => readonly unknown[];

/** Throws SyntaxError for what is no path. */
export function compileJsonPath(path: string): JsonPath {
  const steps = new PathReader(path).steps();
  return (value) => steps.reduce<readonly unknown[]>((values, step) => step(values), [value]);
}

const each =
  (of: (value: unknown) => readonly unknown[]): Step =>
  (values) =>
    values.flatMap(of);

function member(name: string): Step {
  return each((value) => (isObject(value) && Object.hasOwn(value, name) ? [value[name]] : []));
}

const everything: Step = each((value) => (Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []));

/** The values, and all that is in them. */
const descendants: Step = each(function within(value): readonly unknown[] {
  return [value, ...everything([value]).flatMap(within)];
});

function slice(from: number | undefined, to: number | undefined, by: number): Step {
  return each((value) => (Array.isArray(value) ? value.slice(from, to).filter((_, index) => index % by === 0) : []));
}

function element(index: number): Step {
  return each((value) => {
    const at = Array.isArray(value) && index < 0 ? value.length + index : index;
    return Array.isArray(value) && at >= 0 && at < value.length ? [value[at]] : [];
  });
}

const operators: Readonly<Record<string, (left: never, right: never) => boolean>> = {
  '==': (left: unknown, right: unknown) => left === right,
  '!=': (left: unknown, right: unknown) => left !== right,
  '<': (left: number, right: number) => left < right,
  '<=': (left: number, right: number) => left <= right,
  '>': (left: number, right: number) => left > right,
  '>=': (left: number, right: number) => left >= right,
};

class PathReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  steps(): Step[] {
    const steps: Step[] = [];
    while (this.#at < this.#text.length) {
      if (this.#take('..')) {
        steps.push(descendants);
        if (this.#text[this.#at] !== '[') steps.push(this.#name());
      } else if (this.#take('.')) {
        // A lone dot is the object itself, and one in front of a bracket says nothing.
        if (this.#at < this.#text.length && this.#text[this.#at] !== '[') steps.push(this.#name());
      } else if (this.#take('[')) steps.push(this.#bracket());
      else if (this.#at === 0) steps.push(this.#name());
      else this.#fail();
    }
    return steps;
  }

  #name(): Step {
    if (this.#take('*')) return everything;
    const [name] = this.#match(/(?:\\.|[^.[\]\\*])+/y);
    return member(name.replace(/\\(.)/g, '$1'));
  }

  #bracket(): Step {
    if (this.#take('?(')) {
      const [content] = this.#match(/(?:'[^']*'|"[^"]*"|[^'")]|\)(?!\]))*/y);
      if (!this.#take(')]')) this.#fail();
      return filter(content.trim());
    }
    const parts: Step[] = [];
    do parts.push(this.#part());
    while (this.#take(','));
    if (!this.#take(']')) this.#fail();
    return parts.length === 1
      ? parts[0]!
      : (values) => values.flatMap((value) => parts.flatMap((part) => part([value])));
  }

  #part(): Step {
    this.#match(/\s*/y);
    if (this.#take('*')) return everything;
    const quote = this.#text[this.#at];
    if (quote === "'" || quote === '"') {
      const [text] = this.#match(quote === "'" ? /'(?:\\.|[^'\\])*'/y : /"(?:\\.|[^"\\])*"/y);
      return member(text.slice(1, -1).replace(/\\(.)/g, '$1'));
    }
    const [, from, colon, to, by] = this.#match(/\s*(-?\d+)?\s*(:)?\s*(-?\d+)?(?::(\d+))?\s*/y);
    const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
    if (colon !== undefined) return slice(number(from), number(to), Number(by ?? 1) || 1);
    return from === undefined ? this.#fail() : element(Number(from));
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
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

/** Elements of lists for which `@.type=="Ready"`, or `@.type`, holds. */
function filter(content: string): Step {
  const match = /^((?:'[^']*'|"[^"]*"|[^'"=!<>])+?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+))?$/.exec(content);
  if (match === null) throw new SyntaxError(`unexpected filter ${content} in a JSONPath`);
  const left = operand(match[1]!.trim());
  const compare = match[2] === undefined ? undefined : operators[match[2]]!;
  const right = match[3] === undefined ? undefined : operand(match[3].trim());
  const holds = (value: unknown) => {
    const found = left(value);
    if (compare === undefined || right === undefined) return found.length > 0;
    const other = right(value);
    return found.length > 0 && other.length > 0 && compare(found[0] as never, other[0] as never);
  };
  return each((value) => (Array.isArray(value) ? value.filter(holds) : []));
}

function operand(text: string): JsonPath {
  if (text.startsWith('@')) return compileJsonPath(text.slice(1));
  const quoted = /^(?:'([^']*)'|"([^"]*)")$/.exec(text);
  if (quoted !== null) return () => [quoted[1] ?? quoted[2]];
  if (text === 'true' || text === 'false') return () => [text === 'true'];
  if (/^-?\d+(\.\d+)?$/.test(text)) return () => [Number(text)];
  throw new SyntaxError(`unexpected operand ${text} in a JSONPath`);
}
