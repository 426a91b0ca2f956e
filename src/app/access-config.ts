import type { FlagName, FlagValues, Listener } from './config.js';
import { UsageError } from './usage-error.js';
import { bad, isLoopback, readBoolean, readList, readText } from './values.js';

/** How those who ask over HTTPS are known, and what they may do. Files are named, not read. */
export interface AccessConfig {
  readonly clientCaFile: string | undefined;
  readonly tokenAuthFile: string | undefined;
  readonly frontProxy: FrontProxyConfig | undefined;
  readonly anonymous: boolean;
}

export interface FrontProxyConfig {
  readonly clientCaFile: string;
  readonly allowedNames: readonly string[];
  /** Lower case, as the next ones. */
  readonly usernameHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly extraHeadersPrefixes: readonly string[];
}

export const accessFlags = [
  [
    'client-ca-file',
    '<file>',
    "authorities of clients' certificates: common name is the user, organizations the groups",
  ],
  ['token-auth-file', '<file>', 'bearer tokens: rows of token,user,uid,"group1,group2"'],
  ['anonymous-auth', '[bool]', 'answer who has no credentials, as system:anonymous (default true on loopback only)'],
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
  const authenticates = clientCaFile !== undefined || tokenAuthFile !== undefined || frontProxy !== undefined;
  const onLoopback = secure === undefined || isLoopback(secure.address);
  const anonymous =
    typeof flags['anonymous-auth'] === 'string'
      ? readBoolean('anonymous-auth', flags['anonymous-auth'])
      : (flags['anonymous-auth'] ?? onLoopback);
  if (!authenticates) {
    if (!onLoopback) {
      throw bad(
        'bind-address',
        secure.address,
        'only loopback addresses (127.0.0.1, ::1) are accepted where there is no authentication (--client-ca-file, ' +
          '--token-auth-file, --requestheader-client-ca-file): anyone who can connect could read every Secret',
      );
    }
    if (anonymous === false) {
      throw new UsageError(
        '--anonymous-auth false leaves nobody who could ask: give --client-ca-file or --token-auth-file',
      );
    }
    return undefined;
  }
  if (secure === undefined) {
    throw new UsageError('--secure-port 0: the flags of authentication have no effect without the HTTPS listener');
  }
  if (anonymous === true && !onLoopback) {
    throw new UsageError(
      `--anonymous-auth true: anyone who can connect to ${secure.address} could read every Secret; ` +
        'give a loopback --bind-address',
    );
  }
  return { clientCaFile, tokenAuthFile, frontProxy, anonymous: anonymous === true };
}

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
    extraHeadersPrefixes: headers('requestheader-extra-headers-prefix', ['X-Remote-Extra-']),
  };
}
