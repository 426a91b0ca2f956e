import { startServer } from '../app/compose.js';
import { type FlagValues, resolveConfig } from '../app/config.js';
import { createLog } from '../app/log.js';
import { oneLine } from '../app/usage-error.js';
import { stayAwake } from '../lib/awake.js';
import { systemClock } from '../lib/clock.js';
import { systemRandom } from '../lib/random.js';
import { keepYoungGenerationSmall } from '../lib/v8-flags.js';
import type { WritableStore, WriteOperation } from '../source/source.js';

/** To the process of the server under test. */
export type ServerRequest =
  | { readonly type: 'start'; readonly flags: FlagValues; readonly version: string }
  /** Into the embedded store, which lies in the server's process. */
  | { readonly type: 'write'; readonly id: number; readonly operations: readonly WriteOperation[] }
  | { readonly type: 'usage' };

export type ServerReport =
  | { readonly type: 'serving'; readonly url: string }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'written'; readonly id: number; readonly revision: number }
  | { readonly type: 'failed'; readonly id: number; readonly message: string }
  | { readonly type: 'usage'; readonly cpuSeconds: number; readonly residentBytes: number };

/** `listwatch serve` as a hollow cluster starts it: on a free port, with its store within reach of who started it. */
function main(): void {
  if (process.send === undefined) throw new Error('this file is started by `listwatch hollow`');
  keepYoungGenerationSmall();
  stayAwake();
  const say = (report: ServerReport) => void process.send?.(report);
  let store: WritableStore | undefined;
  process.on('message', (request: ServerRequest) => {
    switch (request.type) {
      case 'start':
        void serve(request.flags, request.version, (embedded) => (store = embedded)).then(
          (url) => say({ type: 'serving', url }),
          (error: unknown) => say({ type: 'refused', message: oneLine(error) }),
        );
        return;
      case 'write': {
        const { id, operations } = request;
        const writing = store === undefined ? Promise.reject(new Error('there is no store')) : store.write(operations);
        writing.then(
          (revision) => say({ type: 'written', id, revision }),
          (error: unknown) => say({ type: 'failed', id, message: oneLine(error) }),
        );
        return;
      }
      case 'usage': {
        const { user, system } = process.cpuUsage();
        say({ type: 'usage', cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage().rss });
      }
    }
  });
  // Ctrl-C reaches every process of the terminal: the one that started us decides.
  process.on('SIGINT', () => {});
  // Whoever started us is done, or gone.
  process.on('disconnect', () => process.exit(0));
}

async function serve(flags: FlagValues, version: string, onEmbedded: (store: WritableStore) => void): Promise<string> {
  const config = resolveConfig(flags, process.env);
  const anyPort = { address: '127.0.0.1', port: 0, elsewhere: false };
  const { listening } = await startServer(
    { ...config, secure: undefined, insecure: anyPort },
    { clock: systemClock, random: systemRandom, log: createLog(config.verbosity, 'text'), version, onEmbedded },
  );
  return listening.insecure!.url;
}

main();
