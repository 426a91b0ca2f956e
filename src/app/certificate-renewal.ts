import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '../lib/clock.js';
import { checkPair, type KeyPair } from './certificates.js';
import type { Log } from './log.js';
import { oneLine } from './usage-error.js';

export interface RenewalOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** What is in use. */
  readonly pair: KeyPair;
  readonly everyMs: number;
  /** Is given a pair that was checked. */
  readonly renewed: (pair: KeyPair) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Follows the files of the HTTPS listener's certificate: who connects after they have changed is shown what is in them. Files
 * that do not fit each other, as between the writing of one and of the other, are told of once and left until they do.
 */
export class CertificateRenewal {
  readonly #options: RenewalOptions;
  /** The text of both, as last seen. */
  #seen: string;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#seen = textOf(options.pair);
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #later(): void {
    const { clock, everyMs } = this.#options;
    if (!this.#stopped) this.#timer = clock.setTimer(everyMs, () => void this.#look().finally(() => this.#later()));
  }

  async #look(): Promise<void> {
    const { certFile, keyFile, renewed, log } = this.#options;
    try {
      const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
      const text = textOf({ cert, key });
      if (text === this.#seen || this.#stopped) return;
      this.#seen = text;
      checkPair('tls-cert-file', certFile, cert, keyFile, key);
      renewed({ cert, key });
      log.info({ file: certFile }, 'the certificate was renewed');
    } catch (error) {
      const text = oneLine(error);
      if (text === this.#seen) return;
      // Said once, unless something else is wrong next time; whatever is read then is looked at.
      if (isMissing(error)) this.#seen = text;
      log.warn({ file: certFile }, `the certificate stays as it was: ${text}`);
    }
  }
}

function textOf({ cert, key }: KeyPair): string {
  return `${cert}\n${key}`;
}

/** The files could not be read, so nothing of them was seen. */
function isMissing(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException).code === 'string';
}
