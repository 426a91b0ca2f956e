import { readFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { provideCertificate } from '../../src/app/certificates.js';
import { systemClock } from '../../src/lib/clock.js';

/**
 * The least that a Node server can do: the same bytes for every request, from one buffer. Over a raw
 * socket it answers HTTP/1.1 with one write; over TLS it is `node:https` with its own framing.
 *
 *     node dist/bench/peer/raw-server.js --body FILE --port 8080 --tls-port 8443 --cert-dir FOLDER
 */
const { values } = parseArgs({
  options: {
    body: { type: 'string' },
    port: { type: 'string' },
    'tls-port': { type: 'string' },
    'cert-dir': { type: 'string' },
  },
});

const body = readFileSync(values.body!);
const type = 'application/vnd.kubernetes.protobuf';
const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`);

createServer((socket) => {
  let received = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
      received = received.slice(end + 4);
      socket.cork();
      socket.write(head);
      socket.write(body);
      socket.uncork();
    }
  });
}).listen(Number(values.port), '127.0.0.1');

const pair = await provideCertificate(
  { certDirectory: join(values['cert-dir']!, 'baseline') },
  '127.0.0.1',
  systemClock.nowMs(),
);
createHttpsServer(pair, (_request, response) => {
  response.writeHead(200, { 'content-type': type, 'content-length': body.length });
  response.end(body);
}).listen(Number(values['tls-port']), '127.0.0.1');
