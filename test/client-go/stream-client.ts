import { eventually } from '../support/command.js';
import { parseLines, type Programs } from './programs.js';

/** What the program `streams` says after each command (streams/main.go). */
export interface StreamsAnswer {
  readonly command: string;
  readonly open: number;
  readonly ended: number;
  readonly fewestEvents: number;
  readonly mostEvents: number;
  readonly dialled: number;
  readonly connections: number;
  readonly bytesWritten: number;
  readonly failed?: number;
  readonly error?: string;
}

/** One client of client-go that does as it is told. */
export interface StreamClient {
  /** Resolves when the command is carried out. */
  tell(command: string): Promise<StreamsAnswer>;
  stderr(): string;
  stop(): Promise<number | null>;
}

const COMMAND_TIMEOUT_MS = 120_000;

export function startStreams(programs: Programs, args: readonly string[], env: NodeJS.ProcessEnv = {}): StreamClient {
  const running = programs.start('streams', args, env, 'pipe');
  let told = 0;
  return {
    async tell(command) {
      running.child.stdin!.write(`${command}\n`);
      told++;
      return eventually(
        `streams: ${command}`,
        () => {
          if (running.child.exitCode !== null) throw new Error(running.stderr());
          const written = running.stdout();
          return parseLines<StreamsAnswer>(written.slice(0, written.lastIndexOf('\n') + 1))[told - 1];
        },
        COMMAND_TIMEOUT_MS,
        10,
      );
    },
    stderr: running.stderr,
    stop: running.stop,
  };
}
