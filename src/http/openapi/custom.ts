import { JsonNumber } from '../../codec/json-parse.js';
import type { Kind } from '../../codec/kind.js';
import { isObject } from '../../lib/is-object.js';
import { DESCRIPTIONS, type Dialect, GVK_EXTENSION, refBeside, refTo, type Schema } from './schema.js';

/** References to the two types that every custom resource has parts of. */
export interface CustomContext {
  readonly dialect: Dialect;
  readonly objectMeta: Schema;
  readonly listMeta: Schema;
}

/** `example.harbour.v1.Boat`: the group's parts from the last to the first. */
export function customModelName({ group, version }: Kind, kind: string): string {
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
}

/**
 * The definition of a custom resource, from the schema of its version. kubectl's reader of version 2 takes what it
 * does not find among `properties` for a mistake, so there whatever may hold more is left open, as upstream does.
 */
export function customDefinition(kind: Kind, context: CustomContext): Schema {
  const { dialect, objectMeta } = context;
  const source = kind.custom?.schemas[kind.version];
  const extensions = {
    ...gvkOf(kind, kind.kind),
    ...(kind.selectableFields.length === 0
      ? {}
      : { 'x-kubernetes-selectable-fields': kind.selectableFields.map(({ path }) => ({ fieldPath: path })) }),
  };
  const isOpen = isObject(source) && source['x-kubernetes-preserve-unknown-fields'] === true;
  if (!isObject(source) || (dialect === 2 && (isOpen || kind.custom?.preservesUnknownFields === true))) {
    return { type: 'object', ...extensions };
  }
  const schema = convert(source, context);
  return {
    ...schema,
    properties: {
      apiVersion: { description: DESCRIPTIONS.apiVersion, type: 'string' },
      kind: { description: DESCRIPTIONS.kind, type: 'string' },
      metadata: refBeside(objectMeta, { description: DESCRIPTIONS.metadata }, dialect),
      ...withoutTypeMeta(schema['properties']),
    },
    ...extensions,
  };
}

export function customListDefinition(kind: Kind, { dialect, listMeta }: CustomContext): Schema {
  return {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { description: DESCRIPTIONS.apiVersion, type: 'string' },
      items: { type: 'array', items: refTo(customModelName(kind, kind.kind), dialect) },
      kind: { description: DESCRIPTIONS.kind, type: 'string' },
      metadata: refBeside(listMeta, { description: DESCRIPTIONS.listMetadata }, dialect),
    },
    ...gvkOf(kind, kind.listKind),
  };
}

function gvkOf({ group, version }: Kind, kind: string): Schema {
  return { [GVK_EXTENSION]: [{ group, version, kind }] };
}

/** Members of a structural schema that mean the same in both versions. */
const KEPT: ReadonlySet<string> = new Set([
  ...['description', 'type', 'format', 'title', 'enum', 'required', 'pattern'],
  ...['maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum', 'multipleOf'],
  ...['maxLength', 'minLength', 'maxItems', 'minItems', 'uniqueItems', 'maxProperties', 'minProperties'],
]);
const ONLY_IN_3: ReadonlySet<string> = new Set(['default', 'allOf', 'anyOf', 'oneOf', 'not', 'nullable']);

function convert(source: Schema, context: CustomContext): Schema {
  const { dialect } = context;
  const preserves = source['x-kubernetes-preserve-unknown-fields'] === true;
  const isNullable = source['nullable'] === true;
  const into: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(source)) {
    if (KEPT.has(name) || name.startsWith('x-kubernetes-') || (dialect === 3 && ONLY_IN_3.has(name))) {
      into[name] = plain(value);
    }
  }
  const { properties, items, additionalProperties } = source;
  const isLeftOpen = dialect === 2 && (preserves || isNullable);
  if (!isLeftOpen) {
    if (isObject(properties)) {
      into['properties'] = Object.fromEntries(
        Object.entries(properties).map(([name, of]) => [name, isObject(of) ? convert(of, context) : {}]),
      );
    }
    if (isObject(items)) into['items'] = convert(items, context);
  }
  if (isObject(additionalProperties)) into['additionalProperties'] = convert(additionalProperties, context);
  else if (additionalProperties === true) into['additionalProperties'] = true;
  if (dialect === 2) leaveOpen(into, source, isNullable, preserves);
  else if (source['x-kubernetes-int-or-string'] === true && into['anyOf'] === undefined) {
    into['anyOf'] = [{ type: 'integer' }, { type: 'string' }];
  }
  if (source['x-kubernetes-embedded-resource'] === true && !(dialect === 2 && preserves)) embed(into, context);
  return into;
}

function leaveOpen(into: Record<string, unknown>, source: Schema, isNullable: boolean, preserves: boolean): void {
  if (isNullable || (preserves && into['type'] === 'object')) delete into['type'];
  if (into['type'] === 'array' && into['items'] === undefined) delete into['type'];
  // Null may stand for it, which version 2 cannot say: so nobody may ask for it.
  const required = into['required'];
  if (!Array.isArray(required)) return;
  const { properties, additionalProperties } = source;
  const mayBeNull = (of: unknown) => isObject(of) && of['nullable'] === true;
  const left = mayBeNull(additionalProperties)
    ? []
    : required.filter((name) => !(isObject(properties) && mayBeNull(properties[String(name)])));
  if (left.length === 0) delete into['required'];
  else into['required'] = left;
}

function embed(into: Record<string, unknown>, { dialect, objectMeta }: CustomContext): void {
  const required = Array.isArray(into['required']) ? (into['required'] as unknown[]) : [];
  into['required'] = [...new Set([...required, 'kind', 'apiVersion'])];
  into['properties'] = {
    ...(into['properties'] as Schema | undefined),
    apiVersion: { description: DESCRIPTIONS.apiVersion, type: 'string' },
    kind: { description: DESCRIPTIONS.kind, type: 'string' },
    metadata: refBeside(objectMeta, { description: DESCRIPTIONS.metadata }, dialect),
  };
}

function withoutTypeMeta(properties: unknown): Schema {
  if (!isObject(properties)) return {};
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...own } = properties;
  return own;
}

/** Without the forms in which our parser keeps numbers exactly. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint' || value instanceof JsonNumber) return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, plain(of)]));
}
