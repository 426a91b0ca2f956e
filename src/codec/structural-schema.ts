import { isJsonObject, type JsonObject, type JsonValue } from './json-parse.js';

/**
 * The part of an OpenAPI v3 schema that changes what is read: which members exist, what is filled in, and where null may
 * stand (spec 1.4). Values are changed in place; each function says whether it changed something, so that who reads
 * what needs no change can keep the bytes.
 */
export interface Structural {
  readonly properties: ReadonlyMap<string, Structural>;
  readonly items: Structural | undefined;
  /** Of members that are not among `properties`; `true`: there may be any. */
  readonly additional: Structural | true | undefined;
  /** `x-kubernetes-preserve-unknown-fields`. */
  readonly preserve: boolean;
  /** `x-kubernetes-embedded-resource`: apiVersion, kind and metadata are those of an object. */
  readonly embedded: boolean;
  readonly nullable: boolean;
  readonly default: JsonValue | undefined;
  /** Whether an object may be embedded in it, at any depth. */
  readonly holdsEmbedded: boolean;
}

const OBJECT_MEMBERS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);
const NOTHING: Structural = compileSchema({});

/** Takes `openAPIV3Schema` as a CRD has it; what is not an object is read as the empty schema. */
export function compileSchema(schema: unknown): Structural {
  const source = isJsonObject(schema) ? schema : {};
  const properties = new Map<string, Structural>();
  const declared = source['properties'];
  if (isJsonObject(declared))
    for (const [name, of] of Object.entries(declared)) properties.set(name, compileSchema(of));
  const itemsOf = source['items'];
  const items = isJsonObject(itemsOf) ? compileSchema(itemsOf) : undefined;
  const more = source['additionalProperties'];
  const additional = more === true ? true : isJsonObject(more) ? compileSchema(more) : undefined;
  const embedded = source['x-kubernetes-embedded-resource'] === true;
  const parts = [...properties.values(), items, additional === true ? undefined : additional];
  return {
    properties,
    items,
    additional,
    preserve: source['x-kubernetes-preserve-unknown-fields'] === true,
    embedded,
    nullable: source['nullable'] === true,
    default: (source['default'] as JsonValue | undefined) ?? undefined,
    holdsEmbedded: embedded || parts.some((part) => part?.holdsEmbedded === true),
  };
}

/** Drops the members that a schema does not know, from a whole object: its apiVersion, kind and metadata stay. */
export function pruneObject(object: JsonObject, schema: Structural): boolean {
  return prune(object, schema, schema.preserve, true);
}

/** `keeps`: members that the schema does not name stay, with all that is in them. */
function prune(value: JsonValue, schema: Structural, keeps: boolean, embedded: boolean): boolean {
  let changed = false;
  if (Array.isArray(value)) {
    const of = schema.items;
    if (of === undefined && keeps) return false;
    for (const item of value) changed = pruneIn(item, of ?? NOTHING) || changed;
    return changed;
  }
  if (!isJsonObject(value)) return false;
  for (const name of Object.keys(value)) {
    if (embedded && OBJECT_MEMBERS.has(name)) continue;
    const of = schema.properties.get(name) ?? (schema.additional === true ? NOTHING : schema.additional);
    if (of !== undefined) changed = pruneIn(value[name]!, of) || changed;
    else if (!keeps) {
      delete value[name];
      changed = true;
    }
  }
  return changed;
}

function pruneIn(value: JsonValue, schema: Structural): boolean {
  return typeof value === 'object' && value !== null && prune(value, schema, schema.preserve, schema.embedded);
}

/** Fills in defaults for what is absent, and for null where the schema does not allow it. */
export function fillDefaults(value: JsonValue, schema: Structural): boolean {
  let changed = false;
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return false;
    for (let index = 0; index < value.length; index++) {
      if (value[index] === null && !items.nullable && items.default !== undefined) {
        value[index] = structuredClone(items.default);
        changed = true;
      }
      changed = fillDefaults(value[index]!, items) || changed;
    }
    return changed;
  }
  if (!isJsonObject(value)) return false;
  for (const [name, of] of schema.properties) {
    if (of.default === undefined) continue;
    if (Object.hasOwn(value, name) && (value[name] !== null || of.nullable)) continue;
    setMember(value, name, structuredClone(of.default));
    changed = true;
  }
  for (const name of Object.keys(value)) {
    const of = memberSchema(schema, name);
    if (of === undefined) continue;
    if (value[name] === null && !of.nullable && of.default !== undefined) {
      value[name] = structuredClone(of.default);
      changed = true;
    }
    changed = fillDefaults(value[name]!, of) || changed;
  }
  return changed;
}

/** Drops null where the schema neither allows it nor has a default to put there. */
export function dropNulls(value: JsonValue, schema: Structural): boolean {
  let changed = false;
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) changed = dropNulls(item, schema.items) || changed;
  } else if (isJsonObject(value)) {
    for (const name of Object.keys(value)) {
      const of = memberSchema(schema, name);
      if (of === undefined) continue;
      if (value[name] === null && !of.nullable && of.default === undefined) {
        delete value[name];
        changed = true;
      } else changed = dropNulls(value[name]!, of) || changed;
    }
  }
  return changed;
}

function memberSchema({ properties, additional }: Structural, name: string): Structural | undefined {
  return properties.get(name) ?? (additional === true ? undefined : additional);
}

/** Calls `visit` with every object that the schema says is embedded in the value, the value itself left out. */
export function eachEmbedded(value: JsonValue, schema: Structural, visit: (object: JsonObject) => void): void {
  if (!schema.holdsEmbedded) return;
  const into = (member: JsonValue, of: Structural | undefined) => {
    if (of === undefined || !of.holdsEmbedded) return;
    if (of.embedded && isJsonObject(member)) visit(member);
    eachEmbedded(member, of, visit);
  };
  if (Array.isArray(value)) for (const item of value) into(item, schema.items);
  else if (isJsonObject(value)) {
    for (const name of Object.keys(value)) {
      into(value[name]!, memberSchema(schema, name));
    }
  }
}

/** A plain assignment would set the prototype. */
export function setMember(object: JsonObject, name: string, value: JsonValue): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else object[name] = value;
}
