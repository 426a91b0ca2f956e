import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

/** What TLS knows of the other end of a connection; verified against all authorities that the listener was given. */
export type Peer = Pick<TLSSocket, 'authorized' | 'getPeerCertificate'>;

/** A client's certificate. */
export interface PeerCertificate {
  /** TLS has verified it: signatures, time, purpose. Which authority vouches for it is asked of `Authorities`. */
  readonly verified: boolean;
  /** Milliseconds since 1970 between which it holds. */
  readonly fromMs: number;
  readonly untilMs: number;
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** '' when there is none; undefined: it is empty, or there are several. */
  readonly uid: string | undefined;
  /** SHA-256 in lower-case hexadecimal. */
  readonly sha256: string;
  /** From the client's own upwards, each one signed by the next. */
  readonly chain: readonly X509Certificate[];
}

/** The authorities of one `--*-ca-file`. */
export class Authorities {
  #pem: string;
  #certificates: readonly X509Certificate[];
  #vouched = new WeakMap<PeerCertificate, boolean>();

  /** Throws Error when the text holds no certificate, or one that does not parse. */
  constructor(pem: string) {
    this.#pem = pem;
    this.#certificates = certificatesOf(pem);
  }

  /** As the file has them. */
  get pem(): string {
    return this.#pem;
  }

  /** Others from now on, for connections that are there as well. Throws as the constructor does, and nothing has changed then. */
  renew(pem: string): void {
    this.#certificates = certificatesOf(pem);
    this.#pem = pem;
    this.#vouched = new WeakMap();
  }

  /**
   * Whether one of these authorities signed the certificate, or one that it is signed by. TLS verifies against the
   * authorities of all flags together, so its word is not enough: a user's certificate must not pass for a front proxy's.
   */
  vouchFor(certificate: PeerCertificate, nowMs: number): boolean {
    const { verified, fromMs, untilMs } = certificate;
    if (!verified || nowMs < fromMs || nowMs > untilMs) return false;
    let vouched = this.#vouched.get(certificate);
    if (vouched === undefined) {
      vouched = certificate.chain.some((link) => this.#certificates.some((authority) => isSignedBy(link, authority)));
      this.#vouched.set(certificate, vouched);
    }
    return vouched;
  }
}

function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error('no certificate in PEM form');
  return blocks.map((block) => new X509Certificate(block));
}

/** undefined: the client sent no certificate. */
export function peerCertificate(peer: Peer): PeerCertificate | undefined {
  const leaf = peer.getPeerCertificate(true) as DetailedPeerCertificate | undefined;
  if (leaf?.raw === undefined) return undefined;
  const own = new X509Certificate(leaf.raw);
  const chain = [own];
  // Node joins a chain by names alone, and clients may send what they like: only signatures count.
  for (let { issuerCertificate: above } = leaf; above?.raw !== undefined; above = above.issuerCertificate) {
    const next = new X509Certificate(above.raw);
    const last = chain.at(-1)!;
    if (next.fingerprint256 === last.fingerprint256 || !next.ca || !isSignedBy(last, next)) break;
    chain.push(next);
  }
  const subject = leaf.subject as unknown as Record<string, string | string[] | undefined>;
  return {
    verified: peer.authorized,
    fromMs: Date.parse(own.validFrom),
    untilMs: Date.parse(own.validTo),
    commonName: all(subject['CN']).at(-1) ?? '',
    organizations: all(subject['O']),
    uid: uidOf(all(subject[UID])),
    sha256: own.fingerprint256.replaceAll(':', '').toLowerCase(),
    chain,
  };
}

/** Kubernetes' own number for a part of a subject. */
const UID = '1.3.6.1.4.1.57683.2';

function uidOf([uid, ...others]: readonly string[]): string | undefined {
  if (uid === undefined) return '';
  return uid === '' || others.length > 0 ? undefined : uid;
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function all(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}
