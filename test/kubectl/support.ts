import assert from 'node:assert/strict';
import { requireProgram, run } from '../support/command.js';

/** The kubectl under test, as a user would call it against a server on loopback. */
export interface Kubectl {
  readonly program: string;
  readonly args: readonly string[];
  /** Must succeed; returns what it prints. */
  succeed(...args: string[]): Promise<string>;
  /** Must fail; returns what it says. */
  fail(...args: string[]): Promise<string>;
}

export function kubectlFor(url: () => string): Kubectl {
  const program = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
  const call = (args: string[]) =>
    run(program, ['--kubeconfig=/dev/null', '-s', url(), ...args], { timeoutMs: 60_000 });
  return {
    program,
    get args() {
      return ['--kubeconfig=/dev/null', '-s', url()];
    },
    async succeed(...args) {
      const { code, stdout, stderr } = await call(args);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
    async fail(...args) {
      const { code, stdout, stderr } = await call(args);
      assert.notEqual(code, 0, `kubectl ${args.join(' ')} must fail, and said: ${stdout}`);
      return stderr;
    },
  };
}

export const linesOf = (text: string) => text.trimEnd().split('\n');

/** kubectl's columns: where they begin follows from the header, since cells may be empty or have spaces. */
export function readColumns(text: string): { header: string[]; rows: string[][] } {
  const [first = '', ...rest] = linesOf(text);
  const starts = [...first.matchAll(/(?<=^| {2})\S/g)].map(({ index }) => index);
  const cells = (line: string) => starts.map((start, column) => line.slice(start, starts[column + 1]).trim());
  return { header: cells(first), rows: rest.map(cells) };
}
