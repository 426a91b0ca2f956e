import { apiVersionOf } from '../api/gvr.js';
import { quoteGo } from '../api/go-text.js';
import { type FieldRequirement, formatFieldSelector, matchesField } from '../api/field-selector.js';
import { formatLabelSelector, type LabelRequirement, matchesLabel } from '../api/label-selector.js';
import { fieldConditions, isLong, labelTest } from '../api/long-selector.js';
import { compileShard, formatShardSelector, parseShardSelector, type ShardSelector } from '../api/shard-selector.js';
import type { ObjectFilter } from '../cache/cache.js';
import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import { metadataTextRange } from '../codec/scan.js';
import { type Failure, failed, type Result, success } from './failure.js';

/** Selectors as one test over wire bytes; undefined when they select everything. */
export function compileFilter(
  codec: KindCodec,
  labels: readonly LabelRequirement[],
  fields: readonly FieldRequirement[],
  shard?: ShardSelector,
): ObjectFilter | undefined {
  if (shard !== undefined) return andShard(compileFilter(codec, labels, fields), shard);
  if (labels.length === 0 && fields.length === 0) return undefined;
  const whole = {
    selector: { labels, fields },
    id: `${formatLabelSelector(labels)}\0${formatFieldSelector(fields)}`,
  };
  if (isLong(labels) || isLong(fields)) {
    const conditions = fieldConditions(fields);
    const test = labelTest(labels);
    return {
      ...whole,
      matches(bytes, start, end) {
        for (const [field, condition] of conditions) {
          if (!condition.holds(codec.field(bytes, start, end, field))) return false;
        }
        return labels.length === 0 || test(codec.labels(bytes, start, end));
      },
    };
  }
  return {
    ...whole,
    matches(bytes, start, end) {
      for (const field of fields) {
        if (!matchesField(field, codec.field(bytes, start, end, field.field))) return false;
      }
      for (const label of labels) {
        if (!matchesLabel(label, codec.label(bytes, start, end, label.key))) return false;
      }
      return true;
    },
  };
}

/** The value that is hashed lies in the object's metadata: it is neither decoded nor copied. */
function andShard(selectors: ObjectFilter | undefined, shard: ShardSelector): ObjectFilter {
  const isInShard = compileShard(shard);
  const field = shard.field === 'object.metadata.uid' ? 'uid' : 'namespace';
  return {
    selector: selectors?.selector === undefined ? undefined : { ...selectors.selector, partial: true },
    id: `${selectors?.id ?? ''}\0${formatShardSelector(shard)}`,
    matches(bytes, start, end) {
      if (selectors !== undefined && !selectors.matches(bytes, start, end)) return false;
      const value = metadataTextRange(bytes, start, end, field);
      return isInShard(bytes, value.start, value.end);
    },
  };
}

/** The `shardSelector` parameter; undefined: all objects. Upstream does not classify its errors: they are 500s. */
export function shardOf(enabled: boolean, text: string): Result<ShardSelector | undefined> {
  if (!enabled || text === '') return success(undefined);
  const shard = parseShardSelector(text);
  if (shard.ok) return success(shard.value);
  return failed({ kind: 'unclassified', message: `invalid shard selector: ${shard.message}` });
}

/** Refuses field labels that the kind does not have, with the message its own conversion gives (spec 6.2). */
export function checkFieldSelector(kind: Kind, fields: readonly FieldRequirement[]): Result<undefined> {
  for (const { field } of fields) {
    if (!isSelectable(kind, field)) return failed(unsupportedField(kind, field));
  }
  return success(undefined);
}

function isSelectable(kind: Kind, field: string): boolean {
  if (field === 'metadata.name') return true;
  if (field === 'metadata.namespace') return kind.namespaceSelectable;
  return kind.selectableFields.some(({ label }) => label === field);
}

function unsupportedField(kind: Kind, field: string): Failure {
  const gvk = `${apiVersionOf(kind.group, kind.version)}, Kind=${kind.kind}`;
  const messages: Record<Kind['fieldLabelError'], string> = {
    custom: `field label not supported: ${field}`,
    default: `${quoteGo(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
    job: `field label ${quoteGo(field)} not supported for batchv1.Job`,
    resourceslice: `field label not supported for ${gvk}: ${field}`,
  };
  return { kind: 'badRequest', message: messages[kind.fieldLabelError] };
}
