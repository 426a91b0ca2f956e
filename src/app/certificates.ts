import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TlsConfig } from './config.js';
import { fileProblem } from './load/files.js';
import { oneLine, UsageError } from './usage-error.js';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** kube-apiserver's names for the pair that it makes itself. */
const CERT_FILE = 'apiserver.crt';
const KEY_FILE = 'apiserver.key';
const VALID_MS = 365 * 24 * 3_600_000;
/** A certificate that ends sooner than this is made anew. */
const RENEW_BEFORE_MS = 7 * 24 * 3_600_000;
const NAMES = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
const ADDRESSES = ['127.0.0.1', '::1'];

/** The pair that the HTTPS listener uses: the files given, or the self-signed pair, made when missing or old. */
export async function provideCertificate(tls: TlsConfig, address: string, nowMs: number): Promise<KeyPair> {
  if ('certFile' in tls) {
    const cert = readNamed('tls-cert-file', tls.certFile);
    const key = readNamed('tls-private-key-file', tls.keyFile);
    checkPair('tls-cert-file', tls.certFile, cert, tls.keyFile, key);
    return { cert, key };
  }
  const { certDirectory } = tls;
  const kept = readKept(certDirectory);
  if (kept !== undefined && usable(kept, address, nowMs)) return kept;
  const made = await makePair(address, nowMs);
  try {
    makeFolder(certDirectory);
    writePrivate(join(certDirectory, KEY_FILE), made.key);
    writePrivate(join(certDirectory, CERT_FILE), made.cert);
  } catch (error) {
    throw new UsageError(
      `--cert-dir ${certDirectory}: ${fileProblem(error)}; the self-signed certificate is kept there`,
    );
  }
  return made;
}

/** The certificate that clients must trust to talk to the local server, if one was made. */
export function keptCertificate(certDirectory: string): string | undefined {
  return readKept(certDirectory)?.cert;
}

export function readNamed(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--${flag} ${path}: ${fileProblem(error)}`);
  }
}

/** Checked at start, since TLS libraries report a wrong pair only at the first connection. */
export function checkPair(flag: string, certPath: string, cert: string, keyPath: string, key: string): void {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    throw new UsageError(`--${flag} ${certPath}: not a certificate in PEM form`);
  }
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new UsageError(`${keyPath}: not a private key in PEM form (${oneLine(error)})`);
  }
  if (!matches) throw new UsageError(`--${flag} ${certPath}: ${keyPath} is the key of another certificate`);
}

function readKept(directory: string): KeyPair | undefined {
  try {
    return {
      cert: readFileSync(join(directory, CERT_FILE), 'utf8'),
      key: readFileSync(join(directory, KEY_FILE), 'utf8'),
    };
  } catch {
    return undefined; // not made yet, or not readable: making it anew will say why it cannot be
  }
}

function usable(pair: KeyPair, address: string, nowMs: number): boolean {
  try {
    const certificate = new X509Certificate(pair.cert);
    return (
      Date.parse(certificate.validFrom) <= nowMs &&
      Date.parse(certificate.validTo) - RENEW_BEFORE_MS > nowMs &&
      (address === 'localhost' || certificate.checkIP(address) !== undefined) &&
      certificate.checkPrivateKey(createPrivateKey(pair.key))
    );
  } catch {
    return false;
  }
}

async function makePair(address: string, nowMs: number): Promise<KeyPair> {
  const addresses = [...new Set([...ADDRESSES, ...(address === 'localhost' ? [] : [address])])];
  // Loaded when it is needed: that takes longer than anything else at a start, and a pair is made once a year.
  const { generate } = await import('selfsigned');
  const made = await generate([{ name: 'commonName', value: 'listwatch' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(nowMs - 3_600_000), // clocks of clients may be behind
    notAfterDate: new Date(nowMs + VALID_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...NAMES.map((value) => ({ type: 2 as const, value })),
          ...addresses.map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}

/** Not mkdir's own `recursive`: in folders that cannot hold any, such as /proc, Node 20 tries for ever. */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  mkdirSync(path, { mode: 0o700 });
}

/** Whole or not at all: a reader never sees half a key. */
function writePrivate(path: string, text: string): void {
  const partial = `${path}.${process.pid}.partial`;
  writeFileSync(partial, text, { mode: 0o600 });
  chmodSync(partial, 0o600);
  renameSync(partial, path);
}
