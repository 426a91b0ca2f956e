import type { Http1Response } from '../http1-response.js';
import type { ByteSink } from '../sinks.js';
import type { SharedChunk } from './shared-chunk.js';

/** A larger chunk is hardly shared, and its copy would cost more than Node's three writes. */
const ENCODED_BYTES_MAX = 256 * 2 ** 10;

/**
 * The sink of a watch over HTTP/1.1. Node's response would encode each chunk again for each watcher, and write it in
 * three pieces; here the encoded chunk goes to the connection in one write (docs/adr/0013).
 *
 * Only while the response owns its connection and has nothing of its own to send: whatever else it has written
 * (its head, chunks from when it waited behind another response) is with the connection already, in front of ours.
 */
export function http1WatchSink(sink: Http1Response, shared: SharedChunk): ByteSink {
  const response = sink.raw;
  const connection = response.req.socket;
  return {
    get closed() {
      return sink.closed;
    },
    writeBytesMax: sink.writeBytesMax,
    write(chunk, done) {
      const { socket } = response;
      const encodes = done === undefined && chunk.length > 0 && chunk.length <= ENCODED_BYTES_MAX;
      if (socket === null || !response.chunkedEncoding || !encodes) return sink.write(chunk, done);
      if (sink.closed) return false;
      return socket.write(shared.http1(chunk)) || socket.writableLength < sink.writeBytesMax;
    },
    onDrain(run) {
      sink.onDrain(run);
      connection.on('drain', run);
      sink.onClose(() => connection.off('drain', run));
    },
    onClose: (run) => sink.onClose(run),
    end: () => sink.end(),
    destroy: () => sink.destroy(),
  };
}
