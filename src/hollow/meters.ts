import type { Clock } from '../lib/clock.js';
import { Latencies } from './latencies.js';
import { Lags } from './lags.js';
import { PodStarts } from './pod-starts.js';

/** As the API's own metrics have it: what a call is about. */
export type Scope = 'resource' | 'namespace' | 'cluster';
export type Verb = 'GET' | 'LIST' | 'WATCH' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Call {
  readonly verb: Verb;
  readonly resource: string;
  readonly subresource?: string;
  readonly scope: Scope;
}

/** A second of the run: how long the calls took that ended in it, and how many pods there were. */
export interface Moment {
  readonly second: number;
  readonly calls: Latencies;
  readonly lag: Latencies;
  podsRunning: number;
  podsCreated: number;
}

/** All that is measured in one run. */
export class Meters {
  readonly calls = new Map<string, { readonly call: Call; readonly latencies: Latencies }>();
  readonly moments: Moment[] = [];
  lags: Lags;
  readonly starts = new PodStarts();
  /** Writes into the store, when they do not go through the API. */
  writes = new Latencies();
  readonly counts = { events: 0, watchesOpened: 0, watchesOpen: 0, relists: 0, bookmarks: 0, bytes: 0 };
  /** The first few that were said, each once. */
  readonly problems: string[] = [];
  readonly #clock: Clock;
  #startMs: number;
  #frozen = false;
  readonly #momentsMax: number;
  readonly #lagsMax: number;

  constructor(clock: Clock, limits: { readonly hollowLagsMax: number; readonly hollowMomentsMax: number }) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#momentsMax = limits.hollowMomentsMax;
    this.#lagsMax = limits.hollowLagsMax;
    this.lags = this.#newLags();
  }

  /** The test starts: what came before it is not measured. */
  begin(): void {
    this.calls.clear();
    this.moments.length = 0;
    this.lags = this.#newLags();
    this.writes = new Latencies();
    Object.assign(this.counts, { events: 0, bytes: 0, bookmarks: 0, relists: 0 });
    this.#startMs = this.#clock.monotonicMs();
  }

  #newLags(): Lags {
    return new Lags(this.#lagsMax, (ms) => this.moment()?.lag.add(ms));
  }

  get elapsedMs(): number {
    return this.#clock.monotonicMs() - this.#startMs;
  }

  /** The test is over: calls that come or fail from now on are of its end. */
  freeze(): void {
    this.#frozen = true;
  }

  /** The present second; undefined when there are too many of them. */
  moment(): Moment | undefined {
    const second = Math.floor(this.elapsedMs / 1000);
    const last = this.moments.at(-1);
    if (last !== undefined && last.second === second) return last;
    if (this.moments.length >= this.#momentsMax) return undefined;
    const { podsRunning = 0, podsCreated = 0 } = last ?? {};
    const moment = { second, calls: new Latencies(), lag: new Latencies(), podsRunning, podsCreated };
    this.moments.push(moment);
    return moment;
  }

  /** `ms` undefined: the call failed. */
  called(call: Call, ms: number | undefined): void {
    if (this.#frozen) return;
    const key = `${call.verb} ${call.resource}/${call.subresource ?? ''} ${call.scope}`;
    let known = this.calls.get(key);
    if (known === undefined) this.calls.set(key, (known = { call, latencies: new Latencies() }));
    if (ms === undefined) known.latencies.addFailed();
    else known.latencies.add(ms);
    if (call.verb !== 'WATCH' && ms !== undefined) this.moment()?.calls.add(ms);
  }

  problem(text: string): void {
    if (!this.#frozen && this.problems.length < PROBLEMS_MAX && !this.problems.includes(text)) this.problems.push(text);
  }
}

const PROBLEMS_MAX = 20;
