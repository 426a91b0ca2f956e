import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, namesOf, statusOf } from '../robustness/client.js';
import { configMap } from '../robustness/objects.js';
import { eventually, type RunningCommand, run, start } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { etcdKv } from '../support/etcd-kv.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { startServer } from '../support/server.js';

export type Providers = readonly object[];
export const IDENTITY = { identity: {} };

/** A key of its own for each name, of the size in bytes. */
export function secretOf(name: string, size: number): string {
  return createHash('sha256').update(`key ${name}`).digest().subarray(0, size).toString('base64');
}

/** `keyed('aescbc', 16, 'new', 'old')`. */
export function keyed(provider: string, size: number, ...names: string[]): object {
  return { [provider]: { keys: names.map((name) => ({ name, secret: secretOf(`${provider} ${name}`, size) })) } };
}

/** In every secret, to be looked for where it must not be. */
const MARK = 'hunter2-hunter2';
export const secret = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace: 'd', name, uid: `uid-${name}`, creationTimestamp: '2026-01-01T00:00:00Z' },
  type: 'Opaque',
  data: { value: Buffer.from(`${MARK} ${name}`).toString('base64') },
});

/** One line of what `encrypt` is told. */
export interface Step {
  readonly configuration: string;
  /** `secrets` unless it is named. */
  readonly resource?: string;
  readonly put?: readonly { readonly key: string; readonly object: object }[];
  readonly read?: readonly string[];
}
export interface StepAnswer {
  readonly revision?: number;
  readonly values?: readonly { readonly name?: string; readonly error?: string; readonly opened?: boolean }[];
}

export interface State {
  readonly name: string;
  readonly providers: Providers;
  /** The secret that is written in this state; it is encrypted unless it is called plain. */
  readonly writes?: string;
  /** KMS providers, comma separated, that write as before Kubernetes 1.29. */
  readonly dataKeys?: string;
  /** Before the state is written in, and before it is read in. */
  readonly prepare?: () => Promise<void>;
}

/** Where Go's text says less than ours. */
const CLEARER: readonly (readonly [go: RegExp, own: string])[] = [
  [/output array was not large enough for encryption/, 'invalid secretbox data: authentication failed'],
];

/** One etcd, and the programs of this folder that encrypt as Kubernetes does. */
export class EncryptionWorld {
  readonly etcd: Etcd;
  readonly bin: string;
  readonly folder = mkdtempSync(join(tmpdir(), 'listwatch-encryption-'));
  #files = 0;

  private constructor(bin: string, etcd: Etcd) {
    this.bin = bin;
    this.etcd = etcd;
  }

  static async start(): Promise<EncryptionWorld> {
    return new EncryptionWorld(await buildGoPrograms('peer'), await startEtcd());
  }

