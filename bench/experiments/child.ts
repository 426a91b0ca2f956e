import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHILD_PROCESS = fileURLToPath(new URL('./child-process.js', import.meta.url));
const STDERR_KEPT = 4_096;

/** What a child is told: which export of which module to call, and with what. */
export interface ChildTask {
  readonly module: string;
  readonly task: string;
  readonly ask: unknown;
}

export interface ChildOptions {
  /** Flags of V8 and Node, besides those that every child has. */
  readonly execArgv?: readonly string[];
  /** Ends the child. */
  readonly signal?: AbortSignal;
}

/**
 * Calls an exported function of a module in a process of its own, with V8 flags of its own, and resolves to what it returns;
 * both ways through JSON. Rejects with the last lines that it wrote when it throws or dies. A child whose parent is gone ends.
 */
export function inChild<Ask, Answer>(
  module: string,
  task: (ask: Ask) => Promise<Answer>,
  ask: Ask,
  { execArgv = [], signal }: ChildOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = fork(CHILD_PROCESS, {
      execArgv: ['--enable-source-maps', '--expose-gc', ...execArgv],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    let answer: { readonly value: Answer } | undefined;
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-STDERR_KEPT);
    });
    child.on('message', (message: { readonly value: Answer }) => {
      answer = message;
    });
    const end = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', end, { once: true });
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      signal?.removeEventListener('abort', end);
      if (code === 0 && answer !== undefined) resolve(answer.value);
      else reject(new Error(`${task.name} ended by ${killedBy ?? `exit code ${code}`}: ${said.trim()}`));
    });
    const told: ChildTask = { module, task: task.name, ask };
    child.send(told, () => {});
  });
}
