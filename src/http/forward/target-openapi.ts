import { isObject } from '../../lib/is-object.js';
import { Remembered } from './remembered.js';
import { readTargetDocument, type TargetDocuments } from './target-document.js';

const INDEX = '/openapi/v3';

/** The index of the target's OpenAPI documents, version 3. */
export class TargetOpenApi {
  readonly #urls: Remembered<ReadonlyMap<string, string>>;

  constructor(documents: TargetDocuments) {
    const { clock, limits } = documents;
    const ask = async () => readIndex(await readTargetDocument(documents, INDEX, 'application/json'));
    this.#urls = new Remembered(ask, limits.forwardDiscoveryMs, clock);
  }

  /** By key, e.g. `apis/metrics.k8s.io/v1beta1`: where its document is. Nothing as long as the target never answered; never rejects. */
  async urls(): Promise<ReadonlyMap<string, string>> {
    return (await this.#urls.latest()) ?? NOTHING;
  }

  /** Whether there was a document of this key at most `forwardDiscoveryMs` ago. Never rejects. */
  async has(key: string): Promise<boolean> {
    return (await this.#urls.current())?.has(key) ?? false;
  }
}

const NOTHING: ReadonlyMap<string, string> = new Map();

function readIndex(json: unknown): ReadonlyMap<string, string> {
  const paths = isObject(json) ? json['paths'] : undefined;
  if (!isObject(paths)) throw new Error('not an index of OpenAPI documents');
  const urls = new Map<string, string>();
  for (const [key, of] of Object.entries(paths)) {
    const url = isObject(of) ? of['serverRelativeURL'] : undefined;
    // What leads elsewhere would not be asked of us.
    if (typeof url === 'string' && url.startsWith(`${INDEX}/`)) urls.set(key, url);
  }
  return urls;
}
