import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { type Config, type FlagValues, resolveConfig } from '../../src/app/config.js';
import { UsageError } from '../../src/app/usage-error.js';

const HOME = { HOME: '/home/ada' };
const etcd = { 'etcd-servers': 'http://127.0.0.1:2379' } as const;

/** The part of the configuration that a row is about. */
const accepted: readonly [flags: FlagValues, part: (config: Config) => unknown, want: unknown][] = [
  [{}, ({ store }) => store, { kind: 'embedded', prefix: '/registry' }],
  [{}, ({ insecure }) => insecure, { address: '127.0.0.1', port: 8080, elsewhere: true }],
  [{}, ({ secure }) => secure?.tls, { certDirectory: '/home/ada/.local/state/listwatch' }],
  [{ 'insecure-port': '9000' }, ({ insecure }) => insecure, { address: '127.0.0.1', port: 9000, elsewhere: false }],
  [{ 'insecure-port': '0' }, ({ insecure }) => insecure, undefined],
  [{ 'secure-port': '0' }, ({ secure }) => secure, undefined],
  [{ 'bind-address': '::1' }, ({ secure }) => secure?.address, '::1'],
  [etcd, ({ insecure }) => insecure, undefined],
  [etcd, ({ secure }) => [secure?.port, secure?.elsewhere], [6443, false]],
  [{ ...etcd, 'insecure-port': '8001' }, ({ insecure }) => insecure?.port, 8001],
  [
    { 'etcd-servers': 'https://a:1, https://b:2' },
    ({ store }) => store.kind === 'etcd' && store.endpoints,
    ['https://a:1', 'https://b:2'],
  ],
  [{}, ({ etcdOverrides }) => [...etcdOverrides], []],
  [
    { ...etcd, 'etcd-servers-overrides': '/events#http://a:1;http://b:2, apps/deployments#https://c:3' },
    ({ etcdOverrides }) => [...etcdOverrides],
    [
      ['events', ['http://a:1', 'http://b:2']],
      ['deployments.apps', ['https://c:3']],
    ],
  ],
  [{ ...etcd, 'etcd-prefix': 'registry/' }, ({ store }) => store.prefix, '/registry'],
  [{ 'etcd-prefix': '//a//b/' }, ({ store }) => store.prefix, '/a/b'],
  [etcd, ({ cacheDir }) => cacheDir, undefined],
  [
    { ...etcd, 'cache-dir': '/var/cache/listwatch', 'checkpoint-interval': '5m' },
    ({ cacheDir, limits }) => [cacheDir, limits.checkpointEveryMs],
    ['/var/cache/listwatch', 300_000],
  ],
  [{ 'watch-cache': 'false' }, ({ watchCache }) => watchCache, false],
  [{ 'watch-cache': true }, ({ watchCache }) => watchCache, true],
  [
    { 'watch-cache-sizes': 'events#100,leases.coordination.k8s.io#0' },
    ({ watchCacheSizes }) => [...watchCacheSizes],
    [
      ['events', 100],
      ['leases.coordination.k8s.io', 0],
    ],
  ],
  [{}, ({ access }) => access, undefined],
  [{ 'token-auth-file': 'f' }, ({ access }) => [access?.anonymous, access?.modes], [true, []]],
  [{ 'authorization-mode': 'AlwaysAllow' }, ({ access }) => access, undefined],
  [{ 'authorization-mode': 'Node,RBAC' }, ({ access }) => access?.modes, ['Node', 'RBAC']],
  [
    {
      'service-account-key-file': ['f', 'g'],
      'service-account-issuer': ['https://a', 'b'],
      'service-account-jwks-uri': 'https://c/d',
    },
    ({ access }) => access?.serviceAccounts,
    {
      keyFiles: ['f', 'g'],
      issuers: ['https://a', 'b'],
      audiences: ['https://a', 'b'],
      lookup: true,
      keysUrl: 'https://c/d',
    },
  ],
  [
    { 'service-account-key-file': ['f'], 'api-audiences': 'x,y', 'service-account-lookup': 'false' },
    ({ access }) => [access?.serviceAccounts?.audiences, access?.serviceAccounts?.lookup],
    [['x', 'y'], false],
  ],
  [
    { 'authentication-token-webhook-config-file': 'f', 'bind-address': '0.0.0.0' },
    ({ access }) => access?.tokenWebhook,
    {
      flag: 'authentication-token-webhook-config-file',
      file: 'f',
      version: 'v1beta1',
      isApiserver: false,
      cacheTtlMs: 120_000,
      errorTtlMs: 10_000,
      audiences: [],
    },
  ],
  [
    { 'authentication-kubeconfig': 'f', 'api-audiences': 'a,b' },
    ({ access }) => access?.tokenWebhook,
    {
      flag: 'authentication-kubeconfig',
      file: 'f',
      version: 'v1',
      isApiserver: true,
      cacheTtlMs: 10_000,
      errorTtlMs: 0,
      audiences: ['a', 'b'],
    },
  ],
  [
    {
      'authentication-token-webhook-config-file': 'f',
      'authentication-token-webhook-cache-ttl': '5s',
      'authentication-token-webhook-version': 'v1',
      'service-account-key-file': ['k'],
      'service-account-issuer': ['https://a'],
    },
    ({ access }) => [
      access?.tokenWebhook?.cacheTtlMs,
      access?.tokenWebhook?.errorTtlMs,
      access?.tokenWebhook?.version,
      access?.tokenWebhook?.audiences,
    ],
    [5_000, 5_000, 'v1', ['https://a']],
  ],
  [
    { 'authorization-mode': 'Node,Webhook,RBAC', 'authorization-webhook-config-file': 'f' },
    ({ access }) => [access?.modes, access?.accessWebhook],
    [
      ['Node', 'Webhook', 'RBAC'],
      {
        flag: 'authorization-webhook-config-file',
        file: 'f',
        version: 'v1beta1',
        isApiserver: false,
        authorizedTtlMs: 300_000,
        unauthorizedTtlMs: 30_000,
        alwaysAllowPaths: [],
      },
    ],
  ],
  [
    { 'authorization-kubeconfig': 'f', 'authorization-always-allow-paths': 'healthz,/x/*' },
    ({ access }) => [access?.modes, access?.accessWebhook?.alwaysAllowPaths, access?.accessWebhook?.authorizedTtlMs],
    [['Webhook'], ['/healthz', '/x/*'], 10_000],
  ],
  [
    { 'authorization-kubeconfig': 'f', 'authorization-mode': 'RBAC,Webhook' },
    ({ access }) => [access?.modes, access?.accessWebhook?.alwaysAllowPaths],
    [
      ['RBAC', 'Webhook'],
      ['/healthz', '/readyz', '/livez'],
    ],
  ],
  [
    { 'authorization-mode': 'RBAC,Webhook,AlwaysAllow,Node', 'authorization-webhook-config-file': 'f' },
    ({ access }) => access?.modes,
    ['RBAC', 'Webhook', 'AlwaysAllow'],
  ],
  [{ 'authorization-mode': 'RBAC,AlwaysDeny' }, ({ access }) => access?.modes, ['RBAC', 'AlwaysDeny']],
  [{ 'authorization-mode': 'RBAC,AlwaysAllow', 'client-ca-file': 'f' }, ({ access }) => access?.modes, []],
  [
    { 'authorization-mode': 'RBAC', 'client-ca-file': 'f', 'bind-address': '0.0.0.0', 'anonymous-auth': 'true' },
    ({ access }) => access?.anonymous,
    true,
  ],
  [
    { 'token-auth-file': 'f', 'bind-address': '0.0.0.0' },
    ({ access, secure }) => [access?.anonymous, secure?.address],
    [false, '0.0.0.0'],
  ],
  [
    { 'requestheader-client-ca-file': 'f', 'requestheader-username-headers': 'X-User,X-Remote-User' },
    ({ access }) => access?.frontProxy,
    {
      clientCaFile: 'f',
      allowedNames: [],
      usernameHeaders: ['x-user', 'x-remote-user'],
      groupHeaders: ['x-remote-group'],
      uidHeaders: [],
      extraPrefixes: ['x-remote-extra-'],
    },
  ],
  [{}, ({ eager }) => eager, new Set()],
  [{ 'watch-cache-initialization': 'eager' }, ({ eager }) => eager, 'all'],
  [
    { 'watch-cache-initialization': 'pods,deployments.apps' },
    ({ eager }) => eager,
    new Set(['pods', 'deployments.apps']),
  ],
  [{ 'watch-cache-initialization': 'foos.ex.io' }, ({ eager }) => eager, new Set(['foos.ex.io'])],
  [{ 'storage-engine': 'leases=hash' }, ({ engines }) => [...engines], [['leases.coordination.k8s.io', 'hash']]],
  [{}, ({ featureGates }) => featureGates, { shardedListAndWatch: false }],
  [
    { 'feature-gates': 'WatchList=true, ShardedListAndWatch=true,CBORServingAndStorage=false' },
    ({ featureGates }) => featureGates,
    { shardedListAndWatch: true },
  ],
  [{ 'feature-gates': 'AllAlpha=true' }, ({ featureGates }) => featureGates.shardedListAndWatch, true],
  [
    { 'feature-gates': 'ShardedListAndWatch=false,AllAlpha=true' },
    ({ featureGates }) => featureGates.shardedListAndWatch,
    false,
  ],
  [
    { 'feature-gates': 'ShardedListAndWatch=true,ShardedListAndWatch=0' },
    ({ featureGates }) => featureGates.shardedListAndWatch,
    false,
  ],
  [{}, ({ encodeWorkers }) => encodeWorkers, availableParallelism() - 1],
  [{ 'encode-workers': '0' }, ({ encodeWorkers }) => encodeWorkers, 0],
  [{ 'history-bytes': '8Mi' }, ({ limits }) => [limits.historyBytesMin, limits.historyBytesFraction], [8 * 2 ** 20, 0]],
  [{ 'request-timeout': '1m30s' }, ({ limits }) => limits.requestTimeoutMs, 90_000],
  [{}, ({ limits }) => limits.requestsInFlightMax, 400],
  [{ 'max-requests-inflight': '0' }, ({ limits }) => limits.requestsInFlightMax, 0],
  [{ 'max-mutating-requests-inflight': '7' }, ({ limits }) => limits.postsInFlightMax, 7],
  [{}, ({ limits }) => [limits.connectionsMax, limits.http2StreamsMax], [0, 1_000]],
  [
    { 'max-connections': '5000', 'http2-max-streams-per-connection': '250' },
    ({ limits }) => [limits.connectionsMax, limits.http2StreamsMax],
    [5_000, 250],
  ],
  [{ 'http2-max-streams-per-connection': '0' }, ({ limits }) => limits.http2StreamsMax, 1_000],
  [{}, ({ secure }) => secure?.protocol, {}],
  [{ 'tls-min-version': 'VersionTLS13' }, ({ secure }) => secure?.protocol, { minVersion: 'TLSv1.3' }],
  [
    { 'tls-cipher-suites': 'TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256' },
    ({ secure }) => secure?.protocol.ciphers,
    'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES128-GCM-SHA256',
  ],
  [{}, ({ memoryBudget }) => memoryBudget, undefined],
  [{ 'memory-budget': '2GiB' }, ({ memoryBudget }) => memoryBudget, 2 * 2 ** 30],
  [{ 'memory-budget': '536870912' }, ({ memoryBudget }) => memoryBudget, 512 * 2 ** 20],
  [{ 'fragment-cache-bytes': '0' }, ({ limits }) => limits.fragmentCacheBytes, 0],
  [{ 'fragment-cache-bytes': '1Mi' }, ({ limits }) => limits.fragmentCacheBytes, 2 ** 20],
  [{ 'memory-budget': '0' }, ({ memoryBudget }) => memoryBudget, 0],
  [{ 'memory-budget': '0' }, ({ limits }) => limits.fragmentCacheBytes, 512 * 2 ** 20],
  [{ 'memory-budget': '8Gi' }, ({ limits }) => limits.fragmentCacheBytes, 512 * 2 ** 20],
  [{ 'memory-budget': '1Gi' }, ({ limits }) => limits.fragmentCacheBytes, 256 * 2 ** 20],
  [{ 'memory-budget': '1Gi', 'fragment-cache-bytes': '1Gi' }, ({ limits }) => limits.fragmentCacheBytes, 2 ** 30],
  [{}, ({ omitManagedFields }) => omitManagedFields, false],
  [{ 'omit-managed-fields': true }, ({ omitManagedFields }) => omitManagedFields, true],
  [{ 'min-request-timeout': '300' }, ({ limits }) => limits.watchTimeoutMinMs, 300_000],
  [{ 'max-watches-per-client': '5' }, ({ limits }) => limits.watchesPerClientMax, 5],
  [etcd, ({ limits }) => limits.initialHistoryRevisions, 0],
  [{ ...etcd, 'initial-history': '10000' }, ({ limits }) => limits.initialHistoryRevisions, 10_000],
  [{}, ({ limits }) => limits.watchTerminationGraceMs, 0],
  [{ 'shutdown-watch-termination-grace-period': '20s' }, ({ limits }) => limits.watchTerminationGraceMs, 20_000],
  [{}, ({ goAwayChance }) => goAwayChance, 0],
  [{ 'goaway-chance': '.001' }, ({ goAwayChance }) => goAwayChance, 0.001],
  [{ 'goaway-chance': '2e-2' }, ({ goAwayChance }) => goAwayChance, 0.02],
  [{ 'shutdown-delay-duration': '250ms' }, ({ shutdownDelayMs }) => shutdownDelayMs, 250],
  [{ sample: true }, ({ sample }) => sample, { nodes: 50, pods: 1500, churn: 20, seed: 1, eventTtlSeconds: 3600 }],
  [
    { sample: 'pods=7,churn=0', 'sample-seed': '9' },
    ({ sample }) => [sample?.pods, sample?.churn, sample?.seed],
    [7, 0, 9],
  ],
  [{ load: ['a.yaml', 'b'] }, ({ load }) => load, { paths: ['a.yaml', 'b'], ignoreErrors: false }],
  [{ load: ['a'], 'load-ignore-errors': true }, ({ load }) => load?.ignoreErrors, true],
];

