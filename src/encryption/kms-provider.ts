import { LRUCache } from 'lru-cache';
import { type Clock, coalesced, type Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import { PageGate } from '../source/page-gate.js';
import { dataKeyName, openWithDataKey, readEncryptedObject } from './encrypted-object.js';
import { KmsHealth } from './kms-health.js';
import type { EncryptedObject, KmsMessages } from './kms-messages.js';
import { KmsCallError, KmsPlugin, type KmsSettings, type ReportCall } from './kms-plugin.js';
import { byteString, DecryptError, type OpenValue, type Transformer } from './transformer.js';

export type KmsLimits = Pick<
  Limits,
  'kmsDataKeysMax' | 'kmsDataKeyMs' | 'kmsFailuresMax' | 'kmsRetryMinMs' | 'kmsRetryMaxMs' | 'kmsCallsMax'
>;

export interface KmsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: KmsLimits;
  readonly report: ReportCall;
  /** The plugin fails, or works again (undefined); told once for each problem. */
  readonly changed: (problem: string | undefined) => void;
  /** Data keys that could not be had before can be had now: what was read without them should be read anew. */
  readonly recovered: () => void;
}

interface DataKey {
  readonly open: OpenValue;
  readonly untilMs: number;
}

/** A data key that the plugin did not decrypt. */
interface FailedKey {
  readonly object: EncryptedObject;
  readonly open: OpenValue;
  readonly attempts: number;
  readonly retry: Timer;
}

/** Several keys that recover do so together: the kinds are read anew once. */
const RECOVERED_AFTER_MS = 100;

/**
 * One KMS v2 provider: the data keys that its plugin has decrypted, each by one call, however many values and readers wait for it.
 *
 *     unknown ──call──> known (forgotten when others are used more, or after a day: kmsDataKeyMs)
 *                └────> failed ──later, twice as late each time──> call
 *
 * While a key is failed its values are answered with the reason at once, so that a plugin that is away is not asked by every read.
 */
export class KmsProvider {
  readonly settings: KmsSettings;
  readonly transformer: Transformer;
  readonly health: KmsHealth;
  readonly #parts: KmsParts;
  readonly #plugin: KmsPlugin;
  readonly #keys: LRUCache<string, DataKey>;
  readonly #calls = new Map<string, Promise<OpenValue>>();
  readonly #failed = new Map<string, FailedKey>();
  readonly #recovered: () => void;
  /** First come, first served, as pages of lists are. */
  readonly #gate: PageGate;
  /** When a call last did not reach the plugin, and what it was told. */
  #away: { readonly atMs: number; readonly error: KmsCallError } | undefined;
  #misses = 0;
  #closed = false;

