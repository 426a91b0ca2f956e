import { marshalGo, quoteGo } from '../api/go-text.js';
import type { ListOptions } from '../api/list-options.js';
import { parseResourceVersion } from '../api/resource-version.js';
import type { StatusCause } from '../api/status.js';
import { type ContinueToken, decodeContinueToken } from './continue-token.js';
import type { Failure } from './failure.js';

/**
 * What a request reads, decided from its parameters and the state of the kind's cache alone: the
 * tables of spec 2.2 (validation), 2.3 (GET), 2.4 (LIST) and 3.1 (WATCH) are this function.
 */
export type ReadRequest =
  | { readonly verb: 'get'; readonly resourceVersion: string }
  | {
      readonly verb: 'list';
      readonly options: ListOptions;
      /** What continue tokens are relative to; ends in a slash. */
      readonly tokenPrefix: string;
      /** The field selector names one object whose key is known (spec 2.8). */
      readonly singleKey: boolean;
      /** Any label or field selector. */
      readonly filtered: boolean;
      /** The field selector names a field that the kind does not have. */
      readonly unsupportedField?: Failure;
    }
  | {
      readonly verb: 'watch';
      readonly options: ListOptions;
      /** The deprecated `/watch/` path. */
      readonly legacyPath: boolean;
      readonly unsupportedField?: Failure;
    };

export interface CacheCondition {
  /** uncached: the kind is read from the source. unready: its cache has no state to serve. */
  readonly cache: 'uncached' | 'unready' | 'ready';
  /** Whether the source's progress reports can prove that the cache is fresh (spec 1.7). */
  readonly progressTrusted: boolean;
}

export type ReadPlan = Rejected | { readonly read: 'refusedUntilReady' } | StatePlan | WatchPlan;

interface Rejected {
  readonly read: 'rejected';
  readonly failure: Failure;
}

export type ReadFrom = 'cache' | 'source';

/** Which state of the store a GET or LIST reads. */
export type StatePlan = {
  readonly from: ReadFrom;
  /** 0: everything. */
  readonly limit: number;
  /** Where the page starts; undefined: at the beginning. */
  readonly token?: ContinueToken;
} & (
  | { readonly read: 'mostRecent' }
  /** Whatever the cache has. */
  | { readonly read: 'any' }
  | { readonly read: 'notOlderThan'; readonly revision: bigint }
  | { readonly read: 'exact'; readonly revision: bigint }
);

export interface WatchPlan {
  readonly read: 'watch';
  readonly from: ReadFrom;
  readonly start: WatchStart;
  /** Close the synthetic events with the k8s.io/initial-events-end bookmark. */
  readonly initialEventsEnd: boolean;
}

export type WatchStart =
  /** Synthetic ADDED events for everything, then what comes after. */
  | { readonly at: 'stateMostRecent' }
  | { readonly at: 'stateNotOlderThan'; readonly revision: bigint }
  | { readonly at: 'stateAny' }
  /** Only what comes after. */
  | { readonly at: 'after'; readonly revision: bigint }
  | { readonly at: 'afterMostRecent' }
  | { readonly at: 'afterAny' }
  /** The stream is one ERROR event. */
  | { readonly at: 'error'; readonly message: string };

export function planRead(request: ReadRequest, condition: CacheCondition): ReadPlan {
  switch (request.verb) {
    case 'get':
      return planGet(request.resourceVersion, condition);
    case 'list':
      return planList(request, condition);
    case 'watch':
      return planWatch(request, condition);
  }
}

/** Without a resourceVersion a GET is as fresh as one from the source; any other GET from a cache may be older. */
function planGet(resourceVersion: string, { cache, progressTrusted }: CacheCondition): ReadPlan {
  const from: ReadFrom = cache === 'ready' ? 'cache' : 'source';
  if (resourceVersion === '') {
    return { read: 'mostRecent', from: progressTrusted ? from : 'source', limit: 0 };
  }
  const parsed = parseResourceVersion(resourceVersion);
  if (!parsed.ok) {
    const message = invalidVersion(resourceVersion, parsed.message);
    if (from === 'cache') return rejected({ kind: 'unclassified', message });
    return rejected({ kind: 'badRequest', message: `invalid resource version: ${message}` });
  }
  if (parsed.value === 0n) return { read: 'any', from, limit: 0 };
  return { read: 'notOlderThan', revision: parsed.value, from, limit: 0 };
}

