import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../lib/clock.js';
import type { Failure } from '../serve/failure.js';
import { bearerToken, headerValues, prefixedHeaders } from './headers.js';
import { anonymous, authenticated, type Identities, type Identity } from './identity.js';
import type { Asker } from './shared-calls.js';
import { type Authorities, type PeerCertificate, peerCertificate } from './peer-certificate.js';

/** What a request says about who sends it. */
export interface Credentials {
  readonly headers: { readonly authorization?: string | undefined };
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** Of TLS. */
  readonly socket: Socket;
}

/** `--requestheader-*`: a proxy that has authenticated the user, and says so in headers. */
export interface FrontProxy {
  readonly authorities: Authorities;
  /** Common names that a proxy may have; none: any. */
  readonly allowedNames: readonly string[];
  /** Lower case; the first that is there counts. */
  readonly usernameHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly extraPrefixes: readonly string[];
}

/** Who it is; undefined: nobody knows; a Failure: it cannot be found out now. */
export type Known = Identity | Failure | undefined;

/** One way to know the owner of a bearer token: at once, where nothing has to be waited for. */
export interface TokenAuthenticator {
  find(token: string, asker: Asker): Known | Promise<Known>;
}

export interface AuthenticatorOptions {
  readonly frontProxy: FrontProxy | undefined;
  readonly clientAuthorities: Authorities | undefined;
  readonly tokens: readonly TokenAuthenticator[];
  /** Whether somebody without credentials is let in as `system:anonymous`. */
  readonly anonymous: boolean;
  /** Of those whom proxies name. */
  readonly identities: Identities;
  readonly clock: Clock;
}

/**
 * Who sends a request (spec 8.1). The first that knows the sender wins:
 *
 *     front proxy's headers -> client certificate -> bearer token -> anonymous
 *
 * Wrong credentials are never as good as none: whoever shows a certificate or token that nobody knows is refused, even where
 * anonymous requests are answered.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** By connection: a chain is walked once. */
  readonly #certificates = new WeakMap<Socket, PeerCertificate | 'none'>();
  readonly #users = new WeakMap<PeerCertificate, Identity>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** undefined: 401. At once, where nothing has to be waited for. */
  authenticate(credentials: Credentials, asker: Asker): Known | Promise<Known> {
    const { frontProxy, clientAuthorities, tokens, clock } = this.#options;
    let refused = false;
    if (frontProxy !== undefined || clientAuthorities !== undefined) {
      const certificate = this.#certificateOf(credentials.socket);
      if (certificate !== undefined) {
        const nowMs = clock.nowMs();
        if (frontProxy !== undefined) {
          if (frontProxy.authorities.vouchFor(certificate, nowMs) && isAllowed(frontProxy, certificate)) {
            const user = proxiedUser(frontProxy, credentials.rawHeaders);
            if (user !== undefined) return this.#options.identities.intern(user);
          } else refused = true;
        }
        if (clientAuthorities !== undefined) {
          const isKnown = clientAuthorities.vouchFor(certificate, nowMs);
          if (isKnown && certificate.commonName !== '' && certificate.uid !== undefined) {
            return this.#userOf(certificate, certificate.uid);
          }
          if (!isKnown || certificate.commonName !== '') refused = true;
        }
      }
    }
    if (tokens.length > 0) {
      const token = bearerToken(credentials.headers.authorization);
      if (token !== undefined) return this.#ownerOf(token, asker, 0, undefined);
    }
    return !refused && this.#options.anonymous ? anonymous : undefined;
  }

  /** The first that knows, from the authenticator at `index` on. `failed`: what kept one of those before from finding out. */
  #ownerOf(token: string, asker: Asker, index: number, failed: Failure | undefined): Known | Promise<Known> {
    const { tokens } = this.#options;
    let failure = failed;
    for (let at = index; at < tokens.length; at++) {
      const found = tokens[at]!.find(token, asker);
      if (found instanceof Promise) {
        return found.then((known) => {
          if (isIdentity(known)) return known;
          return this.#ownerOf(token, asker, at + 1, failure ?? known);
        });
      }
      if (isIdentity(found)) return found;
      failure ??= found;
    }
    return failure;
  }

  #certificateOf(socket: Socket): PeerCertificate | undefined {
    let known = this.#certificates.get(socket);
    if (known === undefined) {
      known = peerCertificate(socket as TLSSocket) ?? 'none';
      this.#certificates.set(socket, known);
    }
    return known === 'none' ? undefined : known;
  }

  #userOf(certificate: PeerCertificate, uid: string): Identity {
    let user = this.#users.get(certificate);
    if (user === undefined) {
      user = authenticated({
        name: certificate.commonName,
        uid,
        groups: certificate.organizations,
        extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${certificate.sha256}`] },
      });
      this.#users.set(certificate, user);
    }
    return user;
  }
}

function isIdentity(known: Known): known is Identity {
  return known !== undefined && 'groups' in known;
}

function isAllowed({ allowedNames }: FrontProxy, { commonName }: PeerCertificate): boolean {
  return allowedNames.length === 0 || allowedNames.includes(commonName);
}

/** undefined: the proxy names nobody. */
function proxiedUser(proxy: FrontProxy, raw: readonly string[]): Identity | undefined {
  const first = (names: readonly string[]) =>
    names.map((name) => headerValues(raw, name)[0] ?? '').find((value) => value !== '') ?? '';
  const name = first(proxy.usernameHeaders);
  if (name === '') return undefined;
  return authenticated({
    name,
    uid: first(proxy.uidHeaders),
    groups: proxy.groupHeaders.flatMap((header) => headerValues(raw, header)).filter((group) => group !== ''),
    extra: prefixedHeaders(raw, proxy.extraPrefixes),
  });
}
