import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';

/** A server of HTTP/2 without TLS, for as long as `run` takes. */
export async function withServer(
  answer: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void,
  run: (port: number, server: Http2Server) => Promise<void>,
): Promise<void> {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    answer(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run((server.address() as AddressInfo).port, server);
  } finally {
    server.close();
  }
}

/** A server of bare TCP that answers the first bytes it gets with `bytes`. */
export async function withBytes(bytes: (socket: Socket) => void, run: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => bytes(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

export const GRPC = { ':status': 200, 'content-type': 'application/grpc' };

export function withTrailers(stream: ServerHttp2Stream, trailers: Record<string, string>): void {
  stream.respond(GRPC, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
}
