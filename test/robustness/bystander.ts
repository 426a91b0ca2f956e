import assert from 'node:assert/strict';
import { eventually } from '../support/command.js';
import type { EtcdKv } from '../support/etcd-kv.js';
import { createAgent, send } from '../support/http-client.js';
import { metricSum, type OpenWatch, openWatch } from './client.js';
import { configMap, configMapKey } from './objects.js';

const NAMESPACE = 'bystander';
const EVERY_MS = 50;
/** One that takes longer ends the test. */
const WAIT_MS = 30_000;

export interface Seen {
  readonly rounds: number;
  /** The longest that a GET, and an event from its write on, took. */
  readonly getMs: number;
  readonly eventMs: number;
  /** That a tenth of the GETs exceeded. */
  readonly slowGetMs: number;
  /** Resident memory of the server: at the beginning, and the most. */
  readonly bytesBefore: number;
  readonly bytesMost: number;
}

/**
 * A client that wants nothing special, while others misbehave: it changes an object, GETs it and waits for the event of it,
 * again and again, and keeps the longest times, and the most memory that the server has at such a moment.
 */
export class Bystander {
  readonly #url: string;
  readonly #kv: EtcdKv;
  readonly #watch: OpenWatch;
  readonly #agent = createAgent(1);
  readonly #gets: number[] = [];
  readonly #events: number[] = [];
  readonly #bytesBefore: number;
  #bytesMost: number;
  #over = false;
  readonly #rounds: Promise<void>;

  /** Rejects at `end` what went wrong meanwhile. */
  static async begin(url: string, kv: EtcdKv): Promise<Bystander> {
    await kv.put(configMapKey(NAMESPACE, 'it'), configMap(NAMESPACE, 'it'));
    const bytes = await metricSum(url, 'process_resident_memory_bytes');
    const watch = await openWatch(url, `/api/v1/namespaces/${NAMESPACE}/configmaps?watch=1&timeoutSeconds=600`);
    return new Bystander(url, kv, watch, bytes);
  }

  private constructor(url: string, kv: EtcdKv, watch: OpenWatch, bytes: number) {
    this.#url = url;
    this.#kv = kv;
    this.#watch = watch;
    this.#bytesBefore = bytes;
    this.#bytesMost = bytes;
    this.#rounds = this.#go();
    this.#rounds.catch(() => undefined); // `end` says it
  }

  async end(): Promise<Seen> {
    this.#over = true;
    try {
      await this.#rounds;
    } finally {
      this.#watch.close();
      this.#agent.destroy();
    }
    const ascending = this.#gets.toSorted((a, b) => a - b);
    return {
      rounds: this.#gets.length,
      getMs: Math.max(...this.#gets),
      eventMs: Math.max(...this.#events),
      slowGetMs: ascending[Math.floor(ascending.length * 0.9)] ?? 0,
      bytesBefore: this.#bytesBefore,
      bytesMost: this.#bytesMost,
    };
  }

  async #go(): Promise<void> {
    const path = `/api/v1/namespaces/${NAMESPACE}/configmaps/it`;
    for (let round = 0; !this.#over || round === 0; round++) {
      const startMs = performance.now();
      const revision = await this.#kv.put(configMapKey(NAMESPACE, 'it'), configMap(NAMESPACE, 'it', { n: `${round}` }));
      const writtenMs = performance.now();
      const got = await send(this.#url, { path, headers: { accept: 'application/json' } }, this.#agent, WAIT_MS);
      this.#gets.push(performance.now() - writtenMs);
      assert.equal(got.status, 200, got.body.toString().slice(0, 300));
      assert.match(got.body.toString(), new RegExp(`"resourceVersion":"${revision}"`), 'what was written is read');
      const isSeen = () => this.#watch.events.at(-1)?.object.metadata.resourceVersion === String(revision);
      await eventually(`the watch sees revision ${revision}`, isSeen, WAIT_MS, 1);
      this.#events.push(performance.now() - startMs);
      if (round % 5 === 0) {
        const bytes = await metricSum(this.#url, 'process_resident_memory_bytes');
        this.#bytesMost = Math.max(this.#bytesMost, bytes);
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }
}

/** What it saw, in a line. */
export function told({ rounds, getMs, eventMs, slowGetMs, bytesBefore, bytesMost }: Seen): string {
  const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  return (
    `${rounds} GETs within ${Math.round(getMs)} ms (nine of ten within ${Math.round(slowGetMs)}), events within ` +
    `${Math.round(eventMs)} ms; ${mebibytes(bytesBefore)} resident, at most ${mebibytes(bytesMost)}`
  );
}
