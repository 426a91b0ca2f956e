import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ModRevision } from '../../src/api/revision.js';
import { systemClock } from '../../src/lib/clock.js';
import { type Random, systemRandom } from '../../src/lib/random.js';
import { createEtcdSource } from '../../src/source/etcd/etcd-source.js';
import type { EtcdOptions } from '../../src/source/etcd/options.js';
import { SourceError } from '../../src/source/source.js';
import { type Etcd, type EtcdOptions as ServerOptions, startEtcd } from '../support/etcd.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import type { TestStore } from '../suites/source-suite.js';

export const QUICK = { hangProbeMs: 300, hangTimeoutMs: 700, progressAnswerMs: 1_500 } as const;
export const FIRST_ENDPOINT: Random = { ...systemRandom, int: () => 0 };

/** What a test opened; closed after it, newest first, however it ends. Closing twice does no harm. */
const opened: (() => Promise<void>)[] = [];

export function source(
  endpoints: readonly string[],
  options: Partial<EtcdOptions> = {},
  random = systemRandom,
): TestStore {
  const store = createEtcdSource({ endpoints, ...options }, { clock: systemClock, random });
  opened.push(() => store.close());
  return store;
}

export async function server(options: ServerOptions = {}): Promise<Etcd> {
  const etcd = await startEtcd(options);
  opened.push(() => etcd.stop());
  return etcd;
}

export async function proxyTo(port: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port);
  opened.push(async () => proxy[Symbol.asyncDispose]());
  return proxy;
}

export function put(store: TestStore, key: string, value = ''): Promise<ModRevision> {
  return store.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from(value) }]);
}

export async function withEtcd(
  run: (etcd: Etcd, store: TestStore) => Promise<void>,
  options: ServerOptions = {},
  sourceOptions: Partial<EtcdOptions> = {},
): Promise<void> {
  const etcd = await server(options);
  await run(etcd, source([etcd.endpoint], sourceOptions));
}

/** A test that may open sources, servers and proxies without closing them. */
export function faultTest(what: string, run: () => Promise<void>): void {
  test(`etcd: ${what}`, { timeout: 120_000 }, async () => {
    try {
      await run();
    } finally {
      while (opened.length > 0) await opened.pop()!();
    }
  });
}

export async function rejects(kind: SourceError['kind'], promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof SourceError, `not a SourceError: ${error}`);
    assert.equal(error.kind, kind, error.message);
    return true;
  });
}

/** Tries until it succeeds: etcd comes back after a restart, and connections with it. */
export async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 20_000): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

/** Repeats while the store is unavailable; any other outcome is the result. */
export async function onceAvailable<T>(attempt: () => Promise<T>, timeoutMs = 20_000): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const isUnavailable = error instanceof SourceError && error.kind === 'unavailable';
      if (!isUnavailable || Date.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

export function portOf(etcd: Etcd): number {
  return Number(new URL(etcd.endpoint).port);
}
