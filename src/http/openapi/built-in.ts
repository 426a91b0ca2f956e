import type { FieldFacts, MessageFacts } from '../../codec/openapi-facts.js';
import { type Field, type FieldClass, messageType } from '../../codec/schema.js';
import {
  DESCRIPTIONS,
  type Dialect,
  GVK_EXTENSION,
  type Gvk,
  LIST_META,
  OBJECT_META,
  refBeside,
  type Schema,
} from './schema.js';

/** What a definition needs to know besides the message itself. */
export interface BuiltInContext {
  readonly dialect: Dialect;
  readonly facts: ReadonlyMap<string, MessageFacts>;
  /** The types of objects that have this message. */
  readonly gvksOf: (messageName: string) => readonly Gvk[];
  /** A reference to another message, which will be defined, too. */
  readonly refTo: (messageName: string) => Schema;
}

/**
 * The definition of a protobuf message as kube-openapi makes it from the Go type: names, types and formats from our
 * schema, the rest from the facts. Defaults are in version 3 only, as upstream prunes them from version 2.
 */
export function builtInDefinition(messageName: string, context: BuiltInContext): Schema {
  const { class: form, typeMeta } = messageType(messageName);
  const gvks = context.gvksOf(messageName);
  const types = gvks.length === 0 ? {} : { [GVK_EXTENSION]: gvks };
  if (form !== 'message') return { ...ownForm(form, context.dialect), ...types };
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  if (typeMeta) {
    properties['apiVersion'] = { description: DESCRIPTIONS.apiVersion, type: 'string' };
    properties['kind'] = { description: DESCRIPTIONS.kind, type: 'string' };
  }
  addFields(messageName, properties, required, context);
  if (typeMeta) describe(properties, context.dialect);
  const { mapType, union } = context.facts.get(messageName) ?? {};
  return {
    type: 'object',
    ...(required.length === 0 ? {} : { required }),
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(mapType === undefined ? {} : { 'x-kubernetes-map-type': mapType }),
    ...(union === undefined ? {} : { 'x-kubernetes-unions': [unionOf(union)] }),
    ...types,
  };
}

function unionOf({ discriminator, members }: NonNullable<MessageFacts['union']>): Schema {
  return { ...(discriminator === undefined ? {} : { discriminator }), 'fields-to-discriminateBy': members };
}

/** Members of inline messages stand among those of the message they are in. */
function addFields(
  messageName: string,
  properties: Record<string, Schema>,
  required: string[],
  context: BuiltInContext,
): void {
  const facts = context.facts.get(messageName)?.fields;
  for (const field of messageType(messageName).fields) {
    if (field.inline) {
      addFields(field.messageName, properties, required, context);
      continue;
    }
    const known = facts?.[field.json] ?? {};
    properties[field.json] = propertyOf(field, known, context);
    if (known.required === true) required.push(field.json);
  }
}

function propertyOf(field: Field, facts: FieldFacts, context: BuiltInContext): Schema {
  const extensions = extensionsOf(facts);
  if (field.repeated || field.map) {
    const choice = facts.enum === undefined ? {} : { enum: facts.enum };
    const element = { ...elementOf(field, context), ...choice };
    if (field.repeated) return { type: 'array', items: element, ...extensions };
    return { type: 'object', additionalProperties: element, ...extensions };
  }
  const preset = context.dialect === 2 ? undefined : (facts.default ?? zeroOf(field, !field.omitEmpty));
  const beside = {
    ...(preset === undefined ? {} : { default: preset }),
    ...(facts.enum === undefined ? {} : { enum: facts.enum }),
    ...extensions,
  };
  const value = jsonOf(field, context);
  return '$ref' in value ? refBeside(value, beside, context.dialect) : { ...value, ...beside };
}

