import { projectorOf } from '../codec/projector.js';
import type { Failure } from '../serve/failure.js';
import type { Reader } from '../serve/reader.js';

/** Kinds that a service account's token may name. */
export type BoundResource = 'serviceaccounts' | 'pods' | 'secrets' | 'nodes';

export interface BoundName {
  readonly resource: BoundResource;
  /** '' of a node. */
  readonly namespace: string;
  readonly name: string;
}

/** An object as far as tokens depend on it. */
export interface BoundObject {
  /** modRevision: while it stays, so does all else. */
  readonly revision: number;
  readonly uid: string;
  /** Milliseconds since 1970; undefined: it is not being deleted. */
  readonly deletedMs: number | undefined;
  /** Of a Secret: `data.token`; '' when there is none. */
  readonly token: string;
  /** Of a Secret: since when its token is not accepted, if that was said. */
  readonly invalidSince: string;
}

export type Looked = BoundObject | 'absent' | Failure;

const SELECTION = 'metadata{uid deletionTimestamp}';
const SECRET_SELECTION = 'metadata{uid deletionTimestamp labels} data';
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';
const NEVER = new AbortController().signal;

/**
 * Looks up what tokens are bound to, where clients read it: in the caches. What a cache does not have is asked of the source, as
 * kube-apiserver does: a token may be as young as its pod, and the cache a few milliseconds behind.
 */
export class BoundObjects {
  #readerFor: ((resource: BoundResource) => Reader) | undefined;
  readonly #readers = new Map<BoundResource, Reader>();

  start(readerFor: (resource: BoundResource) => Reader): void {
    this.#readerFor = readerFor;
  }

  /** At once, when a cache has it. `known`: what was looked up before; the very same is returned if it has not changed. */
  find(bound: BoundName, known?: BoundObject): Looked | Promise<Looked> {
    const reader = this.#reader(bound.resource);
    const looked = this.#get(reader, bound, '0', NEVER, known);
    const live = () => this.#get(reader, bound, '', new AbortController().signal, known);
    if (looked instanceof Promise) return looked.then((first) => (first === 'absent' ? live() : first));
    return looked === 'absent' ? live() : looked;
  }

  #reader(resource: BoundResource): Reader {
    let reader = this.#readers.get(resource);
    if (reader === undefined) {
      if (this.#readerFor === undefined) throw new Error('looked up before the server has started');
      this.#readers.set(resource, (reader = this.#readerFor(resource)));
    }
    return reader;
  }

  #get(
    reader: Reader,
    { resource, namespace, name }: BoundName,
    resourceVersion: string,
    signal: AbortSignal,
    known: BoundObject | undefined,
  ): Looked | Promise<Looked> {
    type Got = Awaited<ReturnType<Reader['get']>>;
    const read = (got: Got): Looked => {
      if (!got.ok) return got.failure.kind === 'notFound' ? 'absent' : got.failure;
      using answer = got.value;
      const { wire, revision } = answer;
      if (revision === known?.revision) return known;
      const { message } = reader.kind;
      const project = projectorOf(message, resource === 'secrets' ? SECRET_SELECTION : SELECTION);
      return boundObject(project(wire.bytes, wire.start, wire.end) as Projected, revision);
    };
    const got = reader.get({ namespace: namespace === '' ? undefined : namespace, name, resourceVersion, signal });
    return got instanceof Promise ? got.then(read) : read(got);
  }
}

interface Projected {
  readonly metadata?: {
    readonly uid?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
}

function boundObject({ metadata, data }: Projected, revision: number): BoundObject {
  const { uid = '', deletionTimestamp, labels } = metadata ?? {};
  return {
    revision,
    uid,
    deletedMs: deletionTimestamp === undefined ? undefined : Date.parse(deletionTimestamp),
    token: Buffer.from(data?.['token'] ?? '', 'base64').toString('utf8'),
    invalidSince: labels?.[INVALID_SINCE] ?? '',
  };
}