function planList(
  { options, tokenPrefix, singleKey, filtered, unsupportedField }: Extract<ReadRequest, { verb: 'list' }>,
  condition: CacheCondition,
): ReadPlan {
  const causes = validateList(options);
  if (causes.length > 0) return rejected({ kind: 'invalid', causes });
  if (unsupportedField !== undefined) return rejected(unsupportedField);
  const state = listState(options, tokenPrefix, singleKey);
  if (state.read === 'rejected') return state;

  const { cache, progressTrusted } = condition;
  const limit = options.limit;
  const delegated =
    cache === 'uncached' ||
    (state.read === 'mostRecent' && !progressTrusted) ||
    (singleKey && (state.read === 'exact' || isLegacyExact(options)));
  if (delegated) return { ...state, from: 'source', limit };
  if (cache === 'unready') {
    // A page of everything is cheap for the source, and is how clients start; the rest has to wait for the cache.
    return limit > 0 && !filtered ? { ...state, from: 'source', limit } : { read: 'refusedUntilReady' };
  }
  return { ...state, from: 'cache', limit: options.resourceVersion === '0' && state.read === 'any' ? 0 : limit };
}

type ListState =
  | Rejected
  | { readonly read: 'mostRecent'; readonly token?: ContinueToken }
  | { readonly read: 'any' }
  | { readonly read: 'notOlderThan'; readonly revision: bigint }
  | { readonly read: 'exact'; readonly revision: bigint; readonly token?: ContinueToken };

function listState(options: ListOptions, tokenPrefix: string, singleKey: boolean): ListState {
  const { resourceVersion, resourceVersionMatch } = options;
  if (options.continue !== '') {
    const token = decodeContinueToken(options.continue, tokenPrefix);
    if (!token.ok) return rejected({ kind: 'badRequest', message: `invalid continue token: ${token.message}` });
    if (resourceVersion !== '' && resourceVersion !== '0') {
      const message = 'specifying resource version is not allowed when using continue';
      return rejected({ kind: 'badRequest', message });
    }
    if (token.value.revision < 0n) return { read: 'mostRecent', token: token.value };
    return { read: 'exact', revision: token.value.revision, token: token.value };
  }
  if (resourceVersion === '') return { read: 'mostRecent' };
  const parsed = parseResourceVersion(resourceVersion);
  if (!parsed.ok) {
    const message = `invalid resource version: ${invalidVersion(resourceVersion, parsed.message)}`;
    return rejected({ kind: 'badRequest', message });
  }
  const revision = parsed.value;
  if (revision === 0n) return { read: 'any' };
  if (resourceVersionMatch === 'Exact') return { read: 'exact', revision };
  // Before resourceVersionMatch existed, a limit meant exactly this version. One object never had pages.
  if (isLegacyExact(options) && !singleKey) return { read: 'exact', revision };
  return { read: 'notOlderThan', revision };
}

function isLegacyExact({ resourceVersion, resourceVersionMatch, limit }: ListOptions): boolean {
  return resourceVersionMatch === '' && limit > 0 && resourceVersion !== '' && resourceVersion !== '0';
}

