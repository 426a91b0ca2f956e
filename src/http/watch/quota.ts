/**
 * How many watches each client has open (`--max-watches-per-client`). A watch is cheap but lasts; a client that
 * opens them in a loop and reads none would take them from everybody else.
 *
 *   I1  no client holds more than the maximum, which 0 lifts; a client without watches is not kept.
 */
export class WatchQuota {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Clients that are counted. */
  get clientCount(): number {
    return this.#open.size;
  }

  /** Gives the watch back when called, once; undefined: the client has as many as it may have. */
  take(client: string): (() => void) | undefined {
    if (this.#max === 0) return () => undefined;
    const open = this.#open.get(client) ?? 0;
    if (open >= this.#max) return undefined;
    this.#open.set(client, open + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const left = this.#open.get(client)! - 1;
      if (left === 0) this.#open.delete(client);
      else this.#open.set(client, left);
    };
  }
}
