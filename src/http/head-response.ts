import type { AnyHeaders, Done, HttpResponse } from './sinks.js';

/**
 * The response to a HEAD that is answered as a GET would be: the body is counted and dropped, and its size is the
 * Content-Length, also where a GET would be streamed without one.
 */
export class HeadResponse implements HttpResponse {
  readonly #inner: HttpResponse;
  #head: { readonly code: number; readonly headers: AnyHeaders } | undefined;
  #bytes = 0;
  #isPassedThrough = false;

  constructor(inner: HttpResponse) {
    this.#inner = inner;
  }

  /** Somebody else has made the answer to a HEAD, its Content-Length included. */
  passThrough(): void {
    this.#isPassedThrough = true;
  }

  get closed(): boolean {
    return this.#inner.closed;
  }

  get writeBytesMax(): number {
    return this.#inner.writeBytesMax;
  }

  get code(): number {
    return this.#head?.code ?? this.#inner.code;
  }

  get headersSent(): boolean {
    return this.#head !== undefined || this.#inner.headersSent;
  }

  get isComplete(): boolean {
    return this.#inner.isComplete;
  }

  get unsentBytes(): number {
    return this.#inner.unsentBytes;
  }

  writeHead(code: number, headers: AnyHeaders): void {
    this.#head = { code, headers };
  }

  flushHead(): void {}

  send(code: number, headers: Record<string, string>, body: Uint8Array): void {
    this.writeHead(code, headers);
    this.#bytes = body.length;
    this.end();
  }

  write(chunk: Uint8Array, done?: Done): boolean {
    this.#bytes += chunk.length;
    // Like a transport's: never before `write` has returned.
    if (done !== undefined) queueMicrotask(done);
    return !this.closed;
  }

  onDrain(run: () => void): void {
    this.#inner.onDrain(run);
  }

  onClose(run: () => void): void {
    this.#inner.onClose(run);
  }

  end(): void {
    if (this.#head === undefined || this.closed) return;
    const { code, headers } = this.#head;
    const counted = this.#isPassedThrough ? {} : { 'content-length': String(this.#bytes) };
    this.#inner.writeHead(code, { ...headers, ...counted });
    this.#inner.end();
  }

  destroy(): void {
    this.#inner.destroy();
  }
}
