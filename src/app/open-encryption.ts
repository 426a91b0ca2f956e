import { readFileSync } from 'node:fs';
import { groupResourceOf } from '../api/gvr.js';
import type { Kind } from '../codec/kind.js';
import type { ResourceDecryption } from '../encryption/decrypting-source.js';
import {
  ConfigurationError,
  type EncryptionConfiguration,
  isEncrypted,
  readEncryptionConfiguration,
  transformersOf,
} from '../encryption/configuration.js';
import type { Clock, Timer } from '../lib/clock.js';
import { fileProblem } from './load/files.js';
import type { Log } from './log.js';
import { UsageError } from './usage-error.js';

export interface EncryptionConfig {
  readonly file: string;
  /** Whether changes of the file take effect without a restart. */
  readonly reload: boolean;
}

type Resource = Pick<Kind, 'group' | 'resource'>;

/** As often as kube-apiserver looks (encryptionconfig/controller). */
const LOOK_EVERY_MS = 60_000;

/** The file of --encryption-provider-config, and what is known by it now. */
export class Encryption {
  readonly #config: EncryptionConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #resources = new Map<string, ResourceState>();
  readonly #former: EncryptionConfiguration[] = [];
  #text: string;
  #configuration: EncryptionConfiguration;
  #timer: Timer | undefined;

  /** Throws UsageError for a file that cannot be read or is not valid. */
  constructor(config: EncryptionConfig, clock: Clock, log: Log) {
    this.#config = config;
    this.#clock = clock;
    this.#log = log;
    try {
      this.#text = readFileSync(config.file, 'utf8');
      this.#configuration = readEncryptionConfiguration(this.#text);
    } catch (error) {
      throw new UsageError(`--encryption-provider-config ${config.file}: ${problemOf(error)}`);
    }
  }

  /** Whether the resource may be stored encrypted, now or earlier: a cache may still hold what was decrypted then. */
  covers({ group, resource }: Resource): boolean {
    return this.#former.concat(this.#configuration).some((one) => isEncrypted(transformersOf(one, group, resource)));
  }

  decryptionOf({ group, resource }: Resource): ResourceDecryption {
    const name = groupResourceOf(group, resource);
    let state = this.#resources.get(name);
    if (state === undefined) {
      state = new ResourceState(() => transformersOf(this.#configuration, group, resource));
      this.#resources.set(name, state);
    }
    return state;
  }

  start(): void {
    if (!this.#config.reload) return;
    this.#timer = this.#clock.setTimer(LOOK_EVERY_MS, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Takes the file as it is now; one that is not valid changes nothing. What could not be decrypted is read anew. */
  look(): void {
    const { file } = this.#config;
    try {
      const text = readFileSync(file, 'utf8');
      if (text === this.#text) return;
      const configuration = readEncryptionConfiguration(text);
      this.#former.push(this.#configuration);
      this.#configuration = configuration;
      this.#text = text;
    } catch (error) {
      this.#log.error({ file }, `the encryption configuration stays as it was: ${problemOf(error)}`);
      return;
    }
    this.#log.info({ file }, 'the encryption configuration has changed');
    for (const state of this.#resources.values()) state.configurationChanged();
  }
}

class ResourceState implements ResourceDecryption {
  readonly transformers: ResourceDecryption['transformers'];
  readonly #rereads = new Set<() => void>();
  #configured: boolean;

  constructor(transformers: ResourceDecryption['transformers']) {
    this.transformers = transformers;
    this.#configured = transformers() !== undefined;
  }

  onReread(reread: () => void): () => void {
    this.#rereads.add(reread);
    return () => this.#rereads.delete(reread);
  }

  configurationChanged(): void {
    const had = this.#configured;
    this.#configured = this.transformers() !== undefined;
    if (!had && !this.#configured) return;
    for (const reread of [...this.#rereads]) reread();
  }
}

function problemOf(error: unknown): string {
  return error instanceof ConfigurationError ? error.message : fileProblem(error);
}
