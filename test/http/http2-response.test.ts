import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Stream, connect, constants, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Http2Response } from '../../src/http/http2-response.js';

/** What becomes of a stream that `answer` answers. */
async function outcomeOf(answer: (response: Http2Response, stream: ServerHttp2Stream) => void): Promise<unknown[]> {
  const server = createServer();
  server.on('stream', (stream) => answer(new Http2Response(stream), stream));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const stream: ClientHttp2Stream = session.request({ ':path': '/' });
  let body = '';
  stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
  const failed = once(stream, 'end').then(
    () => 'whole',
    () => 'cut',
  );
  const outcome = await failed;
  if (!stream.closed) await once(stream, 'close');
  session.destroy();
  await new Promise((resolve) => server.close(resolve));
  return [outcome, stream.rstCode, body];
}

const CUT = ['cut', constants.NGHTTP2_INTERNAL_ERROR];

test('a response that is cut is not taken for a whole one', { timeout: 10_000 }, async () => {
  assert.deepEqual(await outcomeOf((response) => response.destroy()), [...CUT, ''], 'before its head');
  const begun = await outcomeOf((response) => {
    response.writeHead(200, {});
    response.write(Buffer.from('half'));
    setTimeout(() => response.destroy(), 20);
  });
  assert.deepEqual(begun, [...CUT, 'half']);
  const impossible = await outcomeOf((response, stream) => {
    assert.throws(() => stream.respond({ ':status': 200, etag: ['"a"', '"b"'] } as never));
    response.destroy();
  });
  assert.deepEqual(impossible, [...CUT, ''], 'after a head that HTTP/2 cannot say');
});

test('a response that ends is whole', { timeout: 10_000 }, async () => {
  const ended = await outcomeOf((response) => {
    response.writeHead(200, {});
    response.write(Buffer.from('all'));
    response.end();
  });
  assert.deepEqual(ended, ['whole', constants.NGHTTP2_NO_ERROR, 'all']);
});
