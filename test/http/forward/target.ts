import { once } from 'node:events';
import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import type { ForwardTarget } from '../../../src/http/forward/target.js';
import { authority } from '../../auth/support.js';

/** A request as the target has seen it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  /** Common name of the verified certificate that we have shown; '': none. */
  readonly proxy: string;
}

export interface Target {
  readonly forwardTo: ForwardTarget;
  readonly port: number;
  readonly seen: SeenRequest[];
  /** Replaceable: how requests are answered, and upgrades. */
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  upgrade: (request: IncomingMessage, socket: Socket, head: Buffer) => void;
  readonly connections: ReadonlySet<Socket>;
  close(): Promise<void>;
}

const proxies = await authority('front-proxy');

/** A real server in the place of a kube-apiserver, which verifies the certificate that it is shown. */
export async function startTarget({ isPlain = false } = {}): Promise<Target> {
  const own = await generate([{ name: 'commonName', value: 'target' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const server: Server = isPlain
    ? createPlain()
    : createSecure({ cert: own.cert, key: own.private, ca: proxies.pem, requestCert: true, rejectUnauthorized: false });
  const connections = new Set<Socket>();
  server.on(isPlain ? 'connection' : 'secureConnection', (socket: Socket) => {
    connections.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => connections.delete(socket));
  });
  const seen: SeenRequest[] = [];
  const look = (request: IncomingMessage) => {
    const socket = request.socket as TLSSocket;
    const name = socket.encrypted === true && socket.authorized ? socket.getPeerCertificate().subject.CN : '';
    seen.push({
      method: request.method!,
      url: request.url!,
      rawHeaders: request.rawHeaders,
      headers: request.headers,
      proxy: String(name),
    });
  };
  server.on('request', (request, response) => {
    look(request);
    target.answer(request, response);
  });
  server.on('upgrade', (request, socket: Socket, head) => {
    look(request);
    target.upgrade(request, socket, head);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const target: Target = {
    forwardTo: {
      url: `${isPlain ? 'http' : 'https'}://127.0.0.1:${port}`,
      ca: isPlain ? undefined : own.cert,
      pair: isPlain ? undefined : await proxies.client('listwatch'),
    },
    port,
    seen,
    answer: (_request, response) => void response.end('{}'),
    upgrade: (_request, socket) => void socket.destroy(),
    connections,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
  return target;
}

/** All values of a header, as they came. */
export function valuesOf({ rawHeaders }: Pick<SeenRequest, 'rawHeaders'>, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]!.toLowerCase() === name);
}

/** Reads a body to its end. */
export async function bodyOf(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
