import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import type { Socket } from 'node:net';
import { type Access, answersAnyHost, isGuarded } from './access.js';
import type { ExchangeRequest, Upgrade } from './exchange.js';
import { isSwitched } from './forward/upgraded.js';
import { isLoopbackOrigin, originRefusal } from './gate.js';
import { parseTarget } from './paths.js';
import { handshakeRefusal, isWebSocket, refuseHandshake } from './watch/websocket.js';

export interface UpgradesContext {
  readonly access: Access | undefined;
  readonly isForwarded: (request: Pick<ExchangeRequest, 'method' | 'path' | 'target'>) => boolean;
}

/**
 * Requests over HTTP/1.1 for another protocol. They go through the same handlers as all others: a WATCH becomes a WebSocket,
 * what is forwarded becomes what the target makes of it, and everything else (errors, other protocols such as h2c) is answered
 * as if no upgrade had been asked for.
 */
export class Upgrades {
  readonly #context: UpgradesContext;
  readonly #begun = new WeakMap<IncomingMessage, Upgrade>();

  constructor(context: UpgradesContext) {
    this.#context = context;
  }

  /** The connection behind a request that may leave HTTP; undefined: it may not. */
  of(request: IncomingMessage): Upgrade | undefined {
    return this.#begun.get(request);
  }

  /** `head`: what has come behind the request. */
  begin(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    route: (request: IncomingMessage, response: ServerResponse) => void,
  ): void {
    socket.setMaxListeners(0);
    socket.on('error', () => {});
    const { method = '', url = '' } = request;
    const isForwarded = this.#context.isForwarded({ method, target: url, path: parseTarget(url).path });
    const isOurs = !isForwarded && isWebSocket(request);
    if (isForwarded && !isSwitched(request) && announcesBody(request)) {
      return refuse(socket, '400 Bad Request', BODY_REFUSAL);
    }
    if (isOurs) {
      const refusal = handshakeRefusal(request);
      const origin = request.headers.origin ?? '';
      if (refusal !== undefined) return refuseHandshake(socket, refusal);
      if (!answersAnyHost(this.#context.access, isGuarded(socket)) && !isLoopbackOrigin(origin)) {
        return refuseHandshake(socket, 403, originRefusal(origin));
      }
    }
    const response = new ServerResponse(request);
    if (isOurs || (isForwarded && isSwitched(request))) this.#begun.set(request, { request, response, socket, head });
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => {
      response.detachSocket(socket);
      socket.end();
    });
    route(request, response);
  }
}

const TUNNEL_REFUSAL = '405 Method Not Allowed: CONNECT is not supported';

/** A tunnel to somewhere is nothing that an apiserver has: what its clients call connecting is a GET or a POST. */
export function refuseTunnel(client: Socket | Http2ServerResponse): void {
  client.on('error', () => {});
  if ('writeHead' in client) client.writeHead(405, { 'content-type': 'text/plain; charset=utf-8' }).end(TUNNEL_REFUSAL);
  else refuse(client, '405 Method Not Allowed', TUNNEL_REFUSAL);
}

const BODY_REFUSAL = '400 Bad Request: a request with a body can be upgraded to websocket and SPDY/3.1 alone';

/** Node's parser leaves the body of a request for another protocol on the connection, unread. */
function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function refuse(socket: Socket, line: string, text: string): void {
  const headers = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\nConnection: close`;
  socket.end(`HTTP/1.1 ${line}\r\n${headers}\r\n\r\n${text}`);
}
