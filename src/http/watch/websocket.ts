import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Upgrade } from '../exchange.js';
import type { ByteSink } from '../sinks.js';
import type { FrameScanner } from './frames.js';

/** What clients send is read and ignored; more than this at once ends the connection. */
const CLIENT_MESSAGE_BYTES = 64 * 2 ** 10;
const UNSENT_BYTES = 256 * 2 ** 10;
const NORMAL_CLOSURE = 1000;

const server = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: CLIENT_MESSAGE_BYTES,
  // The one protocol that a client may offer is echoed, whatever it is (spec 3.3).
  handleProtocols: (protocols) => protocols.values().next().value ?? false,
});

export function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** The bare answer to a handshake that cannot be accepted, or undefined. */
export function handshakeRefusal(request: IncomingMessage): 400 | 403 | undefined {
  if (request.headers.origin === undefined) return 403;
  const offered = request.headers['sec-websocket-protocol']?.split(',') ?? [];
  return offered.length > 1 ? 400 : undefined;
}

export function refuseHandshake(socket: Duplex, code: 400 | 403, body = ''): void {
  const reason = code === 400 ? 'Bad Request' : 'Forbidden';
  const type = body === '' ? '' : 'Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n';
  socket.end(
    `HTTP/1.1 ${code} ${reason}\r\n${type}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** Completes the handshake; every frame that `scanner` finds becomes one message. */
export function acceptWebSocket(
  { request, socket, head }: Upgrade,
  scanner: FrameScanner,
  binary: boolean,
  accepted: (sink: ByteSink) => void,
): void {
  server.handleUpgrade(request, socket, head, (webSocket) => {
    accepted(webSocketSink(webSocket, socket, scanner, binary));
  });
}

function webSocketSink(webSocket: WebSocket, socket: Duplex, scanner: FrameScanner, binary: boolean): ByteSink {
  let closed = false;
  const closing: (() => void)[] = [];
  webSocket.on('close', () => {
    closed = true;
    for (const run of closing.splice(0)) run();
  });
  webSocket.on('error', () => {}); // 'close' follows
  return {
    get closed() {
      return closed;
    },
    writeBytesMax: UNSENT_BYTES,
    write(chunk) {
      if (closed) return false;
      scanner.push(chunk, (payload) => webSocket.send(payload, { binary }));
      return webSocket.bufferedAmount < UNSENT_BYTES;
    },
    onDrain: (run) => void socket.on('drain', run),
    onClose(run) {
      if (closed) run();
      else closing.push(run);
    },
    end: () => webSocket.close(NORMAL_CLOSURE),
    destroy: () => webSocket.terminate(),
  };
}
