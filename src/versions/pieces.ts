import { assert } from '../lib/assert.js';
import type { Address } from './slabs.js';
import type { SharedPiece } from './versions.js';

/** Places where versions lay before they moved: readers that hold a pin may still read there. */
export class Moved {
  /** Of the places in it. */
  bytes = 0;
  #entries: { readonly address: Address; readonly size: number; readonly sequence: number }[] = [];
  #head = 0;

  /** `sequence`: no pin that was taken later reads there. */
  push(address: Address, size: number, sequence: number): void {
    this.#entries.push({ address, size, sequence });
    this.bytes += size;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** Takes out the places that no pin reads, the oldest of which is `oldest`. */
  settle(oldest: number, free: (address: Address, size: number) => void): void {
    while (this.#head < this.#entries.length && this.#entries[this.#head]!.sequence <= oldest) {
      const { address, size } = this.#entries[this.#head++]!;
      this.bytes -= size;
      free(address, size);
    }
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }

  forEach(visit: (address: Address, size: number) => void): void {
    for (let index = this.#head; index < this.#entries.length; index++) {
      visit(this.#entries[index]!.address, this.#entries[index]!.size);
    }
  }
}

/** The memory of several versions, whose wire bytes lie one behind another in it. */
export class Piece implements SharedPiece {
  readonly number: number;
  readonly address: Address;
  readonly size: number;
  readonly ids: Int32Array;
  count: number;
  /** Of the versions that lie in it. */
  bytes: number;
  readonly #bytesMax: number;
  readonly #unused: (piece: Piece) => void;
  #holds = 0;

  constructor(
    place: { number: number; address: Address; size: number },
    ids: Int32Array,
    bytes: number,
    unused: (piece: Piece) => void,
  ) {
    this.number = place.number;
    this.address = place.address;
    this.size = place.size;
    this.ids = ids;
    this.count = ids.length;
    this.bytes = bytes;
    this.#bytesMax = bytes;
    this.#unused = unused;
  }

  hold(): void {
    assert(this.count > 0, 'a piece without versions is held');
    this.#holds++;
  }

  release(): void {
    this.#holds--;
    if (this.count === 0 && this.#holds === 0) this.#unused(this);
  }

  /** A version has left it. */
  left(bytes: number): void {
    this.count--;
    this.bytes -= bytes;
    if (this.count === 0 && this.#holds === 0) this.#unused(this);
  }

  /** More of it is holes than versions. */
  get isSparse(): boolean {
    return this.count > 0 && this.bytes * 2 < this.#bytesMax;
  }
}

/** By number, which is used again. */
export class Pieces {
  readonly #pieces: (Piece | undefined)[] = [];
  readonly #freeNumbers: number[] = [];

  add(make: (number: number) => Piece): Piece {
    const number = this.#freeNumbers.pop() ?? this.#pieces.length;
    const piece = make(number);
    this.#pieces[number] = piece;
    return piece;
  }

  get(number: number): Piece {
    return this.#pieces[number]!;
  }

  remove({ number }: Piece): void {
    this.#pieces[number] = undefined;
    this.#freeNumbers.push(number);
  }

  /** Also of what is only held. */
  list(): Piece[] {
    return this.#pieces.filter((piece) => piece !== undefined);
  }
}
