import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { groupResourceOf } from '../api/gvr.js';
import type { Kind } from '../codec/kind.js';
import {
  ConfigurationError,
  connected,
  type EncryptionConfiguration,
  type EncryptionFile,
  isEncrypted,
  namesOf,
  readEncryptionConfiguration,
  transformersOf,
} from '../encryption/configuration.js';
import type { KmsProvider } from '../encryption/kms-provider.js';
import { KmsProviders, kmsProblem } from '../encryption/kms-providers.js';
import type { ResourceDecryption } from '../encryption/resource-decryption.js';
import type { Transformer } from '../encryption/transformer.js';
import type { EncryptionStats } from '../http/encryption-metrics.js';
import type { HealthCheck } from '../http/health.js';
import { type Clock, sleep } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import { FollowedFiles } from './followed-files.js';
import { fileProblem } from './load/files.js';
import type { Log } from './log.js';
import { UsageError } from './usage-error.js';

export interface EncryptionConfig {
  readonly file: string;
  /** Whether changes of the file take effect without a restart. */
  readonly reload: boolean;
}

export interface EncryptionParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly log: Log;
  /** Is told of each call of a KMS plugin. */
  readonly report: (provider: string, method: string, code: string, seconds: number) => void;
}

type Resource = Pick<Kind, 'group' | 'resource'>;

/** A new configuration is not taken before its plugins work; they get this long, or twice their timeouts, as with kube-apiserver. */
const HEALTHY_WITHIN_MS = 10_000;
const HEALTH_POLL_MS = 100;

/** The file of --encryption-provider-config, and what is known by it now. */
export class Encryption {
  readonly #config: EncryptionConfig;
  readonly #parts: EncryptionParts;
  readonly #kms: KmsProviders;
  readonly #resources = new Map<string, ResourceState>();
  /** What was encrypted by a configuration that is not in use any more: `secrets.`, `*.apps`, `*.*`. */
  readonly #formerly = new Set<string>();
  readonly #followed: FollowedFiles;
  readonly #reloads = { success: 0, failure: 0, lastSuccessSeconds: 0, lastFailureSeconds: 0 };
  #hash: string;
  #configuration: EncryptionConfiguration;
  #stopped = false;

