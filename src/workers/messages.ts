import type { Kind } from '../codec/kind.js';

/** What a worker is started with. */
export interface WorkerStart {
  /** Of all tasks (claims.ts). */
  readonly cells: Int32Array;
  /** The cell in which the worker counts the tasks that it has looked at. */
  readonly seenCell: number;
}

/** Sent before the first task of a kind; tasks name it by its number. */
export interface KindMessage {
  readonly kind: number;
  readonly definition: Kind;
}

export interface TaskMessage {
  readonly ticket: number;
  readonly cell: number;
  readonly kind: number;
  /** Slabs, shared with the owner of the cache. They are not kept when the task is done. */
  readonly slabs: readonly SharedArrayBuffer[];
  /** Three numbers an item: index of its slab, start and end of its message there. */
  readonly places: Int32Array;
}

/** To a task that the worker has claimed; to others it says nothing. The buffers change hands. */
export interface Reply {
  readonly ticket: number;
  /** undefined: it could not be encoded. Why is found out by whoever tries again in the thread of the LIST. */
  readonly encoded: { readonly bytes: ArrayBuffer; readonly starts: Uint32Array } | undefined;
}
