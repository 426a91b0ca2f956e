import { apiVersionOf } from '../api/gvr.js';
import { kindsOf } from './custom-kind.js';
import type { Kind } from './kind.js';

/**
 * The kinds that are served now: the built-in ones, and those of CustomResourceDefinitions, which come, change and go.
 * A kind is one object for as long as nothing about it changes, so that whatever belongs to it can be kept by it.
 */
export class KindSet {
  readonly #builtIn: readonly Kind[];
  readonly #builtInGroups: ReadonlySet<string>;
  /** By name of the CRD: what it was made from, as text, and its kinds. */
  readonly #custom = new Map<string, { readonly text: string; readonly kinds: readonly Kind[] }>();
  /** Made from a CRD, before anybody sees it: `--index-fields`. */
  readonly #complete: (kind: Kind) => Kind;
  #byUrl = new Map<string, Kind>();
  #byDirectory = new Map<string, Kind>();
  #all: readonly Kind[];
  #generation = 0;

  /** In discovery order. */
  constructor(builtIn: readonly Kind[], complete: (kind: Kind) => Kind = (kind) => kind) {
    this.#builtIn = builtIn;
    this.#complete = complete;
    this.#builtInGroups = new Set(['', ...builtIn.map(({ group }) => group)]);
    this.#all = builtIn;
    this.#rebuild();
  }

  /** Grows whenever the kinds change. */
  get generation(): number {
    return this.#generation;
  }

  /** In discovery order: those of CRDs after the built-in ones, by group. */
  get all(): readonly Kind[] {
    return this.#all;
  }

  /** The kind behind `/apis/<group>/<version>/<resource>`; the core group is ''. */
  find(group: string, version: string, resource: string): Kind | undefined {
    return this.#byUrl.get(`${group}/${version}/${resource}`);
  }

  /** The kind of an object with this `apiVersion` and `kind`, among those of CRDs. */
  customByObject(apiVersion: string, name: string): Kind | undefined {
    return this.#all.find(
      (kind) =>
        kind.custom !== undefined && kind.kind === name && apiVersionOf(kind.group, kind.version) === apiVersion,
    );
  }

  /** A kind whose objects lie in this directory (`<group>/<plural>`), among those of CRDs. */
  customByDirectory(directory: string): Kind | undefined {
    return this.#byDirectory.get(directory);
  }

  /** The kinds of a CRD. */
  definedBy(name: string): readonly Kind[] {
    return this.#custom.get(name)?.kinds ?? [];
  }

  /** Upstream routes everything below these; what is missing below another group was never there. */
  isBuiltInGroup(group: string): boolean {
    return this.#builtInGroups.has(group);
  }

  /** Takes a CRD as it is now (v1), or undefined when it is gone. Returns the kinds that are not served any more. */
  define(name: string, crd: unknown): readonly Kind[] {
    // A CRD can neither replace a built-in kind nor one of another CRD, whose name would be the same.
    const found =
      crd === undefined
        ? []
        : kindsOf(crd)
            .filter((kind) => !this.#builtIn.some((one) => isSameUrl(one, kind)))
            .map(this.#complete);
    const text = JSON.stringify(found, exactly);
    const before = this.#custom.get(name);
    if (before?.text === text || (before === undefined && found.length === 0)) return [];
    if (found.length === 0) this.#custom.delete(name);
    else this.#custom.set(name, { text, kinds: found });
    this.#rebuild();
    return before?.kinds ?? [];
  }

  #rebuild(): void {
    const custom = [...this.#custom.values()]
      .flatMap(({ kinds }) => kinds)
      .sort((a, b) => (a.group < b.group ? -1 : a.group > b.group ? 1 : 0));
    this.#all = [...this.#builtIn, ...custom];
    this.#byUrl = new Map(this.#all.map((kind) => [`${kind.group}/${kind.version}/${kind.resource}`, kind]));
    this.#byDirectory = new Map(custom.map((kind) => [kind.directory, kind]));
    this.#generation++;
  }
}

function isSameUrl(a: Kind, b: Kind): boolean {
  return a.group === b.group && a.version === b.version && a.resource === b.resource;
}

function exactly(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
