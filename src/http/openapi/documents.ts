import { createHash } from 'node:crypto';
import type { KindSet } from '../../codec/kind-set.js';
import type { Kind } from '../../codec/kind.js';
import { type Clock, sleep } from '../../lib/clock.js';
import { goJson } from '../encode/go-json.js';
import type { PostedResource } from '../posted.js';
import {
  documentText,
  type DocumentSource,
  type DocumentTopic,
  readDocumentSource,
  topicsOf,
  wholeTopic,
} from './document-text.js';
import { gnostic } from './gnostic.js';
import type { Dialect } from './schema.js';

/** A document as it is sent. */
export interface OpenApiDocument {
  readonly json: Buffer;
  /** Upper-case hex digits of the JSON's SHA-512, without quotes; the same for both encodings, which Vary tells apart. */
  readonly hash: string;
  /** When it was made, unix ms. */
  readonly madeMs: number;
  /** gnostic's form of it, made when somebody asks. */
  protobuf(): Promise<Buffer>;
}

export interface OpenApiOptions {
  readonly kinds: KindSet;
  readonly posted: readonly PostedResource[];
  /** By key: where documents are that somebody else has; the index names these instead of ours. Never rejects. */
  readonly others?: (() => Promise<ReadonlyMap<string, string>>) | undefined;
  readonly clock: Clock;
  /** The loop is let go for others at least so often while documents are made. */
  readonly sliceMs: number;
  /** Of the Kubernetes release that the answers are those of, e.g. `1.36`. */
  readonly version: string;
}

interface Made {
  /** What it is about: kinds are one object each for as long as nothing about them changes. */
  readonly kinds: readonly Kind[];
  readonly document: Promise<OpenApiDocument>;
}

/**
 * The documents of `/openapi`, made when somebody asks and kept as bytes until the kinds that they are about change. Those
 * who ask at once wait for the same one.
 */
export class OpenApi {
  readonly #options: OpenApiOptions;
  readonly #made = new Map<string, Made>();
  #topics: ReadonlyMap<string, DocumentTopic> | undefined;
  #topicsOfGeneration = -1;
  #index: { readonly text: string; readonly document: OpenApiDocument } | undefined;
  /** Only while documents are made: there is no need for it afterwards. */
  #source: DocumentSource | undefined;
  #making = 0;
  #sliceEndsMs = 0;

  constructor(options: OpenApiOptions) {
    this.#options = options;
  }

  /** Unix ms. */
  nowMs(): number {
    return this.#options.clock.nowMs();
  }

  /** `/openapi/v2`: everything that is served. */
  v2(): Promise<OpenApiDocument> {
    const { kinds, posted } = this.#options;
    return this.#get('v2', 2, () => wholeTopic(kinds.all, posted), kinds.all);
  }

  /** `/openapi/v3/<key>`, or undefined when there is no such group or version. */
  v3(key: string): Promise<OpenApiDocument> | undefined {
    const topic = this.#currentTopics().get(key);
    return topic === undefined ? undefined : this.#get(`v3/${key}`, 3, () => topic, topic.kinds);
  }

  /** `/openapi/v3`: every key with the URL of its document, which has the document's hash. */
  async index(): Promise<OpenApiDocument> {
    const urls = new Map(await this.#options.others?.());
    // One after the other: the second would wait for the first one's source and slices anyway.
    for (const key of this.#currentTopics().keys()) {
      if (urls.has(key)) continue;
      const document = await this.v3(key);
      if (document !== undefined) urls.set(key, hashedUrl(key, document.hash)); // its kinds may have gone away meanwhile
    }
    const paths = Object.fromEntries(
      [...urls.keys()].sort().map((key) => [key, { serverRelativeURL: urls.get(key)! }]),
    );
    const text = goJson({ paths });
    if (this.#index?.text !== text) this.#index = { text, document: this.#finished(Buffer.from(text), 3) };
    return this.#index.document;
  }

  #currentTopics(): ReadonlyMap<string, DocumentTopic> {
    const { kinds, posted } = this.#options;
    if (this.#topics === undefined || this.#topicsOfGeneration !== kinds.generation) {
      this.#topics = topicsOf(kinds.all, posted);
      this.#topicsOfGeneration = kinds.generation;
      for (const name of this.#made.keys()) {
        if (name.startsWith('v3/') && !this.#topics.has(name.slice(3))) this.#made.delete(name);
      }
    }
    return this.#topics;
  }

  #get(name: string, dialect: Dialect, topic: () => DocumentTopic, kinds: readonly Kind[]): Promise<OpenApiDocument> {
    const before = this.#made.get(name);
    if (before !== undefined && sameKinds(before.kinds, kinds)) return before.document;
    const document = this.#make(topic(), dialect);
    const made = { kinds, document };
    this.#made.set(name, made);
    // What failed is tried again.
    document.catch(() => {
      if (this.#made.get(name) === made) this.#made.delete(name);
    });
    return document;
  }

  async #make(topic: DocumentTopic, dialect: Dialect): Promise<OpenApiDocument> {
    const { version } = this.#options;
    this.#making++;
    try {
      const source = (this.#source ??= readDocumentSource());
      const pieces: string[] = [];
      const text = documentText(topic, source, dialect, version);
      for (let step = text.next(); step.done !== true; step = text.next()) {
        pieces.push(step.value);
        await this.#turn();
      }
      return this.#finished(Buffer.from(pieces.join('')), dialect);
    } finally {
      if (--this.#making === 0) this.#source = undefined;
    }
  }

  #finished(json: Buffer, dialect: Dialect): OpenApiDocument {
    let protobuf: Promise<Buffer> | undefined;
    return {
      json,
      hash: createHash('sha512').update(json).digest('hex').toUpperCase(),
      madeMs: this.#options.clock.nowMs(),
      protobuf: () => (protobuf ??= this.#encode(json, dialect)),
    };
  }

  async #encode(json: Buffer, dialect: Dialect): Promise<Buffer> {
    const encoding = gnostic(dialect, JSON.parse(json.toString('utf8')) as Record<string, unknown>);
    for (;;) {
      const step = encoding.next();
      if (step.done === true) return step.value;
      await this.#turn();
    }
  }

  /** Lets others run when a slice of time is over, whatever documents it was spent on. */
  #turn(): Promise<void> | undefined {
    const { clock, sliceMs } = this.#options;
    if (clock.monotonicMs() < this.#sliceEndsMs) return undefined;
    return sleep(clock, 0).then(() => {
      this.#sliceEndsMs = clock.monotonicMs() + sliceMs;
    });
  }
}

export function hashedUrl(key: string, hash: string): string {
  return `/openapi/v3/${key}?hash=${hash}`;
}

function sameKinds(a: readonly Kind[], b: readonly Kind[]): boolean {
  return a === b || (a.length === b.length && a.every((kind, index) => kind === b[index]));
}
