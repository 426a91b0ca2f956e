import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../app/usage-error.js';

/** Makes the folder of `--output`. Whether the report can be written is found out before the work, not after. Throws UsageError. */
export function prepareReportFolder(output: string): void {
  try {
    // Not with `recursive`: below /proc that never ends.
    if (!existsSync(output)) mkdirSync(output);
    writeFileSync(join(output, 'report.txt'), '');
  } catch (error) {
    throw new UsageError(`--output ${JSON.stringify(output)}: cannot be written: ${(error as Error).message}`);
  }
}

/** Each file is made and written by itself: what goes wrong with one is said, sets the exit code to 1, and leaves the others. */
export function writeReport(output: string, files: Readonly<Record<string, () => string>>): void {
  for (const [name, content] of Object.entries(files)) {
    try {
      writeFileSync(join(output, name), content());
    } catch (error) {
      process.stderr.write(`listwatch: ${join(output, name)}: not written: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  }
  process.stderr.write(`the report is in ${output}\n`);
}
