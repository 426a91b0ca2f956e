import type { FieldRequirement } from './field-selector.js';
import type { LabelRequirement } from './label-selector.js';

/** metav1.ListOptions after decoding, before validation: what the query says, nothing decided (spec 2.1). */
export interface ListOptions {
  readonly watch: boolean;
  readonly labelSelector: readonly LabelRequirement[];
  readonly fieldSelector: readonly FieldRequirement[];
  /** '' when absent. */
  readonly resourceVersion: string;
  /** '' when absent. */
  readonly resourceVersionMatch: string;
  /** 0: no limit. */
  readonly limit: number;
  /** '' when absent. */
  readonly continue: string;
  readonly timeoutSeconds: bigint | undefined;
  readonly allowWatchBookmarks: boolean;
  /** undefined: absent. */
  readonly sendInitialEvents: boolean | undefined;
}
