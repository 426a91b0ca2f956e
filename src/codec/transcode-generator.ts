import { CodecError } from './codec.js';
import * as leaves from './json-write.js';
import { type Field, type MessageType, messageType } from './schema.js';
import { runtime, type Transcode } from './transcode-runtime.js';

/**
 * Writes the source of a transcoder, one function a message type (see transcode.ts for what it does), and compiles it.
 * In the source: `b` input, `o` output, `v` a DataView of the output, `i` and `end` the range that is read, `p` the
 * place that is written, `t` a tag, `e` the end of a value; `h0` ... the functions of other messages.
 */

/** Schemas nest through themselves (JSONSchemaProps); a stack overflow must not be what ends it. */
const DEPTH_MAX = 200;

/**
 * Fields whose elements a server shows with kind and apiVersion although the message has neither:
 * conversion to apps/v1 has filled them in since before 1.17, and clients compare.
 */
const nestedTypeMeta: Readonly<Record<string, string>> = {
  'k8s.io.api.apps.v1.StatefulSetSpec.volumeClaimTemplates': typeMetaHead('v1', 'PersistentVolumeClaim'),
};
/** Messages that lead to such a field. */
export const servedDifferently = new Set(['k8s.io.api.apps.v1.StatefulSet', 'k8s.io.api.apps.v1.StatefulSetSpec']);

/** The first members of an object of this type. */
export function typeMetaHead(apiVersion: string, kind: string): string {
  return `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)}`;
}

/** `holderOf` gives the functions of other messages; they are compiled when they are first called. */
export function compileTranscoder(
  type: MessageType,
  served: boolean,
  holderOf: (messageName: string, served: boolean) => { readonly run: Transcode },
): Transcode {
  const generator = new Generator(type, served);
  const body = generator.functionOf(type);
  const source = `'use strict';
const {${Object.keys(runtime).join(',')}} = R;
${generator.declarations.join('\n')}
return ${body};`;
  return new Function('R', 'H', source)(runtime, holderOf) as Transcode;
}

/** Reads a tag into `t`; at most field numbers up to 2047 take the short way. */
export const READ_TAG =
  't=b[i++];if(t>127){const c=b[i++];if(c<128)t=(t&127)|(c<<7);else{t=readTag(b,i-2,end);i=after.at;}}else if(!(t>7)){t=readTag(b,i-1,end);}';

/** Reads a length at `i` and leaves the end of the value in `e`, its start in `i`. */
export const readLength = (end: string) =>
  `e=b[i++];if(e>127){const c=b[i++];if(c<128)e=(e&127)|(c<<7);else{i-=2;e=readEnd(b,i,${end})-after.at;i=after.at;}}e+=i;if(!(e<=${end}))truncated(i);`;

/** What pass 1 of one message type leaves behind for pass 2. */
interface Plan {
  readonly declare: string;
  readonly slots: ReadonlyMap<Field, readonly [string, string]>;
  scan(end: string): string;
  emit(): string;
}

class Generator {
  readonly declarations: string[] = [];
  private readonly children = new Map<string, string>();
  private variables = 0;
  private fixedSize = 0;
  private readonly type: MessageType;
  private readonly served: boolean;

  constructor(type: MessageType, served: boolean) {
    this.type = type;
    this.served = served;
  }

  functionOf(type: MessageType): string {
    const body = this.valueOf(type);
    if (this.fixedSize + 64 > leaves.SLACK) throw new CodecError(`${type.name}: member names are longer than SLACK`);
    const room = 'if(p+SLACK>o.length)throw GROW;';
    return `function(b,o,v,i,end,p,depth){if(depth>${DEPTH_MAX})tooDeep(i);${room}let t=0,e=0;${body}${room}return p;}`;
  }

  private valueOf(type: MessageType): string {
    switch (type.class) {
      case 'message':
        return `const p0=p;${this.members(type)}if(p===p0)o[p++]=123;else o[p0]=123;o[p++]=125;`;
      case 'items':
        return this.items(type);
      case 'Time':
        return 'p=writeTime(b,o,i,end,p);';
      case 'MicroTime':
        return 'p=writeMicroTime(b,o,i,end,p);';
      case 'Quantity':
        return 'p=writeQuantity(b,o,i,end,p);';
      case 'IntOrString':
        return 'p=writeIntOrString(b,o,i,end,p);';
      case 'RawExtension':
      case 'FieldsV1':
      case 'JSON':
        return 'p=writeRaw(b,o,i,end,p);';
      case 'JSONSchemaPropsOrBool':
      case 'JSONSchemaPropsOrArray':
      case 'JSONSchemaPropsOrStringArray':
        return this.schemaOr(type);
      default:
        throw new CodecError(`${type.name} has no JSON form`);
    }
  }

