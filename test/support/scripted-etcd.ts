import {
  type Metadata,
  type ServerDuplexStream,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { decode, encode, METHODS } from '../../src/source/etcd/rpc.js';

/** What the client asked for when it opened a watch, and what the test answers. */
export interface ScriptedWatch {
  readonly metadata: Metadata;
  /** The requests so far, decoded as WatchRequest. */
  readonly requests: readonly Record<string, unknown>[];
  send(fields: object): void;
  sendBytes(bytes: Buffer): void;
  /** Ends the stream: with OK by default. */
  end(code?: number, details?: string): void;
}

/** Answers bytes, or a gRPC failure, or nothing (undefined). */
export type UnaryScript = (request: Record<string, unknown>) => Buffer | { code: number; details: string } | undefined;

/**
 * A gRPC server on loopback that says what the test wants etcd to say: for answers that a healthy etcd never
 * gives. What a real etcd does is tested with a real etcd.
 */
export interface ScriptedEtcd extends AsyncDisposable {
  readonly endpoint: string;
  range: UnaryScript;
  status: UnaryScript;
  /** Called for each watch, after its create request. */
  watch: (watch: ScriptedWatch) => void;
}

export async function startScriptedEtcd(): Promise<ScriptedEtcd> {
  const server = new Server();
  const script: { range: UnaryScript; status: UnaryScript; watch: (watch: ScriptedWatch) => void } = {
    range: () => encode('RangeResponse', { header: { cluster_id: 1, revision: 10, raft_term: 2 } }),
    status: () => encode('StatusResponse', { version: '3.5.16' }),
    watch: () => {},
  };
  const same = (bytes: Buffer) => bytes;
  const method = (path: string, streams: boolean) => ({
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  });
  const service: ServiceDefinition = {
    range: method(METHODS.range, false),
    status: method(METHODS.status, false),
    watch: method(METHODS.watch, true),
  };
  const unary =
    (name: 'range' | 'status', message: string) =>
    (call: { request: Buffer }, answer: (error: object | null, bytes?: Buffer) => void) => {
      const result = script[name](decode(message, call.request));
      if (result === undefined) return;
      if (Buffer.isBuffer(result)) answer(null, result);
      else answer(result);
    };
  server.addService(service, {
    range: unary('range', 'RangeRequest'),
    status: unary('status', 'StatusRequest'),
    watch: (stream: ServerDuplexStream<Buffer, Buffer>) => {
      const requests: Record<string, unknown>[] = [];
      stream.on('error', () => {});
      stream.on('data', (bytes: Buffer) => {
        requests.push(decode('WatchRequest', bytes));
        if (requests.length > 1) return;
        script.watch({
          metadata: stream.metadata,
          requests,
          send: (fields) => void stream.write(encode('WatchResponse', fields)),
          sendBytes: (raw) => void stream.write(raw),
          end: (code = status.OK, details = '') => {
            if (code === status.OK) stream.end();
            else stream.emit('error', { code, details });
          },
        });
      });
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return Object.assign(script, {
    endpoint: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  });
}
