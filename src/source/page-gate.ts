/**
 * Bounds the pages of lists that are in memory or under way, over all kinds that start at the same time. First come, first served, and a list asks
 * anew for each page: so a large kind cannot keep a small one waiting for more than a page.
 */
export class PageGate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** `pagesMax`: at least 1. */
  constructor(pagesMax: number) {
    this.#free = pagesMax;
  }

  /** Resolves when there is room, with the function that gives it back; calling that twice does no harm. */
  async enter(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    };
  }
}
