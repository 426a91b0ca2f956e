import { type Clock, sleep } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import { type ApiClient, ApiError, type ListQuery } from './api-client.js';
import { LEASES, NODE_LEASE_NAMESPACE, NODES, PODS, REPLICA_SETS } from './kinds.js';
import { GROUP_LABEL } from './objects.js';

const PAGE = 500;

/** Someone who looks at the cluster: every so often a LIST of one sort or another, paged where kubectl pages. */
export async function runUser(
  client: ApiClient,
  {
    namespaces,
    groups,
    nodes,
  }: { namespaces: readonly string[]; groups: () => readonly string[]; nodes: readonly string[] },
  { clock, random, everyMs }: { readonly clock: Clock; readonly random: Random; readonly everyMs: number },
  signal: AbortSignal,
): Promise<void> {
  const sorts = [
    () => client.list(PODS, { namespace: random.pick(namespaces) }, ''),
    () => {
      const group = groups().length === 0 ? 'none' : random.pick(groups());
      return client.list(PODS, { namespace: random.pick(namespaces), labelSelector: `${GROUP_LABEL}=${group}` }, '');
    },
    () => client.list(PODS, { fieldSelector: `spec.nodeName=${random.pick(nodes)}` }, ''),
    () => pages(client, { limit: PAGE }, signal),
    () => client.list(NODES, {}, ''),
    () => client.list(NODES, { resourceVersion: '0' }, ''),
    () => client.list(LEASES, { namespace: NODE_LEASE_NAMESPACE, resourceVersion: '0' }, ''),
    () => client.list(REPLICA_SETS, { namespace: random.pick(namespaces) }, ''),
  ];
  for (let dueMs = clock.monotonicMs() + everyMs; ; dueMs = Math.max(dueMs + everyMs, clock.monotonicMs())) {
    await sleep(clock, dueMs - clock.monotonicMs(), signal);
    if (signal.aborted) return;
    try {
      await random.pick(sorts)();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // counted
    }
  }
}

async function pages(client: ApiClient, query: ListQuery, signal: AbortSignal): Promise<void> {
  let page = await client.list(PODS, query, '');
  while (page.continue !== '' && !signal.aborted)
    page = await client.list(PODS, { ...query, continue: page.continue }, '');
}
