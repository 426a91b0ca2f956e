import { at, integer, items, type Json, present, text } from './json-path.js';
import { age, firstThree, joined, labelPairs, nameWithDefault, orElse, SELECTOR, selector } from './phrases.js';
import { columns, type TableKind } from './table-kind.js';

export const services: TableKind = {
  columns: columns('Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age', 'Selector*'),
  reads:
    'spec{type clusterIPs externalIPs externalName ports{port nodePort protocol} selector} status{loadBalancer{ingress{ip hostname}}}',
  row: (service) => ({
    cells: [
      text(service, 'metadata.name'),
      text(service, 'spec.type'),
      orElse(String(items(service, 'spec.clusterIPs')[0] ?? ''), '<none>'),
      externalIp(service),
      servicePorts(service),
      age(service),
      labelPairs(service, 'spec.selector'),
    ],
  }),
};

function externalIp(service: Json): string {
  const externalIps = items(service, 'spec.externalIPs').map(String);
  switch (text(service, 'spec.type')) {
    case 'ClusterIP':
    case 'NodePort':
      return joined(externalIps, '<none>');
    case 'LoadBalancer': {
      return joined([...ingressAddresses(service), ...externalIps], '<pending>');
    }
    case 'ExternalName':
      return text(service, 'spec.externalName');
    default:
      return '<unknown>';
  }
}

/** Each once, in order. */
function ingressAddresses(object: Json): string[] {
  const addresses = items(object, 'status.loadBalancer.ingress')
    .map((ingress) => orElse(text(ingress, 'ip'), text(ingress, 'hostname')))
    .filter((address) => address !== '');
  return [...new Set(addresses)].sort();
}

function servicePorts(service: Json): string {
  return joined(
    items(service, 'spec.ports').map((port) => {
      const nodePort = integer(port, 'nodePort');
      const number = nodePort > 0 ? `${text(port, 'port')}:${nodePort}` : text(port, 'port');
      return `${number}/${text(port, 'protocol')}`;
    }),
    '<none>',
  );
}

export const endpoints: TableKind = {
  columns: columns('Endpoints', 'Age'),
  reads: 'subsets{ports{port} addresses{ip}}',
  row(object) {
    const addresses: string[] = [];
    for (const subset of items(object, 'subsets')) {
      const ports = items(subset, 'ports').map((port) => text(port, 'port'));
      const ips = items(subset, 'addresses').map((address) => text(address, 'ip'));
      if (ports.length === 0) addresses.push(...ips);
      else for (const port of ports) addresses.push(...ips.map((ip) => hostPort(ip, port)));
    }
    // Subsets of which no address is ready are not the same as no subset.
    const none = items(object, 'subsets').length === 0 ? '<none>' : '';
    return { cells: [text(object, 'metadata.name'), firstThree(addresses, none), age(object)] };
  },
};

/** IPv6 addresses take brackets before a port. */
function hostPort(ip: string, port: string): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

export const endpointSlices: TableKind = {
  columns: columns('AddressType', 'Ports', 'Endpoints', 'Age'),
  reads: 'addressType ports{name port} endpoints{addresses}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      text(object, 'addressType'),
      orElse(firstThree(items(object, 'ports').map(slicePort), ''), '<unset>'),
      firstThree(
        items(object, 'endpoints').flatMap((endpoint) => items(endpoint, 'addresses').map(String)),
        '<unset>',
      ),
      age(object),
    ],
  }),
};

function slicePort(port: Json): string {
  if (present(port, 'port')) return text(port, 'port');
  return present(port, 'name') ? text(port, 'name') : '*';
}

export const ingresses: TableKind = {
  columns: columns('Class', 'Hosts', 'Address', 'Ports', 'Age'),
  reads: 'spec{ingressClassName rules{host} tls{}} status{loadBalancer{ingress{ip hostname}}}',
  row: (object) => ({
    cells: [
      text(object, 'metadata.name'),
      orElse(text(object, 'spec.ingressClassName'), '<none>'),
      ingressHosts(object),
      joined(ingressAddresses(object)),
      items(object, 'spec.tls').length > 0 ? '80, 443' : '80',
      age(object),
    ],
  }),
};

function ingressHosts(object: Json): string {
  const hosts = items(object, 'spec.rules')
    .map((rule) => text(rule, 'host'))
    .filter((host) => host !== '');
  return firstThree([...new Set(hosts)], '*');
}

export const ingressClasses: TableKind = {
  columns: columns('Controller', 'Parameters', 'Age'),
  reads: 'metadata{annotations} spec{controller parameters{apiGroup kind name}}',
  row: (object) => ({
    cells: [
      nameWithDefault(object, 'ingressclass.kubernetes.io/is-default-class'),
      text(object, 'spec.controller'),
      classParameters(object),
      age(object),
    ],
  }),
};

function classParameters(object: Json): string {
  if (!present(object, 'spec.parameters')) return '<none>';
  const group = text(object, 'spec.parameters.apiGroup');
  const kind = text(object, 'spec.parameters.kind');
  return `${kind}${group === '' ? '' : `.${group}`}/${text(object, 'spec.parameters.name')}`;
}

export const networkPolicies: TableKind = {
  columns: columns('Pod-Selector', 'Age'),
  reads: `spec{podSelector${SELECTOR}}`,
  row: (object) => ({
    cells: [text(object, 'metadata.name'), selector(object, 'spec.podSelector'), age(object)],
  }),
};

export const serviceCidrs: TableKind = {
  columns: columns('CIDRs', 'Age'),
  reads: 'spec{cidrs}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), items(object, 'spec.cidrs').map(String).join(','), age(object)],
  }),
};

export const ipAddresses: TableKind = {
  columns: columns('ParentRef', 'Age'),
  reads: 'spec{parentRef{group resource namespace name}}',
  row: (object) => ({
    cells: [text(object, 'metadata.name'), parentReference(at(object, 'spec.parentRef')), age(object)],
  }),
};

/** `resource[.group]/[namespace/]name` */
function parentReference(parent: Json): string {
  if (parent === undefined || parent === null) return '<none>';
  const group = text(parent, 'group');
  const namespace = text(parent, 'namespace');
  const resource = group === '' ? text(parent, 'resource') : `${text(parent, 'resource')}.${group}`;
  return `${resource.toLowerCase()}/${namespace === '' ? '' : `${namespace}/`}${text(parent, 'name')}`;
}
