import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import { eventually, openRaw } from '../client.js';
import { begin, protocols, send } from './client.js';
import { asJane, startForwarding } from './serving.js';
import { bodyOf } from './target.js';

// Bodies go through as they come, both ways; what breaks off on one side breaks off on the other.

const PODS = '/api/v1/namespaces/default/pods';
const WATCH = '/apis/metrics.k8s.io/v1beta1/nodes?watch=1';
const CHUNK = Buffer.alloc(64 * 1024, 'x');
/** More than all buffers between client and target hold, the kernel's included. */
const MUCH = 64 * 2 ** 20;

for (const protocol of protocols) {
  test(`${protocol}: the head of a request and each piece of its body arrive before the next is sent`, async (t) => {
    const { target, port, close } = await startForwarding();
    t.after(close);
    let pieces = '';
    target.answer = (request, response) => {
      request.on('data', (piece: Buffer) => (pieces += piece.toString()));
      request.on('end', () => response.end(`all: ${pieces}`));
    };
    let to: Writable | undefined;
    const answer = send(protocol, port, { method: 'POST', path: PODS, headers: asJane, body: (body) => (to = body) });
    await eventually('the head is there', () => target.seen.length === 1);
    for (const piece of ['one ', 'two ', 'three']) {
      const before = pieces;
      to!.write(piece);
      await eventually(piece, () => pieces === before + piece);
    }
    to!.end();
    assert.equal((await answer).text, 'all: one two three');
  });

  test(`${protocol}: a watch is passed on event by event, and ends with the target's`, async (t) => {
    const { target, port, close, serving } = await startForwarding({
      limits: { requestTimeoutMs: 200, forwardIdleMs: 100 },
    });
    t.after(close);
    let sendEvent: (event: string) => void = () => {};
    let end: () => void = () => {};
    target.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      sendEvent = (event) => void response.write(event);
      end = () => void response.end();
    };
    const begun = await begin(protocol, port, { path: WATCH, headers: asJane });
    assert.equal(begun.headers['content-type'], 'application/json');
    let got = '';
    let ended = false;
    begun.body.on('data', (chunk: Buffer) => (got += chunk.toString()));
    begun.body.on('end', () => (ended = true));
    for (const event of ['{"type":"ADDED"}\n', '{"type":"MODIFIED"}\n']) {
      const before = got;
      sendEvent(event);
      await eventually(event, () => got === before + event);
    }
    await new Promise((resolve) => setTimeout(resolve, 500)); // longer than a request may take
    assert.equal(ended, false);
    end();
    await eventually('the end', () => ended);
    begun.leave();
    await eventually('nothing is open', () => serving.server.open === 0);
  });

  test(`${protocol}: an answer that is not read holds the target back`, async (t) => {
    const { target, port, close, serving } = await startForwarding();
    t.after(close);
    let sent = 0;
    target.answer = (_request, response) => {
      const more = () => {
        while (sent < MUCH) {
          sent += CHUNK.length;
          if (!response.write(CHUNK)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    };
    const begun = await begin(protocol, port, { path: '/logs/big', headers: asJane });
    await eventually('it stands still', () => standsStill(() => sent));
    assert.ok(sent < MUCH, `${sent} bytes were sent to nobody`);
    assert.ok(serving.server.unsentBytes < 2 ** 20, `${serving.server.unsentBytes} bytes wait in memory`);
    let got = 0;
    for await (const chunk of begun.body) got += (chunk as Buffer).length;
    assert.equal(got, MUCH);
    begun.leave();
  });

  test(`${protocol}: a body that is not read holds the client back`, async (t) => {
    const { target, port, close } = await startForwarding();
    t.after(close);
    let seen: IncomingMessage | undefined;
    let got = 0;
    target.answer = (request, response) => {
      seen = request;
      request.on('end', () => response.end(String(got)));
    };
    let sent = 0;
    const answer = send(protocol, port, {
      method: 'POST',
      path: PODS,
      headers: asJane,
      body(to) {
        const more = () => {
          while (sent < MUCH) {
            sent += CHUNK.length;
            if (!to.write(CHUNK)) return void to.once('drain', more);
          }
          to.end();
        };
        more();
      },
    });
    await eventually('it stands still', () => seen !== undefined && standsStill(() => sent));
    assert.ok(sent < MUCH, `${sent} bytes were taken for nobody`);
    seen!.on('data', (chunk: Buffer) => (got += chunk.length));
    assert.equal((await answer).text, String(MUCH));
  });

  for (const [how, length] of [
    ['in chunks', undefined],
    ['with a length', '1000'],
  ] as const) {
    test(`${protocol}: an answer ${how} that breaks off breaks off for the client`, async (t) => {
      const { target, port, close, serving } = await startForwarding();
      t.after(close);
      target.answer = (_request, response) => {
        response.writeHead(200, length === undefined ? {} : { 'content-length': length });
        response.write('half');
        setTimeout(() => response.destroy(), 50);
      };
      const answer = await send(protocol, port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
      assert.deepEqual([answer.code, answer.text, answer.isWhole], [200, 'half', false]);
      await eventually('nothing is open', () => serving.server.open === 0);
    });
  }

  test(`${protocol}: a client that leaves takes its request at the target with it`, async (t) => {
    const { target, port, close, serving } = await startForwarding();
    t.after(close);
    let gone = 0;
    target.answer = (request, response) => {
      request.socket.once('close', () => gone++);
      if (request.method === 'GET') response.writeHead(200).write('{}');
    };
    const watch = await begin(protocol, port, { path: WATCH, headers: asJane });
    watch.leave();
    await eventually('the watch has ended there', () => gone === 1);
    // In the middle of its body, before there is an answer.
    let to: Writable | undefined;
    const upload = begin(protocol, port, { method: 'POST', path: PODS, headers: asJane, body: (body) => (to = body) });
    upload.catch(() => undefined);
    to!.on('error', () => {});
    to!.write('half');
    await eventually('the head is there', () => target.seen.length === 2);
    to!.destroy();
    await assert.rejects(upload);
    await eventually('the upload has ended there', () => gone === 2);
    await eventually('nothing is open', () => serving.server.open === 0);
  });

  test(`${protocol}: an answer before the end of the body ends the upload`, async (t) => {
    const { target, port, close, serving } = await startForwarding();
    t.after(close);
    target.answer = (_request, response) => void response.writeHead(413).end('too large');
    const begun = await begin(protocol, port, {
      method: 'POST',
      path: PODS,
      headers: asJane,
      body(to) {
        to.on('error', () => {});
        to.write('begun');
      },
    });
    assert.equal(begun.code, 413);
    assert.equal(await bodyOf(begun.body), 'too large');
    begun.leave();
    await eventually('nothing is open', () => serving.server.open === 0);
  });

  test(`${protocol}: trailers`, async (t) => {
    const { target, port, close } = await startForwarding();
    t.after(close);
    target.answer = (_request, response) => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('body');
      response.addTrailers({ 'x-sum': '42' });
      response.end();
    };
    const answer = await send(protocol, port, { path: '/logs/x', headers: { ...asJane, te: 'trailers' } });
    assert.deepEqual([answer.text, answer.isWhole, answer.trailers()['x-sum']], ['body', true, '42']);
  });

  test(`${protocol}: at shutdown an answer that has begun is finished, and a watch is cut`, async (t) => {
    const { target, port, close, serving } = await startForwarding();
    t.after(close);
    let end: () => void = () => {};
    target.answer = (request, response) => {
      response.writeHead(200);
      response.write('first');
      if (request.method === 'POST') end = () => void response.end(' last');
    };
    const watch = await begin(protocol, port, { path: WATCH, headers: asJane });
    const write = await begin(protocol, port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
    const closing = serving.server.close();
    await assert.rejects(bodyOf(watch.body));
    end();
    assert.equal(await bodyOf(write.body), 'first last');
    write.leave();
    watch.leave();
    await closing;
    assert.equal(serving.server.open, 0);
  });
}

test('a body may take its time where the request may: the deadline of requests is not that of uploads', {
  timeout: 30_000,
}, async (t) => {
  const { target, plainPort, close } = await startForwarding({ limits: { requestHeadMs: 200, requestTimeoutMs: 300 } });
  t.after(close);
  target.answer = (request, response) =>
    void bodyOf(request).then(
      (body) => response.end(`got ${body}`),
      () => undefined, // it broke off
    );
  const post = (path: string) =>
    openRaw(plainPort, `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nslow `);
  const upload = await post('/api/v1/namespaces/default/services/s/proxy/upload');
  const create = await post(PODS);
  await create.until(/^HTTP\/1\.1 504 /);
  await new Promise((resolve) => setTimeout(resolve, 2_500)); // Node looks every second
  assert.deepEqual([upload.text(), upload.ended], ['', false]);
  upload.socket.write('after');
  await upload.until(/got slow after/);
  // The next request on that connection is hurried again.
  upload.socket.write(`POST ${PODS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nslow `);
  await upload.until(/HTTP\/1\.1 504 /);
  await once(upload.socket, 'close');
  create.socket.destroy();
});

/** Whether a number does not grow for a while. */
async function standsStill(read: () => number): Promise<boolean> {
  const before = read();
  await new Promise((resolve) => setTimeout(resolve, 300));
  return before > 0 && read() === before;
}
