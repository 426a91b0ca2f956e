import { groupResourceOf } from '../api/gvr.js';
import { type Kind, storageResourceOf } from '../codec/kind.js';
import { kinds } from '../codec/kinds.js';
import type { Source } from '../source/source.js';
import { bad, readEndpoints, type ValueReader } from './values.js';

/** Resource (`events`, `deployments.apps`) -> the etcd that it lives in, instead of that of --etcd-servers. */
export type EtcdOverrides = ReadonlyMap<string, readonly string[]>;

/**
 * `/events#http://a:2379;http://b:2379,apps/deployments#https://c:2379`: group, slash, resource (`/events` of the core
 * group); semicolons between the servers. Built-in resources only, as upstream.
 */
export const readEtcdOverrides: ValueReader<EtcdOverrides> = (flag, text) => {
  const overrides = new Map<string, readonly string[]>();
  for (const item of text.split(',').map((part) => part.trim())) {
    const match = /^([^#/]*)\/([^#/]+)#(.+)$/.exec(item);
    if (match === null) {
      throw bad(
        flag,
        item,
        'expected group/resource#servers with semicolons between servers, such as /events#http://a:2379',
      );
    }
    const [, group, resource, servers] = match as unknown as [string, string, string, string];
    if (!kinds.some((kind) => kind.group === group && kind.resource === resource)) {
      throw bad(flag, item, 'no such built-in resource; expected for example /events or apps/deployments');
    }
    overrides.set(groupResourceOf(group, resource), readEndpoints(flag, servers.replaceAll(';', ',')));
  }
  return overrides;
};

/** The stores of all kinds. */
export interface Sources {
  of(kind: Kind): Source;
  readonly all: readonly Source[];
  close(): Promise<void>;
}

/** One source for each set of servers, however many resources live there. */
export function openSources(
  main: Source,
  overrides: EtcdOverrides,
  open: (endpoints: readonly string[]) => Source,
): Sources {
  const byServers = new Map<string, Source>();
  const byResource = new Map<string, Source>();
  for (const [resource, endpoints] of overrides) {
    const key = endpoints.join(';');
    let source = byServers.get(key);
    if (source === undefined) byServers.set(key, (source = open(endpoints)));
    byResource.set(resource, source);
  }
  const all = [main, ...byServers.values()];
  return {
    of: (kind) => byResource.get(storageResourceOf(kind)) ?? main,
    all,
    async close() {
      for (const source of all) await source.close();
    },
  };
}
