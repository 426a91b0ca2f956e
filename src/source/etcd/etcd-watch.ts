import { prefixEnd } from '../../lib/bytes.js';
import type { Clock, Timer } from '../../lib/clock.js';
import { SourceError, type WatchEnd, type WatchHandle, type WatchHandler, type WatchRequest } from '../source.js';
import type { Calls } from './calls.js';
import { type Endpoint, type Endpoints, watchForHang } from './endpoints.js';
import { isTokenInvalid, type RpcFailure, toSourceError } from './errors.js';
import type { GrpcStream } from './grpc-stream.js';
import type { StoreIdentity } from './identity.js';
import type { Settings } from './options.js';
import { RevisionAssembler } from './revision-assembler.js';
import { encode } from './rpc.js';
import { skimWatchResponse, WatchSkim } from './skim.js';

/** What a watch needs of its source. */
export interface WatchContext {
  readonly calls: Calls;
  readonly endpoints: Endpoints;
  readonly identity: StoreIdentity;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: (message: string) => void;
  /** A linearizable read, which notices that the store was replaced. */
  readonly verify: () => Promise<unknown>;
  readonly ended: (watch: EtcdWatch) => void;
}

const PROGRESS_REQUEST = { progress_request: {} };

/** One record for all watches: a response is skimmed and delivered without a pause. */
const skim = new WatchSkim();

/**
 * One watch on one stream: a progress request concerns a whole stream, and etcd answers it only when every
 * watch on that stream has caught up.
 *
 *     opening ──created──> open ──> ended      (any state ends once, by close, failure or etcd's word)
 */
export class EtcdWatch implements WatchHandle {
  readonly #context: WatchContext;
  readonly #request: WatchRequest;
  readonly #handler: WatchHandler;
  readonly #assembler: RevisionAssembler;
  readonly #generation: number;
  #endpoint: Endpoint | undefined;
  #stream: GrpcStream | undefined;
  #state: 'opening' | 'open' | 'ended' = 'opening';
  #hangTimer: Timer | undefined;
  #silenceTimer: Timer | undefined;
  #heardMs = 0;
  /** When progress was first asked for since the last progress, or undefined; and when last. */
  #progressAskedMs: number | undefined;
  #progressSentMs = 0;
  /** A caller asked after the request was sent: the answer on its way may be too old for that caller. */
  #progressWantedAgain = false;

  constructor(request: WatchRequest, handler: WatchHandler, context: WatchContext) {
    this.#request = { ...request, prefix: Uint8Array.from(request.prefix) };
    this.#handler = handler;
    this.#context = context;
    this.#generation = request.generation ?? context.identity.generation;
    this.#assembler = new RevisionAssembler(handler, request.startRevision, context.settings.heldBytesMax);
  }

