import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Authenticator } from '../auth/authenticator.js';
import type { Exchange } from './exchange.js';
import type { Problem } from './to-status.js';

/** What decides over requests of the HTTPS listener. The plain one, which binds to loopback only, has no such thing. */
export interface Access {
  readonly authenticator: Authenticator;
  /** Some of what is answered is answered to anybody: then requests must mean this machine (gate.ts). */
  readonly open: boolean;
}

export function isGuarded(socket: Socket): boolean {
  return (socket as TLSSocket).encrypted === true;
}

/** Finds out who asks. A problem: the request is refused with it. */
export function admit(exchange: Exchange, { authenticator }: Access): Problem | undefined {
  const { raw } = exchange.request;
  if (!isGuarded(raw.socket)) return undefined;
  exchange.user = authenticator.authenticate(raw);
  return exchange.user === undefined ? { kind: 'unauthorized' } : undefined;
}
