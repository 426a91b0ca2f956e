/** Every bound of the process, in one place. Flags override some of them through app/config.ts. */
export interface Limits {
  /** Keys asked of the source per page of a list, at most: etcd pages by count. */
  readonly listPageCount: number;
  /** A page has so many keys that it takes about this, by the size of those before it. */
  readonly listPageBytes: number;
  /** Pages of all lists together that may be under way or in memory. docs/adr/0015, 0019 */
  readonly listPagesMax: number;
  /** One watch response, complete with fragments, may not be larger. */
  readonly watchResponseBytesMax: number;
  /** While changes come fast, reading them is left for so long, or until so many bytes have come. docs/adr/0018 */
  readonly watchReadTickMs: number;
  readonly watchReadTickBytes: number;
  /** From so many changes a second on; below, each is read when it comes. */
  readonly watchReadTickRate: number;
  /** History kept per kind: until both the time and the bytes are exceeded, whichever comes first drops. */
  readonly historyMs: number;
  readonly historyBytesMin: number;
  readonly historyBytesFraction: number;
  /** Of the source, before the present one: where a cache begins, so that watches can go on from before its start. docs/adr/0042 */
  readonly initialHistoryRevisions: number;
  /** A read that waits for a revision gives up after this long, as upstream's cacher. */
  readonly freshWaitMs: number;
  /** While a read waits for freshness, ask etcd for progress this often. */
  readonly progressRequestEveryMs: number;
  readonly bookmarkEveryMs: number;
  /** Bookmark this long before a watch's own deadline. */
  readonly bookmarkBeforeDeadlineMs: number;
  /** Default timeout of a WATCH is random in [this, twice this). */
  readonly watchTimeoutMinMs: number;
  /** Watches that one client may have open; 0: any number. */
  readonly watchesPerClientMax: number;
  readonly requestTimeoutMs: number;
  /** Requests that are answered at once, watches apart; 0: no bound. kube-apiserver's default. */
  readonly requestsInFlightMax: number;
  /** The same for what is posted or otherwise not read, which kube-apiserver calls mutating. */
  readonly postsInFlightMax: number;
  /** Frames of one group of watchers kept for laggards. */
  readonly groupFrameBytesMax: number;
  /** A watcher's unsent bytes in one transport before it counts as lagging. */
  readonly watcherUnsentBytesMax: number;
  /** Watch flush: at most this long after an event, or at once with this many bytes. docs/adr/0025 */
  readonly watchFlushMs: number;
  readonly watchFlushBytes: number;
  /** What a LIST copies before it writes, and a quarter of what it gathers. docs/adr/0020, 0025 */
  readonly listChunkBytes: number;
  /** Chunks that no LIST uses, kept to be filled again. docs/adr/0027 */
  readonly listSpareBytesMax: number;
  /** Bytes of a kind that LISTs have moved, and whose places of before readers may still read; then nothing more is moved. docs/adr/0046 */
  readonly movedBytesMax: number;
  /** A LIST yields to ingest and watches after this long. docs/adr/0025 */
  readonly listSliceMs: number;
  /** Items of LISTs that are kept encoded, of all kinds together; 0 keeps none. docs/adr/0009 */
  readonly fragmentCacheBytes: number;
  /** When that is full, what was not used for this long makes room. */
  readonly fragmentIdleMs: number;
  /** What was not used for this long is let go. */
  readonly fragmentKeptMs: number;
  /** Leaves with a larger object are encoded for each LIST. docs/adr/0009 */
  readonly fragmentObjectBytesMax: number;
  /** Leaves that a compressed LIST may have in the compressor, ahead of the one it writes. docs/adr/0025 */
  readonly deflateAhead: number;
  /** Wire bytes of LIST items that wait for encode workers, or are encoded and not written yet. docs/adr/0011 */
  readonly encodeAheadBytesMax: number;
  /** Tasks of encode workers, likewise. */
  readonly encodeTasksMax: number;
  /** Fewer bytes are not worth the way to a worker. */
  readonly encodeTaskBytesMin: number;
  /** A worker that is at one task for longer is replaced. */
  readonly encodeTaskMs: number;
  /** A worker that had nothing to do for this long ends. */
  readonly encodeWorkerIdleMs: number;
  /** After a worker has crashed the next one is not started before this. */
  readonly encodeWorkerRestartMs: number;
  /** A pin held longer aborts its response. */
  readonly pinMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly consistencyCheckEveryMs: number;
  /** Kinds that changed are written to --cache-dir this often. */
  readonly checkpointEveryMs: number;
  /** Those that did not: before etcd compacts the revision, which kube-apiserver has it do after 5 to 10 minutes. */
  readonly checkpointRefreshMs: number;
  /** Written and read at a time. docs/adr/0015 */
  readonly checkpointBlockBytes: number;
  /** The last checkpoint may hold up a shutdown for this long. */
  readonly checkpointShutdownMs: number;
  /** What the label and field indexes of a kind may reserve: the larger of these. docs/adr/0006 */
  readonly indexBytesMin: number;
  readonly indexBytesFraction: number;
  /** An index that nothing was selected by for this long is let go. */
  readonly indexIdleMs: number;
  /** Shares of the memory budget at which caches are emptied, histories shortened, costly LISTs refused. docs/adr/0014 */
  readonly memoryShedAt: number;
  readonly memoryShortenAt: number;
  readonly memoryRefuseAt: number;
  /** Each of these ends once the use is this share lower. */
  readonly memoryHysteresis: number;
  readonly memorySampleMs: number;
  /** While costly LISTs are refused, one is let through alone this often. */
  readonly memoryAloneEveryMs: number;
  /** The loop is idle when, over this time, it is busy for less than this share; docs/adr/0019 */
  readonly idleSampleMs: number;
  readonly idleBusyShare: number;
  /** Idle after it has been busy for this long, it collects garbage. */
  readonly idleCollectAfterMs: number;
  /** The least share of its usual bytes that a history keeps. */
  readonly historyShareMin: number;
  /** A LIST that reads no more than this is never refused for lack of memory. */
  readonly cheapListBytes: number;
  /** What RBAC keeps of one user: kinds of requests that it has decided about. */
  readonly verdictsPerUserMax: number;
  /** Users that a front proxy names, or that are impersonated, whose decisions are kept. */
  readonly identitiesMax: number;
  /** Users of whom it is remembered by which rules they could impersonate somebody last. */
  readonly impersonatorsMax: number;
  /** What was allowed to impersonate by one set of rules, and for how long that is known: kube-apiserver's time. */
  readonly impersonationsMax: number;
  readonly impersonationKeptMs: number;
  /** Bearer tokens whose owner is remembered, and for how long. */
  readonly tokensMax: number;
  readonly tokenKeptMs: number;
  /** Answers of webhooks that are kept: whose token it is, and who may do what. */
  readonly reviewedTokensMax: number;
  readonly reviewedAccessMax: number;
  /** Connections to one webhook: whoever needs one more waits for it. */
  readonly reviewConnectionsMax: number;
  readonly reviewAnswerBytesMax: number;
  /** Requests that wait until somebody else has said who asks, and whether they may: the next one is told to come back. */
  readonly admissionsWaitingMax: number;
  readonly requestBodyBytesMax: number;
  /** Bodies that are being read, all together: the next one is refused. */
  readonly requestBodiesBytesMax: number;
  /** Of a request's head, and how many headers: Node would pass over what is too many. */
  readonly headerBytesMax: number;
  readonly headersMax: number;
  readonly continueTokenBytesMax: number;
  /** A client that does not take the end of its stream within this time is cut off. */
  readonly lingerMs: number;
  /** Responses in flight at shutdown get this long to finish. */
  readonly shutdownMs: number;
  /** Over which watches end at a shutdown; 0: all at once. */
  readonly watchTerminationGraceMs: number;
  /** A connection to the target of --forward-to must be there within this time, as Go's dialers have it. */
  readonly forwardDialMs: number;
  /** One that is idle is closed after this time: sooner than kube-apiserver, which may else do so while a request is on its way. */
  readonly forwardIdleMs: number;
  /** What the target says it has is asked for again after this long, must come within a time, and has a size. */
  readonly forwardDiscoveryMs: number;
  readonly forwardDiscoveryTimeoutMs: number;
  readonly forwardDiscoveryBytesMax: number;
  /** Connections without a request are closed after this long. */
  readonly idleConnectionMs: number;
  /** From the first byte of a request's head to its end, as kube-apiserver has it; and for the handshake of TLS. */
  readonly requestHeadMs: number;
  /** Open connections; 0: any number. */
  readonly connectionsMax: number;
  /** Streams that one HTTP/2 connection may have open at once. */
  readonly http2StreamsMax: number;
  /** How often it is looked whether the files of the certificate have changed. */
  readonly certificatePollMs: number;
  /** How often it is looked whether --encryption-provider-config has changed, as kube-apiserver does. */
  readonly encryptionPollMs: number;
  /** Data keys of one KMS provider that are kept, and for how long, as kube-apiserver does. docs/adr/0037 */
  readonly kmsDataKeysMax: number;
  readonly kmsDataKeyMs: number;
  /** Data keys that its plugin did not decrypt: they are asked for again, first after the shorter time. */
  readonly kmsFailuresMax: number;
  readonly kmsRetryMinMs: number;
  readonly kmsRetryMaxMs: number;
  /** Calls of one plugin that are under way. */
  readonly kmsCallsMax: number;
  /** Changes of one watch that wait for data keys. */
  readonly kmsHeldBytesMax: number;
  /** What one HTTP/2 connection may hold for streams that do not read; beyond it, new streams are refused. */
  readonly http2SessionBytesMax: number;
  /** Of a hollow cluster: nodes, pods, open watches, and seconds that its report can show one by one. */
  readonly hollowNodesMax: number;
  readonly hollowPodsMax: number;
  readonly hollowWatchesMax: number;
  readonly hollowMomentsMax: number;
  /** Writes whose events its watchers may still see, and events whose writes are not known yet. */
  readonly hollowLagsMax: number;
  /** Bindings of its scheduler that are under way. */
  readonly hollowBindingsMax: number;
  /** The server under test must be ready, and at the end be gone, within this. */
  readonly hollowServerMs: number;
  /** After the test, for pods that are still on their way. */
  readonly hollowSettleMs: number;
}

