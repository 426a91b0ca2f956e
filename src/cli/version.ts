import { readFileSync } from 'node:fs';
import type { Command } from 'commander';

export function addVersionCommand(program: Command): void {
  program
    .command('version')
    .description('print the version of listwatch')
    .action(() => {
      process.stdout.write(`listwatch ${packageVersion()} (Node ${process.version})\n`);
    });
}

/** From package.json, three folders above dist/src/cli. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
