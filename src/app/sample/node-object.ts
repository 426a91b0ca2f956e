import { digest, ipText, type KubeObject, microTime, time } from './objects.js';
import type { NodeState } from './state.js';

const MI_PER_GI = 1024;
const RESERVED_CPU_MILLI = 100;
const RESERVED_MEMORY_MI = 512;
export const KUBELET_VERSION = 'v1.36.0';
const IMAGES = ['net-bridge:0.9.4', 'node-agent:2.3.1', 'log-shipper:1.12.0', 'pause:3.10'];

export function allocatable(node: NodeState): { cpuMilli: number; memoryMi: number } {
  return { cpuMilli: node.cpu * 1_000 - RESERVED_CPU_MILLI, memoryMi: node.memoryGi * MI_PER_GI - RESERVED_MEMORY_MI };
}

export function nodeObject(node: NodeState): KubeObject {
  const free = allocatable(node);
  const range = `${ipText(node.podRange)}/${node.podRangeBits}`;
  const shared = {
    'ephemeral-storage': '103880232Ki',
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    pods: String(node.podsMax),
  };
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: time(node.heartbeatMs),
    lastTransitionTime: time(node.createdMs + 20_000),
  });
  const taint = { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      uid: node.uid,
      creationTimestamp: time(node.createdMs),
      labels: {
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': node.name,
        'kubernetes.io/os': 'linux',
        'node.kubernetes.io/instance-type': `ex${node.cpu}.standard`,
        [node.controlPlane ? 'node-role.kubernetes.io/control-plane' : 'node-role.kubernetes.io/worker']: '',
        'topology.kubernetes.io/region': 'eu-example-1',
        'topology.kubernetes.io/zone': node.zone,
      },
      annotations: {
        'node.alpha.kubernetes.io/ttl': '0',
        'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
      },
    },
    spec: {
      podCIDR: range,
      podCIDRs: [range],
      providerID: `example://${node.zone}/${node.machine.slice(0, 17)}`,
      ...(node.controlPlane ? { taints: [taint] } : {}),
    },
    status: {
      capacity: { ...shared, cpu: String(node.cpu), memory: `${node.memoryGi * MI_PER_GI * 1024}Ki` },
      allocatable: {
        ...shared,
        'ephemeral-storage': '95736021691',
        cpu: `${free.cpuMilli}m`,
        memory: `${free.memoryMi * 1024}Ki`,
      },
      conditions: [
        condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
        condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
      ],
      addresses: [
        { type: 'InternalIP', address: node.address },
        { type: 'Hostname', address: node.name },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      nodeInfo: {
        architecture: 'amd64',
        bootID: uuidFrom(digest(node.uid, 'boot')),
        containerRuntimeVersion: 'containerd://2.1.4',
        kernelVersion: '6.12.41-example',
        kubeProxyVersion: '',
        kubeletVersion: KUBELET_VERSION,
        machineID: node.machine,
        operatingSystem: 'linux',
        osImage: 'Example Linux 12',
        systemUUID: uuidFrom(digest(node.uid, 'system')),
      },
      images: IMAGES.map((image, index) => ({
        names: [
          `registry.example.com/system/${image.split(':')[0]}@sha256:${digest(image)}`,
          `registry.example.com/system/${image}`,
        ],
        sizeBytes: 48_117_201 - index * 9_340_117,
      })),
    },
  };
}

/** The kubelet's heartbeat: a Lease in kube-node-lease, renewed every ten seconds for forty. */
export function leaseObject(node: NodeState): KubeObject {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: node.name,
      namespace: 'kube-node-lease',
      uid: node.leaseUid,
      creationTimestamp: time(node.createdMs),
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid }],
    },
    spec: { holderIdentity: node.name, leaseDurationSeconds: 40, renewTime: microTime(node.renewedMs) },
  };
}

function uuidFrom(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
