import { isJsonObject, type JsonObject, type JsonValue } from './json-parse.js';

/** How Go's encoding/json reads and writes the annotations of autoscalers. */

/** Members in the order of the struct; undefined is one that is left out. */
export function objectText(members: readonly (readonly [name: string, text: string | undefined])[]): string {
  const texts = members.filter(([, text]) => text !== undefined).map(([name, text]) => `"${name}":${text}`);
  return `{${texts.join(',')}}`;
}

/** A member by its name, or by one that differs in case only; null is as good as absent. */
export function memberOf(object: JsonObject, name: string): JsonValue | undefined {
  if (Object.hasOwn(object, name)) return object[name] ?? undefined;
  const lower = name.toLowerCase();
  const found = Object.keys(object).findLast((key) => key.toLowerCase() === lower);
  return found === undefined ? undefined : (object[found] ?? undefined);
}

export function objectOf(value: JsonValue | undefined): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined;
}

/** What is no list stays as it is: whoever encodes it says so. */
export function listOf(value: JsonValue, convert: (element: JsonObject) => JsonValue): JsonValue {
  return Array.isArray(value) ? value.map((element) => convert(objectOf(element) ?? {})) : value;
}
