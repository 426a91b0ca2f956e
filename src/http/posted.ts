/** A resource whose objects are posted, answered and kept nowhere: a review (spec 8.6). */
export interface PostedResource {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly singular: string;
  /** The URL segment. */
  readonly resource: string;
  readonly namespaced: boolean;
  /** Full name of the protobuf message. */
  readonly message: string;
}
