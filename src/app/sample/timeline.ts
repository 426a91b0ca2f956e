/** Things due later, in order of time; equal times in the order they were added. A binary heap. */
export interface Timeline {
  add(atMs: number, run: () => void): void;
  /** Removes and returns the earliest entry due at or before `untilMs`. */
  next(untilMs: number): { readonly atMs: number; readonly run: () => void } | undefined;
  readonly size: number;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export function createTimeline(): Timeline {
  const heap: Entry[] = [];
  let order = 0;
  const before = (a: Entry, b: Entry) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  const swap = (a: number, b: number) => {
    const entry = heap[a]!;
    heap[a] = heap[b]!;
    heap[b] = entry;
  };
  return {
    add(atMs, run) {
      heap.push({ atMs, order: order++, run });
      let at = heap.length - 1;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!before(heap[at]!, heap[parent]!)) break;
        swap(at, parent);
        at = parent;
      }
    },
    next(untilMs) {
      const first = heap[0];
      if (first === undefined || first.atMs > untilMs) return undefined;
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        for (let at = 0; ; ) {
          let smallest = at;
          for (const child of [2 * at + 1, 2 * at + 2]) {
            if (child < heap.length && before(heap[child]!, heap[smallest]!)) smallest = child;
          }
          if (smallest === at) break;
          swap(at, smallest);
          at = smallest;
        }
      }
      return first;
    },
    get size() {
      return heap.length;
    },
  };
}
