import { get as httpGet } from 'node:http';
import { type Answer, send } from '../support/http-client.js';

export interface StatusBody {
  readonly kind: string;
  readonly reason?: string;
  readonly message: string;
  readonly code: number;
}

export interface ListBody {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly { readonly metadata: { readonly name: string; readonly resourceVersion: string } }[];
}

export const statusOf = (answer: Answer) => JSON.parse(answer.body.toString()) as StatusBody;
export const listOf = (answer: Answer) => JSON.parse(answer.body.toString()) as ListBody;
export const namesOf = (answer: Answer) => listOf(answer).items.map(({ metadata }) => metadata.name);

export function ask(base: string, path: string, timeoutMs?: number): Promise<Answer> {
  return send(base, { path, headers: { accept: 'application/json' } }, undefined, timeoutMs);
}

export interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly code?: number;
    readonly message?: string;
    readonly reason?: string;
    readonly metadata: { readonly name?: string; readonly resourceVersion?: string };
  };
}

export interface OpenWatch {
  readonly events: readonly WatchEvent[];
  /** `end`: as the server meant it; `cut`: the connection broke. */
  readonly ended: 'end' | 'cut' | undefined;
  readonly status: number;
  close(): void;
}

/** Opens a watch and keeps what comes; resolves with the headers. */
export function openWatch(base: string, path: string): Promise<OpenWatch> {
  return new Promise((resolve, reject) => {
    const events: WatchEvent[] = [];
    let ended: OpenWatch['ended'];
    let rest = '';
    const request = httpGet(`${base}${path}`, { agent: false, headers: { accept: 'application/json' } }, (response) => {
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) events.push(JSON.parse(line) as WatchEvent);
      });
      response.once('end', () => {
        ended = 'end';
      });
      response.once('error', () => {
        ended ??= 'cut';
      });
      resolve({
        events,
        status: response.statusCode ?? 0,
        get ended() {
          return ended;
        },
        close: () => request.destroy(),
      });
    });
    request.on('error', reject); // after the headers: the promise is settled, and the response has its own error
  });
}

/** The samples of one metric, by label text. */
export async function metric(base: string, name: string): Promise<Map<string, number>> {
  const text = (await send(base, { path: '/metrics' })).body.toString();
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:]+)(\{[^}]*\})? (\S+)$/.exec(line);
    if (match?.[1] === name) samples.set(match[2] ?? '', Number(match[3]));
  }
  return samples;
}

export async function metricSum(base: string, name: string): Promise<number> {
  const samples = await metric(base, name);
  if (samples.size === 0) throw new Error(`no metric ${name}`);
  return [...samples.values()].reduce((sum, value) => sum + value, 0);
}
