const SHOWN_MAX = 200;

/**
 * Tells which objects --load rejects, a line each, without filling the screen of whoever loads a
 * wrong folder. Shown at the end, so that the lines do not cut through the progress bar.
 */
export function createRejections(output: NodeJS.WritableStream) {
  const shown: string[] = [];
  let count = 0;
  return {
    add(line: string): void {
      if (++count <= SHOWN_MAX) shown.push(`listwatch: ${line}\n`);
    },
    end(): void {
      if (count > SHOWN_MAX) shown.push(`listwatch: ... and ${count - SHOWN_MAX} more\n`);
      output.write(shown.join(''));
    },
  };
}
