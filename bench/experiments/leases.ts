import { createWriter } from '../../src/codec/writer.js';
import { rangeOf } from '../../src/lib/bytes.js';
import { ObjectStream } from '../../src/pressure/object-stream.js';
import { createVersions } from '../../src/versions/create-versions.js';
import type { VersionId, Versions } from '../../src/versions/versions.js';

/** Retired versions are kept for so many revisions, as a history would. */
const HISTORY = 10_000;

/** The versions of one kind of leases, and the event that replaces one of them. */
export class Leases {
  readonly versions: Versions;
  readonly keys: Buffer[] = [];
  readonly ids: Int32Array;
  revision = 0;
  readonly #stream: ObjectStream;
  readonly #wire = createWriter();
  readonly #key = rangeOf(new Uint8Array(0));

  constructor(count: number, seed: number) {
    this.versions = createVersions();
    this.ids = new Int32Array(count);
    this.#stream = new ObjectStream('leases', undefined, seed);
    for (let index = 0; index < count; index++) {
      this.ids[index] = this.#add(index);
      this.keys.push(Buffer.from(this.#stream.key));
    }
  }

  /** The version that lease `index` has from now on; the one before is retired. */
  renew(index: number): VersionId {
    const next = this.#add(index);
    this.versions.retire(this.ids[index]!, this.revision);
    this.ids[index] = next;
    if (this.revision % 64 === 0) this.versions.reclaim(this.revision - HISTORY, 256);
    return next;
  }

  #add(index: number): VersionId {
    const { key, value } = this.#stream.set(index, this.revision);
    const revision = ++this.revision;
    const into = this.#wire;
    into.position = 0;
    this.#stream.codec.toWire(value, 0, value.length, revision, into);
    this.#key.bytes = key;
    this.#key.end = key.length;
    const wire = { bytes: into.bytes, start: into.headerStart, end: into.position };
    return this.versions.add(this.#key, wire, into.start - into.headerStart, revision, revision);
  }
}