  /** Every member of an object, each starting with a comma. */
  private members(type: MessageType): string {
    const plan = this.index(type);
    return `${plan.declare}${plan.scan('end')}${plan.emit()}`;
  }

  /** A list without a name. Where it may be absent (null), the caller knows. */
  private items(type: MessageType): string {
    const { declare, scan, slots } = this.index(type);
    const field = type.fields[0]!;
    return `${declare}${scan('end')}${this.list(field, slots.get(field)!, '', this.literal('[]'))}`;
  }

  private schemaOr(type: MessageType): string {
    const { declare, scan, slots } = this.index(type);
    const named = (name: string) => slots.get(type.fields.find((field) => field.name === name)!)!;
    const [schema, schemaEnd] = named('schema');
    const child = this.child(type.fields.find((field) => field.name === 'schema')!.messageName);
    const object = `p=${child}.run(b,o,v,${schema},${schemaEnd},p,depth+1);`;
    const otherwise = (() => {
      if (type.class === 'JSONSchemaPropsOrBool') {
        const [allows] = named('allows');
        return `if(${schema}>=0){${object}}else if(${allows}){${this.literal('true')}}else{${this.literal('false')}}`;
      }
      const field = type.fields.find((candidate) => candidate.repeated)!;
      const list = this.list(field, slots.get(field)!, '', '');
      const [first] = slots.get(field)!;
      return `if(${first}>=0){${list}}else if(${schema}>=0){${object}}else{${this.literal('null')}}`;
    })();
    return `${declare}${scan('end')}${otherwise}`;
  }

  /**
   * Pass 1. Each field has two variables: for lists and maps the first tag and the end of the last
   * element; for strings and messages the range (start -1 if absent); for int64 the varint's start;
   * for bool and int32 the value, and whether it was there. Inline messages are indexed in place.
   */
  private index(type: MessageType): Plan {
    const slots = new Map<Field, readonly [string, string]>();
    const inlined = new Map<Field, Plan>();
    const declared: string[] = [];
    for (const field of type.fields) {
      const id = this.variables++;
      slots.set(field, [`s${id}`, `e${id}`]);
      declared.push(`s${id}=${scalarValue(field) ? 0 : -1},e${id}=0`);
      if (field.inline) inlined.set(field, this.index(messageType(field.messageName)));
    }
    const declare =
      (declared.length > 0 ? `let ${declared.join(',')};` : '') +
      [...inlined.values()].map((inner) => inner.declare).join('');
    const scan = (end: string): string => {
      const cases = type.fields.map((field) => this.scanField(field, slots.get(field)!, end, inlined.get(field)));
      const tag = end === 'end' ? READ_TAG : READ_TAG.replaceAll(',end)', `,${end})`);
      const start = this.variables++;
      return `while(i<${end}){const a${start}=i;${tag}switch(t){${cases.join('').replaceAll('@TAG', `a${start}`)}default:i=skipField(b,i,${end},t);}}if(i!==${end})truncated(i);`;
    };
    const emit = (): string =>
      type.fields
        .map((field) => {
          const inner = inlined.get(field);
          return inner === undefined ? this.member(field, slots.get(field)!) : inner.emit();
        })
        .join('');
    return { declare, scan, emit, slots };
  }

  private scanField(field: Field, [s, e]: readonly [string, string], end: string, inner: Plan | undefined): string {
    const head = `case ${field.tag}:`;
    if (inner !== undefined) {
      const innerEnd = `n${this.variables++}`;
      return `${head}{${readLength(end)}const ${innerEnd}=e;${inner.scan(innerEnd)}break;}`;
    }
    if (field.repeated || field.map) {
      const skip =
        field.wireType === 2
          ? `${readLength(end)}i=e;`
          : field.wireType === 0
            ? `i=skipVarint(b,i,${end});`
            : `i=skipField(b,i,${end},1);`;
      return `${head}if(${s}<0)${s}=@TAG;${skip}${e}=i;break;`;
    }
    switch (field.class) {
      case 'bool':
        return `${head}${s}=b[i++];if(!(${s}<128)){${s}=readBool(b,i-1,${end})?1:0;i=after.at;}${e}=1;break;`;
      case 'int32':
        return `${head}${s}=b[i++];if(!(${s}<128)){${s}=readInt32(b,i-1,${end});i=after.at;}${e}=1;break;`;
      case 'int64':
        return `${head}${s}=i;i=skipVarint(b,i,${end});${e}=i;break;`;
      case 'float64':
        return `${head}${s}=i;i=skipField(b,i,${end},1);${e}=i;break;`;
      default:
        return `${head}${readLength(end)}${s}=i;${e}=i=e;break;`;
    }
  }

