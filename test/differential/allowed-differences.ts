/**
 * Where the peer is not kube-apiserver, or listwatch differs on purpose: the only things that the
 * comparison forgives. One line each: one endpoint, one field, and why. No patterns.
 *
 * `endpoint` is `<SHAPE> <resource>` of a request (requests.ts), or a class of answers that compare.ts
 * recognizes by what the peer sent. `field` is a header's name, or a member of the JSON body that is
 * removed from both answers before they are compared (`[]`: of every element), or named in compare.ts.
 */
export interface AllowedDifference {
  readonly endpoint: string;
  readonly field: string;
  readonly reason: string;
}

const UNCACHED =
  "read from etcd: the peer's internal type is v1 itself, so its decoder leaves the type in list items; kube-apiserver's conversion clears it";
const RFC_9110 = 'RFC 9110 15.5.6: a 405 names the methods that are allowed';

export const allowedDifferences: readonly AllowedDifference[] = [
  {
    endpoint: 'unregistered path',
    field: 'answer',
    reason:
      "a stand-alone extension server answers with its paths; kube-apiserver's last delegate with plain text (spec 7.6)",
  },
  {
    endpoint: 'application/yaml',
    field: 'style',
    reason: 'which quotes, and where long text is folded, is the library’s choice; the parsed values are compared',
  },
  {
    endpoint: 'application/yaml',
    field: 'control characters',
    reason: 'Go’s YAML library refuses to write them with 500; listwatch escapes them',
  },
  { endpoint: 'LIST events', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST events', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST pods', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST pods', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST nodes', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST nodes', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST configmaps', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST configmaps', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST secrets', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST secrets', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST services', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST services', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST namespaces', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST namespaces', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST leases', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST leases', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'LIST deployments', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'LIST deployments', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'PATH events', field: '.items[].kind', reason: UNCACHED },
  { endpoint: 'PATH events', field: '.items[].apiVersion', reason: UNCACHED },
  { endpoint: 'METHOD pods', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD nodes', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD configmaps', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD secrets', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD services', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD namespaces', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD events', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD leases', field: 'allow', reason: RFC_9110 },
  { endpoint: 'METHOD deployments', field: 'allow', reason: RFC_9110 },
];
