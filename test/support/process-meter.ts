import { readdir } from 'node:fs/promises';
import { WebSocket } from 'ws';
import { eventually, freePort } from './command.js';

/**
 * What another Node process holds, after a full garbage collection, asked over its inspector: so the
 * program under test needs no door for tests.
 */
export interface ProcessMeter {
  read(): Promise<ProcessUsage>;
  close(): void;
}

export interface ProcessUsage {
  /** Live JavaScript objects. */
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly residentBytes: number;
  /** Open file descriptors: sockets among them. */
  readonly descriptors: number;
}

/** The environment that makes a Node child listen for `meterProcess`. */
export async function meteredEnvironment(): Promise<{ readonly env: NodeJS.ProcessEnv; readonly port: number }> {
  const port = await freePort();
  return { env: { NODE_OPTIONS: `--inspect=127.0.0.1:${port}` }, port };
}

export async function meterProcess(pid: number, port: number): Promise<ProcessMeter> {
  const url = await eventually('the inspector answers', async () => {
    const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      webSocketDebuggerUrl: string;
    }[];
    return targets[0]?.webSocketDebuggerUrl;
  });
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  let id = 0;
  const call = (method: string, parameters: object = {}): Promise<{ result?: { value?: string } }> =>
    new Promise((resolve, reject) => {
      const mine = ++id;
      const listen = (data: Buffer) => {
        const message = JSON.parse(data.toString()) as { id?: number; result: object; error?: { message: string } };
        if (message.id !== mine) return;
        socket.off('message', listen);
        if (message.error !== undefined) reject(new Error(`${method}: ${message.error.message}`));
        else resolve(message.result);
      };
      socket.on('message', listen);
      socket.send(JSON.stringify({ id: mine, method, params: parameters }));
    });
  return {
    async read() {
      // Twice, with a turn of the loop between: finalizers of the first collection free more.
      await call('HeapProfiler.collectGarbage');
      await new Promise((resolve) => setTimeout(resolve, 100));
      await call('HeapProfiler.collectGarbage');
      const { result } = await call('Runtime.evaluate', { expression: 'JSON.stringify(process.memoryUsage())' });
      const usage = JSON.parse(result?.value ?? '{}') as NodeJS.MemoryUsage;
      return {
        heapBytes: usage.heapUsed,
        externalBytes: usage.external,
        residentBytes: usage.rss,
        descriptors: (await readdir(`/proc/${pid}/fd`)).length,
      };
    },
    close: () => socket.close(),
  };
}
