import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../lib/clock.js';
import { keyIdProblem } from './encrypted-object.js';
import type { KmsMessages } from './kms-messages.js';
import type { KmsPlugin } from './kms-plugin.js';

/** As kube-apiserver has them (encryptionconfig/config.go): how often the plugin is asked, and how long an answer holds. */
const ASK_EVERY_MS = 60_000;
const ASK_FAILED_EVERY_MS = 10_000;
const HEALTHY_FOR_MS = 20_000;
const FAILED_FOR_MS = 3_000;
/** `v2beta1` is what older plugins say of the same API. */
const VERSIONS = ['v2', 'v2beta1'];

/** What a plugin says of itself when it is asked for its Status. */
export class KmsHealth {
  readonly #name: string;
  readonly #plugin: KmsPlugin;
  readonly #clock: Clock;
  readonly #changed: (problem: string | undefined) => void;
  #version: string | undefined;
  #last: { readonly atMs: number; readonly problem: string | undefined } | undefined;
  /** As told to `changed`; null: nothing yet. */
  #told: string | undefined | null = null;
  #asking: Promise<string | undefined> | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  /** `changed` is told each new problem once, and once that there is none (any more). */
  constructor(name: string, plugin: KmsPlugin, clock: Clock, changed: (problem: string | undefined) => void) {
    this.#name = name;
    this.#plugin = plugin;
    this.#clock = clock;
    this.#changed = changed;
  }

  /** Asks now, and from now on. */
  start(): void {
    void this.problem().then((problem) => {
      if (this.#stopped) return;
      const delayMs = problem === undefined ? ASK_EVERY_MS : ASK_FAILED_EVERY_MS;
      this.#timer = this.#clock.setTimer(delayMs, () => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Why the plugin is not healthy; undefined: it is. An answer that is fresh enough is given again. */
  async problem(): Promise<string | undefined> {
    if (this.#last !== undefined) {
      const { atMs, problem } = this.#last;
      if (this.#clock.monotonicMs() - atMs < (problem === undefined ? HEALTHY_FOR_MS : FAILED_FOR_MS)) return problem;
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<string | undefined> {
    let problem: string | undefined;
    try {
      problem = this.#problemOf(await this.#plugin.status());
    } catch (error) {
      problem = `failed to perform status section of the healthz check for KMS Provider ${this.#name}, error: ${(error as Error).message}`;
    }
    if (this.#stopped) return problem;
    this.#last = { atMs: this.#clock.monotonicMs(), problem };
    if (problem !== this.#told) this.#changed((this.#told = problem));
    return problem;
  }

  #problemOf({ version, healthz, key_id: keyId }: KmsMessages['StatusResponse']): string | undefined {
    const problems: string[] = [];
    if (healthz !== 'ok') problems.push(`got unexpected healthz status: ${healthz.slice(0, 512)}`);
    if (!VERSIONS.includes(version)) problems.push(`expected KMSv2 API version v2, got ${version.slice(0, 64)}`);
    else if ((this.#version ??= version) !== version) {
      problems.push(
        `KMSv2 API version should not change after the initial status response version ${this.#version}, got ${version}`,
      );
    }
    const wrongKeyId = keyIdProblem(keyId);
    if (wrongKeyId !== undefined) {
      const hash = keyId === '' ? '' : `sha256:${createHash('sha256').update(keyId).digest('hex')}`;
      problems.push(`got invalid KMSv2 KeyID hash ${JSON.stringify(hash)}: ${wrongKeyId}`);
    }
    if (problems.length === 0) return undefined;
    const said = problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`;
    return `kmsv2 Provider ${this.#name} is not healthy, error: ${said}`;
  }
}