export const defaultLimits: Limits = {
  listPageCount: 5_000,
  listPageBytes: 8 * 2 ** 20,
  listPagesMax: 4,
  watchResponseBytesMax: 512 * 2 ** 20,
  watchReadTickMs: 5,
  watchReadTickBytes: 64 * 2 ** 10,
  watchReadTickRate: 200,
  historyMs: 75_000,
  historyBytesMin: 64 * 2 ** 20,
  historyBytesFraction: 0.25,
  initialHistoryRevisions: 0,
  freshWaitMs: 3_000,
  progressRequestEveryMs: 100,
  bookmarkEveryMs: 60_000,
  bookmarkBeforeDeadlineMs: 2_000,
  watchTimeoutMinMs: 1_800_000,
  watchesPerClientMax: 0,
  requestTimeoutMs: 60_000,
  requestsInFlightMax: 400,
  postsInFlightMax: 200,
  groupFrameBytesMax: 4 * 2 ** 20,
  watcherUnsentBytesMax: 2 ** 20,
  watchFlushMs: 2,
  watchFlushBytes: 16 * 2 ** 10,
  listChunkBytes: 256 * 2 ** 10,
  listSpareBytesMax: 8 * 2 ** 20,
  movedBytesMax: 32 * 2 ** 20,
  listSliceMs: 8,
  fragmentCacheBytes: 512 * 2 ** 20,
  fragmentIdleMs: 60_000,
  fragmentKeptMs: 600_000,
  fragmentObjectBytesMax: 128 * 2 ** 10,
  deflateAhead: 4,
  encodeAheadBytesMax: 32 * 2 ** 20,
  encodeTasksMax: 256,
  encodeTaskBytesMin: 16 * 2 ** 10,
  encodeTaskMs: 10_000,
  encodeWorkerIdleMs: 60_000,
  encodeWorkerRestartMs: 1_000,
  pinMs: 120_000,
  backoffMinMs: 100,
  backoffMaxMs: 3_000,
  consistencyCheckEveryMs: 300_000,
  checkpointEveryMs: 60_000,
  checkpointRefreshMs: 120_000,
  checkpointBlockBytes: 2 ** 20,
  checkpointShutdownMs: 15_000,
  indexBytesMin: 64 * 2 ** 20,
  indexBytesFraction: 0.1,
  indexIdleMs: 3_600_000,
  memoryShedAt: 0.75,
  memoryShortenAt: 0.85,
  memoryRefuseAt: 0.92,
  memoryHysteresis: 0.05,
  memorySampleMs: 250,
  memoryAloneEveryMs: 15_000,
  idleSampleMs: 1_000,
  idleBusyShare: 0.05,
  idleCollectAfterMs: 500,
  historyShareMin: 1 / 16,
  cheapListBytes: 1_000_000,
  verdictsPerUserMax: 1_024,
  identitiesMax: 4_096,
  impersonatorsMax: 10_000,
  impersonationsMax: 4_096,
  impersonationKeptMs: 10_000,
  tokensMax: 4_096,
  tokenKeptMs: 300_000,
  reviewedTokensMax: 16_384,
  reviewedAccessMax: 8_192,
  reviewConnectionsMax: 256,
  reviewAnswerBytesMax: 2 ** 20,
  admissionsWaitingMax: 4_000,
  requestBodyBytesMax: 3 * 2 ** 20,
  requestBodiesBytesMax: 64 * 2 ** 20,
  headerBytesMax: 2 ** 20,
  headersMax: 1_000,
  continueTokenBytesMax: 16 * 2 ** 10,
  lingerMs: 10_000,
  shutdownMs: 60_000,
  watchTerminationGraceMs: 0,
  forwardDialMs: 30_000,
  forwardIdleMs: 30_000,
  forwardDiscoveryMs: 10_000,
  forwardDiscoveryTimeoutMs: 5_000,
  forwardDiscoveryBytesMax: 32 * 2 ** 20,
  idleConnectionMs: 90_000,
  requestHeadMs: 32_000,
  connectionsMax: 0,
  http2StreamsMax: 1_000,
  certificatePollMs: 5_000,
  encryptionPollMs: 60_000,
  kmsDataKeysMax: 4_096,
  kmsDataKeyMs: 24 * 3_600_000,
  kmsFailuresMax: 256,
  kmsRetryMinMs: 1_000,
  kmsRetryMaxMs: 30_000,
  kmsCallsMax: 64,
  kmsHeldBytesMax: 16 * 2 ** 20,
  http2SessionBytesMax: 128 * 2 ** 20,
  hollowNodesMax: 5_000,
  hollowPodsMax: 200_000,
  hollowWatchesMax: 100_000,
  hollowMomentsMax: 4_096,
  hollowLagsMax: 65_536,
  hollowBindingsMax: 16,
  hollowServerMs: 60_000,
  hollowSettleMs: 10_000,
};
