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
  const url = `http://127.0.0.1:${plain}`;
  try {
    await eventually(
      'readyz',
      async () => {
        if (command.child.exitCode !== null) throw new Error(`the server ended: ${command.stderr()}`);
        return (await fetch(`${url}/readyz`)).ok;
      },
      60_000,
    );
  } catch (error) {
    await command.stop();
    throw new Error(`${String(error)}\n${command.stderr().slice(-4000)}`);
  }
  return { ...command, url, secureUrl: `https://127.0.0.1:${secure}` };
}
