import type { FrontProxy } from '../auth/authenticator.js';
import type { FlagName, FlagValues, Listener } from './config.js';
import { UsageError } from './usage-error.js';
import {
  type AccessWebhookConfig,
  resolveAccessWebhook,
  resolveTokenWebhook,
  type TokenWebhookConfig,
  webhookFlags,
} from './webhook-config.js';
import { bad, isLoopback, readBoolean, readList, readOneOf, readText, type ValueReader } from './values.js';

/** How those who ask over HTTPS are known, and what they may do. Files are named, not read. */
export interface AccessConfig {
  readonly clientCaFile: string | undefined;
  readonly tokenAuthFile: string | undefined;
  readonly frontProxy: FrontProxyConfig | undefined;
  readonly serviceAccounts: ServiceAccountConfig | undefined;
  readonly tokenWebhook: TokenWebhookConfig | undefined;
  readonly anonymous: boolean;
  /** Empty: whoever is known may do everything. */
  readonly modes: readonly AuthorizationMode[];
  /** Who is asked by the mode Webhook. */
  readonly accessWebhook: AccessWebhookConfig | undefined;
}

export type AuthorizationMode = 'AlwaysAllow' | 'Node' | 'RBAC' | 'Webhook' | 'AlwaysDeny';

/** How tokens of service accounts are verified. */
export interface ServiceAccountConfig {
  readonly keyFiles: readonly string[];
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly lookup: boolean;
  /** Where those who ask who issues tokens are sent for the keys; undefined: here. */
  readonly keysUrl: string | undefined;
}

export interface FrontProxyConfig extends Omit<FrontProxy, 'authorities'> {
  readonly clientCaFile: string;
}

export const accessFlags = [
  [
    'client-ca-file',
    '<file>',
    "authorities of clients' certificates: common name is the user, organizations the groups",
  ],
  ['token-auth-file', '<file>', 'bearer tokens: rows of token,user,uid,"group1,group2"'],
  [
    'service-account-key-file',
    '<file...>',
    'public or private keys, or certificates, that tokens of service accounts are verified by (repeatable)',
  ],
  ['service-account-issuer', '<url...>', 'who may have issued such tokens: their `iss` (repeatable)'],
  [
    'api-audiences',
    '<list>',
    'for whom tokens must be: one of these in their `aud`, or in the answer of the webhook (default: --service-account-issuer)',
  ],
  [
    'service-account-jwks-uri',
    '<url>',
    'where /.well-known/openid-configuration says that the keys are (default: /openid/v1/jwks at the address that was asked)',
  ],
  [
    'service-account-lookup',
    '[bool]',
    'tokens that lie in Secrets must still be there, and their account too (default true)',
  ],
  ['anonymous-auth', '[bool]', 'answer who has no credentials, as system:anonymous (default true on loopback only)'],
  [
    'authorization-mode',
    '<list>',
    'AlwaysAllow, Node, RBAC, Webhook, AlwaysDeny: who may do what over HTTPS (default AlwaysAllow)',
  ],
  ...webhookFlags,
  [
    'requestheader-client-ca-file',
    '<file>',
    'authorities of the certificates of proxies that name the user in headers',
  ],
  ['requestheader-allowed-names', '<list>', 'common names that such a proxy may have (default any)'],
  ['requestheader-username-headers', '<list>', 'headers that name the user (default X-Remote-User)'],
  ['requestheader-group-headers', '<list>', 'headers that name a group of the user (default X-Remote-Group)'],
  ['requestheader-uid-headers', '<list>', 'headers with the uid of the user (default none)'],
  ['requestheader-extra-headers-prefix', '<list>', 'what headers with more begin with (default X-Remote-Extra-)'],
] as const;

const PROXY_FLAGS = [
  'requestheader-allowed-names',
  'requestheader-username-headers',
  'requestheader-group-headers',
  'requestheader-uid-headers',
  'requestheader-extra-headers-prefix',
] as const;

/** undefined: nothing was asked for, and everybody is answered, as only this machine can connect. */
export function resolveAccess(flags: FlagValues, secure: Listener | undefined): AccessConfig | undefined {
  const text = (flag: FlagName) => (typeof flags[flag] === 'string' ? readText(flag, flags[flag]) : undefined);
  const clientCaFile = text('client-ca-file');
  const tokenAuthFile = text('token-auth-file');
  const frontProxy = resolveFrontProxy(flags, text('requestheader-client-ca-file'));
  const serviceAccounts = resolveServiceAccounts(flags);
  const tokenWebhook = resolveTokenWebhook(flags, audiencesOf(flags, serviceAccounts?.issuers ?? []));
  if (serviceAccounts === undefined && tokenWebhook === undefined && flags['api-audiences'] !== undefined) {
    throw new UsageError(
      '--api-audiences has no effect without --service-account-key-file or --authentication-token-webhook-config-file',
    );
  }
  const ways = [clientCaFile, tokenAuthFile, frontProxy, serviceAccounts, tokenWebhook];
  const authenticates = ways.some((way) => way !== undefined);
  const onLoopback = secure === undefined || isLoopback(secure.address);
  const anonymous =
    typeof flags['anonymous-auth'] === 'string'
      ? readBoolean('anonymous-auth', flags['anonymous-auth'])
      : (flags['anonymous-auth'] ?? onLoopback);
  const accessWebhook = resolveAccessWebhook(flags);
  const modes = resolveModes(flags, accessWebhook);
  const allowsAnybody = modes.length === 0 || modes.includes('AlwaysAllow');
  if (!authenticates) {
    if (!onLoopback) {
      throw bad(
        'bind-address',
        secure.address,
        'only loopback addresses (127.0.0.1, ::1) are accepted where there is no authentication (--client-ca-file, ' +
          '--token-auth-file, --service-account-key-file, --requestheader-client-ca-file, ' +
          '--authentication-token-webhook-config-file): anyone who can connect could read every Secret',
      );
    }
    if (anonymous === false) {
      throw new UsageError(
        '--anonymous-auth false leaves nobody who could ask: give --client-ca-file or --token-auth-file',
      );
    }
    if (modes.length === 0) return undefined;
  }
  if (secure === undefined) {
    throw new UsageError(
      '--secure-port 0: the flags of authentication and authorization have no effect without the HTTPS listener',
    );
  }
  if (anonymous === true && !onLoopback && allowsAnybody) {
    throw new UsageError(
      `--anonymous-auth true: anyone who can connect to ${secure.address} could read every Secret; ` +
        'give --authorization-mode RBAC, or a loopback --bind-address',
    );
  }
  return {
    clientCaFile,
    tokenAuthFile,
    frontProxy,
    serviceAccounts,
    tokenWebhook,
    anonymous: anonymous === true,
    modes,
    accessWebhook,
  };
}

