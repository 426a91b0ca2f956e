import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually, freePort, repositoryRoot, requireProgram, type RunningCommand, run, start } from './command.js';

/** What haproxy knows of a server. */
export interface BalancedServer {
  readonly isUp: boolean;
  /** Connections that are open, and that there have been. */
  readonly current: number;
  readonly total: number;
}

/** haproxy with the configuration of docs/replicas.md. */
export interface Haproxy extends AsyncDisposable {
  readonly port: number;
  readonly command: RunningCommand;
  /** By name: a, b, c. */
  servers(): Promise<Map<string, BalancedServer>>;
}

export interface HaproxyOptions {
  /** Ports of a, b and c. */
  readonly ports: readonly number[];
  readonly caFile: string;
  /** In the replicas' certificates. */
  readonly name: string;
  /** For its socket. */
  readonly folder: string;
}

const CONFIGURATION = join(repositoryRoot, 'docs/replicas/haproxy.cfg');
const NAMES = ['a', 'b', 'c'] as const;

export async function startHaproxy({ ports, caFile, name, folder }: HaproxyOptions): Promise<Haproxy> {
  const haproxy = requireProgram('haproxy', 'HAPROXY', 'install it with: apt-get install haproxy');
  const port = await freePort();
  const socket = join(folder, 'haproxy.sock');
  const env: Record<string, string> = {
    LISTWATCH_BIND: `127.0.0.1:${port}`,
    LISTWATCH_CA: caFile,
    LISTWATCH_NAME: name,
    LISTWATCH_STATS: socket,
  };
  for (const [index, letter] of NAMES.entries()) {
    env[`LISTWATCH_${letter.toUpperCase()}`] = `127.0.0.1:${ports[index]}`;
  }
  const checked = await run(haproxy, ['-c', '-f', CONFIGURATION], { env });
  if (checked.code !== 0 || /warning/i.test(checked.stderr)) {
    throw new Error(`haproxy does not like ${CONFIGURATION}: ${checked.stdout}${checked.stderr}`);
  }
  const command = start(haproxy, ['-db', '-f', CONFIGURATION], env);
  const servers = async () => {
    const [head = '', ...rows] = (await ask(socket, 'show stat')).split('\n').filter((line) => line !== '');
    const columns = head.replace(/^# /, '').split(',');
    const found = new Map<string, BalancedServer>();
    for (const row of rows) {
      const cells = row.split(',');
      const cell = (column: string) => cells[columns.indexOf(column)] ?? '';
      if (cell('pxname') !== 'listwatch' || !NAMES.includes(cell('svname') as 'a')) continue;
      found.set(cell('svname'), {
        isUp: cell('status').startsWith('UP'),
        current: Number(cell('scur')),
        total: Number(cell('stot')),
      });
    }
    return found;
  };
  const hasEnded = () => command.child.exitCode !== null;
  await eventually('haproxy answers', async () => hasEnded() || (await servers()).size === NAMES.length);
  if (hasEnded()) throw new Error(`haproxy does not start: ${command.stderr()}`);
  return { port, command, servers, [Symbol.asyncDispose]: async () => void (await command.stop()) };
}

/** One command to haproxy's socket, and all that it says. */
function ask(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path, () => socket.write(`${command}\n`));
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', reject);
    socket.on('end', () => {
      socket.destroy(); // haproxy is gone, and would not take the end of ours
      resolve(text);
    });
  });
}
