/** A value as JSON has it: of a projected object (codec/projector.ts), or of a whole one. */
export type Json = unknown;

const splitPaths = new Map<string, readonly string[]>();

/** The value at a dotted path of plain member names, or undefined. */
export function at(value: Json, path: string): Json {
  let members = splitPaths.get(path);
  if (members === undefined) {
    members = path.split('.');
    splitPaths.set(path, members);
  }
  let current = value;
  for (const member of members) {
    if (current === null || typeof current !== 'object') return undefined;
    current = (current as Record<string, Json>)[member];
  }
  return current;
}

export function text(value: Json, path: string): string {
  const found = at(value, path);
  return found === undefined || found === null ? '' : String(found);
}

/** Integers may arrive as bigint when they exceed 2^53. */
export function integer(value: Json, path: string): number {
  return Number(at(value, path) ?? 0);
}

export function flag(value: Json, path: string): boolean {
  return at(value, path) === true;
}

export function items(value: Json, path: string): readonly Json[] {
  const found = at(value, path);
  return Array.isArray(found) ? found : [];
}

export function entries(value: Json, path: string): [string, Json][] {
  const found = at(value, path);
  if (found === null || typeof found !== 'object') return [];
  return Object.entries(found).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

export function present(value: Json, path: string): boolean {
  const found = at(value, path);
  return found !== undefined && found !== null;
}
