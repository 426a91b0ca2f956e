import { type Field, type MessageType, messageType } from '../../src/codec/schema.js';

type Values = Readonly<Record<string, unknown>>;

/** Writes an API object by looking at the schema field by field, as a library does that reflects. It gives what JSON.stringify gives. */
export function writeReflectively(type: MessageType, value: Values): string {
  return `{${membersOf(type, value)}}`;
}

function membersOf(type: MessageType, value: Values): string {
  let text = '';
  for (const field of type.fields) {
    const member = field.inline
      ? membersOf(messageType(field.messageName), value)
      : value[field.json] === undefined
        ? ''
        : `${JSON.stringify(field.json)}:${writeValue(field, value[field.json])}`;
    if (member !== '') text += text === '' ? member : `,${member}`;
  }
  return text;
}

function writeValue(field: Field, value: unknown): string {
  if (value === null) return 'null';
  if (field.map) {
    const entries = Object.entries(value as Values).map(
      ([key, one]) => `${JSON.stringify(key)}:${writeOne(field, one)}`,
    );
    return `{${entries.join(',')}}`;
  }
  if (!field.repeated) return writeOne(field, value);
  return `[${(value as readonly unknown[]).map((one) => writeOne(field, one)).join(',')}]`;
}

function writeOne(field: Field, value: unknown): string {
  if (isObject(field)) return writeReflectively(messageType(field.messageName), value as Values);
  return JSON.stringify(value);
}

/** The rest have a JSON form of their own: times, quantities, raw JSON. */
function isObject({ class: how, messageName }: Field): boolean {
  return how === 'message' && messageType(messageName).class === 'message';
}

export type WriteJson = (value: Values) => string;

const compiled = new Map<string, { write: WriteJson }>();

/** The same with a function for each message, made of the schema once: member names are constants in it, and nothing is looked up. */
export function compileWriter(messageName: string): WriteJson {
  holderOf(messageName);
  return (value) => compiled.get(messageName)!.write(value);
}

function holderOf(messageName: string): { write: WriteJson } {
  const known = compiled.get(messageName);
  if (known !== undefined) return known;
  const holder = { write: (_value: Values): string => '' };
  compiled.set(messageName, holder);
  const uses: { write: WriteJson }[] = [];
  const lines = linesOf(messageType(messageName), uses);
  const source = ['let s = "";', ...lines, 'return s === "" ? "{}" : "{" + s.slice(1) + "}";'].join('\n');
  holder.write = new Function('uses', 'text', `return function (v) {\n${source}\n}`)(uses, JSON.stringify) as WriteJson;
  return holder;
}

/** What appends each member, with a comma before it, to `s`. */
function linesOf(type: MessageType, uses: { write: WriteJson }[]): string[] {
  return type.fields.flatMap((field) => {
    if (field.inline) return linesOf(messageType(field.messageName), uses);
    let one = (value: string) => (field.class === 'bool' || field.class === 'int32' ? value : `text(${value})`);
    if (isObject(field)) {
      const use = uses.push(holderOf(field.messageName)) - 1;
      one = (value) => `uses[${use}].write(${value})`;
    }
    const start = `s += ${JSON.stringify(`,${JSON.stringify(field.json)}:`)}`;
    const name = JSON.stringify(field.json);
    let write = `${start} + ${one('x')};`;
    if (field.map) {
      write = `let m = ""; for (const k in x) m += "," + text(k) + ":" + ${one('x[k]')}; ${start} + "{" + m.slice(1) + "}";`;
    } else if (field.repeated) {
      write = `let m = ""; for (let i = 0; i < x.length; i++) m += "," + ${one('x[i]')}; ${start} + "[" + m.slice(1) + "]";`;
    }
    return [`{ const x = v[${name}]; if (x === null) { ${start} + "null"; } else if (x !== undefined) { ${write} } }`];
  });
}
