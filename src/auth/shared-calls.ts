/** Who waits for an answer. The signal is read only where there is something to wait for: it costs something to make. */
export interface Asker {
  /** Aborts when the answer is of no use any more. */
  readonly signal: AbortSignal;
}

/** What a call resolves to for somebody who has left meanwhile. */
export const GONE = Symbol('gone');

interface Call<T> {
  waiting: number;
  readonly abort: AbortController;
  readonly result: Promise<T>;
}

/** Calls with one key that are under way at once are one call, which is given up when the last who waits for it has left. */
export class SharedCalls<T> {
  readonly #open = new Map<string, Call<T>>();

  /** `start` is called if no such call is under way; its signal aborts when nobody waits. */
  join(key: string, asker: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T | typeof GONE> {
    if (asker.aborted) return Promise.resolve(GONE);
    const call = this.#open.get(key) ?? this.#start(key, start);
    call.waiting++;
    return new Promise((resolve, reject) => {
      const leave = () => {
        if (--call.waiting === 0) {
          this.#forget(key, call);
          call.abort.abort();
        }
        resolve(GONE);
      };
      asker.addEventListener('abort', leave, { once: true });
      const stay = () => asker.removeEventListener('abort', leave);
      call.result.then(
        (value) => {
          stay();
          resolve(value);
        },
        (error: unknown) => {
          stay();
          reject(error);
        },
      );
    });
  }

  get size(): number {
    return this.#open.size;
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): Call<T> {
    const abort = new AbortController();
    const call: Call<T> = { waiting: 0, abort, result: start(abort.signal) };
    this.#open.set(key, call);
    const forget = () => this.#forget(key, call);
    call.result.then(forget, forget);
    return call;
  }

  /** There may be another one by now. */
  #forget(key: string, call: Call<T>): void {
    if (this.#open.get(key) === call) this.#open.delete(key);
  }
}
