/** What a parser of client input says: a value, or the message that goes back to the client. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function unparsable(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}
