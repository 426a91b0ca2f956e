import { type Random, seededRandom } from '../src/lib/random.js';
import { ProtoWriter, storedValue } from './proto-writer.js';

/** Stored values and keys from a seed, of the size and shape that kubelets and controllers write. */
export interface StoredObject {
  readonly key: Buffer;
  readonly value: Buffer;
}

const EPOCH_SECONDS = 1_760_000_000;
const INDEX_DIGITS = 7;
const PLACEHOLDER = '0'.repeat(INDEX_DIGITS);

export function leaseKey(index: number): Buffer {
  return Buffer.from(`/registry/leases/kube-node-lease/${nodeName(index)}`, 'latin1');
}

/** The index of the lease with this key, or with the key just before it. */
export function leaseIndexOf(key: Uint8Array): number {
  const name = Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
  return Number(/([0-9]+)\0?$/.exec(name)![1]);
}

export function podKey(index: number): Buffer {
  return Buffer.from(`/registry/pods/ns-${index % 200}/${podName(index)}`, 'latin1');
}

export function leases(count: number, seed = 1): StoredObject[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => ({ key: leaseKey(index), value: leaseValue(index, random) }));
}

export function pods(count: number, seed = 1): StoredObject[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => ({ key: podKey(index), value: podValue(index, random) }));
}

/**
 * Lease renewals at the speed of a memcpy: one of `variants` values, with the name of lease `index` and a new
 * renewTime written into it. The object returned is reused by the next call.
 */
export class LeaseStream {
  readonly key: Buffer = leaseKey(0);
  value: Buffer = Buffer.alloc(0);
  readonly #templates: { value: Buffer; names: number[]; renewSeconds: number }[];

  constructor(variants = 64, seed = 1) {
    const random = seededRandom(seed);
    this.#templates = Array.from({ length: variants }, () => {
      const value = leaseValue(0, random);
      const names: number[] = [];
      for (let at = value.indexOf(PLACEHOLDER); at !== -1; at = value.indexOf(PLACEHOLDER, at + 1)) names.push(at);
      // renewTime is the last Time in the value: 22 <length> 08 <seconds, 5 bytes> 10 <nanos>.
      return { value, names, renewSeconds: value.lastIndexOf(Buffer.from(secondsBytes(EPOCH_SECONDS + 1))) };
    });
  }

  /** Lease `index` as of its renewal number `renewal`. */
  set(index: number, renewal: number): this {
    const { value, names, renewSeconds } = this.#templates[(index + renewal) % this.#templates.length]!;
    this.value = value;
    const keyDigits = this.key.length - INDEX_DIGITS;
    let rest = index;
    for (let digit = INDEX_DIGITS - 1; digit >= 0; digit--) {
      const character = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
      this.key[keyDigits + digit] = character;
      for (let name = 0; name < names.length; name++) value[names[name]! + digit] = character;
    }
    // The low 7 bits of the seconds are enough to make each renewal differ from the one before.
    value[renewSeconds] = 0x80 | (renewal & 0x7f);
    return this;
  }
}

export function leaseValue(index: number, random: Random): Buffer {
  const name = nodeName(index);
  const nodeUid = random.uuid();
  const createdSeconds = EPOCH_SECONDS - random.int(1_000_000);
  const fields = `{"f:metadata":{"f:ownerReferences":{".":{},"k:{\\"uid\\":\\"${nodeUid}\\"}":{}}},"f:spec":{"f:holderIdentity":{},"f:leaseDurationSeconds":{},"f:renewTime":{}}}`;
  const lease = new ProtoWriter()
    .message(1, (metadata) => {
      objectMeta(metadata, name, '', 'kube-node-lease', random.uuid(), createdSeconds);
      metadata.message(13, (owner) => void owner.text(1, 'Node').text(3, name).text(4, nodeUid).text(5, 'v1'));
      managedFields(metadata, 'kubelet', 'coordination.k8s.io/v1', createdSeconds, fields, '');
    })
    .message(2, (spec) => {
      spec.text(1, name).varint(2, 40);
      time(spec, 4, EPOCH_SECONDS + 1, 100_000_000 + random.int(800_000) * 1_000);
    });
  return storedValue('coordination.k8s.io/v1', 'Lease', lease.finish());
}

