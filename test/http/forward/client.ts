import { connect as connectHttp2 } from 'node:http2';
import { Agent, request as httpsRequest } from 'node:https';
import type { Readable, Writable } from 'node:stream';

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  /** A string is sent whole; a function writes the body, and ends it or does not. */
  readonly body?: string | ((body: Writable) => void);
}

/** An answer, of which the head has come. */
export interface Begun {
  readonly code: number;
  readonly headers: Record<string, string | string[] | undefined>;
  /** What comes of the body. */
  readonly body: Readable;
  /** Known once the body has ended. */
  readonly trailers: () => Record<string, unknown>;
  /** The client leaves. */
  leave(): void;
}

export interface Answered extends Omit<Begun, 'body'> {
  readonly text: string;
  /** False: the body broke off. */
  readonly isWhole: boolean;
}

export type Protocol = 'HTTP/1.1' | 'HTTP/2';
export const protocols: readonly Protocol[] = ['HTTP/1.1', 'HTTP/2'];

/** One request over TLS on a connection of its own; resolves with the head of the answer. */
export function begin(protocol: Protocol, port: number, sent: Sent): Promise<Begun> {
  return protocol === 'HTTP/2' ? beginHttp2(port, sent) : beginHttp1(port, sent);
}

/** The same to the end of its answer. */
export async function send(protocol: Protocol, port: number, sent: Sent): Promise<Answered> {
  const begun = await begin(protocol, port, sent);
  const chunks: Buffer[] = [];
  let isWhole = true;
  try {
    for await (const chunk of begun.body) chunks.push(chunk as Buffer);
  } catch {
    isWhole = false;
  }
  begun.leave();
  const { code, headers, trailers, leave } = begun;
  return { code, headers, trailers, leave, text: Buffer.concat(chunks).toString('utf8'), isWhole };
}

function beginHttp1(port: number, { method = 'GET', path, headers, body }: Sent): Promise<Begun> {
  const agent = new Agent({ rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    // Node has no body in a DELETE unless it is told how it comes.
    const framing = typeof body === 'function' ? { 'transfer-encoding': 'chunked' } : {};
    const request = httpsRequest({
      maxHeaderSize: 2 ** 16,
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { ...headers, ...framing },
      agent,
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const leave = () => {
        request.destroy();
        agent.destroy();
      };
      resolve({
        code: response.statusCode!,
        headers: response.headers,
        body: response,
        trailers: () => response.trailers,
        leave,
      });
    });
    if (typeof body === 'function') {
      request.flushHeaders();
      body(request);
    } else request.end(body);
  });
}

function beginHttp2(port: number, { method = 'GET', path, headers, body }: Sent): Promise<Begun> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined });
    let trailers = {};
    stream.on('trailers', (all: Record<string, unknown>) => (trailers = all));
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('the stream was closed')));
    stream.on('response', (head) => {
      const leave = () => {
        if (!stream.destroyed) stream.close(8);
        session.close();
      };
      resolve({
        code: Number(head[':status']),
        headers: head as Begun['headers'],
        body: stream,
        trailers: () => trailers,
        leave,
      });
    });
    if (typeof body === 'function') body(stream);
    else if (body !== undefined) stream.end(body);
  });
}
