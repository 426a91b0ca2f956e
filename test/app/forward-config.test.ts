import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type FlagValues, resolveConfig } from '../../src/app/config.js';
import { openForwardTarget } from '../../src/app/forward-config.js';
import { UsageError } from '../../src/app/usage-error.js';
import { authority } from '../auth/support.js';

const HOME = { HOME: '/home/ada' };
const etcd: FlagValues = { 'etcd-servers': 'http://127.0.0.1:2379' };
const pair: FlagValues = { 'proxy-client-cert-file': 'c', 'proxy-client-key-file': 'k' };
const clientPair = { certFile: 'c', keyFile: 'k' };

const accepted: readonly [flags: FlagValues, want: unknown][] = [
  [etcd, undefined],
  [
    { ...etcd, ...pair, 'forward-to': 'https://10.0.0.5:6443/' },
    { url: 'https://10.0.0.5:6443', caFile: undefined, clientPair },
  ],
  [
    { ...etcd, ...pair, 'forward-to': 'https://kubernetes.default', 'forward-to-ca-file': 'ca' },
    { url: 'https://kubernetes.default', caFile: 'ca', clientPair },
  ],
  [
    { ...etcd, 'forward-to': 'http://127.0.0.1:8001' },
    { url: 'http://127.0.0.1:8001', caFile: undefined, clientPair: undefined },
  ],
  [
    { ...etcd, 'forward-to': 'http://[::1]:8001' },
    { url: 'http://[::1]:8001', caFile: undefined, clientPair: undefined },
  ],
];
for (const [flags, want] of accepted) {
  test(`accepted: ${JSON.stringify(flags)}`, () => assert.deepEqual(resolveConfig(flags, HOME).forward, want));
}

const to = (url: string): FlagValues => ({ ...etcd, ...pair, 'forward-to': url });
const rejected: readonly [flags: FlagValues, message: RegExp][] = [
  [to(''), /^--forward-to "": a value is needed$/],
  [
    to('10.0.0.5:6443'),
    /^--forward-to "10.0.0.5:6443": expected a(n https:\/\/)? URL,? such as https:\/\/10.0.0.5:6443$/,
  ],
  [
    to('ftp://10.0.0.5'),
    /^--forward-to "ftp:\/\/10.0.0.5": expected an https:\/\/ URL, such as https:\/\/10.0.0.5:6443$/,
  ],
  [to('https://10.0.0.5:6443/k8s'), /expected a URL without a path or query: those of the request are used$/],
  [to('https://10.0.0.5:6443?a=b'), /expected a URL without a path or query/],
  [to('https://u:secret@10.0.0.5'), /^--forward-to "https:\/\/...@10.0.0.5": expected a URL without a user/],
  [
    { ...etcd, 'forward-to': 'http://10.0.0.5' },
    /expected an https:\/\/ URL: over http:\/\/ anybody on the way could be anybody; loopback only$/,
  ],
  [to('http://127.0.0.1'), /expected an https:\/\/ URL, since --proxy-client-cert-file is given$/],
  [{ ...etcd, 'forward-to': 'http://127.0.0.1', 'forward-to-ca-file': 'ca' }, /since --forward-to-ca-file is given$/],
  [
    { ...etcd, 'forward-to': 'https://a' },
    /^--forward-to "https:\/\/a" needs --proxy-client-cert-file and --proxy-client-key-file: /,
  ],
  [
    { ...to('https://a'), 'proxy-client-key-file': undefined as never },
    /^--proxy-client-cert-file needs --proxy-client-key-file$/,
  ],
  [
    { ...to('https://a'), 'proxy-client-cert-file': undefined as never },
    /^--proxy-client-key-file needs --proxy-client-cert-file$/,
  ],
  [{ ...pair, 'forward-to': 'https://a' }, /^--forward-to needs --etcd-servers: /],
  [{ ...etcd, 'forward-to-ca-file': 'ca' }, /^--forward-to-ca-file has no effect without --forward-to$/],
  [{ ...etcd, ...pair }, /^--proxy-client-cert-file has no effect without --forward-to$/],
];
for (const [flags, message] of rejected) {
  test(`rejected: ${message}`, () => {
    assert.throws(
      () => resolveConfig(flags, HOME),
      (error: Error) => error instanceof UsageError && message.test(error.message),
    );
  });
}

test('what the flags name is read and checked at the start', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listwatch-forward-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const proxies = await authority('proxies');
  const [one, other] = [await proxies.client('one'), await proxies.client('other')];
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const url = 'https://10.0.0.5:6443';
  const good = { certFile: file('one.crt', one.cert), keyFile: file('one.key', one.key) };
  const caFile = file('ca.crt', proxies.pem);
  assert.deepEqual(openForwardTarget({ url, caFile, clientPair: good }), { url, ca: proxies.pem, pair: one });
  const rows: readonly [Partial<Parameters<typeof openForwardTarget>[0]>, RegExp][] = [
    [{ caFile: join(folder, 'none') }, /^--forward-to-ca-file .*none: /],
    [{ caFile: file('text', 'hello') }, /^--forward-to-ca-file .*text: no certificate in PEM form$/],
    [{ clientPair: { ...good, certFile: join(folder, 'none') } }, /^--proxy-client-cert-file .*none: /],
    [{ clientPair: { ...good, keyFile: file('other.key', other.key) } }, /is the key of another certificate$/],
  ];
  for (const [parts, message] of rows) {
    assert.throws(
      () => openForwardTarget({ url, caFile, clientPair: good, ...parts }),
      (error: Error) => error instanceof UsageError && message.test(error.message),
      String(message),
    );
  }
});