/** Of a list or a map, whose elements are never left out: so each has its zero value as default. */
function elementOf(field: Field, context: BuiltInContext): Schema {
  const { dialect } = context;
  const preset = dialect === 2 ? undefined : zeroOf(field, true);
  const value = jsonOf(field, context);
  if (preset === undefined) return value;
  return '$ref' in value ? refBeside(value, { default: preset }, dialect) : { ...value, default: preset };
}

/** What Go makes of an absent member, when that is not the same as absent. Types that read JSON themselves have none. */
function zeroOf(field: Field, written: boolean): unknown {
  if (field.pointer) return undefined;
  switch (field.class) {
    case 'message':
      return {};
    case 'string':
      return written ? '' : undefined;
    case 'bool':
      return written ? false : undefined;
    case 'int32':
    case 'int64':
    case 'float64':
      return written ? 0 : undefined;
    default:
      return undefined;
  }
}

const scalars: Readonly<Partial<Record<FieldClass, Schema>>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
};

function jsonOf(field: Field, context: BuiltInContext): Schema {
  const scalar = scalars[field.class];
  if (scalar !== undefined) return scalar;
  if (field.class !== 'items') return context.refTo(field.messageName);
  // A list that has a message of its own, and no name in JSON.
  return { type: 'array', items: elementOf(messageType(field.messageName).fields[0]!, context) };
}

/** Types whose JSON is not an object of their fields. */
function ownForm(form: FieldClass, dialect: Dialect): Schema {
  switch (form) {
    case 'Time':
    case 'MicroTime':
      return { type: 'string', format: 'date-time' };
    case 'Quantity':
      return dialect === 2 ? { type: 'string' } : { oneOf: [{ type: 'string' }, { type: 'number' }] };
    case 'IntOrString':
      return dialect === 2
        ? { type: 'string', format: 'int-or-string' }
        : { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
    case 'JSON':
    case 'JSONSchemaPropsOrBool':
    case 'JSONSchemaPropsOrArray':
    case 'JSONSchemaPropsOrStringArray':
      return {}; // anything
    default:
      return { type: 'object' };
  }
}

function extensionsOf(facts: FieldFacts): Schema {
  const { listMapKeys, listType, mapType, patchMergeKey, patchStrategy } = facts;
  return {
    ...(listMapKeys === undefined ? {} : { 'x-kubernetes-list-map-keys': listMapKeys }),
    ...(listType === undefined ? {} : { 'x-kubernetes-list-type': listType }),
    ...(mapType === undefined ? {} : { 'x-kubernetes-map-type': mapType }),
    ...(patchMergeKey === undefined ? {} : { 'x-kubernetes-patch-merge-key': patchMergeKey }),
    ...(patchStrategy === undefined ? {} : { 'x-kubernetes-patch-strategy': patchStrategy }),
  };
}

/** Of the members that mean the same in every kind. */
function describe(properties: Record<string, Schema>, dialect: Dialect): void {
  const metadata = refIn(properties['metadata']);
  const texts: Record<string, string | undefined> = {
    metadata: metadata?.endsWith(lastPart(OBJECT_META))
      ? DESCRIPTIONS.metadata
      : metadata?.endsWith(lastPart(LIST_META))
        ? DESCRIPTIONS.listMetadata
        : undefined,
    spec: DESCRIPTIONS.spec,
    status: DESCRIPTIONS.status,
  };
  for (const [name, text] of Object.entries(texts)) {
    const property = properties[name];
    if (property === undefined || text === undefined || refIn(property) === undefined) continue;
    properties[name] =
      '$ref' in property
        ? refBeside({ $ref: property['$ref'] }, { description: text, ...without$ref(property) }, dialect)
        : { description: text, ...property };
  }
}

function refIn(property: Schema | undefined): string | undefined {
  const all = property?.['allOf'] as readonly Schema[] | undefined;
  return (property?.['$ref'] ?? all?.[0]?.['$ref']) as string | undefined;
}

function without$ref({ $ref: _ref, ...others }: Schema): Schema {
  return others;
}

function lastPart(messageName: string): string {
  return messageName.slice(messageName.lastIndexOf('.'));
}
