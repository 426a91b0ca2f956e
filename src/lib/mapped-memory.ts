/**
 * `size` bytes, all zero, shared with worker threads, in pages of their own (docs/adr/0019-resident-memory.md):
 *
 *     new SharedArrayBuffer(size)      from the C library's heap: what is freed there stays with the process,
 *                                      and what is used again is cleared, that is, touched to its end
 *     this                             from the kernel: a page is there once it is written to, and goes when it is freed
 *
 * It can grow, in name: that is what has V8 map it. Views of it must be given their length, since others
 * would follow the buffer's and be slower for it. Throws RangeError when there is no address space left.
 */
export function mappedMemory(size: number): SharedArrayBuffer {
  return new GrowableBuffer(size, { maxByteLength: size });
}

/** Node 20 has it; the types of ES2023 do not. */
const GrowableBuffer = SharedArrayBuffer as unknown as new (
  size: number,
  options: { readonly maxByteLength: number },
) => SharedArrayBuffer;
