import { assert } from '../lib/assert.js';

const NIL = -1;
const CAPACITY_MIN = 64;

/** At least `length` long, doubling; what is new holds `fill`. */
export function grown(array: Int32Array<ArrayBuffer>, length: number, fill: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const larger = new Int32Array(Math.max(CAPACITY_MIN, length, array.length * 2));
  larger.set(array);
  if (fill !== 0) larger.fill(fill, array.length);
  return larger;
}

/**
 * Sets of small numbers that do not overlap, as doubly linked lists in typed arrays: an element is in at
 * most one chain, enters and leaves in constant time, and costs eight bytes however the sets grow.
 */
export class Chains {
  #head = new Int32Array(0);
  #count = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);

  get reservedBytes(): number {
    return (this.#head.length + this.#next.length) * 8;
  }

  count(chain: number): number {
    return chain < this.#count.length ? this.#count[chain]! : 0;
  }

  /** NIL (-1) when empty. */
  head(chain: number): number {
    return chain < this.#head.length ? this.#head[chain]! : NIL;
  }

  next(element: number): number {
    return this.#next[element]!;
  }

  /** Returns how many the chain holds now. */
  add(chain: number, element: number): number {
    if (chain >= this.#head.length) {
      this.#head = grown(this.#head, chain + 1, NIL);
      this.#count = grown(this.#count, chain + 1, 0);
    }
    if (element >= this.#next.length) {
      this.#next = grown(this.#next, element + 1, NIL);
      this.#previous = grown(this.#previous, element + 1, NIL);
    }
    const head = this.#head[chain]!;
    this.#next[element] = head;
    this.#previous[element] = NIL;
    if (head !== NIL) this.#previous[head] = element;
    this.#head[chain] = element;
    return ++this.#count[chain]!;
  }

  /** Likewise. */
  remove(chain: number, element: number): number {
    const next = this.#next[element]!;
    const previous = this.#previous[element]!;
    if (previous === NIL) this.#head[chain] = next;
    else this.#next[previous] = next;
    if (next !== NIL) this.#previous[next] = previous;
    return --this.#count[chain]!;
  }

  verify(chain: number, visit: (element: number) => void): void {
    let count = 0;
    let previous = NIL;
    for (let element = this.head(chain); element !== NIL; element = this.#next[element]!) {
      assert(this.#previous[element] === previous, `chain ${chain}: element ${element} is not linked back`);
      assert(++count <= this.#count[chain]!, `chain ${chain} holds more than its ${this.#count[chain]}`);
      previous = element;
      visit(element);
    }
    assert(count === this.count(chain), `chain ${chain} holds ${count}, counted ${this.count(chain)}`);
  }
}
