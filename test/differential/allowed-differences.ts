/**
 * Where the peer is not kube-apiserver, or listwatch differs on purpose: the only things that the
 * comparison forgives. One line each: one endpoint, one field, and why. No patterns.
 *
 * `endpoint` is `<SHAPE> <resource>` of a request (requests.ts); `field` is `status`, a header's name,
 * or a JSON path in the body. The value of that field is removed from both answers before they are compared.
 */
export interface AllowedDifference {
  readonly endpoint: string;
  readonly field: string;
  readonly reason: string;
}

export const allowedDifferences: readonly AllowedDifference[] = [];
