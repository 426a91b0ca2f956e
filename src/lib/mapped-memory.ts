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

/**
 * The same for bytes of one thread that the collector frees: V8 counts these among what is outside of its heap, so that
 * much of it is a reason to collect. Can be transferred. Small ones are not worth a page: they come from the C library. For what is
 * taken as a whole: a view of a part takes several times as long to make.
 */
export function mappedBytes(size: number): Buffer {
  if (size < MAPPED_BYTES_MIN) return Buffer.allocUnsafeSlow(size);
  return Buffer.from(new ResizableBuffer(size, { maxByteLength: size }), 0, size);
}

/** Less than an eighth of it is lost to the end of the last page. */
const MAPPED_BYTES_MIN = 32 * 1024;

/** Node 20 has both; the types of ES2023 do not. */
interface Resizing<T> {
  new (size: number, options: { readonly maxByteLength: number }): T;
}
const GrowableBuffer = SharedArrayBuffer as unknown as Resizing<SharedArrayBuffer>;
const ResizableBuffer = ArrayBuffer as unknown as Resizing<ArrayBuffer>;