  /** Throws UsageError for a file that cannot be read or is not valid. */
  constructor(config: EncryptionConfig, parts: EncryptionParts) {
    const { clock, limits } = parts;
    this.#config = config;
    this.#parts = parts;
    this.#kms = this.#providers();
    let text: string;
    let file: EncryptionFile;
    try {
      text = readFileSync(config.file, 'utf8');
      file = readEncryptionConfiguration(text);
    } catch (error) {
      throw new UsageError(`--encryption-provider-config ${config.file}: ${problemOf(error)}`);
    }
    this.#hash = hashOf(text);
    const prepared = this.#kms.prepare(file.kms);
    this.#configuration = configurationOf(file, prepared);
    // Plugins may start later than we do: until then, what only they can open is unreadable.
    this.#kms.use(prepared);
    this.#followed = new FollowedFiles({
      files: [config.file],
      inUse: [text],
      everyMs: limits.encryptionPollMs,
      take: ([changed]) => this.#take(changed!),
      refused: (error, again) => this.#refused(error, again),
      clock,
    });
  }

  /** Whether the resource may be stored encrypted, now or earlier: a cache may still hold what was decrypted then. */
  covers({ group, resource }: Resource): boolean {
    if (isEncrypted(transformersOf(this.#configuration, group, resource))) return true;
    return namesOf(group, resource).some((name) => this.#formerly.has(name));
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

  /** As kube-apiserver has it: one check of all plugins, which is there whenever a plugin may be. */
  get healthChecks(): readonly HealthCheck[] {
    if (!this.#config.reload && this.#kms.all.length === 0) return [];
    const check = async () => {
      const problem = await kmsProblem(this.#kms.all);
      if (problem !== undefined) throw new Error(problem);
    };
    return [{ name: 'kms-providers', endpoints: ['healthz', 'readyz'], check }];
  }

  get stats(): EncryptionStats {
    return {
      reloads: this.#reloads,
      configurationHash: this.#hash,
      providers: this.#kms.all.map(({ settings, size, misses }) => ({ name: settings.name, dataKeys: size, misses })),
    };
  }

  start(): void {
    this.#kms.start();
    if (this.#config.reload) this.#followed.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#followed.stop();
    this.#kms.close();
  }

  /** Takes the file as it is now; one that is not valid changes nothing. What could not be decrypted is read anew. */
  look(): Promise<void> {
    return this.#followed.look();
  }

  async #take(text: string): Promise<void> {
    const file = readEncryptionConfiguration(text);
    const prepared = this.#kms.prepare(file.kms);
    const problem = await this.#problemOf(prepared);
    if (this.#stopped) return this.#kms.discard(prepared);
    if (problem !== undefined) {
      this.#kms.discard(prepared);
      throw new ConfigurationError(`health check for new transformers failed: ${problem}`);
    }
    for (const [name, transformers] of this.#configuration) {
      if (isEncrypted(transformers)) this.#formerly.add(name);
    }
    this.#configuration = configurationOf(file, prepared);
    this.#hash = hashOf(text);
    this.#kms.use(prepared);
    this.#reloads.success++;
    this.#reloads.lastSuccessSeconds = this.#parts.clock.nowMs() / 1_000;
    this.#parts.log.info({ file: this.#config.file }, 'the encryption configuration has changed');
    for (const state of this.#resources.values()) state.configurationChanged();
  }

  #refused(error: unknown, again: boolean): void {
    const { clock, log } = this.#parts;
    this.#reloads.failure++;
    this.#reloads.lastFailureSeconds = clock.nowMs() / 1_000;
    const { file } = this.#config;
    if (!again) log.error({ file }, `the encryption configuration stays as it was: ${problemOf(error)}`);
  }

  async #problemOf(providers: readonly KmsProvider[]): Promise<string | undefined> {
    const { clock } = this.#parts;
    const timeouts = providers.reduce((sum, { settings }) => sum + settings.timeoutMs, 0);
    const untilMs = clock.monotonicMs() + Math.max(HEALTHY_WITHIN_MS, 2 * timeouts);
    for (;;) {
      const problem = await kmsProblem(providers);
      if (problem === undefined || this.#stopped || clock.monotonicMs() >= untilMs) return problem;
      await sleep(clock, HEALTH_POLL_MS);
    }
  }

  #providers(): KmsProviders {
    const { clock, random, limits, log, report } = this.#parts;
    return new KmsProviders({
      clock,
      random,
      limits,
      report,
      changed(provider, problem) {
        if (problem === undefined) log.info({ provider }, 'the KMS plugin works');
        else log.warn({ provider }, `the KMS plugin does not work: ${problem}`);
      },
      recovered: (provider) => {
        log.info({ provider }, 'the KMS plugin decrypts what it did not: what it is needed for is read anew');
        const [transformer] = this.#kms.all.flatMap((one) => (one.settings.name === provider ? [one.transformer] : []));
        for (const state of this.#resources.values()) {
          if (transformer !== undefined && state.transformers()?.includes(transformer) === true) state.reread();
        }
      },
    });
  }
}

/** Each value asks for its transformers: they are looked up once for each configuration. */
class ResourceState implements ResourceDecryption {
  readonly #lookUp: ResourceDecryption['transformers'];
  readonly #rereads = new Set<() => void>();
  #transformers: ReturnType<ResourceDecryption['transformers']>;
  /** How often it was to be read anew, and after how many of these times the oldest value failed that a reader may still have. */
  #rereadings = 0;
  #failedAfter = Number.POSITIVE_INFINITY;

  constructor(lookUp: ResourceDecryption['transformers']) {
    this.#lookUp = lookUp;
    this.#transformers = lookUp();
  }

  transformers(): ReturnType<ResourceDecryption['transformers']> {
    return this.#transformers;
  }

  failed(): void {
    this.#failedAfter = Math.min(this.#failedAfter, this.#rereadings);
  }

  onReread(reread: () => void): () => void {
    this.#rereads.add(reread);
    if (this.#failedAfter < this.#rereadings) {
      this.#failedAfter = Number.POSITIVE_INFINITY;
      queueMicrotask(() => {
        if (this.#rereads.has(reread)) reread();
      });
    }
    return () => this.#rereads.delete(reread);
  }

  configurationChanged(): void {
    const had = this.#transformers !== undefined;
    this.#transformers = this.#lookUp();
    if (had || this.#transformers !== undefined) this.reread();
  }

  reread(): void {
    this.#rereadings++;
    for (const reread of [...this.#rereads]) reread();
  }
}

function configurationOf(file: EncryptionFile, prepared: readonly KmsProvider[]): EncryptionConfiguration {
  const transformers = new Map<string, Transformer>(
    prepared.map(({ settings, transformer }) => [settings.name, transformer]),
  );
  return connected(file, ({ name }) => transformers.get(name)!);
}

/** As kube-apiserver names a configuration in its metrics. */
function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

function problemOf(error: unknown): string {
  return error instanceof ConfigurationError ? error.message : fileProblem(error);
}
