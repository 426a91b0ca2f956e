import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { repositoryRoot } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';
import { columnsOfKinds } from './columns.js';
import { kubectlFor } from './support.js';

// `kubectl describe` reads an object and what belongs to it (events, pods, leases, slices), by several requests.

let server: RunningServer;
const kubectl = kubectlFor(() => server.url);

before(async () => {
  server = await startServer(['--load', join(repositoryRoot, 'test/kubectl/manifests')]);
});
after(() => server?.stop());

/** Each has something that only the status, or another request, can tell. */
const rows: readonly (readonly [what: string, ...shows: RegExp[]])[] = [
  [
    'pod/ferry-0',
    /^Controlled By: +StatefulSet\/ferry$/m,
    /Reason: +OOMKilled/,
    /^QoS Class: +Burstable$/m,
    /Back-off restarting failed container/,
  ],
  [
    'deployment/lighthouse',
    /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable$/m,
    /^NewReplicaSet: +lighthouse-5d \(2\/2 replicas created\)$/m,
    /Scaled up replica set lighthouse-5d to 2/,
  ],
  ['replicaset/lighthouse-5d', /^Controlled By: +Deployment\/lighthouse$/m, /^Replicas: +2 current \/ 2 desired$/m],
  [
    'statefulset/ferry',
    /^Replicas: +2 desired \| 2 total$/m,
    /^Pods Status: +1 Running \/ 0 Waiting/m,
    /^Volume Claims:$/m,
  ],
  [
    'daemonset/mooring',
    /^Desired Number of Nodes Scheduled: 5$/m,
    /^Node-Selector: +kubernetes\.io\/os=linux,pier=yes$/m,
  ],
  ['job/dredging', /^Duration: +2m5s$/m, /^Pods Statuses: +0 Active \/ 3 Succeeded \/ 0 Failed$/m],
  ['cronjob/tide-report', /^Last Schedule Time: +Sat, 02 Mar 2024 08:00:00 \+0000$/m, /^Active Jobs: +tide-report-1$/m],
  ['service/ferry', /^Endpoints: +10\.20\.1\.5:8080,10\.20\.1\.6:8080/m, /^Selector: +app=ferry$/m],
  ['endpoints/ferry', /^ +Addresses: +10\.20\.1\.5,10\.20\.1\.6$/m],
  ['endpointslice/ferry-x2', /^AddressType: +IPv4$/m, /Addresses: +10\.20\.1\.8/],
  ['ingress/quay', /quay-tls terminates quay\.example\.com/, /ferry:http \(10\.20\.1\.5:8080/],
  ['configmap/timetable', /^06:00 every 20 min$/m, /^chart: 4 bytes$/m],
  ['secret/strongbox', /^combination: +8 bytes$/m],
  ['serviceaccount/crew', /^Image pull secrets: +registry( |$)/m],
  [
    'node/pier-1',
    /^Taints: +node\.kubernetes\.io\/unschedulable:NoSchedule$/m,
    /^ +harbour +ferry-0 +250m/m,
    /^Roles: +dock,worker$/m,
  ],
  ['namespace/harbour', /^ +requests\.cpu +250m +10$/m, /^ +Container +memory +- +- +128Mi +256Mi/m],
  ['persistentvolume/hold-1', /^Claim: +harbour\/charts$/m, /^ +Driver: +hold\.example\.com$/m],
  ['persistentvolumeclaim/charts', /^Status: +Bound$/m, /^Used By: +ferry-0$/m],
  ['storageclass/dry', /^IsDefaultClass: +Yes$/m, /^VolumeBindingMode: +WaitForFirstConsumer$/m],
  ['horizontalpodautoscaler/lighthouse', /resource cpu on pods +\(as a percentage of request\): +35% \(70m\) \/ 60%/],
  ['networkpolicy/customs', /^ +PodSelector: +app=ferry,route in \(north,south\)$/m],
  ['poddisruptionbudget/ferry', /^ +Allowed disruptions: +1$/m],
  ['resourcequota/berths', /^requests\.cpu +250m +10$/m],
  ['limitrange/deck', /^Container +cpu +- +2 +/m],
  ['role/deckhand', /^ +pods +\[\] +\[\] +\[get list\]$/m],
  ['rolebinding/deckhands', /^ +ServiceAccount +crew +harbour$/m],
  ['clusterrole/harbourmaster', /^ +\*\.\* +\[\] +\[\] +\[\*\]$/m],
  ['certificatesigningrequest/pier-1-kubelet', /^Status: +Approved,Issued$/m, /Common Name: +system:node:pier-1/],
  ['priorityclass/lifeboat', /^Value: +1000000$/m],
  ['lease/pilot', /Holder Identity: +pilot-ida/],
];
for (const [what, ...shows] of rows) {
  test(`describe ${what}`, async () => {
    const text = await kubectl.succeed('describe', '-n', 'harbour', what);
    for (const pattern of shows) assert.match(text, pattern);
  });
}

test('describe of every other kind', async () => {
  const described = new Set(rows.map(([what]) => what.split('/')[0]));
  const { clientVersion } = JSON.parse(await kubectl.succeed('version', '--client', '-o', 'json')) as {
    clientVersion: { minor: string };
  };
  if (Number(clientVersion.minor) < 33) {
    // Older ones ask for beta versions of these, which a 1.36 cluster does not serve either.
    for (const resource of ['ipaddress', 'servicecidr', 'volumeattributesclass']) described.add(resource);
  }
  for (const { resource, rows: objects } of columnsOfKinds) {
    if (described.has(resource.replace(/(?<=s)es$|s$/, ''))) continue;
    const text = await kubectl.succeed('describe', resource, '-A');
    const name = resource === 'events' ? 'ferry-0.17a' : objects[0]!.split(' | ')[0]!.replace(' (default)', '');
    assert.match(text, new RegExp(`^Name: +${name.replaceAll('.', '\\.')}( |$)`, 'm'), resource);
  }
});
