import type { Command } from 'commander';

/** What was given, by the names as typed: Commander has them in camelCase. */
export function flagsOf(command: Command): Readonly<Record<string, string | true | string[]>> {
  const values = command.opts() as Record<string, string | true | string[] | undefined>;
  return Object.fromEntries(
    command.options
      .map((option) => [option.name(), values[option.attributeName()]] as const)
      .filter((flag): flag is readonly [string, string | true | string[]] => flag[1] !== undefined),
  );
}