  constructor(settings: KmsSettings, parts: KmsParts) {
    const { clock, limits, changed, report } = parts;
    this.settings = settings;
    this.#parts = parts;
    this.#plugin = new KmsPlugin(settings, clock, report);
    this.#keys = new LRUCache({ max: limits.kmsDataKeysMax });
    this.#gate = new PageGate(limits.kmsCallsMax);
    this.#recovered = coalesced(clock, RECOVERED_AFTER_MS, () => {
      if (!this.#closed) parts.recovered();
    });
    this.health = new KmsHealth(settings.name, this.#plugin, clock, (problem) => {
      changed(problem);
      if (problem === undefined) this.#retryAll();
    });
    this.transformer = {
      prefix: byteString(`k8s:enc:kms:v2:${settings.name}:`),
      open: () => {
        throw new DecryptError('the data key was not asked for');
      },
      fetchOpen: (data) => this.#fetchOpen(data),
    };
  }

  /** Data keys that are known. */
  get size(): number {
    return this.#keys.size;
  }

  /** Values whose data key was not known. */
  get misses(): number {
    return this.#misses;
  }

  close(): void {
    this.#closed = true;
    this.health.stop();
    for (const { retry } of this.#failed.values()) retry.cancel();
    this.#failed.clear();
    this.#plugin.close();
  }

  #fetchOpen(data: Uint8Array): OpenValue | Promise<OpenValue> {
    let object: EncryptedObject;
    try {
      object = readEncryptedObject(data);
    } catch (error) {
      return throwing(error);
    }
    const name = dataKeyName(object);
    const known = this.#keys.get(name);
    if (known !== undefined && this.#parts.clock.monotonicMs() < known.untilMs) return known.open;
    this.#misses++;
    // Of a configuration that has just been replaced: what it reads is read anew.
    if (this.#closed) return throwing(new DecryptError('the KMS provider is not configured any more'));
    return this.#calls.get(name) ?? this.#failed.get(name)?.open ?? this.#call(name, copyWithoutData(object), 0);
  }

  /** Calls of one key are one call. Never rejects. */
  #call(name: string, object: EncryptedObject, attempts: number): Promise<OpenValue> {
    const call = this.#decrypt(object).then(
      (open) => {
        const { clock, limits } = this.#parts;
        this.#keys.set(name, { open, untilMs: clock.monotonicMs() + limits.kmsDataKeyMs });
        if (this.#failed.delete(name)) this.#recovered();
        return open;
      },
      (error: unknown) => this.#fail(name, object, attempts, error),
    );
    const shared = call.finally(() => this.#calls.delete(name));
    this.#calls.set(name, shared);
    return shared;
  }

  async #decrypt(object: EncryptedObject): Promise<OpenValue> {
    const { encryptedDEKSource, keyID, annotations, encryptedDEKSourceType } = object;
    let plaintext: Uint8Array;
    try {
      plaintext = await this.#ask({
        ciphertext: encryptedDEKSource,
        uid: this.#parts.random.uuid(),
        key_id: keyID,
        annotations,
      });
    } catch (error) {
      throw new DecryptError(`failed to decrypt DEK, error: ${(error as Error).message}`);
    }
    return openWithDataKey(encryptedDEKSourceType, plaintext);
  }

  /** Calls that wait for their turn while the plugin is found to be away fail with it: they would wait for its timeout, one after the other. */
  async #ask(request: KmsMessages['DecryptRequest']): Promise<Uint8Array> {
    const { clock } = this.#parts;
    const sinceMs = clock.monotonicMs();
    const leave = await this.#gate.enter();
    try {
      if (this.#away !== undefined && this.#away.atMs >= sinceMs) throw this.#away.error;
      return await this.#plugin.decrypt(request);
    } catch (error) {
      if (error instanceof KmsCallError && error.unreached) this.#away = { atMs: clock.monotonicMs(), error };
      throw error;
    } finally {
      leave();
    }
  }

  #fail(name: string, object: EncryptedObject, attempts: number, error: unknown): OpenValue {
    const open = throwing(error);
    if (this.#closed) return open;
    const { clock, limits } = this.#parts;
    this.#failed.get(name)?.retry.cancel();
    this.#failed.delete(name);
    if (this.#failed.size >= limits.kmsFailuresMax) {
      // It is asked for again when it is read again, at the latest after another one has recovered.
      const [oldest, { retry }] = this.#failed.entries().next().value!;
      retry.cancel();
      this.#failed.delete(oldest);
    }
    const delayMs = Math.min(limits.kmsRetryMinMs * 2 ** attempts, limits.kmsRetryMaxMs);
    const retry = clock.setTimer(delayMs, () => this.#retry(name));
    this.#failed.set(name, { object, open, attempts, retry });
    return open;
  }

  #retry(name: string): void {
    const failed = this.#failed.get(name);
    if (failed === undefined || this.#closed || this.#calls.has(name)) return;
    failed.retry.cancel();
    void this.#call(name, failed.object, failed.attempts + 1);
  }

  #retryAll(): void {
    for (const name of [...this.#failed.keys()]) this.#retry(name);
  }
}

function throwing(error: unknown): OpenValue {
  const reason = error instanceof DecryptError ? error : new DecryptError('the data key could not be decrypted');
  return () => {
    throw reason;
  };
}

/** Of its own: the bytes that it was read from are only lent, and large. */
function copyWithoutData(object: EncryptedObject): EncryptedObject {
  const annotations = Object.entries(object.annotations).map(([name, value]) => [name, Buffer.from(value)] as const);
  return {
    keyID: object.keyID,
    encryptedDEKSourceType: object.encryptedDEKSourceType,
    encryptedDEKSource: Buffer.from(object.encryptedDEKSource),
    annotations: Object.fromEntries(annotations),
    encryptedData: Buffer.alloc(0),
  };
}
