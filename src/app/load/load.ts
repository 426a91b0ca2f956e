import type { Clock } from '../../lib/clock.js';
import type { Random } from '../../lib/random.js';
import type { ObjectStore } from '../object-store.js';
import { oneLine } from '../usage-error.js';
import { isDefinition } from './definition.js';
import { completeObject } from './complete.js';
import { type Found, readObjects } from './documents.js';
import { fileProblem, findManifests } from './files.js';

export interface LoadProgress {
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly objects: number;
  readonly rejected: number;
}

export interface LoadSummary {
  readonly files: number;
  readonly objects: number;
  /** Objects that came again, under the same kind, namespace and name: the last one stays. */
  readonly repeated: number;
  readonly rejected: number;
  /** Namespaces that objects are in and that were not among the objects. */
  readonly namespacesMissing: readonly string[];
}

/**
 * Puts the objects of the files into the store, one revision each, in the order of the files.
 * Every object that cannot be stored is told to `reject` in one line that names file, document and
 * field; the others are loaded.
 */
export async function loadManifests(
  paths: readonly string[],
  objects: ObjectStore,
  clock: Clock,
  random: Random,
  tell: { readonly reject: (line: string) => void; readonly progress: (progress: LoadProgress) => void },
): Promise<LoadSummary> {
  const files = findManifests(paths);
  const bytesTotal = files.reduce((sum, file) => sum + file.bytes, 0);
  const keys = new Set<string>();
  const namespaces = new Set<string>();
  const used = new Set<string>();
  let bytes = 0;
  let stored = 0;
  let rejected = 0;
  const report = () => tell.progress({ bytes, bytesTotal, objects: stored, rejected });
  const reject = (line: string) => {
    rejected++;
    tell.reject(line);
  };

  for (const file of files) {
    const afterBytes = bytes + file.bytes;
    const onBytes = (count: number) => {
      bytes += count;
      report();
    };
    let found = 0;
    try {
      for await (const place of readObjects(file.path, onBytes)) {
        found++;
        if (!place.content.ok) {
          reject(`${where(file.path, place)}: ${oneLine(place.content.message)}`);
          continue;
        }
        const completed = completeObject(place.content.value, clock.nowMs(), random, objects.kindOf);
        if (!completed.ok) {
          reject(`${where(file.path, place)}: ${completed.message}`);
          continue;
        }
        const { kind, namespace, name } = completed;
        let operation: ReturnType<ObjectStore['encode']>;
        try {
          operation = objects.encode(completed.object);
        } catch (error) {
          reject(`${where(file.path, place)}: ${kind.kind} ${name}: ${oneLine(error)}`);
          continue;
        }
        await objects.store.write([operation]);
        if (isDefinition(kind)) objects.define(completed.object);
        stored++;
        keys.add(Buffer.from(operation.key).toString());
        if (kind.kind === 'Namespace' && kind.group === '') namespaces.add(name);
        if (namespace !== undefined) used.add(namespace);
      }
    } catch (error) {
      reject(`${file.path}: ${fileProblem(error)}`);
      bytes = afterBytes;
      continue;
    }
    if (found === 0) reject(`${file.path}: no object in this file`);
    bytes = afterBytes; // exactly, whatever was counted on the way
    report();
  }
  return {
    files: files.length,
    objects: keys.size,
    repeated: stored - keys.size,
    rejected,
    namespacesMissing: [...used].filter((name) => !namespaces.has(name)).sort(),
  };
}

function where(path: string, place: Found): string {
  const item = place.item === undefined ? '' : `, item ${place.item}`;
  return `${path}: document ${place.document} (line ${place.line})${item}`;
}
