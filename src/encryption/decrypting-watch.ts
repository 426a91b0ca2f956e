import type { ModRevision } from '../api/revision.js';
import {
  type ChangeType,
  PUT,
  type Source,
  SourceError,
  type WatchEnd,
  type WatchHandle,
  type WatchHandler,
  type WatchRequest,
} from '../source/source.js';
import { decryptEntry } from './decrypt-entry.js';
import { fetchesKeys, type ResourceDecryption } from './resource-decryption.js';
import { fetchOpen, type OpenValue } from './transformer.js';

/** A revision, or a progress report, that waits for its turn. */
interface Held {
  readonly changes: HeldChange[];
  /** Changes whose data keys are not here yet. */
  waiting: number;
  bytes: number;
  /** Tells the handler, after the changes; undefined: the revision is not complete. */
  finish: (() => void) | undefined;
}

interface HeldChange {
  readonly type: ChangeType;
  /** The key, then the value. */
  readonly bytes: Uint8Array;
  readonly keyLength: number;
  readonly createRevision: ModRevision;
  readonly modRevision: ModRevision;
  open: OpenValue | undefined;
}

const HELD_BYTES = 128;

/**
 * One watch, decrypted. Of a resource with a KMS provider, revisions are kept until they are complete and the data keys of
 * their values are here, and with them all that comes later on this watch: so a revision is still delivered whole, and in order.
 * Other watches go on. The data keys of all that is held are asked for side by side.
 *
 * When more than `heldBytesMax` is held, the watch is cut where it has got to: whoever follows it watches again from there.
 */
export class DecryptingWatch implements WatchHandler, WatchHandle {
  readonly #handler: WatchHandler;
  readonly #decryption: ResourceDecryption;
  readonly #heldBytesMax: number;
  readonly #stopListening: () => void;
  readonly #handle: WatchHandle;
  #held: Held[] = [];
  /** The last of them, while its revision is not complete. */
  #open: Held | undefined;
  #heldBytes = 0;
  /** What the end is reported as, when it is we who end the watch. */
  #reason: WatchEnd | undefined;
  /** It has ended, or is about to: nothing is passed any more. */
  #over = false;

  constructor(
    source: Source,
    request: WatchRequest,
    handler: WatchHandler,
    decryption: ResourceDecryption,
    heldBytesMax: number,
  ) {
    this.#handler = handler;
    this.#decryption = decryption;
    this.#heldBytesMax = heldBytesMax;
    this.#stopListening = decryption.onReread(() =>
      this.#endAs({ kind: 'replaced', message: 'the encryption configuration has changed, or a KMS plugin is back' }),
    );
    this.#handle = source.watch(request, this);
  }

  requestProgress(): void {
    this.#handle.requestProgress();
  }

  close(): void {
    this.#reason = undefined;
    this.#over = true;
    this.#forget();
    this.#handle.close();
  }

  change(
    type: ChangeType,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): void {
    if (this.#over) return;
    const transformers = this.#decryption.transformers();
    if (this.#open === undefined && !fetchesKeys(transformers)) {
      this.#pass(type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision, undefined);
      return;
    }
    const keyLength = keyEnd - keyStart;
    const copy = Buffer.concat([bytes.subarray(keyStart, keyEnd), bytes.subarray(valueStart, valueEnd)]);
    const held = (this.#open ??= this.#hold(undefined));
    const open = type === PUT ? fetchOpen(transformers ?? [], copy.subarray(keyLength)) : undefined;
    const change: HeldChange = { type, bytes: copy, keyLength, createRevision, modRevision, open: undefined };
    held.changes.push(change);
    held.bytes += copy.length + HELD_BYTES;
    this.#heldBytes += copy.length + HELD_BYTES;
    if (!(open instanceof Promise)) {
      change.open = open;
      return;
    }
    held.waiting++;
    void open.then((fetched) => {
      change.open = fetched;
      held.waiting--;
      this.#passOn();
    });
  }

  commit(modRevision: ModRevision): void {
    if (this.#over) return;
    if (this.#held.length === 0) return this.#handler.commit(modRevision);
    const held = this.#open ?? this.#hold(undefined);
    this.#open = undefined;
    held.finish = () => this.#handler.commit(modRevision);
    this.#passOn();
    if (this.#heldBytes <= this.#heldBytesMax) return;
    const message = `more than ${this.#heldBytesMax} bytes of changes wait for data keys of KMS plugins`;
    this.#endAs({ kind: 'cut', error: new SourceError('unavailable', message) });
  }

  progress(revision: ModRevision): void {
    if (this.#over) return;
    if (this.#held.length === 0) this.#handler.progress(revision);
    else this.#hold(() => this.#handler.progress(revision));
  }

  /** What is held is let go: after a cut it is delivered again, and after any other end nobody asks for it. */
  ended(end: WatchEnd): void {
    this.#over = true;
    this.#stopListening();
    this.#forget();
    this.#handler.ended(this.#reason ?? end);
  }

  #hold(finish: Held['finish']): Held {
    const held: Held = { changes: [], waiting: 0, bytes: HELD_BYTES, finish };
    this.#held.push(held);
    this.#heldBytes += HELD_BYTES;
    return held;
  }

  #passOn(): void {
    for (;;) {
      const [head] = this.#held;
      if (head?.finish === undefined || head.waiting > 0) return;
      this.#held.shift();
      this.#heldBytes -= head.bytes;
      for (const { type, bytes, keyLength, createRevision, modRevision, open } of head.changes) {
        this.#pass(type, bytes, 0, keyLength, keyLength, bytes.length, createRevision, modRevision, open);
      }
      head.finish();
    }
  }

  #pass(
    type: ChangeType,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
    open: OpenValue | undefined,
  ): void {
    const handler = this.#handler;
    const transformers = type === PUT ? this.#decryption.transformers() : undefined;
    if (transformers === undefined) {
      handler.change(type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
      return;
    }
    decryptEntry(
      this.#decryption,
      transformers,
      open,
      bytes,
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      (shown, k0, k1, v0, v1) => handler.change(PUT, shown, k0, k1, v0, v1, createRevision, modRevision),
    );
  }

  #endAs(end: WatchEnd): void {
    if (this.#over) return;
    this.#reason = end;
    this.#over = true;
    this.#forget();
    this.#handle.close();
  }

  #forget(): void {
    this.#held = [];
    this.#open = undefined;
    this.#heldBytes = 0;
  }
}
