import { readKubeconfig } from '../app/read-kubeconfig.js';
import { UsageError } from '../app/usage-error.js';
import type { Clock } from '../lib/clock.js';
import type { ApiServer } from './api-client.js';

const FLAG = 'kubeconfig';

/** The server of a kubeconfig, whose API begins at its root. Throws UsageError. What a token's file says now counts for the whole run. */
export function readApiServer(path: string, clock: Clock): ApiServer {
  const { url, tls, authorization } = readKubeconfig(FLAG, path, 'any', clock);
  if (url.pathname !== '/') {
    throw new UsageError(
      `--${FLAG} ${path}: server ${JSON.stringify(url.href)}: expected a URL without a path, such as https://127.0.0.1:6443`,
    );
  }
  const header = authorization();
  return { url: url.origin, ...(header === undefined ? {} : { headers: { authorization: header } }), tls };
}
