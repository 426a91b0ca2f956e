import type { Allocator } from './allocator.js';
import type { Moved } from './pieces.js';
import type { Retention } from './retention.js';
import type { Rows } from './rows.js';
import type { Slabs } from './slabs.js';
import type { VersionsStats } from './versions.js';

/** What `Versions.stats` shows. */
export class MutableStats implements VersionsStats {
  live = 0;
  liveBytes = 0;
  retiredBytes = 0;
  readonly #slabs: Slabs;
  readonly #rows: Rows;
  readonly #allocator: Allocator;
  readonly #retention: Retention;
  readonly #moved: Moved;

  constructor(slabs: Slabs, rows: Rows, allocator: Allocator, retention: Retention, moved: Moved) {
    this.#slabs = slabs;
    this.#rows = rows;
    this.#allocator = allocator;
    this.#retention = retention;
    this.#moved = moved;
  }

  get retired(): number {
    return this.#retention.retired.length;
  }

  get pins(): number {
    return this.#retention.pins.count;
  }

  get pinsLeaked(): number {
    return this.#retention.pins.leaked;
  }

  get slotBytes(): number {
    return this.#allocator.usedBytes;
  }

  get movedBytes(): number {
    return this.#moved.bytes;
  }

  get columnBytes(): number {
    return this.#rows.reservedBytes + this.#retention.retired.reservedBytes;
  }

  get reservedBytes(): number {
    return this.#slabs.reservedBytes + this.columnBytes;
  }
}
