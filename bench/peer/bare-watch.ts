import { connect } from 'node:http2';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { prefixEnd } from '../../src/lib/bytes.js';
import { encode, METHODS } from '../../src/source/etcd/rpc.js';

/**
 * The least that a Node process can do with a write: it watches etcd over node:http2 and forgets what it reads. What it
 * costs is waking up, the kernel's and nghttp2's part; whoever does more with a write can only save on these by waking up less often.
 *
 *     node dist/bench/peer/bare-watch.js --etcd http://127.0.0.1:2379 --port 8080
 */
const { values } = parseArgs({ options: { etcd: { type: 'string' }, port: { type: 'string' } } });
const WINDOW_BYTES = 4 * 2 ** 20;
const MESSAGE_HEADER_BYTES = 5;

const session = connect(values.etcd!, { settings: { enablePush: false, initialWindowSize: WINDOW_BYTES } });
session.once('connect', () => session.setLocalWindowSize(WINDOW_BYTES));
const watch = session.request(
  { ':method': 'POST', ':path': METHODS.watch, te: 'trailers', 'content-type': 'application/grpc' },
  { endStream: false },
);
const key = Buffer.from('/registry/');
const message = encode('WatchRequest', { create_request: { key, range_end: prefixEnd(key) } });
const header = Buffer.alloc(MESSAGE_HEADER_BYTES);
header.writeUInt32BE(message.length, 1);
watch.write(Buffer.concat([header, message]));
// etcd's first message says that the watch is created: from then on every write is read.
watch.once('data', () => {
  // The load bench asks for the resourceVersion at which its watchers begin; here there are none.
  createServer((_request, response) => response.end('{"metadata":{"resourceVersion":"1"}}')).listen(
    Number(values.port),
    '127.0.0.1',
  );
});
watch.resume();
watch.once('close', () => {
  process.stderr.write('bare-watch: etcd ended the watch\n');
  process.exit(1);
});
