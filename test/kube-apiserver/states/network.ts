import type { Manifest } from '../objects.js';
import { state } from './stored.js';

const service = (name: string, spec: object, ingress: readonly object[] = []) =>
  state('v1', 'Service', name, { spec, status: { loadBalancer: { ingress } } });
const ports = [
  { name: 'a', port: 80, protocol: 'TCP' },
  { name: 'b', port: 53, protocol: 'UDP', nodePort: 30_053 },
];
const ingress = [
  { hostname: 'b.example.com' },
  { ip: '203.0.113.9' },
  { ip: '203.0.113.10' },
  { ip: '203.0.113.9' },
  {},
];
const externalIPs = ['198.51.100.2', '198.51.100.1'];

const services = [
  service('bare', {}),
  service('cluster', { type: 'ClusterIP', clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1', 'fd00::1'], ports }),
  service('headless', { type: 'ClusterIP', clusterIP: 'None', clusterIPs: ['None'], selector: { b: '2', a: '1' } }),
  service('external-ips', { type: 'ClusterIP', externalIPs }),
  service('node-port', { type: 'NodePort', ports, externalIPs }),
  service('node-port-alone', { type: 'NodePort', ports: [ports[0]] }),
  service('pending', { type: 'LoadBalancer', ports }),
  service('empty-ingress', { type: 'LoadBalancer' }, [{}]),
  service('balanced', { type: 'LoadBalancer' }, ingress),
  service('balanced-and-external', { type: 'LoadBalancer', externalIPs }, ingress),
  service('external-only', { type: 'LoadBalancer', externalIPs }),
  service('named', { type: 'ExternalName', externalName: 'example.com' }),
  service('other', { type: 'Other' }),
];

const addresses = (...ips: readonly string[]) => ips.map((ip) => ({ ip }));
const portsOf = (...numbers: readonly number[]) => numbers.map((port) => ({ name: `p${port}`, port, protocol: 'TCP' }));
const endpoints = (name: string, ...subsets: readonly object[]) => state('v1', 'Endpoints', name, { subsets });
const endpointsStates = [
  endpoints('bare'),
  endpoints('empty', {}),
  endpoints('portless', { addresses: addresses('10.0.0.1', 'fd00::1') }),
  endpoints('not-ready', { notReadyAddresses: addresses('10.0.0.1'), ports: portsOf(80) }),
  endpoints('three', { addresses: addresses('10.0.0.1', '10.0.0.2', 'fd00::1'), ports: portsOf(80) }),
  endpoints(
    'many',
    { addresses: addresses('10.0.0.1', '10.0.0.2'), ports: portsOf(80, 81) },
    { addresses: addresses('10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6') },
    { notReadyAddresses: addresses('10.0.0.7'), ports: portsOf(82) },
  ),
];

const slice = (name: string, content: object) =>
  state('discovery.k8s.io/v1', 'EndpointSlice', name, {
    addressType: 'IPv4',
    endpoints: null,
    ports: null,
    ...content,
  });
const slices = [
  slice('bare', {}),
  slice('portless', { ports: [{}] }),
  slice('unnamed', { ports: [{ name: '' }, { port: 80 }] }),
  slice('named', { ports: [{ name: 'http' }, { name: 'x', port: 0 }] }),
  slice('many', {
    addressType: 'FQDN',
    ports: portsOf(1, 2, 3, 4, 5),
    endpoints: [{ addresses: ['a', 'b'] }, { addresses: null }, { addresses: ['c', 'd'] }],
  }),
  slice('three', { ports: portsOf(1, 2, 3), endpoints: [{ addresses: ['a', 'b', 'c'] }] }),
];

const hosts = (...names: readonly string[]) => names.map((host) => (host === '' ? {} : { host }));
const ingressState = (name: string, spec: object, balanced: readonly object[] = []) =>
  state('networking.k8s.io/v1', 'Ingress', name, { spec, status: { loadBalancer: { ingress: balanced } } });
const defaultClass = (value: string) => ({
  metadata: { annotations: { 'ingressclass.kubernetes.io/is-default-class': value } },
});
const ingressClass = (name: string, spec: object, content: object = {}) =>
  state('networking.k8s.io/v1', 'IngressClass', name, { spec: { controller: 'a.io/c', ...spec }, ...content });
const policy = (name: string, podSelector: object) =>
  state('networking.k8s.io/v1', 'NetworkPolicy', name, { spec: { podSelector, policyTypes: ['Ingress'] } });

export const networkStates: readonly Manifest[] = [
  ...services,
  ...endpointsStates,
  ...slices,
  ingressState('bare', {}),
  ingressState('hosts', { ingressClassName: 'gate', rules: hosts('a.b', '', 'c.d'), tls: [{}] }, ingress),
  ingressState('many-hosts', { rules: hosts('a', 'b', 'c', 'd', 'e') }),
  ingressState('three-hosts', { rules: hosts('a', 'b', 'c') }),
  ingressState('hostless', { rules: hosts('', '') }, [{ hostname: 'an.example.com.that.is.long.enough.to.be.cut' }]),
  ingressState('same-hosts', { rules: hosts('a', 'a', 'b', 'b', 'a') }),
  ingressState('some-hostless', { rules: hosts('a', '', 'b', '', 'c', '') }),
  ingressClass('bare', {}),
  ingressClass('default', {}, defaultClass('true')),
  ingressClass('not-default', { parameters: { kind: 'K', name: 'n' } }, defaultClass('false')),
  ingressClass('parameters', {
    parameters: { apiGroup: 'g.io', kind: 'K', name: 'n', namespace: 's', scope: 'Namespace' },
  }),
  policy('all', {}),
  policy('labels', { matchLabels: { b: '', a: '1' } }),
  policy('expressions', {
    matchLabels: { m: 'n' },
    matchExpressions: [
      { key: 'k', operator: 'In', values: ['v'] },
      { key: 'a', operator: 'NotIn', values: ['2', '1'] },
      { key: 'm', operator: 'Exists' },
    ],
  }),
  policy('impossible', { matchExpressions: [{ key: 'k', operator: 'Near' }] }),
  state('networking.k8s.io/v1', 'ServiceCIDR', 'bare', { spec: {} }),
  state('networking.k8s.io/v1', 'ServiceCIDR', 'dual', { spec: { cidrs: ['10.97.0.0/16', 'fd00::/112'] } }),
  state('networking.k8s.io/v1', 'IPAddress', '10.97.0.1', { spec: { parentRef: { resource: 'services', name: 'n' } } }),
  state('networking.k8s.io/v1', 'IPAddress', '10.97.0.2', {
    spec: { parentRef: { group: 'G.io', resource: 'Boats', namespace: 's', name: 'N' } },
  }),
  state('networking.k8s.io/v1', 'IPAddress', '10.97.0.3', { spec: {} }),
];
