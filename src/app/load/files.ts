import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../usage-error.js';

export interface ManifestFile {
  readonly path: string;
  readonly bytes: number;
}

const MANIFEST = /\.(ya?ml|json)$/i;
const FILES_MAX = 200_000;

/** Files as given; in folders every .yaml, .yml and .json, deep, in the order of their paths. */
export function findManifests(paths: readonly string[]): ManifestFile[] {
  const found: ManifestFile[] = [];
  const add = (path: string, bytes: number) => {
    if (found.push({ path, bytes }) > FILES_MAX) throw new UsageError(`--load: more than ${FILES_MAX} files`);
  };
  const walk = (folder: string) => {
    const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = join(folder, entry.name);
      // Links to files are followed, links to folders are not: those may form a circle.
      if (entry.isDirectory()) walk(path);
      else if (MANIFEST.test(entry.name) && !entry.name.startsWith('.')) {
        const stats = statSync(path);
        if (stats.isFile()) add(path, stats.size);
      }
    }
  };
  for (const path of paths) {
    const before = found.length;
    try {
      const stats = statSync(path);
      if (stats.isDirectory()) walk(path);
      else add(path, stats.size);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(`--load ${path}: ${fileProblem(error)}`);
    }
    if (found.length === before) throw new UsageError(`--load ${path}: no .yaml, .yml or .json file in this folder`);
  }
  return found;
}

export function fileProblem(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'no such file or folder';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'EISDIR') return 'is a folder, expected a file';
  return error instanceof Error ? error.message : String(error);
}
