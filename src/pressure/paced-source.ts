import { LocalSource } from '../source/local-source.js';
import { type EntryVisitor, PUT, type RangeRequest, type RangeResult } from '../source/source.js';
import type { ObjectStream } from './object-stream.js';

/**
 * A store that holds nothing: object i was written at revision i + 1, and every later write is made when `write` is
 * called. So the process that is measured holds the objects once, in the form that is measured.
 */
export class PacedSource extends LocalSource {
  readonly name = 'paced';
  readonly #stream: ObjectStream;
  readonly #objects: number;
  #buffer = Buffer.alloc(4_096);
  #keyEnd = 0;
  #end = 0;

  constructor(stream: ObjectStream, objects: number) {
    super();
    this.#stream = stream;
    this.#objects = objects;
    this.revision = objects;
  }

  /** A write of object `index`: an event with a revision of its own. */
  write(index: number): void {
    const revision = ++this.revision;
    this.#fill(index, revision);
    const { handler } = this;
    handler.change(PUT, this.#buffer, 0, this.#keyEnd, this.#keyEnd, this.#end, index + 1, revision);
    handler.commit(revision);
  }

  async range({ from, limit = 0 }: RangeRequest, visit: EntryVisitor): Promise<RangeResult> {
    await new Promise((resolve) => setImmediate(resolve));
    const first = from.length > this.#stream.prefix.length ? this.#stream.indexOf(from) + 1 : 0;
    const end = limit === 0 ? this.#objects : Math.min(this.#objects, first + limit);
    for (let index = first; index < end; index++) {
      this.#fill(index, 0);
      visit(this.#buffer, 0, this.#keyEnd, this.#keyEnd, this.#end, index + 1, index + 1);
    }
    return { revision: this.#objects, count: this.#objects - first, more: end < this.#objects };
  }

  #fill(index: number, tick: number): void {
    const { key, value } = this.#stream.set(index, tick);
    this.#keyEnd = key.length;
    this.#end = key.length + value.length;
    if (this.#end > this.#buffer.length) this.#buffer = Buffer.alloc(this.#end * 2);
    this.#buffer.set(key, 0);
    this.#buffer.set(value, key.length);
  }
}
