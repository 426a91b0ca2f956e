import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Apiextensions, startApiextensions } from '../support/apiextensions.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type Answer, send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';

// Who is not known, and who may not, is told the same by k8s.io/apiserver and by listwatch.

let folder: string;
let etcd: Etcd;
let theirs: Apiextensions;
let ours: RunningServer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refusals-'));
  const tokens = join(folder, 'tokens.csv');
  await writeFile(tokens, 'admin-token,admin,1,system:masters\nuser-token,"jane ""<j>",2,"devs,ops"\n');
  etcd = await startEtcd();
  theirs = await startApiextensions(etcd.endpoint, ['-token-auth-file', tokens]);
  ours = await startServer([
    ...[
      '--etcd-servers',
      etcd.endpoint,
      '--token-auth-file',
      tokens,
      '--authorization-mode',
      'RBAC',
      '--anonymous-auth=true',
    ],
  ]);
});
after(async () => {
  await ours?.stop();
  await theirs?.stop();
  await etcd?.stop();
  await rm(folder, { recursive: true, force: true });
});

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const paths = [
  CRDS,
  `${CRDS}/a.b`,
  `${CRDS}/a.b/status`,
  `${CRDS}?watch=1`,
  `${CRDS}?fieldSelector=metadata.name%3Da.b`,
  `${CRDS}?labelSelector=a%3Db`,
  '/api',
  '/apis',
  '/apis/apiextensions.k8s.io',
  '/apis/apiextensions.k8s.io/v1',
  '/apis/ex.io/v1/namespaces/d/foos/a',
  '/apis/ex.io/v1/namespaces/d/foos',
  '/apis/ex.io/v1/watch/foos',
  '/openapi/v3',
  '/version',
  '/metrics',
  '/nothing',
  '/',
];
type Headers = Readonly<Record<string, string>>;
const who: readonly (readonly [name: string, headers: Headers])[] = [
  ['anonymous', {}],
  ['a user', { authorization: 'Bearer user-token' }],
  ['a bad token', { authorization: 'Bearer nobody' }],
  ['an empty token', { authorization: 'Bearer ' }],
  ['two words', { authorization: 'Bearer  user-token' }],
  ['a scheme in lower case', { authorization: 'bearer user-token' }],
  ['another scheme', { authorization: 'Basic YTpi' }],
  ['impersonation by who may not', { authorization: 'Bearer user-token', 'impersonate-user': 'root' }],
  [
    'impersonation of a group by who may not',
    { authorization: 'Bearer user-token', 'impersonate-user': 'root', 'impersonate-group': 'g' },
  ],
  [
    'impersonation of a service account by who may not',
    { authorization: 'Bearer user-token', 'impersonate-user': 'system:serviceaccount:d:sa' },
  ],
  ['anonymous impersonation', { 'impersonate-user': 'root' }],
  ['impersonation of a group without a user', { authorization: 'Bearer admin-token', 'impersonate-group': 'g' }],
  ['impersonation of who may not', { authorization: 'Bearer admin-token', 'impersonate-user': 'jane' }],
];
const accepts = ['application/json', 'application/vnd.kubernetes.protobuf', 'application/yaml', 'text/plain'];

/** What of a body is compared. */
function bodyOf({ headers, body }: Answer): unknown {
  const text = body.toString('latin1');
  // Go's YAML folds long lines.
  return headers['content-type'] === 'application/yaml' ? text.replace(/\s+/g, ' ') : text;
}

for (const [name, headers] of who) {
  test(`refused alike: ${name}`, async () => {
    const differences: string[] = [];
    let refused = 0;
    for (const path of paths) {
      for (const accept of path === CRDS ? accepts : accepts.slice(0, 1)) {
        const request = { path, headers: { ...headers, accept } };
        const [want, got] = await Promise.all([send(theirs.url, request), send(ours.secureUrl, request)]);
        if (want.status >= 400 && want.status < 404) refused++;
        const shown = (answer: typeof want) => ({
          status: answer.status,
          ...Object.fromEntries(
            ['content-type', 'cache-control', 'x-content-type-options', 'www-authenticate', 'retry-after'].map(
              (key) => [key, answer.headers[key]],
            ),
          ),
          body: bodyOf(answer),
        });
        try {
          assert.deepEqual(shown(got), shown(want));
        } catch {
          differences.push(
            `${path} as ${accept}\n  ours   ${JSON.stringify(shown(got))}\n  theirs ${JSON.stringify(shown(want))}`,
          );
        }
      }
    }
    assert.equal(differences.join('\n'), '');
    assert.equal(refused, paths.length + accepts.length - 1, 'all are refused');
  });
}