function resolveServiceAccounts(flags: FlagValues): ServiceAccountConfig | undefined {
  const all = (flag: 'service-account-key-file' | 'service-account-issuer') =>
    [flags[flag] ?? []].flat().map((text) => readText(flag, text === true ? '' : text));
  const keyFiles = all('service-account-key-file');
  if (keyFiles.length === 0) {
    for (const flag of ['service-account-issuer', 'service-account-jwks-uri', 'service-account-lookup'] as const) {
      if (flags[flag] !== undefined) throw new UsageError(`--${flag} has no effect without --service-account-key-file`);
    }
    return undefined;
  }
  const issuers = all('service-account-issuer');
  for (const issuer of issuers) {
    if (issuer.includes(':') && !URL.canParse(issuer)) {
      throw bad(
        'service-account-issuer',
        issuer,
        'it has a colon, so a URL is expected, such as https://issuer.example',
      );
    }
  }
  const { 'service-account-lookup': lookup = true, 'service-account-jwks-uri': keysUrl } = flags;
  if (typeof keysUrl === 'string' && !(URL.canParse(keysUrl) && new URL(keysUrl).protocol === 'https:')) {
    throw bad(
      'service-account-jwks-uri',
      keysUrl,
      'expected a URL with https, such as https://issuer.example/openid/v1/jwks',
    );
  }
  return {
    keyFiles,
    issuers,
    audiences: audiencesOf(flags, issuers),
    lookup: typeof lookup === 'string' ? readBoolean('service-account-lookup', lookup) : true,
    keysUrl: typeof keysUrl === 'string' ? keysUrl : undefined,
  };
}

function audiencesOf({ 'api-audiences': audiences }: FlagValues, absent: readonly string[]): readonly string[] {
  return typeof audiences === 'string' ? readList('api-audiences', audiences) : absent;
}

function resolveModes(flags: FlagValues, webhook: AccessWebhookConfig | undefined): readonly AuthorizationMode[] {
  const { 'authorization-mode': text } = flags;
  const asked = typeof text === 'string' ? readModes('authorization-mode', text) : undefined;
  if (webhook === undefined) {
    if (asked?.includes('Webhook') !== true) return asked ?? [];
    throw new UsageError(
      '--authorization-mode Webhook needs --authorization-webhook-config-file, or --authorization-kubeconfig: who is to be asked?',
    );
  }
  // Who delegates to a kube-apiserver names no mode.
  if (asked === undefined && webhook.isApiserver) return ['Webhook'];
  if (asked?.includes('Webhook') === true) return asked;
  throw new UsageError(`--${webhook.flag} has no effect without --authorization-mode Webhook`);
}

/** No mode but Webhook denies: all others only allow, so that nothing counts beside AlwaysAllow, or behind it. */
const readModes: ValueReader<readonly AuthorizationMode[]> = (flag, text) => {
  const modes = readList(flag, text).map((mode) => {
    if (mode === 'ABAC')
      throw bad(flag, mode, 'not there yet; expected AlwaysAllow, Node, RBAC, Webhook or AlwaysDeny');
    return readOneOf('AlwaysAllow', 'Node', 'RBAC', 'Webhook', 'AlwaysDeny')(flag, mode);
  });
  if (new Set(modes).size < modes.length) throw bad(flag, text, 'expected each mode once');
  const always = modes.indexOf('AlwaysAllow');
  if (always === -1) return modes;
  const before = modes.slice(0, always);
  return before.includes('Webhook') ? [...before, 'AlwaysAllow'] : [];
};

function resolveFrontProxy(flags: FlagValues, clientCaFile: string | undefined): FrontProxyConfig | undefined {
  const list = (flag: (typeof PROXY_FLAGS)[number], absent: readonly string[]) =>
    typeof flags[flag] === 'string' ? readList(flag, flags[flag]) : absent;
  if (clientCaFile === undefined) {
    for (const flag of PROXY_FLAGS) {
      if (flags[flag] !== undefined)
        throw new UsageError(`--${flag} has no effect without --requestheader-client-ca-file`);
    }
    return undefined;
  }
  const headers = (flag: (typeof PROXY_FLAGS)[number], absent: readonly string[]) =>
    list(flag, absent).map((name) => {
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw bad(flag, name, 'expected names of headers');
      return name.toLowerCase();
    });
  return {
    clientCaFile,
    allowedNames: list('requestheader-allowed-names', []),
    usernameHeaders: headers('requestheader-username-headers', ['X-Remote-User']),
    groupHeaders: headers('requestheader-group-headers', ['X-Remote-Group']),
    uidHeaders: headers('requestheader-uid-headers', []),
    extraPrefixes: headers('requestheader-extra-headers-prefix', ['X-Remote-Extra-']),
  };
}
