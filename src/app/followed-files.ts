import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '../lib/clock.js';
import { oneLine } from './usage-error.js';

export interface FollowOptions {
  readonly files: readonly string[];
  /** Their texts, as they are in use. */
  readonly inUse: readonly string[];
  readonly everyMs: number;
  /** Takes texts that are other ones than those in use, or throws what is wrong with them. */
  readonly take: (texts: readonly string[]) => void | Promise<void>;
  /** Texts were not taken, or not read. `again`: the same ones for the same reason as when it was called last. */
  readonly refused: (error: unknown, again: boolean) => void;
  readonly clock: Clock;
}

/**
 * Follows files whose content is in use: they are read now and then, and taken when they have changed. What is refused is
 * tried again the next time, as files that belong together are written one by one, and what they name may not be there yet.
 * Of the texts, which may hold keys, only a hash is kept.
 */
export class FollowedFiles {
  readonly #options: FollowOptions;
  #inUse: string;
  #refused: string | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#inUse = hashOf(options.inUse);
  }

  start(): void {
    const { clock, everyMs } = this.#options;
    if (!this.#stopped) this.#timer = clock.setTimer(everyMs, () => void this.look().finally(() => this.start()));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Reads and takes now. Never rejects. */
  async look(): Promise<void> {
    const { files, take, refused } = this.#options;
    let hash = '';
    try {
      const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
      hash = hashOf(texts);
      if (this.#stopped) return;
      if (hash !== this.#inUse) await take(texts);
      this.#inUse = hash;
      this.#refused = undefined;
    } catch (error) {
      if (this.#stopped) return;
      const refusal = `${hash} ${oneLine(error)}`;
      const again = refusal === this.#refused;
      this.#refused = refusal;
      refused(error, again);
    }
  }
}

function hashOf(texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text.length}:${text}`);
  return hash.digest('base64');
}
