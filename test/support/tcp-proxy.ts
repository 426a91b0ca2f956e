import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A loopback TCP proxy that can misbehave: cut every connection, swallow what arrives, or lead elsewhere.
 */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Where new connections go. */
  target: number;
  /** When true, new and old connections stay open and nothing passes. */
  swallows: boolean;
  readonly connectionCount: number;
  /** Resets every connection. */
  cut(): void;
}

export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>();
  let connectionCount = 0;
  const server: Server = createServer((client) => {
    connectionCount++;
    const upstream = connect(proxy.target, '127.0.0.1');
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', (chunk) => {
        if (!proxy.swallows) to.write(chunk);
      });
      from.on('error', () => {});
      from.on('close', () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: TcpProxy = {
    port: (server.address() as { port: number }).port,
    target,
    swallows: false,
    get connectionCount() {
      return connectionCount;
    },
    cut() {
      for (const [client, upstream] of pairs) {
        // Node neither resets nor closes a socket that is being shut down: it would spin on it for ever.
        if (client.readyState === 'open') client.resetAndDestroy();
        else client.destroy();
        upstream.destroy();
      }
    },
    async [Symbol.asyncDispose]() {
      proxy.cut();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