  /** Pass 2, one member. */
  private member(field: Field, slot: readonly [string, string]): string {
    const [s, e] = slot;
    const key = this.literal(`,${JSON.stringify(field.json)}:`);
    const write = (value: string) => key + value;
    if (field.map) return this.map(field, slot, key);
    if (field.repeated) return this.list(field, slot, key, field.omitEmpty ? '' : write(this.literal('null')));
    const missing = field.omitEmpty ? '' : `else{${write(this.literal('null'))}}`;
    switch (field.class) {
      case 'bool': {
        const value = `if(${s}){${this.literal('true')}}else{${this.literal('false')}}`;
        if (field.pointer) return `if(${e}){${write(value)}}${missing}`;
        if (field.omitEmpty) return `if(${s}){${write(this.literal('true'))}}`;
        return write(value);
      }
      case 'int32': {
        this.fixedSize += 11;
        const value = `if(${s}>=0&&${s}<10)o[p++]=48+${s};else p=writeInt32(o,${s},p);`;
        if (field.pointer) return `if(${e}){${write(value)}}${missing}`;
        if (field.omitEmpty) return `if(${s}){${write(value)}}`;
        return write(value);
      }
      case 'int64': {
        this.fixedSize += 20;
        const value = `p=writeInt64(b,o,${s},${e},p);`;
        if (field.pointer) return `if(${s}>=0){${write(value)}}${missing}`;
        if (field.omitEmpty) return `if(${s}>=0&&isNonZero(b,${s},${e})){${write(value)}}`;
        return write(`if(${s}>=0){${value}}else o[p++]=48;`);
      }
      case 'float64': {
        this.fixedSize += 30;
        const value = `p=writeDouble(b,o,${s},p);`;
        if (field.pointer) return `if(${s}>=0){${write(value)}}${missing}`;
        if (field.omitEmpty) return `if(${s}>=0&&readDouble(b,${s})!==0){${write(value)}}`;
        return write(`if(${s}>=0){${value}}else o[p++]=48;`);
      }
      case 'string': {
        const value = `p=writeString(b,o,${s},${e},p);`;
        if (field.pointer) return `if(${s}>=0){${write(value)}}${missing}`;
        if (field.omitEmpty) return `if(${e}>${s}&&${s}>=0){${write(value)}}`;
        return write(`if(${s}<0)${s}=0;${value}`);
      }
      case 'bytes': {
        const value = `p=writeBase64(b,o,${s},${e},p);`;
        if (field.omitEmpty) return `if(${e}>${s}&&${s}>=0){${write(value)}}`;
        return `${key}if(${s}>=0){${value}}else{${this.literal('null')}}`;
      }
      case 'items': {
        const value = this.valueAt(field, s, e);
        if (field.omitEmpty) return `if(${e}>${s}&&${s}>=0){${write(value)}}`;
        return `${key}if(${s}>=0){${value}}else{${this.literal('null')}}`;
      }
      default: {
        const value = this.valueAt(field, s, e);
        if (field.pointer) return `if(${s}>=0){${write(value)}}${missing}`;
        if (field.omitZero) return `if(${e}>${s}&&${s}>=0){${write(value)}}`;
        return write(`if(${s}<0)${s}=0;${value}`);
      }
    }
  }

  /** Writes the value that lies in `start..end`. */
  private valueAt(field: Field, start: string, end: string): string {
    const call = (name: string) => `p=${name}(b,o,${start},${end},p);`;
    switch (field.class) {
      case 'string':
        return call('writeString');
      case 'bytes':
        return call('writeBase64');
      case 'Time':
        return call('writeTime');
      case 'MicroTime':
        return call('writeMicroTime');
      case 'Quantity':
        return call('writeQuantity');
      case 'IntOrString':
        return call('writeIntOrString');
      case 'RawExtension':
      case 'FieldsV1':
      case 'JSON':
        return call('writeRaw');
      default: {
        const call = `p=${this.child(field.messageName)}.run(b,o,v,${start},${end},p,depth+1);`;
        const head = this.served ? nestedTypeMeta[`${this.type.name}.${field.name}`] : undefined;
        if (head === undefined) return call;
        const q = `q${this.variables++}`;
        return `${this.literal(head)}const ${q}=p;${call}if(p===${q}+2)p=${q};else{o[${q}]=44;p--;}o[p++]=125;`;
      }
    }
  }

