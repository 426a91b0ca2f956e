import { readFileSync } from 'node:fs';

/**
 * What OpenAPI says of the fields of built-in kinds and neither their protobuf nor their JSON form tells: generated from
 * the comments and tags of the Go sources (proto/README.md).
 */
export interface MessageFacts {
  /** How apply merges the message as a whole: `atomic`, `granular`. */
  readonly mapType?: string;
  /** One member is set at most. */
  readonly union?: {
    /** The member that says which one. */
    readonly discriminator?: string;
    /** By JSON name: what the discriminator says when it is set. */
    readonly members: Readonly<Record<string, string>>;
  };
  /** By JSON name. */
  readonly fields?: Readonly<Record<string, FieldFacts>>;
}

export interface FieldFacts {
  readonly required?: boolean;
  readonly listType?: string;
  readonly listMapKeys?: readonly string[];
  readonly mapType?: string;
  /** `merge`, or `merge,retainKeys`. */
  readonly patchStrategy?: string;
  readonly patchMergeKey?: string;
  readonly default?: unknown;
  /** Of the value, or of each element of a list or map; sorted. */
  readonly enum?: readonly string[];
}

/** By the name of the protobuf message; one without facts is absent. Read anew by each call: few ever ask. */
export function readOpenApiFacts(): ReadonlyMap<string, MessageFacts> {
  const text = readFileSync(new URL('../../../proto/openapi-facts.json', import.meta.url), 'utf8');
  return new Map(Object.entries(JSON.parse(text) as Record<string, MessageFacts>));
}
