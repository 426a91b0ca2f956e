import { Presets, SingleBar } from 'cli-progress';
import type { LoadProgress } from '../app/load/load.js';

export interface Progress {
  update(progress: LoadProgress): void;
  /** Ends the bar's line, so that what follows starts on its own. */
  stop(): void;
}

/** A bar on a terminal; elsewhere a line for every tenth, so that logs stay short. */
export function createProgress(output: NodeJS.WriteStream): Progress {
  return output.isTTY ? createBar(output) : createLines(output);
}

function createBar(output: NodeJS.WriteStream): Progress {
  let bar: SingleBar | undefined;
  return {
    update({ bytes, bytesTotal, objects }) {
      if (bar === undefined) {
        bar = new SingleBar(
          { stream: output, format: 'loading {bar} {percentage}% | {objects} objects', hideCursor: true },
          Presets.shades_classic,
        );
        bar.start(Math.max(1, bytesTotal), 0, { objects });
      }
      bar.update(bytes, { objects });
    },
    stop() {
      bar?.stop();
      bar = undefined;
    },
  };
}

function createLines(output: NodeJS.WritableStream): Progress {
  let said = 0;
  return {
    update({ bytes, bytesTotal, objects }) {
      const tenth = bytesTotal === 0 ? 10 : Math.floor((bytes / bytesTotal) * 10);
      if (tenth <= said) return;
      said = tenth;
      output.write(`loading ${tenth * 10}% (${objects} objects)\n`);
    },
    stop() {},
  };
}