  private list(field: Field, [s, e]: readonly [string, string], key: string, absent: string): string {
    const z = `z${this.variables++}`;
    const element = (() => {
      switch (field.class) {
        case 'bool':
          return `if(p+SLACK>o.length)throw GROW;o[p++]=44;if(readBool(b,i,end)){${this.literal('true')}}else{${this.literal('false')}}i=after.at;`;
        case 'int32':
          return 'if(p+SLACK>o.length)throw GROW;o[p++]=44;p=writeInt32(o,readInt32(b,i,end),p);i=after.at;';
        case 'int64':
          return 'if(p+SLACK>o.length)throw GROW;o[p++]=44;e=skipVarint(b,i,end);p=writeInt64(b,o,i,e,p);i=e;';
        case 'float64':
          return 'if(p+SLACK>o.length)throw GROW;o[p++]=44;e=skipField(b,i,end,1);p=writeDouble(b,o,i,p);i=e;';
        default: {
          const n = `n${this.variables++}`;
          return `${readLength('end')}const ${n}=e;if(p+SLACK>o.length)throw GROW;o[p++]=44;${this.valueAt(field, 'i', n)}i=${n};`;
        }
      }
    })();
    const loop = `const ${z}=p;i=${s};while(i<${e}){${READ_TAG}if(t!==${field.tag}){i=skipField(b,i,end,t);continue;}${element}}o[${z}]=91;o[p++]=93;`;
    return `if(${s}>=0){${key}${loop}}${absent === '' ? '' : `else{${absent}}`}`;
  }

  private map(field: Field, [s, e]: readonly [string, string], key: string): string {
    const id = this.variables++;
    const write = `w${id}`;
    // In a map, an absent value is the zero value: "" for bytes, [] for lists.
    const value = this.valueAt(field, 'i', 'end');
    this.declarations.push(`function ${write}(b,o,v,i,end,p,depth){if(p+SLACK>o.length)throw GROW;${value}return p;}`);
    const entry = [
      readLength('end'),
      `const n${id}=e;let ka=0,kb=0,va=0,vb=0;`,
      `while(i<n${id}){t=b[i++];if(t===10){${readLength(`n${id}`)}ka=i;kb=i=e;}else if(t===18){${readLength(`n${id}`)}va=i;vb=i=e;}`,
      `else{t=readTag(b,i-1,n${id});i=skipField(b,after.at,n${id},t);}}if(i!==n${id})truncated(i);`,
      `if(p!==z${id}&&compareBytes(b,k0,k1,ka,kb)>=0){p=writeUnsortedMap(b,o,v,${s},${e},${field.tag},z${id},depth,${write});break;}`,
      'k0=ka;k1=kb;if(p+SLACK>o.length)throw GROW;o[p++]=44;',
      `p=writeString(b,o,ka,kb,p);o[p++]=58;p=${write}(b,o,v,va,vb,p,depth);i=n${id};`,
    ].join('');
    const loop = `const z${id}=p;let k0=0,k1=0;i=${s};while(i<${e}){${READ_TAG}if(t!==${field.tag}){i=skipField(b,i,end,t);continue;}${entry}}o[z${id}]=123;if(p===z${id})p++;o[p++]=125;`;
    const absent = field.omitEmpty ? '' : `else{${key}${this.literal('null')}}`;
    return `if(${s}>=0){${key}${loop}}${absent}`;
  }

  private child(messageName: string): string {
    const known = this.children.get(messageName);
    if (known !== undefined) return known;
    const name = `h${this.children.size}`;
    this.children.set(messageName, name);
    this.declarations.push(`const ${name}=H(${JSON.stringify(messageName)},${this.served});`);
    return name;
  }

  /** Code that writes ASCII text. Up to seven bytes behind it are overwritten: there is SLACK. */
  private literal(text: string): string {
    this.fixedSize += text.length;
    if (text.length <= 2) {
      return [...text].map((character) => `o[p++]=${character.charCodeAt(0)};`).join('');
    }
    let code = '';
    for (let from = 0; from < text.length; from += 8) {
      const chunk = Buffer.from(text.slice(from, from + 8).padEnd(8, ' '), 'latin1');
      code += `v.setFloat64(p${from > 0 ? `+${from}` : ''},${chunk.readDoubleLE(0)},true);`;
    }
    return `${code}p+=${text.length};`;
  }
}

function scalarValue(field: Field): boolean {
  return !field.repeated && !field.map && (field.class === 'bool' || field.class === 'int32');
}
