/** Free pages of a file, by number. Pages that lie side by side can be given out as one span. */
export interface FreePages {
  /** The first of `count` pages side by side, which are free no longer; undefined when there are none. */
  allocate(count: number): number | undefined;
  free(first: number, count: number): void;
}

/** The page numbers in one sorted list; a span is searched for from its begin (bbolt's first free list). */
export class ScannedPages implements FreePages {
  private readonly pages: number[];

  constructor(spans: Iterable<readonly [first: number, count: number]>) {
    this.pages = [];
    for (const [first, count] of spans) for (let page = first; page < first + count; page++) this.pages.push(page);
    this.pages.sort((a, b) => a - b);
  }

  allocate(count: number): number | undefined {
    const { pages } = this;
    let begin = 0;
    for (let index = 0; index < pages.length; index++) {
      if (index > begin && pages[index] !== pages[index - 1]! + 1) begin = index;
      if (index - begin + 1 < count) continue;
      const first = pages[begin]!;
      pages.splice(begin, count);
      return first;
    }
    return undefined;
  }

  free(first: number, count: number): void {
    const { pages } = this;
    let low = 0;
    for (let high = pages.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (pages[middle]! < first) low = middle + 1;
      else high = middle;
    }
    pages.splice(low, 0, ...Array.from({ length: count }, (_, index) => first + index));
  }
}

/** Spans in a list for each size, and by their first and last page, so that neighbours join: what Alibaba gave to bbolt. */
export class SegregatedPages implements FreePages {
  /** First pages, in no order. */
  private readonly bySize = new Map<number, number[]>();
  private readonly byFirst = new Map<number, { readonly size: number; at: number }>();
  private readonly byLast = new Map<number, number>();

  constructor(spans: Iterable<readonly [first: number, count: number]>) {
    for (const [first, count] of spans) this.free(first, count);
  }

  allocate(count: number): number | undefined {
    const size = this.bySize.has(count) ? count : this.larger(count);
    if (size === undefined) return undefined;
    const first = this.bySize.get(size)!.at(-1)!;
    this.remove(first, size);
    if (size > count) this.add(first + count, size - count);
    return first;
  }

  free(first: number, count: number): void {
    let [begin, size] = [first, count];
    const before = this.byLast.get(first - 1);
    if (before !== undefined) {
      this.remove(first - before, before);
      begin = first - before;
      size += before;
    }
    const after = this.byFirst.get(first + count);
    if (after !== undefined) {
      this.remove(first + count, after.size);
      size += after.size;
    }
    this.add(begin, size);
  }

  private larger(count: number): number | undefined {
    for (const size of this.bySize.keys()) if (size > count) return size;
    return undefined;
  }

  private add(first: number, size: number): void {
    let spans = this.bySize.get(size);
    if (spans === undefined) this.bySize.set(size, (spans = []));
    this.byFirst.set(first, { size, at: spans.length });
    this.byLast.set(first + size - 1, size);
    spans.push(first);
  }

  /** The last span of its size takes its place. */
  private remove(first: number, size: number): void {
    const spans = this.bySize.get(size)!;
    const { at } = this.byFirst.get(first)!;
    const last = spans.pop()!;
    if (last !== first) {
      spans[at] = last;
      this.byFirst.get(last)!.at = at;
    }
    if (spans.length === 0) this.bySize.delete(size);
    this.byFirst.delete(first);
    this.byLast.delete(first + size - 1);
  }
}
