import { request } from 'node:https';

/** A watch that is read as long as it goes on. */
export interface FollowedWatch {
  /** Of events, whole ones. */
  lines(): readonly string[];
  hasEnded(): boolean;
  stop(): void;
}

/** Resolves once the server has answered; it must be by 200. */
export function followWatch(
  base: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<FollowedWatch> {
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, base), { headers, rejectUnauthorized: false, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        reject(new Error(`${path}: ${response.statusCode}`));
        return;
      }
      let got = '';
      let ended = false;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (got += chunk));
      response.once('close', () => (ended = true));
      resolve({
        lines: () => got.split('\n').slice(0, -1),
        hasEnded: () => ended,
        stop: () => outgoing.destroy(),
      });
    });
    outgoing.once('error', reject);
    outgoing.end();
  });
}
