/** Why the target did not answer: Go's words for what happens often, Node's for the rest. `host`: with its port. */
export function reasonOf(error: unknown, host: string): string {
  // Several addresses were tried: what was wrong with the first is as good as any.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const { code, message } = first as NodeJS.ErrnoException;
  switch (code) {
    case 'ECONNREFUSED':
      return `dial tcp ${host}: connect: connection refused`;
    case 'ENOTFOUND':
      return `dial tcp: lookup ${host.replace(/:[0-9]+$/, '')}: no such host`;
    case 'EHOSTUNREACH':
      return `dial tcp ${host}: connect: no route to host`;
    case 'ETIMEDOUT':
      return `dial tcp ${host}: i/o timeout`;
    case 'ECONNRESET':
      return message === 'socket hang up' ? 'EOF' : 'connection reset by peer';
    case 'EPIPE':
      return 'broken pipe';
    default:
      return message === '' ? (code ?? 'unknown error') : message;
  }
}

/** A dial that took too long. */
export function dialTimeout(): Error {
  return Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT' });
}
