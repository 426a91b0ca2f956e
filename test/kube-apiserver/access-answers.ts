import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import { type Asked, ask, type Reply } from '../auth/support.js';
import { ADMIN, type ControlPlane } from '../support/control-plane.js';

/** An answer as far as two servers must agree. */
export interface Shown {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** Of each request or connection, or of priority and fairness, which listwatch does without. */
const OWN_HEADERS = new Set([
  ...['date', 'content-length', 'connection', 'keep-alive', 'transfer-encoding'],
  ...['x-kubernetes-pf-flowschema-uid', 'x-kubernetes-pf-prioritylevel-uid'],
]);

export function shown({ code, headers, body }: Reply): Shown {
  const kept = Object.entries(headers).filter(([name]) => !OWN_HEADERS.has(name));
  return {
    status: code,
    headers: Object.fromEntries(kept.map(([name, value]) => (name === 'audit-id' ? [name, 'some'] : [name, value]))),
    body: headers['content-type'] === 'application/json' ? comparable(JSON.parse(body)) : body,
  };
}

/**
 * The moment of a review is like any other. listwatch keeps no record of who has set which member of a review, which is gone as soon as
 * it is answered.
 */
function comparable(body: unknown): unknown {
  const { metadata, ...rest } = body as { readonly metadata?: object };
  if (metadata === undefined) return body;
  const { managedFields: _fields, ...others } = metadata as Readonly<Record<string, unknown>>;
  return { ...rest, metadata: 'creationTimestamp' in others ? { ...others, creationTimestamp: 'some' } : others };
}

const SHOWN_MAX = 10;

/** Collects what differs, so that one run shows all of it. */
export class Differences {
  readonly #found: string[] = [];

  add(what: string, theirs: unknown, ours: unknown): void {
    if (isDeepStrictEqual(theirs, ours)) return;
    this.#found.push(`${what}\n  theirs ${JSON.stringify(theirs)}\n  ours   ${JSON.stringify(ours)}`);
  }

  assertNone(): void {
    const { length } = this.#found;
    if (length > 0) assert.fail(`${length} differ, the first of them:\n${this.#found.slice(0, SHOWN_MAX).join('\n')}`);
  }
}

/** The same question to kube-apiserver and to listwatch. */
export async function both(world: ControlPlane, path: string, asked: Asked): Promise<readonly [Shown, Shown]> {
  const to = (url: string) => ask(Number(new URL(url).port), path, asked).then(shown);
  return Promise.all([to(world.theirUrl), to(world.ourUrl)]);
}

/** Asks many questions over few connections. */
export class Posts {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false });

  close(): void {
    this.#agent.destroy();
  }

  /** The review as it is answered. */
  async post(
    url: string,
    path: string,
    review: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reviewed> {
    const { hostname, port } = new URL(url);
    const all = { ...ADMIN, 'content-type': 'application/json', ...headers };
    const sent = request({ hostname, port, path, method: 'POST', headers: all, agent: this.#agent });
    sent.end(JSON.stringify(review));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const body = JSON.parse(await text(response)) as Reviewed;
    return { ...(comparable(body) as Reviewed), code: response.statusCode! };
  }
}

export interface Reviewed {
  readonly code: number;
  readonly status: {
    readonly allowed?: boolean;
    readonly reason?: string;
    readonly resourceRules?: readonly object[];
    readonly nonResourceRules?: readonly object[];
    readonly [member: string]: unknown;
  };
}

/** A seed, to be given again as SEED, and what it gives. */
export function freshRandom(): { readonly seed: number; readonly random: Random } {
  const given = process.env['SEED'];
  const seed = given === undefined ? systemRandom.int(2 ** 31) : Number(given);
  return { seed, random: seededRandom(seed) };
}

/** Several at once: each connection does one thing at a time. */
export async function inParallel<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const item of rest) await each(item);
    }),
  );
}
