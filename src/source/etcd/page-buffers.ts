/** So many stay for the next page: as many as lists have under way together (limits.listPagesMax). */
const KEPT_MAX = 4;
/** What is smaller is not worth keeping. */
const KEPT_BYTES_MIN = 64 * 2 ** 10;
/** Pages of a list are of about one size: a buffer a little larger than one of them takes the next as well. */
const ROOM = 1.125;

/** A message in memory that is lent. */
export interface LentBytes {
  readonly bytes: Buffer;
  /** The bytes are not read any more: the next message may be put where they are. Called twice, it does no harm. */
  release(): void;
}

/** Memory that is touched for the first time costs more than what is done with it (docs/adr/0015), so pages take the place of earlier ones. */
export class PageBuffers {
  #kept: Buffer[] = [];

  take(length: number): LentBytes {
    let best = -1;
    for (const [index, { length: size }] of this.#kept.entries()) {
      if (size >= length && (best < 0 || size < this.#kept[best]!.length)) best = index;
    }
    const [found] = best < 0 ? [] : this.#kept.splice(best, 1);
    const buffer = found ?? Buffer.allocUnsafeSlow(length < KEPT_BYTES_MIN ? length : Math.ceil(length * ROOM));
    let lent = true;
    return {
      bytes: buffer.subarray(0, length),
      release: () => {
        if (!lent) return;
        lent = false;
        if (buffer.length >= KEPT_BYTES_MIN) this.#keep(buffer);
      },
    };
  }

  clear(): void {
    this.#kept = [];
  }

  /** The largest ones stay. */
  #keep(buffer: Buffer): void {
    this.#kept.push(buffer);
    if (this.#kept.length <= KEPT_MAX) return;
    this.#kept.sort((a, b) => b.length - a.length).pop();
  }
}
