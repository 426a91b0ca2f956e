/**
 * A part of an OpenAPI document for a comparison: descriptions of what is built in are in our own words, and upstream wraps a reference
 * that has one. Nothing else is said by it.
 */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as object).filter(
    ([name, of]) => name !== 'description' || typeof of !== 'string',
  );
  const members = Object.fromEntries(entries.map(([name, of]) => [name, plain(of)]));
  const { allOf, ...more } = members as { allOf?: { $ref?: string }[] };
  if (allOf?.length === 1 && allOf[0]!.$ref !== undefined) return { ...more, ...allOf[0] };
  return members;
}