for (const [flags, part, want] of accepted) {
  test(`serve ${JSON.stringify(flags)}`, () => assert.deepEqual(part(resolveConfig(flags, HOME)), want));
}

const refused: readonly [flags: FlagValues, message: RegExp][] = [
  [
    { ...etcd, 'etcd-servers-overrides': 'events#http://a:1' },
    /^--etcd-servers-overrides "events#http:\/\/a:1": expected group/,
  ],
  [{ ...etcd, 'etcd-servers-overrides': '/odds#http://a:1' }, /no such built-in resource/],
  [{ ...etcd, 'etcd-servers-overrides': '/events#ftp://a:1' }, /expected an http:/],
  [{ 'etcd-servers-overrides': '/events#http://a:1' }, /has no effect without --etcd-servers/],
  [{ 'secure-port': '70000' }, /^--secure-port "70000": expected a port from 1 to 65535/],
  [{ 'insecure-port': 'http' }, /^--insecure-port "http": expected a port/],
  [{ 'insecure-port': '-1' }, /expected a port/],
  [{ 'secure-port': '0', 'insecure-port': '0' }, /leave no listener/],
  [{ ...etcd, 'secure-port': '0' }, /leaves no listener: with --etcd-servers the plain one is off/],
  [{ 'bind-address': '::' }, /^--bind-address "::": only loopback addresses .* no authentication/],
  [{ 'bind-address': '127.0.0.1.example' }, /^--bind-address "127.0.0.1.example": expected an IP address/],
  [
    { 'bind-address': '0.0.0.0', 'authorization-mode': 'RBAC' },
    /^--bind-address "0.0.0.0": only loopback addresses .* no authentication/,
  ],
  [{ 'tls-min-version': 'VersionTLS11' }, /^--tls-min-version "VersionTLS11": expected VersionTLS12 or VersionTLS13/],
  [{ 'tls-min-version': '1.3' }, /expected VersionTLS12 or VersionTLS13/],
  [
    { 'tls-cipher-suites': 'TLS_RSA_WITH_RC4_128_SHA' },
    /^--tls-cipher-suites "TLS_RSA_WITH_RC4_128_SHA": expected suites/,
  ],
  [{ 'tls-cipher-suites': 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384' }, /HTTP\/2 needs at least one of TLS_ECDHE_RSA/],
  [{ 'tls-min-version': 'VersionTLS13', 'secure-port': '0' }, /^--tls-min-version has no effect without the HTTPS/],
  [{ 'shutdown-watch-termination-grace-period': '-1s' }, /expected a duration such as 30s/],
  [{ 'initial-history': '10000' }, /^--initial-history has no effect without --etcd-servers$/],
  [{ ...etcd, 'initial-history': '-1' }, /^--initial-history "-1": expected a whole number from 0 to 1000000$/],
  [{ 'goaway-chance': '0.021' }, /^--goaway-chance can not be less than 0 or greater than 0\.02$/],
  [{ 'goaway-chance': '-0.001' }, /^--goaway-chance can not be less than 0 or greater than 0\.02$/],
  [{ 'goaway-chance': 'NaN' }, /^--goaway-chance "NaN": expected a number from 0 to 0\.02, such as 0\.001$/],
  [{ 'goaway-chance': '0.01', 'secure-port': '0' }, /^--goaway-chance has no effect without the HTTPS listener$/],
  [{ 'max-connections': '-1' }, /^--max-connections "-1": expected a whole number/],
  [{ 'bind-address': '0.0.0.0' }, /^--bind-address "0.0.0.0": only loopback addresses .* no authentication/],
  [{ 'bind-address': '0.0.0.0', 'anonymous-auth': 'true' }, /only loopback addresses/],
  [{ 'bind-address': '0.0.0.0', 'token-auth-file': 'f', 'anonymous-auth': true }, /^--anonymous-auth true: anyone /],
  [{ 'insecure-bind-address': '0.0.0.0', 'token-auth-file': 'f' }, /only loopback addresses/],
  [{ 'authorization-mode': 'RBAC,ABAC' }, /^--authorization-mode "ABAC": not there yet/],
  [{ 'authorization-mode': 'Webhook' }, /^--authorization-mode Webhook needs --authorization-webhook-config-file, or/],
  [
    { 'authorization-webhook-config-file': 'f', 'authorization-mode': 'RBAC' },
    /^--authorization-webhook-config-file has no effect without --authorization-mode Webhook/,
  ],
  [{ 'authorization-webhook-config-file': 'f' }, /has no effect without --authorization-mode Webhook/],
  [
    { 'authorization-kubeconfig': 'f', 'authorization-mode': 'AlwaysAllow,Webhook' },
    /^--authorization-kubeconfig has no effect without --authorization-mode Webhook/,
  ],
  [
    { 'authorization-webhook-config-file': 'f', 'authorization-kubeconfig': 'g', 'authorization-mode': 'Webhook' },
    /^--authorization-webhook-config-file and --authorization-kubeconfig name two who would be asked/,
  ],
  [
    { 'authentication-token-webhook-config-file': 'f', 'authentication-token-webhook-version': 'v2' },
    /^--authentication-token-webhook-version "v2": expected v1 or v1beta1/,
  ],
  [
    { 'authentication-kubeconfig': 'f', 'authentication-token-webhook-version': 'v1' },
    /^--authentication-token-webhook-version has no effect with --authentication-kubeconfig/,
  ],
  [
    { 'authentication-token-webhook-cache-ttl': '1m' },
    /^--authentication-token-webhook-cache-ttl has no effect without --authentication-token-webhook-config-file or/,
  ],
  [
    { 'authorization-webhook-cache-unauthorized-ttl': '1m' },
    /^--authorization-webhook-cache-unauthorized-ttl has no effect without/,
  ],
  [{ 'authorization-always-allow-paths': '/x' }, /has no effect without --authorization-kubeconfig/],
  [
    { 'authorization-kubeconfig': 'f', 'authorization-always-allow-paths': '/*/x' },
    /^--authorization-always-allow-paths "\/\*\/x": expected a star at the end only/,
  ],
  [{ 'api-audiences': 'a' }, /^--api-audiences has no effect without --service-account-key-file or/],
  [
    {
      'authorization-mode': 'Webhook,AlwaysAllow',
      'authorization-webhook-config-file': 'f',
      'token-auth-file': 't',
      'bind-address': '0.0.0.0',
      'anonymous-auth': 'true',
    },
    /^--anonymous-auth true: anyone who can connect/,
  ],
  [
    { 'service-account-issuer': ['https://a'] },
    /^--service-account-issuer has no effect without --service-account-key/,
  ],
  [
    { 'service-account-key-file': ['f'], 'service-account-issuer': [':b'] },
    /^--service-account-issuer ":b": it has a colon, so a URL is expected/,
  ],
  [
    { 'service-account-jwks-uri': 'https://a' },
    /^--service-account-jwks-uri has no effect without --service-account-key-file/,
  ],
  [
    { 'service-account-key-file': ['f'], 'service-account-jwks-uri': 'http://a' },
    /^--service-account-jwks-uri "http:\/\/a": expected a URL with https, such as/,
  ],
  [{ 'service-account-key-file': [''] }, /^--service-account-key-file "": a value is needed/],
  [{ 'authorization-mode': 'RBAC,RBAC' }, /expected each mode once/],
  [{ 'authorization-mode': 'rbac' }, /expected AlwaysAllow or Node or RBAC or Webhook or AlwaysDeny/],
  [{ 'authorization-mode': 'RBAC', 'bind-address': '0.0.0.0' }, /only loopback addresses/],
  [{ 'anonymous-auth': 'false' }, /^--anonymous-auth false leaves nobody/],
  [
    { 'secure-port': '0', 'token-auth-file': 'f' },
    /^--secure-port 0: the flags of authentication and authorization have no effect/,
  ],
  [{ 'requestheader-allowed-names': 'a' }, /^--requestheader-allowed-names has no effect without/],
  [{ 'requestheader-client-ca-file': 'f', 'requestheader-group-headers': 'a b' }, /expected names of headers/],
  [{ 'insecure-bind-address': '10.0.0.1' }, /only loopback addresses/],
  [{ 'bind-address': '::' }, /only loopback addresses/],
  [{ 'bind-address': 'example.com' }, /expected an IP address/],
  [{ 'etcd-servers': '127.0.0.1:2379' }, /expected (URLs such as|an http:\/\/ or https)/],
  [{ 'etcd-servers': 'ftp://a' }, /expected an http:\/\/ or https:\/\/ URL/],
  [{ 'etcd-servers': 'http://a:1,,http://b:2' }, /without empty items/],
  [{ 'etcd-servers': 'http://a:1,https://b:2' }, /either only http:\/\/ or only https:\/\//],
  [{ 'etcd-servers': 'http://root:secret@a:1' }, /--etcd-user and --etcd-password-file/],
  [{ 'etcd-servers': 'http://a:1/v3' }, /without a path/],
  [{ ...etcd, 'etcd-cafile': 'ca.crt' }, /expected https:\/\/ URLs/],
  [{ 'etcd-servers': 'https://a:1', 'etcd-certfile': 'c' }, /^--etcd-certfile needs --etcd-keyfile/],
  [{ 'etcd-cafile': 'ca.crt' }, /^--etcd-cafile has no effect without --etcd-servers/],
  [{ ...etcd, 'etcd-user': 'root' }, /needs a password/],
  [{ ...etcd, 'etcd-password-file': 'p' }, /needs --etcd-user/],
  [{ 'etcd-prefix': '/' }, /expected a key prefix/],
  [{ 'tls-cert-file': 'c' }, /^--tls-cert-file needs --tls-private-key-file/],
  [{ 'watch-cache': 'maybe' }, /expected true or false/],
  [{ 'watch-cache-sizes': 'pods' }, /expected resource\[.group\]#size/],
  [{ 'watch-cache-sizes': 'gadgets#0' }, /no such resource/],
  [{ 'watch-cache-sizes': 'deployments.extensions#0' }, /did you mean deployments.apps\?/],
  [{ 'watch-cache-sizes': 'deployment.apps#0' }, /no such resource/],
  [{ 'watch-cache-initialization': 'foos.storage.k8s.io' }, /no such resource/],
  [{ 'watch-cache-initialization': 'sometimes' }, /no such resource/],
  [{ 'feature-gates': 'Shards=true' }, /unknown feature gate; there are ShardedListAndWatch, .*WatchList/],
  [{ 'feature-gates': 'ShardedListAndWatch' }, /a value is missing: expected ShardedListAndWatch=true or/],
  [{ 'feature-gates': 'ShardedListAndWatch=yes' }, /expected true or false/],
  [{ 'feature-gates': 'WatchList=false' }, /WatchList is always true in listwatch/],
  [{ 'feature-gates': 'CBORServingAndStorage=true' }, /CBORServingAndStorage is always false in listwatch/],
  [{ 'storage-engine': 'pods=magic' }, /no such engine; there are .*hash/],
  [{ 'storage-engine': 'pods' }, /expected resource\[.group\]=engine/],
  [{ 'encode-workers': '-1' }, /--encode-workers/],
  [{ 'encode-workers': '65' }, /--encode-workers/],
  [{ 'history-bytes': '64MB' }, /expected a number of bytes such as/],
  [{ 'memory-budget': '2GB' }, /^--memory-budget "2GB": expected a number of bytes such as/],
  [{ 'memory-budget': '1Mi' }, /expected at least 64Mi, or 0/],
  [{ 'cache-dir': '/var/cache/listwatch' }, /^--cache-dir needs --etcd-servers: the embedded store/],
  [{ ...etcd, 'checkpoint-interval': '1m' }, /^--checkpoint-interval has no effect without --cache-dir/],
  [
    { ...etcd, 'cache-dir': 'c', 'checkpoint-interval': '500ms' },
    /^--checkpoint-interval "500ms": expected at least 1s/,
  ],
  [{ 'max-requests-inflight': '-1' }, /whole number from 0/],
  [{ 'request-timeout': '60' }, /expected a duration such as 30s/],
  [{ 'request-timeout': '0' }, /greater than zero/],
  [{ 'min-request-timeout': '0' }, /whole number from 1/],
  [{ 'max-watches-per-client': '-1' }, /whole number from 0/],
  [{ v: '11' }, /whole number from 0 to 10/],
  [{ 'logging-format': 'xml' }, /expected text or json/],
  [{ sample: 'pods=many' }, /^--sample pods "many": expected a whole number/],
  [{ sample: 'machines=3' }, /expected nodes=N, pods=N or churn=N/],
  [{ sample: 'nodes=1,pods=251' }, /1 nodes run at most 250 pods/],
  [{ 'sample-seed': '4' }, /no effect without --sample/],
  [{ 'event-ttl': '0', sample: true }, /at least 1s/],
  [{ ...etcd, sample: true }, /cannot be used with --etcd-servers/],
  [{ ...etcd, load: ['a'] }, /cannot be used with --etcd-servers/],
  [{ 'load-ignore-errors': true }, /no effect without --load/],
];

for (const [flags, message] of refused) {
  test(`serve ${JSON.stringify(flags)} is refused`, () => {
    assert.throws(
      () => resolveConfig(flags, HOME),
      (error: unknown) =>
        error instanceof UsageError &&
        message.test(error.message) &&
        !error.message.includes('\n') &&
        !error.message.includes('secret'),
    );
  });
}

const users: readonly [flags: FlagValues, environment: Record<string, string>, want: unknown][] = [
  [{}, {}, undefined],
  [{}, { ETCDCTL_USER: 'root:pass:word' }, { name: 'root', password: { text: 'pass:word' } }],
  [{}, { ETCDCTL_USER: 'root', ETCDCTL_PASSWORD: 'p' }, { name: 'root', password: { text: 'p' } }],
  [
    { 'etcd-user': 'root', 'etcd-password-file': 'f' },
    { ETCDCTL_PASSWORD: 'p' },
    { name: 'root', password: { file: 'f' } },
  ],
  [
    { 'etcd-user': 'reader' },
    { ETCDCTL_USER: 'root', ETCDCTL_PASSWORD: 'p' },
    { name: 'reader', password: { text: 'p' } },
  ],
];

for (const [flags, environment, want] of users) {
  test(`etcd user from ${JSON.stringify(flags)} and ${JSON.stringify(environment)}`, () => {
    const { store } = resolveConfig({ ...etcd, ...flags }, environment);
    assert.deepEqual(store.kind === 'etcd' ? store.user : 'embedded', want);
  });
}

test('XDG_STATE_HOME is where certificates are kept', () => {
  const { secure } = resolveConfig({}, { ...HOME, XDG_STATE_HOME: '/state' });
  assert.deepEqual(secure?.tls, { certDirectory: '/state/listwatch' });
});
