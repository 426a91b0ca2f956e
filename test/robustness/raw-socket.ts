import { connect, type Socket } from 'node:net';

/** Writes bytes to a fresh connection and returns what came back until it was closed or the time was over. */
export function sendBytes(
  { hostname, port }: { readonly hostname: string; readonly port: string },
  bytes: string | Uint8Array,
  timeoutMs: number,
  quietMs = 150,
): Promise<{ readonly text: string; readonly closed: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    let quiet: NodeJS.Timeout | undefined;
    const finish = (closed: boolean) => {
      clearTimeout(limit);
      clearTimeout(quiet);
      socket.destroy();
      resolve({ text, closed });
    };
    const limit = setTimeout(() => finish(false), timeoutMs);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      clearTimeout(quiet);
      quiet = setTimeout(() => finish(false), quietMs);
    });
    socket.on('error', () => finish(true));
    socket.on('close', () => finish(true));
    socket.write(bytes);
  });
}

/** A client that asks and then never reads. Destroy it. */
export function askAndStopReading(url: string, path: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.pause();
      socket.on('error', () => undefined);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n`);
      resolve(socket);
    });
  });
}

/** A client that goes away after the first `readMax` bytes of the answer. */
export function askAndVanish(url: string, path: string, readMax: number): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let read = 0;
    const vanish = () => {
      clearTimeout(limit);
      socket.resetAndDestroy();
      resolve();
    };
    const limit = setTimeout(vanish, 2_000);
    socket.on('error', vanish);
    socket.on('close', vanish);
    socket.on('data', (chunk: Buffer) => {
      read += chunk.length;
      if (read >= readMax) vanish();
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n`);
    if (readMax === 0) socket.once('connect', () => setImmediate(vanish));
  });
}
