import { digitsUpTo, quoteGo } from './go-text.js';
import type { ModRevision } from './revision.js';

const UINT64_MAX = 2n ** 64n - 1n;
const UINT64_DIGITS = 20;

/**
 * The one place where the opaque `resourceVersion` of clients and etcd's revisions meet.
 * Client numbers are read as exact unsigned 64-bit integers (Go's strconv.ParseUint, base 10).
 */
export type ParsedResourceVersion =
  | { readonly ok: true; readonly value: bigint }
  /** `message` is Go's own text, e.g. `strconv.ParseUint: parsing "abc": invalid syntax`. */
  | { readonly ok: false; readonly message: string };

export function parseResourceVersion(text: string): ParsedResourceVersion {
  if (text === '') return { ok: true, value: 0n };
  if (!/^[0-9]+$/.test(text)) return { ok: false, message: parseUintError(text, 'invalid syntax') };
  const digits = digitsUpTo(UINT64_DIGITS, text);
  const value = digits === undefined ? undefined : BigInt(digits);
  if (value === undefined || value > UINT64_MAX)
    return { ok: false, message: parseUintError(text, 'value out of range') };
  return { ok: true, value };
}

export function formatResourceVersion(revision: ModRevision): string {
  return String(revision);
}

function parseUintError(text: string, problem: string): string {
  return `strconv.ParseUint: parsing ${quoteGo(text)}: ${problem}`;
}
