import type { ModRevision } from '../../api/revision.js';
import { SourceError } from '../source.js';
import type { ResponseHeader } from './skim.js';

/** What was known when a read was sent; its answer may not be older. */
export interface Floor {
  readonly generation: number;
  readonly revision: ModRevision;
  readonly raftTerm: number;
}

/**
 * Remembers which store we talk to. Wiping an etcd, or restoring a backup, gives it another cluster id, or,
 * when it starts with the same flags, the same id with lower revisions and a lower raft term.
 *
 *   I1  an answer of another cluster id means `replaced`;
 *   I2  so does a linearizable answer below what any answer had shown before that read was sent;
 *   I3  after that the new store is the one we know, in a new generation, and answers to
 *       requests of an older generation are refused, whatever they say.
 *
 * Watches may be served by a member that lags, so their headers raise the revision but are not held to it.
 */
export class StoreIdentity {
  #generation = 0;
  #known = false;
  #clusterIdHigh = 0;
  #clusterIdLow = 0;
  #revision: ModRevision = 0;
  #raftTerm = 0;
  readonly #replaced: (message: string) => void;

  /** `replaced` is called once per replacement, when the new generation has begun. */
  constructor(replaced: (message: string) => void) {
    this.#replaced = replaced;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Of the store that answered last. */
  get clusterId(): string {
    return clusterId(this.#clusterIdHigh, this.#clusterIdLow);
  }

  floor(): Floor {
    return { generation: this.#generation, revision: this.#revision, raftTerm: this.#raftTerm };
  }

  /** Checks the answer of a linearizable read or a write; throws SourceError `replaced`. */
  checkLinearizable(header: ResponseHeader, floor: Floor): void {
    this.#checkGeneration(floor.generation);
    this.#checkCluster(header);
    if (header.revision < floor.revision) {
      this.#replace(header, `the store's revision fell from ${floor.revision} to ${header.revision}`);
    }
    if (header.raftTerm < floor.raftTerm) {
      this.#replace(header, `the store's raft term fell from ${floor.raftTerm} to ${header.raftTerm}`);
    }
    this.#revision = Math.max(this.#revision, header.revision);
    this.#raftTerm = Math.max(this.#raftTerm, header.raftTerm);
  }

  /** Checks an answer that may come from a lagging member; throws SourceError `replaced`. */
  checkLagging(header: ResponseHeader, generation: number): void {
    this.#checkGeneration(generation);
    this.#checkCluster(header);
    this.#revision = Math.max(this.#revision, header.revision);
  }

  #checkGeneration(generation: number): void {
    if (generation !== this.#generation) throw replacedError('it was found replaced while this request was under way');
  }

  #checkCluster(header: ResponseHeader): void {
    if (header.revision === 0) throw new SourceError('corrupt', 'etcd: a response has no header');
    if (!this.#known) {
      this.#adopt(header);
    } else if (header.clusterIdHigh !== this.#clusterIdHigh || header.clusterIdLow !== this.#clusterIdLow) {
      const was = clusterId(this.#clusterIdHigh, this.#clusterIdLow);
      const is = clusterId(header.clusterIdHigh, header.clusterIdLow);
      this.#replace(header, `the cluster id changed from ${was} to ${is}`);
    }
  }

  #adopt(header: ResponseHeader): void {
    this.#known = true;
    this.#clusterIdHigh = header.clusterIdHigh;
    this.#clusterIdLow = header.clusterIdLow;
    this.#revision = header.revision;
    this.#raftTerm = 0; // from now on raised by linearizable answers only
  }

  #replace(header: ResponseHeader, message: string): never {
    this.#adopt(header);
    this.#generation++;
    const error = replacedError(message);
    this.#replaced(error.message);
    throw error;
  }
}

function replacedError(why: string): SourceError {
  return new SourceError('replaced', `etcd is not the store we knew: ${why}`);
}

function clusterId(high: number, low: number): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}
