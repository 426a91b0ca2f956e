import { closeSync, fchmodSync, openSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { keptCertificate, readNamed } from '../app/certificates.js';
import { defaultCertDirectory } from '../app/config.js';
import { fileProblem } from '../app/load/files.js';
import { UsageError } from '../app/usage-error.js';

interface KubeconfigFlags {
  readonly server: string;
  readonly output?: string;
  readonly certDir?: string;
  readonly certificateAuthority?: string;
}

const DEFAULT_SERVER = 'https://127.0.0.1:6443';

export function addKubeconfigCommand(program: Command): void {
  program
    .command('kubeconfig')
    .description('write a kubeconfig for the local server')
    .option('--server <url>', 'URL of the server, as `listwatch serve` printed it', DEFAULT_SERVER)
    .option('--output <file>', 'file to write, with mode 0600 (default: standard output); an existing file is replaced')
    .option('--cert-dir <folder>', 'where `listwatch serve` keeps its self-signed certificate')
    .option('--certificate-authority <file>', 'certificate to trust instead of the self-signed one')
    .allowExcessArguments(false)
    .action((flags: KubeconfigFlags) => {
      const text = kubeconfigText(flags);
      if (flags.output === undefined) process.stdout.write(text);
      else {
        writePrivate(flags.output, text);
        process.stdout.write(`Wrote ${flags.output}. Try: kubectl --kubeconfig=${flags.output} get nodes\n`);
      }
    });
}

function kubeconfigText(flags: KubeconfigFlags): string {
  const url = URL.canParse(flags.server) ? new URL(flags.server) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(`--server ${JSON.stringify(flags.server)}: expected a URL such as ${DEFAULT_SERVER}`);
  }
  const server = `${url.protocol}//${url.host}`;
  const authority =
    url.protocol === 'https:'
      ? { 'certificate-authority-data': Buffer.from(authorityOf(flags)).toString('base64') }
      : {};
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'listwatch',
    clusters: [{ name: 'listwatch', cluster: { server, ...authority } }],
    contexts: [{ name: 'listwatch', context: { cluster: 'listwatch', user: 'listwatch' } }],
    // The server asks for no credentials, but kubectl would ask the person for some.
    users: [{ name: 'listwatch', user: { token: 'listwatch-checks-no-credentials' } }],
  });
}

function authorityOf(flags: KubeconfigFlags): string {
  if (flags.certificateAuthority !== undefined) {
    return readNamed('certificate-authority', flags.certificateAuthority);
  }
  const directory = flags.certDir ?? defaultCertDirectory(process.env);
  const certificate = keptCertificate(directory);
  if (certificate !== undefined) return certificate;
  throw new UsageError(
    `no certificate in ${directory}: start \`listwatch serve\` once, which makes it, or name one with --certificate-authority`,
  );
}

function writePrivate(path: string, text: string): void {
  try {
    const file = openSync(path, 'w', 0o600);
    try {
      fchmodSync(file, 0o600); // an existing file keeps its mode otherwise
      writeSync(file, text);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new UsageError(`--output ${path}: ${fileProblem(error)}`);
  }
}
