import { readBoolean, readList, bad, type ValueReader } from './values.js';

/** What can be switched. All gates that upstream has on the read path and that are decided here are in `decided`. */
export interface FeatureGates {
  /** Alpha in Kubernetes 1.36, and off: `shardSelector` of LIST and WATCH. */
  readonly shardedListAndWatch: boolean;
}

/**
 * Gates with one value here, which manifests of kube-apiserver may name: the behaviour is built in
 * (docs/ARCHITECTURE.md), or there is nothing behind the gate.
 */
const decided: ReadonlyMap<string, boolean> = new Map([
  ['AggregatedDiscoveryRemoveBetaType', true],
  ['APIResponseCompression', true],
  ['CBORServingAndStorage', false],
  ['ConsistentListFromCache', true],
  ['ConstrainedImpersonation', true],
  ['DetectCacheInconsistency', true],
  ['ListFromCacheSnapshot', true],
  ['ResilientWatchCacheInitialization', true],
  ['SeparateCacheWatchRPC', false],
  ['StreamingCollectionEncodingToJSON', true],
  ['StreamingCollectionEncodingToProtobuf', true],
  ['WatchList', true],
]);

const SHARDED = 'ShardedListAndWatch';
/** Every alpha gate that is not named itself. */
const ALL_ALPHA = 'AllAlpha';

export const defaultFeatureGates: FeatureGates = { shardedListAndWatch: false };

/** `ShardedListAndWatch=true,WatchList=true`, kube-apiserver's notation; of a gate that is named twice the last value counts. */
export const readFeatureGates: ValueReader<FeatureGates> = (flag, text) => {
  const gates = new Map<string, boolean>();
  for (const item of readList(flag, text)) {
    const equals = item.indexOf('=');
    if (equals < 0) throw bad(flag, item, `a value is missing: expected ${item}=true or ${item}=false`);
    const name = item.slice(0, equals).trim();
    const value = readBoolean(flag, item.slice(equals + 1).trim());
    const only = decided.get(name);
    if (only !== undefined && only !== value) throw bad(flag, item, `${name} is always ${only} in listwatch`);
    if (only === undefined && name !== SHARDED && name !== ALL_ALPHA) {
      throw bad(flag, item, `unknown feature gate; there are ${[SHARDED, ALL_ALPHA, ...decided.keys()].join(', ')}`);
    }
    gates.set(name, value);
  }
  return { shardedListAndWatch: gates.get(SHARDED) ?? gates.get(ALL_ALPHA) ?? false };
};
