import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { CodecError } from './codec.js';
import { packageOf, protoFile } from './schema.js';

/**
 * A message as protobuf text format, for people: `listwatch decode -o proto-text`. Decoded by
 * protobufjs, so it shows what is really there, in field order, apart from our own code.
 */
const roots = new Map<string, protobuf.Root>();

/** The protobufjs type with everything that it refers to. Slow at first use; not for serving. */
export function protobufType(messageName: string): protobuf.Type {
  const packageName = packageOf(messageName);
  let root = roots.get(packageName);
  if (root === undefined) {
    root = new protobuf.Root();
    loadPackage(packageName, root, new Set());
    root.resolveAll();
    roots.set(packageName, root);
  }
  return root.lookupType(messageName);
}

function loadPackage(packageName: string, root: protobuf.Root, loaded: Set<string>): void {
  if (loaded.has(packageName)) return;
  loaded.add(packageName);
  const parsed = protobuf.parse(readFileSync(protoFile(packageName), 'utf8'), root, { keepCase: true });
  for (const imported of parsed.imports ?? []) loadPackage(imported.replace(/\.proto$/, ''), root, loaded);
}

export function protoText(messageName: string, bytes: Uint8Array): string {
  const type = protobufType(messageName);
  let message: protobuf.Message;
  try {
    message = type.decode(bytes);
  } catch (error) {
    throw new CodecError(`${messageName}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return lines(type, message as unknown as Record<string, unknown>, '').join('\n');
}

function lines(type: protobuf.Type, message: Record<string, unknown>, indent: string): string[] {
  const result: string[] = [];
  for (const field of [...type.fieldsArray].sort((a, b) => a.id - b.id)) {
    if (!Object.hasOwn(message, field.name)) continue;
    const value = message[field.name];
    if (field instanceof protobuf.MapField) {
      for (const [key, member] of Object.entries(value as Record<string, unknown>)) {
        result.push(`${indent}${field.name} {`, `${indent}  key: ${quote(key)}`);
        result.push(...one('value', field, member, `${indent}  `), `${indent}}`);
      }
      continue;
    }
    for (const element of field.repeated ? (value as unknown[]) : [value]) {
      result.push(...one(field.name, field, element, indent));
    }
  }
  return result;
}

function one(name: string, field: protobuf.Field, value: unknown, indent: string): string[] {
  if (field.resolvedType instanceof protobuf.Type) {
    const inner = lines(field.resolvedType, value as Record<string, unknown>, `${indent}  `);
    return inner.length === 0 ? [`${indent}${name} {}`] : [`${indent}${name} {`, ...inner, `${indent}}`];
  }
  if (value instanceof Uint8Array) return [`${indent}${name}: ${quoteBytes(value)}`];
  if (typeof value === 'string') return [`${indent}${name}: ${quote(value)}`];
  return [`${indent}${name}: ${String(value)}`];
}

/** Text format has C escapes; other characters stay UTF-8. */
function quote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (character === '\n') quoted += '\\n';
    else if (character === '\t') quoted += '\\t';
    else if (character === '\r') quoted += '\\r';
    else if (character === '"' || character === '\\') quoted += `\\${character}`;
    else quoted += code < 32 || code === 127 ? `\\${code.toString(8).padStart(3, '0')}` : character;
  }
  return `${quoted}"`;
}

function quoteBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  if (Buffer.from(text).equals(Buffer.from(bytes))) return quote(text);
  return `"${[...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}"`;
}
