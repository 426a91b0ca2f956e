/**
 * Writes to a real etcd over its JSON gateway, which takes any bytes as key and value and needs no
 * client of ours: what is stored does not depend on the code under test.
 */
export interface EtcdKv {
  put(key: string | Uint8Array, value: string | Uint8Array): Promise<number>;
  delete(key: string | Uint8Array): Promise<number>;
  get(key: string): Promise<Buffer | undefined>;
  /** Several puts at one revision. */
  putAll(entries: readonly (readonly [key: string, value: string | Uint8Array])[]): Promise<number>;
  revision(): Promise<number>;
  compact(revision: number): Promise<void>;
}

interface Reply {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly { readonly value?: string }[];
}

const OPERATIONS_MAX = 100; // etcd refuses transactions with more than 128

export function etcdKv(endpoint: string): EtcdKv {
  const call = async (path: string, body: object): Promise<Reply> => {
    const response = await fetch(`${endpoint}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`etcd ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Reply;
  };
  const revisionOf = (reply: Reply) => Number(reply.header.revision);
  return {
    put: async (key, value) => revisionOf(await call('kv/put', { key: base64(key), value: base64(value) })),
    delete: async (key) => revisionOf(await call('kv/deleterange', { key: base64(key) })),
    get: async (key) => {
      const reply = await call('kv/range', { key: base64(key) });
      const entry = reply.kvs?.[0];
      return entry === undefined ? undefined : Buffer.from(entry.value ?? '', 'base64');
    },
    putAll: async (entries) => {
      let revision = 0;
      for (let from = 0; from < entries.length; from += OPERATIONS_MAX) {
        const success = entries
          .slice(from, from + OPERATIONS_MAX)
          .map(([key, value]) => ({ requestPut: { key: base64(key), value: base64(value) } }));
        revision = revisionOf(await call('kv/txn', { success }));
      }
      return revision;
    },
    revision: async () => revisionOf(await call('kv/range', { key: base64('x'), countOnly: true })),
    compact: async (revision) => {
      await call('kv/compaction', { revision: String(revision), physical: true });
    },
  };
}

function base64(text: string | Uint8Array): string {
  return Buffer.from(text as string).toString('base64');
}
