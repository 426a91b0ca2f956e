import { groupResourceOf } from '../api/gvr.js';
import type { Cache } from '../cache/cache.js';
import type { HealthCheck } from '../http/health.js';
import type { Source } from '../source/source.js';
import type { CustomKinds } from './custom-kinds.js';

/**
 * While etcd is out of reach only /readyz fails: a restart would not bring it back, but would lose
 * the caches, which go on answering.
 */
export function createHealthChecks({ sources, encryption, eager, customKinds }: HealthParts): HealthCheck[] {
  const always = async () => {};
  const everywhere = ['healthz', 'livez', 'readyz'] as const;
  const etcd: HealthCheck = {
    name: 'etcd',
    endpoints: ['readyz'],
    async check(signal) {
      await Promise.all(sources.map((source) => source.probe(signal)));
    },
  };
  return [
    { name: 'ping', endpoints: everywhere, check: always },
    { name: 'log', endpoints: everywhere, check: always },
    ...(sources.length === 0 ? [] : [etcd]),
    ...encryption,
    {
      name: 'poststarthook/crd-informer-synced',
      endpoints: ['readyz'],
      async check() {
        if (!customKinds.synced) throw new Error('the CustomResourceDefinitions are not known yet');
      },
    },
    {
      name: 'poststarthook/storage-readiness',
      endpoints: ['readyz'],
      async check() {
        const filling = eager().filter((cache) => cache.stats.initializations === 0);
        const names = filling.map(({ kind }) => groupResourceOf(kind.group, kind.resource));
        if (names.length > 0) throw new Error(`caches not initialized: ${names.join(', ')}`);
      },
    },
  ];
}

export interface HealthParts {
  /** Stores that can be out of reach. */
  readonly sources: readonly Source[];
  readonly encryption: readonly HealthCheck[];
  /** Of the caches that start with the server. */
  readonly eager: () => readonly Cache[];
  readonly customKinds: Pick<CustomKinds, 'synced'>;
}
