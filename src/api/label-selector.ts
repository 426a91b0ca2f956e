/** One ANDed term of a label selector (spec 6.1). */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';
  /** Sorted, without duplicates. */
  readonly values: readonly string[];
}
