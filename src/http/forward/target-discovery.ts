import type { IncomingMessage } from 'node:http';
import { AUTHENTICATED } from '../../auth/identity.js';
import type { Clock } from '../../lib/clock.js';
import type { Limits } from '../../lib/limits.js';
import type { Discovery } from '../discovery.js';
import { readGroups } from './group-discovery.js';
import { mergeDiscovery, type TargetGroups } from './merged-discovery.js';
import type { TargetConnections } from './target.js';

export interface TargetDiscoveryContext {
  readonly target: TargetConnections;
  readonly own: () => Discovery;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Is told when the target's documents cannot be had, and when they can again. */
  readonly changed: (problem: string | undefined) => void;
}

const ACCEPT = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
/** Everybody who is authenticated may read discovery: the ClusterRole system:discovery. */
const READER = 'system:listwatch';

/**
 * Discovery of listwatch and of the target in one. The target is asked when somebody asks, and what it has said is kept for
 * `forwardDiscoveryMs`; while it does not answer, what it said last goes on to hold, or else what listwatch has alone.
 */
export class TargetDiscovery {
  readonly #context: TargetDiscoveryContext;
  #groups: TargetGroups | undefined;
  /** When the target was asked last; undefined: never. */
  #askedMs: number | undefined;
  #asking: Promise<void> | undefined;
  #problem: string | undefined;
  #merged: { readonly own: Discovery; readonly groups: TargetGroups; readonly both: Discovery } | undefined;

  constructor(context: TargetDiscoveryContext) {
    this.#context = context;
  }

  /** Never rejects. */
  async current(): Promise<Discovery> {
    const { clock, limits } = this.#context;
    const isOld = this.#askedMs === undefined || clock.monotonicMs() - this.#askedMs >= limits.forwardDiscoveryMs;
    if (isOld) {
      await (this.#asking ??= this.#ask().finally(() => {
        this.#asking = undefined;
        this.#askedMs = clock.monotonicMs();
      }));
    }
    const own = this.#context.own();
    const groups = this.#groups;
    if (groups === undefined) return own;
    if (this.#merged?.own !== own || this.#merged.groups !== groups) {
      this.#merged = { own, groups, both: mergeDiscovery(own, groups) };
    }
    return this.#merged.both;
  }

  async #ask(): Promise<void> {
    let problem: string | undefined;
    try {
      const [core, others] = await Promise.all([this.#read('/api'), this.#read('/apis')]);
      this.#groups = { core: readGroups(core), others: readGroups(others) };
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (problem !== this.#problem) this.#context.changed(problem);
    this.#problem = problem;
  }

  #read(path: string): Promise<unknown> {
    const { target, clock, limits } = this.#context;
    return new Promise((resolve, reject) => {
      const headers = { accept: ACCEPT, 'x-remote-user': READER, 'x-remote-group': AUTHENTICATED };
      const asked = target.request({ method: 'GET', path, headers: { host: target.host, ...headers } });
      const timer = clock.setTimer(limits.forwardDiscoveryTimeoutMs, () =>
        asked.destroy(new Error('no answer in time')),
      );
      asked.on('error', reject);
      asked.on('close', () => {
        timer.cancel();
        reject(new Error('the answer broke off'));
      });
      asked.on('response', (incoming: IncomingMessage) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        incoming.on('error', reject);
        incoming.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > limits.forwardDiscoveryBytesMax) asked.destroy(new Error('the answer is too large'));
          else chunks.push(chunk);
        });
        incoming.on('end', () => {
          if (!incoming.complete) return;
          if (incoming.statusCode !== 200)
            return reject(new Error(`the answer to GET ${path} is ${incoming.statusCode}`));
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
          } catch (error) {
            reject(error);
          }
        });
      });
      asked.end();
    });
  }
}