  async stop(): Promise<void> {
    await this.etcd.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  configuration(providers: Providers, resource = 'secrets'): string {
    const file = join(this.folder, `${this.#files++}.yaml`);
    const resources = [{ resources: [resource], providers }];
    const kind = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration' };
    writeFileSync(file, JSON.stringify({ ...kind, resources })); // JSON is YAML, too.
    return file;
  }

  flags(file: string, prefix: string): string[] {
    return ['--etcd-servers', this.etcd.endpoint, '--etcd-prefix', prefix, '--encryption-provider-config', file];
  }

  /** What Kubernetes' own code writes and reads. `dataKeys`: see State. */
  async goes(steps: readonly Step[], dataKeys = ''): Promise<StepAnswer[]> {
    const input = steps.map((step) => JSON.stringify({ resource: 'secrets', ...step })).join('\n');
    const args = ['-endpoints', this.etcd.endpoint, '-data-keys', dataKeys];
    const { code, stdout, stderr } = await run(join(this.bin, 'encrypt'), args, { input });
    assert.equal(code, 0, stderr);
    const lines = stdout.split('\n').filter((line) => line !== '');
    assert.equal(lines.length, steps.length);
    return lines.map((line) => JSON.parse(line) as StepAnswer);
  }

  /** Writes in every state in turn; then reads in every state all that was written: as Go does, object by object and as a list. */
  async checkRotation(prefix: string, states: readonly State[]): Promise<void> {
    const written = states.flatMap(({ writes }) => writes ?? []);
    const keyOf = (name: string) => `${prefix}/secrets/d/${name}`;
    const kv = etcdKv(this.etcd.endpoint);
    for (const { providers, writes, dataKeys, prepare } of states) {
      if (writes === undefined) continue;
      await prepare?.();
      const put = [{ key: keyOf(writes), object: secret(writes) }];
      await this.goes([{ configuration: this.configuration(providers), put }], dataKeys);
      const stored = await kv.get(keyOf(writes));
      assert.equal(stored!.includes(MARK), writes === 'plain', `${writes} is encrypted in etcd`);
    }
    await kv.put(`${prefix}/configmaps/d/c`, configMap('d', 'c'));
    for (const state of states) {
      await state.prepare?.();
      await this.#checkState(prefix, state, written, written.map(keyOf));
    }
  }

  async #checkState(prefix: string, state: State, written: readonly string[], keys: readonly string[]): Promise<void> {
    const where = `${prefix}, ${state.name}`;
    const file = this.configuration(state.providers);
    const [read] = await this.goes([{ configuration: file, read: keys }]);
    const cache = join(this.folder, `cache-${this.#files++}`);
    const server = await startServer([...this.flags(file, prefix), '--cache-dir', cache]);
    const told: string[] = [];
    try {
      for (const [at, { error, opened }] of read!.values!.entries()) {
        const name = written[at]!;
        const answer = await ask(server.url, `/api/v1/namespaces/d/secrets/${name}`);
        if (error === undefined) {
          assert.equal(answer.status, 200, `${where}: ${name}: ${answer.body.toString()}`);
          const { data } = JSON.parse(answer.body.toString());
          assert.equal(Buffer.from(data.value, 'base64').toString(), `${MARK} ${name}`, where);
        } else {
          const { reason, message } = statusOf(answer);
          assert.deepEqual([answer.status, reason], [500, 'InternalError'], `${where}: ${name}`);
          const want = CLEARER.reduce((text, [go, own]) => text.replace(go, own), error);
          assert.ok(
            opened === true || message.endsWith(`: ${want}`),
            `${where}: ${name}: ${message}, where Go says ${error}`,
          );
          told.push(message);
        }
      }
      const list = await ask(server.url, '/api/v1/secrets');
      if (told.length === 0) assert.deepEqual(namesOf(list), [...written].sort(), where);
      else {
        assert.equal(list.status, 500, where);
        told.push(list.body.toString());
      }
      assert.deepEqual(namesOf(await ask(server.url, '/api/v1/configmaps')), ['c'], `${where}: another kind`);
      told.push((await ask(server.url, '/metrics')).body.toString());
    } finally {
      await server.stop();
    }
    told.push(server.stderr(), server.stdout());
    for (const kept of readdirSync(cache)) told.push(readFileSync(join(cache, kept), 'latin1'));
    const keyTexts = [...readFileSync(file, 'utf8').matchAll(/"secret":"([^"]+)"/g)].map((match) => match[1]!);
    for (const found of [MARK, Buffer.from(MARK).toString('base64').slice(0, 18), ...keyTexts]) {
      for (const text of told) assert.ok(!text.includes(found), `${where}: ${found} is told`);
    }
  }

  /** A KMS plugin; its keys are named, and the first one encrypts. */
  async startPlugin(socket: string, keyIds: readonly string[], ...flags: string[]): Promise<RunningPlugin> {
    const keys = keyIds.map((id) => `${id}=${secretOf(`kek ${id}`, 32)}`).join(',');
    const command = start(join(this.bin, 'kms-plugin'), ['-socket', socket, '-keys', keys, ...flags]);
    await eventually('the plugin listens', () => existsSync(socket));
    const calls = () =>
      command
        .stdout()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { readonly method: string; readonly keyID: string });
    return { ...command, calls };
  }
}

export interface RunningPlugin extends RunningCommand {
  calls(): readonly { readonly method: string; readonly keyID: string }[];
}
