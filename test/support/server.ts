import { join } from 'node:path';
import { eventually, freePort, type RunningCommand, repositoryRoot, start } from './command.js';

export interface RunningServer extends RunningCommand {
  /** Plain HTTP base URL. */
  readonly url: string;
  /** HTTPS base URL, self-signed certificate. */
  readonly secureUrl: string;
}

/** Starts the real binary as a user would, on free loopback ports, and waits for /readyz. */
export async function startServer(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<RunningServer> {
  const server = await spawnServer(args, env);
  try {
    await eventually(
      'readyz',
      async () => {
        if (server.child.exitCode !== null) throw new Error(`the server ended: ${server.stderr()}`);
        return (await fetch(`${server.url}/readyz`)).ok;
      },
      60_000,
    );
  } catch (error) {
    await server.stop();
    throw new Error(`${String(error)}\n${server.stderr().slice(-4000)}`);
  }
  return server;
}

/** The same without waiting: for servers that cannot be ready yet. */
export async function spawnServer(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<RunningServer> {
  const [plain, secure] = [await freePort(), await freePort()];
  const command = start(
    process.execPath,
    [
      join(repositoryRoot, 'dist/src/cli/main.js'),
      'serve',
      '--insecure-port',
      String(plain),
      '--secure-port',
      String(secure),
      ...args,
    ],
    env,
  );
  return { ...command, url: `http://127.0.0.1:${plain}`, secureUrl: `https://127.0.0.1:${secure}` };
}
