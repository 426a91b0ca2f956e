import type { KubeObject } from '../app/sample/objects.js';
import { kindByObject } from '../codec/kinds.js';
import type { Clock } from '../lib/clock.js';
import type { ReadObject } from './answers.js';
import { type ApiClient, ApiError } from './api-client.js';
import type { Meters } from './meters.js';
import { type Ref, WriteRefused, type Writer } from './writer.js';

/** Conflicts, what is there already, and what is gone. */
const REFUSED: ReadonlySet<number> = new Set([404, 409]);
const MERGE_PATCH = 'application/merge-patch+json';

/** Writes through a kube-apiserver, which has every call measured. Rejects with WriteRefused, or with ApiError. */
export class ApiWriter implements Writer {
  readonly #client: ApiClient;
  readonly #meters: Meters;
  readonly #clock: Clock;

  constructor(client: ApiClient, { meters, clock }: { readonly meters: Meters; readonly clock: Clock }) {
    this.#client = client;
    this.#meters = meters;
    this.#clock = clock;
  }

  create(object: KubeObject): Promise<ReadObject> {
    const kind = kindByObject(object.apiVersion, object.kind)!;
    const { namespace } = object.metadata;
    return this.#write(kind.resource, () => this.#client.write('POST', kind, { namespace }, object));
  }

  update(object: ReadObject): Promise<ReadObject> {
    const kind = kindByObject(String(object['apiVersion']), String(object['kind']))!;
    const { namespace, name } = object.metadata;
    return this.#write(kind.resource, () => this.#client.write('PUT', kind, { namespace, name }, object));
  }

  patch({ kind, namespace, name }: Ref, patch: object, subresource?: 'status'): Promise<ReadObject> {
    const place = { namespace, name, ...(subresource === undefined ? {} : { subresource }) };
    return this.#write(kind.resource, () => this.#client.write('PATCH', kind, place, patch, MERGE_PATCH));
  }

  async bind({ kind, namespace, name }: Ref, node: string): Promise<void> {
    const target = { apiVersion: 'v1', kind: 'Node', name: node };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target };
    const place = { namespace, name, subresource: 'binding' };
    await this.#write(kind.resource, () => this.#client.write('POST', kind, place, binding));
  }

  async delete({ kind, namespace, name }: Ref, graceSeconds: number): Promise<void> {
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: graceSeconds };
    await this.#write(kind.resource, () => this.#client.write('DELETE', kind, { namespace, name }, options));
  }

  async #write(resource: string, call: () => Promise<ReadObject>): Promise<ReadObject> {
    const startMs = this.#clock.monotonicMs();
    try {
      const object = await call();
      // A Status, which some calls answer with, has none.
      const resourceVersion = object.metadata?.resourceVersion;
      if (resourceVersion !== undefined) this.#meters.lags.wrote(resourceVersion, resource, startMs);
      return object;
    } catch (error) {
      if (error instanceof ApiError && REFUSED.has(error.status)) throw new WriteRefused(error.message);
      throw error;
    }
  }
}
