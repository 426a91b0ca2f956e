import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Protocols that connections are switched to: those of exec, attach and port-forward. */
const PROTOCOLS: ReadonlySet<string> = new Set(['websocket', 'spdy/3.1']);

/** Any other one is answered as if nobody had asked for it. */
export function isSwitched({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return PROTOCOLS.has(headers.upgrade?.trim().toLowerCase() ?? '');
}

/** The head of a 101, as the target wrote it. */
export function switchingProtocols({ statusMessage, rawHeaders }: IncomingMessage): Buffer {
  const reason = statusMessage === undefined || statusMessage === '' ? 'Switching Protocols' : statusMessage;
  let head = `HTTP/1.1 101 ${reason}\r\n`;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) head += `${rawHeaders[at]}: ${rawHeaders[at + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1'); // as Node's parser has read them
}

/**
 * What one side sends goes to the other one, and so does its end, behind which the other may still send. A side that breaks
 * off takes the other with it.
 */
export function joinSockets(client: Socket, clientFirst: Buffer, target: Socket, targetFirst: Buffer): void {
  for (const socket of [client, target]) {
    socket.allowHalfOpen = true;
    socket.setTimeout(0);
    socket.setNoDelay(true);
  }
  target.setKeepAlive(true, KEEP_ALIVE_MS);
  if (clientFirst.length > 0) target.write(clientFirst);
  if (targetFirst.length > 0) client.write(targetFirst);
  client.pipe(target);
  target.pipe(client);
  client.once('close', () => leave(client, target));
  target.once('close', () => leave(target, client));
}

const KEEP_ALIVE_MS = 15_000;

/** What has come from the one that is gone still goes out, if that was all of it. */
function leave(gone: Socket, other: Socket): void {
  if (other.destroyed) return;
  if (gone.readableEnded) other.destroySoon();
  else other.destroy();
}