export function podValue(index: number, random: Random): Buffer {
  const app = `svc-${index % 500}`;
  const hash = (Math.imul(index % 500, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
  const replicaSet = `${app}-${hash}`;
  const createdSeconds = EPOCH_SECONDS - random.int(1_000_000);
  const ip = `10.${2 + ((index >>> 16) & 0xff)}.${(index >>> 8) & 0xff}.${index & 0xff}`;
  const image = `registry.example.com/team/${app}:v1.${index % 40}`;
  const ownerUid = random.uuid();
  const pod = new ProtoWriter()
    .message(1, (metadata) => {
      objectMeta(metadata, podName(index), `${replicaSet}-`, `ns-${index % 200}`, random.uuid(), createdSeconds);
      metadata
        .map(11, {
          app,
          'pod-template-hash': hash,
          release: 'stable',
          tier: random.pick(['backend', 'frontend', 'batch']),
        })
        .map(12, { 'checksum/config': random.hex(64), note: 'x<y> & "z"', 'prometheus.io/scrape': 'true' })
        .message(13, (owner) => {
          owner
            .text(1, 'ReplicaSet')
            .text(3, replicaSet)
            .text(4, ownerUid)
            .text(5, 'apps/v1')
            .bool(6, true)
            .bool(7, true);
        });
      const fields = POD_FIELDS.replace('UID', ownerUid);
      managedFields(metadata, 'kube-controller-manager', 'v1', createdSeconds, fields, '');
      managedFields(metadata, 'kubelet', 'v1', createdSeconds + 3, POD_STATUS_FIELDS, 'status');
    })
    .message(2, (spec) => podSpec(spec, app, image, `node-${index % 5_000}`))
    .message(3, (status) => podStatus(status, createdSeconds, image, ip, random));
  return storedValue('v1', 'Pod', pod.finish());
}

function podSpec(spec: ProtoWriter, app: string, image: string, nodeName: string): void {
  const quantity = (entry: ProtoWriter, amount: string) => entry.message(2, (value) => void value.text(1, amount));
  spec
    .message(1, (volume) => {
      volume.text(1, 'cfg').message(2, (source) => {
        source.message(19, (configMap) => {
          configMap.message(1, (reference) => void reference.text(1, `${app}-cfg`)).varint(3, 420);
        });
      });
    })
    .message(2, (container) => {
      container
        .text(1, 'main')
        .text(2, image)
        .text(4, '--port=8080')
        .text(4, '--log-level=info')
        .text(5, '')
        .message(6, (port) => void port.text(1, 'http').varint(2, 0).varint(3, 8080).text(4, 'TCP').text(5, ''));
      for (let index = 0; index < 6; index++) {
        container.message(7, (env) => {
          env.text(1, `ENV_VAR_${index}`).text(2, `http://backend-${index * 13}.prod.svc:8080/path`);
        });
      }
      container
        .message(8, (resources) => {
          resources
            .map(1, { cpu: '500m', memory: '512Mi' }, quantity)
            .map(2, { cpu: '100m', memory: '128Mi' }, quantity);
        })
        .message(9, (mount) => void mount.text(1, 'cfg').bool(2, true).text(3, '/etc/cfg').text(4, '').text(6, ''))
        .text(13, '/dev/termination-log')
        .text(14, 'IfNotPresent')
        .bool(16, false)
        .bool(17, false)
        .bool(18, false)
        .text(20, 'File');
    })
    .text(3, 'Always')
    .varint(4, 30)
    .text(6, 'ClusterFirst')
    .text(8, 'default')
    .text(9, 'default')
    .text(10, nodeName)
    .bool(11, false)
    .bool(12, false)
    .bool(13, false)
    .message(14, () => {})
    .text(16, '')
    .text(17, '')
    .text(19, 'default-scheduler');
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    spec.message(22, (toleration) => {
      toleration.text(1, key).text(2, 'Exists').text(3, '').text(4, 'NoExecute').varint(5, 300);
    });
  }
  spec.text(24, '').varint(25, 0).bool(30, true).text(31, 'PreemptLowerPriority');
}

function podStatus(status: ProtoWriter, createdSeconds: number, image: string, ip: string, random: Random): void {
  status.text(1, 'Running');
  for (const type of ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled']) {
    status.message(2, (condition) => {
      condition
        .text(1, type)
        .text(2, 'True')
        .message(3, () => {});
      time(condition, 4, createdSeconds + 2, 0);
      condition.text(5, '').text(6, '').varint(7, 0);
    });
  }
  status.text(3, '').text(4, '').text(5, '10.0.3.4').text(6, ip);
  time(status, 7, createdSeconds, 0);
  status
    .message(8, (container) => {
      container
        .text(1, 'main')
        .message(2, (state) => void state.message(2, (running) => time(running, 1, createdSeconds + 2, 0)))
        .message(3, () => {})
        .bool(4, true)
        .varint(5, random.chance(0.1) ? random.int(20) : 0)
        .text(6, image)
        .text(7, `${image.split(':')[0]}@sha256:${random.hex(64)}`)
        .text(8, `containerd://${random.hex(64)}`)
        .bool(9, true);
    })
    .text(9, 'Burstable')
    .text(11, '')
    .message(12, (podIp) => void podIp.text(1, ip))
    .text(14, '')
    .varint(17, 0);
}

function objectMeta(
  metadata: ProtoWriter,
  name: string,
  generateName: string,
  namespace: string,
  uid: string,
  createdSeconds: number,
): void {
  metadata.text(1, name).text(2, generateName).text(3, namespace).text(4, '').text(5, uid).text(6, '').varint(7, 0);
  time(metadata, 8, createdSeconds, 0);
}

function managedFields(
  metadata: ProtoWriter,
  manager: string,
  apiVersion: string,
  seconds: number,
  fields: string,
  subresource: string,
): void {
  metadata.message(17, (entry) => {
    entry.text(1, manager).text(2, 'Update').text(3, apiVersion);
    time(entry, 4, seconds, 0);
    entry
      .text(6, 'FieldsV1')
      .message(7, (fieldsV1) => void fieldsV1.text(1, fields))
      .text(8, subresource);
  });
}

function time(writer: ProtoWriter, field: number, seconds: number, nanos: number): void {
  writer.message(field, (value) => void value.varint(1, seconds).varint(2, nanos));
}

function secondsBytes(seconds: number): Uint8Array {
  return new ProtoWriter().varint(1, seconds).finish().subarray(1);
}

function nodeName(index: number): string {
  return `node-${String(index).padStart(INDEX_DIGITS, '0')}`;
}

function podName(index: number): string {
  const hash = (Math.imul(index % 500, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
  const suffix = ((index * 7_654_321) % 36 ** 5).toString(36).padStart(5, '0'); // scattered, and unique
  return `svc-${index % 500}-${hash}-${suffix}`;
}

const POD_FIELDS =
  '{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{},"f:tier":{}},"f:ownerReferences":{".":{},"k:{\\"uid\\":\\"UID\\"}":{}}},"f:spec":{"f:containers":{"k:{\\"name\\":\\"main\\"}":{".":{},"f:args":{},"f:env":{".":{},"k:{\\"name\\":\\"ENV_VAR_0\\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\\"containerPort\\":8080,\\"protocol\\":\\"TCP\\"}":{".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}},"f:resources":{".":{},"f:limits":{".":{},"f:cpu":{},"f:memory":{}},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}';
const POD_STATUS_FIELDS =
  '{"f:status":{"f:conditions":{"k:{\\"type\\":\\"ContainersReady\\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\\"type\\":\\"Ready\\"}":{".":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},"f:phase":{},"f:podIP":{},"f:podIPs":{},"f:startTime":{}}}';
