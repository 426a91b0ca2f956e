import type { ByteWriter } from '../../codec/codec.js';
import { storedBlocks, ZSTD_FRAME_END, ZSTD_FRAME_HEAD } from '../../lib/zstd.js';
import type { ListRuns, ZstdItems } from '../../serve/reader.js';
import type { Joiner } from './joined-list.js';
import { writeBytes } from './writer.js';

/**
 * A Zstandard frame (RFC 8878) that is put together from blocks. One frame, not one for each run of items: many
 * decoders, Node's among them, stop without an error behind the first one (ADR 26). It has no checksum, since XXH64 cannot be
 * combined from those of parts.
 */
export class ZstdFrame implements Joiner<ZstdItems> {
  size = 0;

  begin(into: ByteWriter): void {
    writeBytes(into, ZSTD_FRAME_HEAD);
  }

  store(bytes: Uint8Array, into: ByteWriter): void {
    this.size += bytes.length;
    writeBytes(into, storedBlocks(bytes));
  }

  items(runs: ListRuns, run: number, format: 'json' | 'protobuf'): ZstdItems | Promise<ZstdItems> {
    return runs.zstd(run, format);
  }

  add({ size }: ZstdItems): void {
    this.size += size;
  }

  end(into: ByteWriter): void {
    writeBytes(into, ZSTD_FRAME_END);
  }
}