  /** Never rejects. */
  async open(): Promise<void> {
    const { calls, endpoints, identity, settings, clock } = this.#context;
    if (this.#generation !== identity.generation) {
      this.#end({ kind: 'replaced', message: 'etcd is not the store that this watch continues' });
      return;
    }
    try {
      const metadata = await calls.metadata();
      if (this.#isEnded) return;
      metadata.set('hasleader', 'true'); // a member that lost the cluster ends the watch instead of falling silent
      const endpoint = endpoints.order()[0]!;
      this.#endpoint = endpoint;
      this.#stream = endpoint.openWatch(metadata, {
        message: (bytes) => this.#receive(bytes),
        ended: (failure) => this.#fail(failure),
      });
      if (this.#isEnded) return;
      this.#hangTimer = watchForHang(endpoint, settings, clock, () => {
        endpoint.recycle();
        this.#fail({ code: 14, details: 'the endpoint accepts connections but does not answer' });
      });
      this.#stream?.write(encode('WatchRequest', { create_request: this.#createRequest() }));
    } catch (error) {
      this.#cut(error);
    }
  }

  requestProgress(): void {
    const nowMs = this.#context.clock.monotonicMs();
    this.#stream?.hurry(true);
    if (this.#progressAskedMs === undefined) this.#progressAskedMs = nowMs;
    else if (nowMs - this.#progressSentMs < this.#context.settings.progressRepeatMs) {
      this.#progressWantedAgain = true;
      return;
    }
    this.#sendProgressRequest(nowMs);
  }

  close(): void {
    this.#end({ kind: 'closed' });
  }

  /** The source found, by another request, that the store was replaced. */
  replaced(message: string): void {
    this.#end({ kind: 'replaced', message });
  }

  /** A method, because the compiler would otherwise remember the state across calls that change it. */
  get #isEnded(): boolean {
    return this.#state === 'ended';
  }

  #createRequest(): object {
    const { prefix, startRevision } = this.#request;
    return {
      // etcd takes an empty key for an error; the zero byte with an open end means every key.
      key: prefix.length === 0 ? Uint8Array.of(0) : prefix,
      range_end: prefixEnd(prefix),
      start_revision: startRevision,
      progress_notify: true,
      fragment: true,
    };
  }

  #receive(bytes: Buffer): void {
    if (this.#isEnded) return;
    this.#heardMs = this.#context.clock.monotonicMs();
    try {
      skimWatchResponse(bytes, skim);
      if (skim.canceled) {
        this.#canceled();
        return;
      }
      this.#context.identity.checkLagging(skim.header, this.#generation);
      if (this.#isEnded) return; // the check found the store replaced, which ends every watch
      if (skim.created) this.#created();
      if (skim.eventCount > 0 || this.#assembler.holdsRows) this.#assemble(bytes);
      else if (!skim.created && skim.compactRevision === 0) this.#progressed(skim.header.revision);
    } catch (error) {
      this.#cut(error);
    }
  }

  #assemble(bytes: Buffer): void {
    const dropped = this.#assembler.droppedCount;
    this.#assembler.add(bytes, skim);
    if (this.#assembler.droppedCount !== dropped) {
      this.#context.log(`etcd: dropped ${this.#assembler.droppedCount - dropped} events that were delivered before`);
    }
  }

  #created(): void {
    const { endpoints, verify } = this.#context;
    this.#state = 'open';
    this.#hangTimer?.cancel();
    endpoints.succeeded(this.#endpoint!);
    this.#armSilenceTimer();
    // A lagging member, or a wiped store: only a linearizable read can tell. It ends this watch if need be.
    if (skim.header.revision < this.#request.startRevision - 1) verify().catch(() => {});
    if (this.#progressAskedMs !== undefined) this.#sendProgressRequest(this.#heardMs);
  }

  #progressed(revision: number): void {
    this.#progressAskedMs = undefined;
    if (this.#progressWantedAgain) this.requestProgress();
    else this.#stream!.hurry(false);
    if (revision >= this.#assembler.committed) this.#handler.progress(revision);
  }

  #canceled(): void {
    const { calls } = this.#context;
    if (skim.compactRevision > 0) {
      this.#end({ kind: 'compacted', compactRevision: skim.compactRevision });
      return;
    }
    const details = skim.cancelReason === '' ? 'etcd canceled the watch' : skim.cancelReason;
    const failure = { code: 14, details };
    if (isTokenInvalid(failure)) calls.forgetToken();
    this.#end({ kind: 'cut', error: toSourceError(failure, this.#endpoint!.url) });
  }

  #sendProgressRequest(nowMs: number): void {
    this.#progressWantedAgain = false;
    if (this.#state !== 'open') return; // `created` sends it
    this.#progressSentMs = nowMs;
    this.#stream!.write(encode('WatchRequest', PROGRESS_REQUEST));
    this.#armSilenceTimer();
  }

  /**
   * A stream that says nothing for two progress intervals is dead, whatever TCP thinks. While a progress request
   * waits, seconds suffice; it is repeated, because etcd drops one that meets a watch still catching up.
   */
  #armSilenceTimer(): void {
    const { clock, settings } = this.#context;
    this.#silenceTimer?.cancel();
    const isAsking = this.#progressAskedMs !== undefined;
    const allowedMs = isAsking ? settings.progressAnswerMs : settings.silenceMs;
    const sinceMs = isAsking ? Math.max(this.#heardMs, this.#progressAskedMs!) : this.#heardMs;
    const silentMs = clock.monotonicMs() - sinceMs;
    const delayMs = Math.max(allowedMs - silentMs, 0);
    this.#silenceTimer = clock.setTimer(isAsking ? Math.min(delayMs, PROGRESS_REPEAT_AFTER_MS) : delayMs, () =>
      this.#checkSilence(),
    );
  }

  #checkSilence(): void {
    const { clock, settings } = this.#context;
    const nowMs = clock.monotonicMs();
    if (this.#progressAskedMs === undefined) {
      if (nowMs - this.#heardMs < settings.silenceMs) this.#armSilenceTimer();
      else this.#fail({ code: 14, details: `the watch was silent for ${settings.silenceMs} ms` });
    } else if (nowMs - Math.max(this.#heardMs, this.#progressAskedMs) < settings.progressAnswerMs) {
      this.#sendProgressRequest(nowMs);
    } else {
      this.#fail({
        code: 14,
        details: `the watch did not answer a progress request within ${settings.progressAnswerMs} ms`,
      });
    }
  }

  #fail(failure: RpcFailure): void {
    if (this.#isEnded) return;
    const { calls, endpoints } = this.#context;
    if (isTokenInvalid(failure)) calls.forgetToken();
    const details = failure.code === 0 ? 'the server ended the watch' : failure.details;
    const error = toSourceError({ code: failure.code, details }, this.#endpoint!.url);
    if (error.kind === 'unavailable') endpoints.failed(this.#endpoint!);
    this.#end({ kind: 'cut', error });
  }

  #cut(error: unknown): void {
    if (!(error instanceof SourceError)) throw error;
    if (error.kind === 'replaced') this.#end({ kind: 'replaced', message: error.message });
    else if (error.kind === 'closed') this.#end({ kind: 'closed' });
    else this.#end({ kind: 'cut', error });
  }

  #end(end: WatchEnd): void {
    if (this.#isEnded) return;
    this.#state = 'ended';
    this.#assembler.stop();
    this.#hangTimer?.cancel();
    this.#silenceTimer?.cancel();
    this.#stream?.cancel();
    this.#context.ended(this);
    this.#handler.ended(end);
  }
}

const PROGRESS_REPEAT_AFTER_MS = 1_000;