function planWatch(
  { options, legacyPath, unsupportedField }: Extract<ReadRequest, { verb: 'watch' }>,
  condition: CacheCondition,
): ReadPlan {
  // The deprecated path is validated as what its query says, which seldom contains `watch`.
  const asWatch = !legacyPath || options.watch;
  const defaulted = asWatch ? withWatchListDefaults(options) : options;
  const causes = asWatch ? validateWatch(defaulted) : validateList(defaulted);
  if (causes.length > 0) return rejected({ kind: 'invalid', causes });
  if (unsupportedField !== undefined) return rejected(unsupportedField);
  const parsed = parseResourceVersion(options.resourceVersion);
  if (!parsed.ok) {
    return rejected({ kind: 'unclassified', message: invalidVersion(options.resourceVersion, parsed.message) });
  }
  const { cache, progressTrusted } = condition;
  if (cache === 'unready') return { read: 'refusedUntilReady' };
  const from: ReadFrom = cache === 'ready' ? 'cache' : 'source';
  const { sendInitialEvents } = defaulted;
  const initialEventsEnd = sendInitialEvents === true && options.allowWatchBookmarks;
  if (initialEventsEnd && from === 'cache' && !progressTrusted) {
    // Clients fall back to LIST and WATCH when they see this.
    const message =
      'a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled';
    return { read: 'watch', from, start: { at: 'error', message }, initialEventsEnd: false };
  }
  return {
    read: 'watch',
    from,
    start: watchStart(sendInitialEvents, options.resourceVersion, parsed.value),
    initialEventsEnd,
  };
}

function watchStart(sendInitialEvents: boolean | undefined, text: string, revision: bigint): WatchStart {
  if (sendInitialEvents === true) {
    if (text === '') return { at: 'stateMostRecent' };
    return revision === 0n ? { at: 'stateAny' } : { at: 'stateNotOlderThan', revision };
  }
  if (revision > 0n) return { at: 'after', revision };
  if (sendInitialEvents === undefined) return { at: 'stateAny' };
  return text === '' ? { at: 'afterMostRecent' } : { at: 'afterAny' };
}

/** An old-style watch from the beginning is a WatchList since 1.34. */
function withWatchListDefaults(options: ListOptions): ListOptions {
  const { resourceVersion, resourceVersionMatch, sendInitialEvents } = options;
  const fromBeginning = resourceVersion === '' || resourceVersion === '0';
  if (!fromBeginning || sendInitialEvents !== undefined || resourceVersionMatch !== '') return options;
  return { ...options, sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' };
}

function validateList(options: ListOptions): StatusCause[] {
  const { resourceVersion, resourceVersionMatch: match } = options;
  const causes: StatusCause[] = [];
  if (match !== '') {
    if (resourceVersion === '') {
      causes.push(forbidden('resourceVersionMatch is forbidden unless resourceVersion is provided'));
    }
    if (options.continue !== '') causes.push(forbidden(MATCH_WITH_CONTINUE));
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      causes.push(notSupported(match, '"Exact", "NotOlderThan", ""'));
    }
    if (match === 'Exact' && resourceVersion === '0') {
      causes.push(forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (options.sendInitialEvents !== undefined) {
    causes.push(forbidden('sendInitialEvents is forbidden for list', 'sendInitialEvents'));
  }
  return causes;
}

function validateWatch(options: ListOptions): StatusCause[] {
  const { resourceVersionMatch: match, sendInitialEvents } = options;
  const causes: StatusCause[] = [];
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    causes.push(forbidden('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  }
  if (match === '') return causes;
  if (sendInitialEvents === undefined) {
    causes.push(forbidden('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
  }
  if (match !== 'NotOlderThan') causes.push(notSupported(match, '"NotOlderThan"'));
  if (options.continue !== '') causes.push(forbidden(MATCH_WITH_CONTINUE));
  return causes;
}

const MATCH_WITH_CONTINUE = 'resourceVersionMatch is forbidden when continue is provided';

function forbidden(message: string, field = 'resourceVersionMatch'): StatusCause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${message}`, field };
}

function notSupported(match: string, supported: string): StatusCause {
  const message = `Unsupported value: ${marshalGo(match)}: supported values: ${supported}`;
  return { reason: 'FieldValueNotSupported', message, field: 'resourceVersionMatch' };
}

function invalidVersion(text: string, message: string): string {
  return `resourceVersion: Invalid value: ${quoteGo(text)}: ${message}`;
}

function rejected(failure: Failure): Rejected {
  return { read: 'rejected', failure };
}
