import { join } from 'node:path';
import { repositoryRoot, requireProgram, run } from './command.js';

/** Builds the Go programs below test/<folder> and returns their folder. Go's own build cache makes repeats quick. */
export async function buildGoPrograms(
  folder: 'peer' | 'client-go' | 'apiextensions' | 'kube-apiserver',
): Promise<string> {
  requireProgram('go', 'GO', 'install Go 1.26 or newer, e.g. apt-get install -t sid golang-go');
  const out = join(repositoryRoot, '.cache/bin');
  const { code, stderr } = await run('sh', [join(repositoryRoot, 'test', folder, 'build.sh'), out], {
    timeoutMs: 900_000,
    env: { GO_BUILD_JOBS: process.env['CI'] === 'true' ? '2' : '1' },
  });
  if (code !== 0) throw new Error(`building test/${folder} failed: ${stderr}`);
  return out;
}
