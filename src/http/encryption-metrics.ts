import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { collectedCounter } from './collected-counter.js';

/** How values are decrypted (`--encryption-provider-config`). */
export interface EncryptionStats {
  /** Of the file, without a restart; times are Unix seconds, 0: never. */
  readonly reloads: {
    readonly success: number;
    readonly failure: number;
    readonly lastSuccessSeconds: number;
    readonly lastFailureSeconds: number;
  };
  /** Of the file in use. */
  readonly configurationHash: string;
  /** Of KMS: data keys that are known, and values that were read without knowing theirs. */
  readonly providers: readonly { readonly name: string; readonly dataKeys: number; readonly misses: number }[];
}

/** Is told of a call of a KMS plugin: gRPC's full method, Go's name of the code. */
export type KmsCallObserver = (provider: string, method: string, code: string, seconds: number) => void;

/** From 0.1 ms, each twice the one before. */
const CALL_SECONDS = Array.from({ length: 20 }, (_, index) => 0.0001 * 2 ** index);

/** kube-apiserver's own names; nothing is reported without a file. There is no identity of an apiserver to be hashed. */
export function registerEncryptionMetrics(
  registry: Registry,
  stats: () => EncryptionStats | undefined,
): KmsCallObserver {
  const registers = [registry];
  const status = ['success', 'failure'] as const;
  new Counter({
    name: 'apiserver_encryption_config_controller_automatic_reloads_total',
    help: 'Changes of the encryption configuration that were taken, or not.',
    labelNames: ['status', 'apiserver_id_hash'],
    registers,
    collect() {
      this.reset();
      const now = stats();
      for (const one of status) {
        if (now !== undefined && now.reloads[one] > 0)
          this.inc({ status: one, apiserver_id_hash: '' }, now.reloads[one]);
      }
    },
  });
  new Gauge({
    name: 'apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds',
    help: 'When a change of the encryption configuration was last taken, or not, as Unix time.',
    labelNames: ['status', 'apiserver_id_hash'],
    registers,
    collect() {
      this.reset();
      const now = stats();
      if (now === undefined) return;
      const { success, failure, lastSuccessSeconds, lastFailureSeconds } = now.reloads;
      if (success > 0) this.set({ status: 'success', apiserver_id_hash: '' }, lastSuccessSeconds);
      if (failure > 0) this.set({ status: 'failure', apiserver_id_hash: '' }, lastFailureSeconds);
    },
  });
  new Gauge({
    name: 'apiserver_encryption_config_controller_last_config_info',
    help: 'Always 1; the label says which encryption configuration is in use.',
    labelNames: ['apiserver_id_hash', 'hash'],
    registers,
    collect() {
      this.reset();
      const now = stats();
      if (now !== undefined) this.set({ apiserver_id_hash: '', hash: now.configurationHash }, 1);
    },
  });
  new Gauge({
    name: 'apiserver_envelope_encryption_dek_source_cache_size',
    help: 'Data keys of KMS providers that are known: so many calls would a restart cost.',
    labelNames: ['provider_name'],
    registers,
    collect() {
      this.reset();
      for (const { name, dataKeys } of stats()?.providers ?? []) this.set({ provider_name: name }, dataKeys);
    },
  });
  collectedCounter(
    registry,
    'apiserver_storage_envelope_transformation_cache_misses_total',
    'Values whose data key was not known.',
    stats,
    ({ providers }) => providers.reduce((sum, { misses }) => sum + misses, 0),
  );
  const calls = new Histogram({
    name: 'apiserver_envelope_encryption_kms_operations_latency_seconds',
    help: 'Time that calls of KMS plugins took.',
    labelNames: ['provider_name', 'method_name', 'grpc_status_code'],
    buckets: CALL_SECONDS,
    registers,
  });
  return (provider_name, method_name, grpc_status_code, seconds) =>
    calls.observe({ provider_name, method_name, grpc_status_code }, seconds);
}
