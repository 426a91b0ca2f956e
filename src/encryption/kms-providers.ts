import type { Clock } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { KmsSettings } from './kms-plugin.js';
import { type KmsLimits, KmsProvider } from './kms-provider.js';

export interface KmsProvidersParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: KmsLimits;
  readonly report: (provider: string, method: string, code: string, seconds: number) => void;
  /** See KmsParts. */
  readonly changed: (provider: string, problem: string | undefined) => void;
  readonly recovered: (provider: string) => void;
}

/** The KMS providers of the configuration in use, in its order. One that stays as it was keeps its connection and its keys. */
export class KmsProviders {
  readonly #parts: KmsProvidersParts;
  #inUse: readonly KmsProvider[] = [];
  #started = false;

  constructor(parts: KmsProvidersParts) {
    this.#parts = parts;
  }

  get all(): readonly KmsProvider[] {
    return this.#inUse;
  }

  /** Those of a configuration that may come into use: the ones in use where the settings are the same, others are made. */
  prepare(settings: readonly KmsSettings[]): readonly KmsProvider[] {
    return settings.map(
      (wanted) => this.#inUse.find((provider) => isSame(provider.settings, wanted)) ?? this.#make(wanted),
    );
  }

  /** Those that were prepared come into use; what they do not have is closed. */
  use(prepared: readonly KmsProvider[]): void {
    const gone = this.#inUse.filter((provider) => !prepared.includes(provider));
    const added = prepared.filter((provider) => !this.#inUse.includes(provider));
    this.#inUse = prepared;
    for (const provider of gone) provider.close();
    if (this.#started) for (const { health } of added) health.start();
  }

  /** From now on plugins are asked how they are. */
  start(): void {
    this.#started = true;
    for (const { health } of this.#inUse) health.start();
  }

  /** Those that were prepared will not come into use. */
  discard(prepared: readonly KmsProvider[]): void {
    for (const provider of prepared) if (!this.#inUse.includes(provider)) provider.close();
  }

  close(): void {
    this.use([]);
  }

  #make(settings: KmsSettings): KmsProvider {
    const { clock, random, limits, report, changed, recovered } = this.#parts;
    const { name } = settings;
    return new KmsProvider(settings, {
      clock,
      random,
      limits,
      report: (method, code, seconds) => report(name, method, code, seconds),
      changed: (problem) => changed(name, problem),
      recovered: () => recovered(name),
    });
  }
}

/** Why any of them is not healthy, each by its place, as kube-apiserver's check `kms-providers` says it; undefined: all are. */
export async function kmsProblem(providers: readonly KmsProvider[]): Promise<string | undefined> {
  const problems = await Promise.all(providers.map(({ health }) => health.problem()));
  const said = problems.flatMap((problem, index) =>
    problem === undefined ? [] : [`kms-provider-${index}: ${problem}`],
  );
  if (said.length === 0) return undefined;
  return said.length === 1 ? said[0] : `[${said.join(', ')}]`;
}

function isSame(one: KmsSettings, other: KmsSettings): boolean {
  return one.name === other.name && one.endpoint === other.endpoint && one.timeoutMs === other.timeoutMs;
}
