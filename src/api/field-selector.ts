/** One ANDed term of a field selector (spec 6.2). */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '==' | '!=';
  readonly value: string;
}
