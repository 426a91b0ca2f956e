import { once } from 'node:events';
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { generate } from 'selfsigned';

/** A review as it came. */
export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly review: {
    readonly kind: string;
    readonly apiVersion: string;
    // biome-ignore lint/suspicious/noExplicitAny: tests read any part of a spec
    readonly spec: any;
  };
}

export type Said =
  /** The status of the review that is sent back. */
  | { readonly status: object; readonly more?: object }
  /** Whatever else. */
  | { readonly code: number; readonly headers?: Record<string, string>; readonly text: string }
  | 'reset'
  /** Nothing, until the webhook is closed. */
  | 'silence';

/** A webhook for reviews, over TLS, with an authority of its own. */
export interface Webhook {
  readonly url: string;
  readonly ca: string;
  readonly asked: Asked[];
  /** What comes next, by what is asked. */
  answer: (asked: Asked, count: number) => Said | Promise<Said>;
  /** Those who wait for an answer. */
  readonly waiting: number;
  readonly connections: number;
  /** A kubeconfig for it; `user` replaces its user. */
  kubeconfig(user?: object, path?: string): string;
  /** Ends connections that nobody uses just now, from this end. */
  dropIdle(): void;
  close(): Promise<void>;
}

let made: Promise<{ cert: string; key: string }> | undefined;

/** For 127.0.0.1, signed by itself. */
function certificate(): Promise<{ cert: string; key: string }> {
  made ??= generate([{ name: 'commonName', value: 'webhook' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 7 as const, ip: '127.0.0.1' }] },
    ],
  }).then((pair) => ({ cert: pair.cert, key: pair.private }));
  return made;
}

export interface WebhookOptions {
  readonly plain?: boolean;
  /** Authorities of the certificates that clients must show. */
  readonly clientCa?: string;
  readonly port?: number;
}

export async function startWebhook(
  answer: Webhook['answer'],
  { plain = false, clientCa, port: wanted = 0 }: WebhookOptions = {},
): Promise<Webhook> {
  const pair = await certificate();
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  let waiting = 0;
  let connections = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const one: Asked = {
      path: request.url!,
      headers: request.headers,
      body,
      review: JSON.parse(body) as Asked['review'],
    };
    asked.push(one);
    waiting++;
    response.once('close', () => waiting--);
    const said = await webhook.answer(one, asked.length);
    if (said === 'silence') return;
    if (said === 'reset') {
      request.socket.resetAndDestroy?.();
      return;
    }
    if ('code' in said) {
      response.writeHead(said.code, { 'content-type': 'text/plain', ...said.headers }).end(said.text);
      return;
    }
    const { kind, apiVersion } = one.review;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind, apiVersion, status: said.status, ...said.more }));
  };
  const mutual = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch(() => response.destroy());
  };
  const server = plain ? createPlain(listener) : createSecure({ ...pair, ...mutual }, listener);
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  server.listen(wanted, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `${plain ? 'http' : 'https'}://127.0.0.1:${port}`;
  const webhook: Webhook = {
    url,
    ca: pair.cert,
    asked,
    answer,
    get waiting() {
      return waiting;
    },
    get connections() {
      return connections;
    },
    kubeconfig: (user = {}, path = '/review') => kubeconfig(`${url}${path}`, plain ? undefined : pair.cert, user),
    dropIdle: () => server.closeIdleConnections(),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return webhook;
}

/** In the form of JSON, which is YAML too. */
export function kubeconfig(server: string, ca: string | undefined, user: object = {}): string {
  const authority = ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'webhook',
    clusters: [{ name: 'remote', cluster: { server, ...authority } }],
    users: [{ name: 'us', user }],
    contexts: [{ name: 'webhook', context: { cluster: 'remote', user: 'us' } }],
  });
}
