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

/** Whether the Host and Origin of a request do not matter: nobody is answered there who has not said who it is. */
export function answersAnyHost(access: Access | undefined, isSecure: boolean): boolean {
  return access?.open === false && isSecure;
}

/** Finds out who asks. A problem: the request is refused with it, and so is one whose connection is gone. */
export function admit(exchange: Exchange, { authenticator }: Access): Problem | undefined {
  const { isSecure, headers, rawHeaders, connection: socket } = exchange.request;
  if (!isSecure) return undefined;
  exchange.user = socket === undefined ? undefined : authenticator.authenticate({ headers, rawHeaders, socket });
  return exchange.user === undefined ? { kind: 'unauthorized' } : undefined;
}
