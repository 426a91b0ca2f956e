import type { RunningServer } from '../app/compose.js';
import type { Config } from '../app/config.js';

/** What a person needs to go on: where it listens, and a line to try. */
export function startText(server: RunningServer, config: Config): string {
  const { insecure, secure } = server.listening;
  const lines = [`listwatch serves ${describe(server, config)}`, ''];
  if (insecure !== undefined) lines.push(`  ${insecure.url}   plain HTTP${moved(insecure)}`);
  if (secure !== undefined) lines.push(`  ${secure.url}  HTTPS with HTTP/2${moved(secure)}`);
  lines.push('', 'Try:');
  if (insecure !== undefined) {
    lines.push(`  kubectl --kubeconfig=/dev/null -s ${insecure.url} get pods -A`);
  } else if (secure !== undefined) {
    lines.push(`  ${kubeconfigLine(secure.url, config)}`, '  kubectl --kubeconfig=listwatch.kubeconfig get pods -A');
  }
  if (insecure !== undefined && secure !== undefined) {
    lines.push('', 'For clients that want TLS:', `  ${kubeconfigLine(secure.url, config)}`);
  }
  return `${lines.join('\n')}\n`;
}

function describe(server: RunningServer, { store, sample }: Config): string {
  if (store.kind === 'etcd') return `etcd at ${store.endpoints.join(', ')}, keys below ${store.prefix}`;
  const parts: string[] = [];
  if (sample !== undefined) parts.push(`a sample cluster (${sample.nodes} nodes, ${sample.pods} pods at the start)`);
  if (server.loaded !== undefined)
    parts.push(
      `${server.loaded.objects} objects from ${server.loaded.files} ${server.loaded.files === 1 ? 'file' : 'files'}`,
    );
  return `${parts.length === 0 ? 'an empty store' : parts.join(' and ')}, embedded in this process`;
}

function kubeconfigLine(url: string, { secure }: Config): string {
  const own = secure !== undefined && 'certFile' in secure.tls;
  return `npx listwatch kubeconfig --server ${url} --output listwatch.kubeconfig${own ? ` --certificate-authority ${secure.tls.certFile}` : ''}`;
}

function moved({ wanted }: { readonly wanted: number | undefined }): string {
  return wanted === undefined ? '' : ` (port ${wanted} is in use)`;
}
