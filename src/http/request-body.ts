import { constants, type Http2ServerRequest, type ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Limits } from '../lib/limits.js';
import { ignoreError } from './sinks.js';

/** `tooMany`: of all requests together. `gone`: the client left, or the request is over. */
export type BodyProblem = 'tooLarge' | 'tooMany' | 'gone';

/**
 * Bodies of requests while they are read. A client that sends a little at a time holds what it has sent for as long as its
 * request may take, so what all of them hold is bounded, besides each of them.
 */
export class RequestBodies {
  readonly #bytesMax: number;
  readonly #totalMax: number;
  #total = 0;

  constructor({ requestBodyBytesMax, requestBodiesBytesMax }: Limits) {
    this.#bytesMax = requestBodyBytesMax;
    this.#totalMax = requestBodiesBytesMax;
  }

  /** Held at this moment. */
  get bytes(): number {
    return this.#total;
  }

  /** The whole body, or why not; then the connection still works, so that the client can be told. */
  read(body: Readable | undefined, signal: AbortSignal): Promise<Buffer | BodyProblem> {
    if (body === undefined) return Promise.resolve(Buffer.alloc(0));
    if (signal.aborted) return Promise.resolve('gone');
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const finish = (outcome: Buffer | BodyProblem) => {
        body.off('data', take).off('end', end).off('close', gone);
        signal.removeEventListener('abort', gone);
        this.#total -= size;
        if (typeof outcome === 'string') refuseRest(body);
        resolve(outcome);
      };
      const take = (chunk: Buffer) => {
        size += chunk.length;
        this.#total += chunk.length;
        if (size > this.#bytesMax) return finish('tooLarge');
        if (this.#total > this.#totalMax) return finish('tooMany');
        chunks.push(chunk);
      };
      const end = () => finish(Buffer.concat(chunks));
      const gone = () => finish('gone');
      signal.addEventListener('abort', gone);
      body.on('error', ignoreError).on('close', gone).on('end', end).on('data', take);
    });
  }
}

/**
 * What still comes is thrown away. Over HTTP/1.1 Node goes on reading for as long as a request may take; over HTTP/2 the
 * client is told to stop once it has its answer (RFC 9113, section 8.1).
 */
export function refuseRest(body: Readable): void {
  body.resume();
  const { stream } = body as Partial<Http2ServerRequest>;
  if (stream === undefined || stream.destroyed) return;
  const stop = () => stopOnceSent(stream, STOP_TURNS);
  if (stream.writableFinished) stop();
  else stream.once('finish', stop);
}

/** One or two are enough, unless the client's window holds the answer back: then the deadline sees to the rest. */
const STOP_TURNS = 100;

/** What is finished may not be sent yet, and a reset would overtake it: Go's client then misses the end of its answer. */
function stopOnceSent(stream: ServerHttp2Stream, turns: number): void {
  setImmediate(() => {
    if (stream.closed || stream.destroyed || stream.state.remoteClose === 1) return;
    if (stream.state.localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR);
    else if (turns > 0) stopOnceSent(stream, turns - 1);
  });
}
