import { SourceError } from '../source/source.js';
import type { ReadContext } from './context.js';
import type { Failure } from './failure.js';

/**
 * What a client is told when the source cannot answer. Compacted and future revisions are not
 * failures of the source; whoever asked for a revision handles them before coming here.
 */
export function sourceFailure(error: unknown, context: ReadContext, operation: 'get' | 'list' | 'watch'): Failure {
  if (error instanceof UnreadableValue) return { kind: 'internal', message: error.message };
  if (!(error instanceof SourceError)) throw error;
  switch (error.kind) {
    case 'unauthenticated':
    case 'corrupt':
    case 'invalid':
      return { kind: 'internal', message: error.message };
    default: {
      const { group, resource } = context.kind;
      return { kind: 'serverTimeout', group, resource, operation };
    }
  }
}

/** A stored value that does not parse fails every read that needs it (spec 1.4). */
export class UnreadableValue extends Error {
  constructor(key: string, cause: string) {
    super(`unable to decode the value of key ${JSON.stringify(key)}: ${cause}`);
  }
}

export function isCompacted(error: unknown): boolean {
  return error instanceof SourceError && error.kind === 'compacted';
}

export function isFuture(error: unknown): boolean {
  return error instanceof SourceError && error.kind === 'futureRevision';
}
