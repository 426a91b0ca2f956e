import { join } from 'node:path';
import { eventually, freePort, type RunningCommand, repositoryRoot, start } from './command.js';

export interface RunningServer extends RunningCommand {
  /** Plain HTTP base URL. */
  readonly url: string;
  /** HTTPS base URL, self-signed certificate. */
  readonly secureUrl: string;
}

const ATTEMPTS_MAX = 5;
const START_TIMEOUT_MS = 60_000;

/** Starts the real binary as a user would, on free loopback ports, and waits for /readyz. */
export async function startServer(
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  prefix: readonly string[] = [],
): Promise<RunningServer> {
  for (let attempt = 1; ; attempt++) {
    const server = await spawnServer(args, env, prefix);
    const hasEnded = () => server.child.exitCode !== null || server.child.signalCode !== null;
    const ended = server.exited.then(() => true);
    const ready = eventually(
      'readyz',
      async () => hasEnded() || (await fetch(`${server.url}/readyz`)).ok,
      START_TIMEOUT_MS,
    );
    const failure = await Promise.race([ready, ended]).then(
      () => (hasEnded() ? 'the server ended' : undefined),
      String,
    );
    if (failure === undefined) return server;
    await server.stop();
    // A port that was free when we looked may be taken when the server binds it.
    if (attempt < ATTEMPTS_MAX && server.stderr().includes('in use by another process')) continue;
    throw new Error(`${failure}\n${server.stderr().slice(-4000)}`);
  }
}

/** The same without waiting: for servers that cannot be ready yet. `prefix`: a command that starts what follows it. */
export async function spawnServer(
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  prefix: readonly string[] = [],
): Promise<RunningServer> {
  const [plain, secure] = [await freePort(), await freePort()];
  const [file, ...before] = [...prefix, process.execPath];
  const command = start(
    file!,
    [
      ...before,
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
