import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { groupResourceOf } from '../../src/api/gvr.js';
import { requireProgram, run } from '../support/command.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { ALL_KINDS, createObjects, manifests, readKinds } from './objects.js';
import { TABLE_DIFFERENCES } from './table-differences.js';

// What kubectl shows of both is the same, ages aside, whatever the kind, the form and the version of kubectl.

const programs = {
  'kubectl 1.36': requireProgram('kubectl', 'KUBECTL', 'see .ci/parts'),
  'kubectl 1.32': requireProgram('kubectl-1.32', 'KUBECTL_132', 'see .ci/parts'),
};
let world: ControlPlane;
let home: string;

before(async () => {
  world = await startControlPlane({ apiserver: ALL_KINDS });
  await createObjects(world, manifests());
  home = await mkdtemp(join(tmpdir(), 'listwatch-kubectl-'));
});
after(async () => {
  await world?.stop();
  await rm(home, { recursive: true, force: true });
});

const named = (kinds: typeof readKinds) => kinds.map((kind) => groupResourceOf(kind.group, kind.resource)).join(',');
/** Of two versions of a kind, one; and no Table that differs by rule. */
const first = readKinds.filter(({ storedAs }) => storedAs === undefined);
const all = named(first);
const alike = named(
  first.filter((kind) => TABLE_DIFFERENCES[groupResourceOf(kind.group, kind.resource)] === undefined),
);

const COMMANDS = [
  ...['', '-o wide', '--show-labels', '-L app', '--sort-by=.metadata.name', '--no-headers', '-l app=ferry'].map(
    (form) => `get ${alike} -A ${form}`,
  ),
  ...['-o name', '-o yaml', '-o json', '-o jsonpath={..metadata.name}', '--chunk-size=2 -o name'].map(
    (form) => `get ${all} -A ${form}`,
  ),
  ...[
    'get all -n harbour',
    'get cm,svc -n harbour',
    'get events -A',
    'get events -n harbour -o wide',
    'events -n harbour',
  ],
  ...[
    'get pods -n nowhere',
    'get pod none -n harbour',
    'get none',
    'get pods -n harbour --field-selector status.phase=Pending',
  ],
  ...[
    'get pods tug ferry-0 -n harbour -o custom-columns=N:.metadata.name,P:.status.phase',
    'get --raw /api/v1/nodes/none',
  ],
  ...['describe nodes', 'describe pods -n harbour', `describe ${all} -A`, 'describe pod none -n harbour'],
  ...[
    'rollout status deployment/lighthouse -n harbour --timeout=1s',
    'rollout history deployment/lighthouse -n harbour',
  ],
  ...['rollout history statefulset/ferry -n harbour', 'rollout history daemonset/mooring -n harbour'],
  ...['wait --for=condition=Available deployment/lighthouse -n harbour --timeout=5s', 'top nodes', 'cluster-info'],
  ...['wait --for=jsonpath={.status.phase}=Running pod/ferry-0 -n harbour --timeout=5s', 'api-versions', 'auth whoami'],
];

/** Ages, and addresses of the two servers. */
const masked = (text: string) =>
  text
    .replace(/(?<=[\s(:])(\d+[ydhms]){1,2}(?=[\s)])/g, 'AGE')
    .replace(/[ \t]+/g, ' ')
    .replaceAll(world.theirUrl, 'SERVER')
    .replaceAll(world.ourUrl, 'SERVER');

const DIFFERENCES_MAX = 4;

/** Exit code and lines of both: theirs, then ours. */
function ask(program: string, command: string) {
  return Promise.all(
    [world.theirUrl, world.ourUrl].map(async (url) => {
      const connection = ['--kubeconfig=/dev/null', '-s', url, '--insecure-skip-tls-verify', '--token=t-admin'];
      const words = command.split(' ').filter((word) => word !== '');
      const finished = await run(program, [...connection, ...words], { env: { HOME: home } });
      const lines = masked(finished.stdout).split('\n');
      // kubectl describes members of some maps in the order that Go happens to have.
      if (command.startsWith('describe')) lines.sort();
      return [finished.code, ...lines, ...masked(finished.stderr).split('\n')];
    }),
  );
}

/** The Leases of kube-apiserver itself are renewed now and then, between two answers too. */
const ATTEMPTS_MAX = 4;

for (const [name, program] of Object.entries(programs)) {
  test(name, async () => {
    const found: string[] = [];
    for (const command of COMMANDS) {
      let different: string[] = [];
      for (let attempt = 0; attempt < ATTEMPTS_MAX && (attempt === 0 || different.length > 0); attempt++) {
        const [theirs, ours] = await ask(program, command);
        assert.ok(
          theirs!.some((line) => line !== '' && line !== 0),
          `${command} says nothing`,
        );
        different = [];
        for (let line = 0; line < Math.max(theirs!.length, ours!.length); line++) {
          if (ours![line] !== theirs![line])
            different.push(`${command}\n  want ${theirs![line]}\n  got  ${ours![line]}`);
        }
      }
      found.push(...different.slice(0, DIFFERENCES_MAX));
    }
    assert.deepEqual(found, []);
  });
}
