/**
 * Something that the person who started the command can put right: a bad flag, a missing file, a
 * port in use. It is said in one line on stderr, without a stack, and the process exits with 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** One line, whatever was thrown: libraries put line breaks into their messages. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, ' ').trim();
}
