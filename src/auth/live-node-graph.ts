import { type Clock, coalesced } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { type FollowedName, type Follower, type Following, followAll } from '../serve/follow.js';
import type { Reader } from '../serve/reader.js';
import { NodeAuthorizer } from './node-authorizer.js';
import { NodeGraph } from './node-graph.js';
import { nodeNameOf, podReferences, volumeReferences } from './node-references.js';

/** What the graph is made from. */
export const NODE_GRAPH_KINDS = [
  ['', 'pods'],
  ['', 'persistentvolumes'],
  ['storage.k8s.io', 'volumeattachments'],
  ['resource.k8s.io', 'resourceslices'],
] as const;

type Resource = (typeof NODE_GRAPH_KINDS)[number][1];

/** Watches of kubelets are looked at so much later than what they depended on has gone. */
const TELL_MS = 1_000;

/** A Node authorizer whose graph follows its objects. It is ready once it has seen all that there are. */
export class LiveNodeGraph {
  readonly authorizer: NodeAuthorizer;
  readonly #graph = new NodeGraph();
  readonly #clock: Clock;
  readonly #limits: Limits;
  #following: Following | undefined;

  constructor(clock: Clock, limits: Limits) {
    this.authorizer = new NodeAuthorizer(this.#graph);
    this.#clock = clock;
    this.#limits = limits;
  }

  /** `readerFor`: undefined for what is not served. `lost` is called some time after something has gone that nodes could read by. */
  start(readerFor: (group: string, resource: string) => Reader | undefined, lost: () => void): void {
    const { authorizer } = this;
    const soon = coalesced(this.#clock, TELL_MS, lost);
    const followed = NODE_GRAPH_KINDS.flatMap(([group, resource]) => {
      const reader = readerFor(group, resource);
      if (reader === undefined) return [];
      const follower: Omit<Follower, 'synced'> = {
        put: (object, name) => this.#put(resource, object, name),
        remove: (name) => {
          this.#remove(resource, name);
          if (authorizer.ready) soon();
        },
      };
      return [[reader, follower] as const];
    });
    const synced = () => {
      authorizer.ready = true;
    };
    this.#following = followAll(followed, synced, this.#clock, this.#limits);
  }

  stop(): void {
    this.#following?.stop();
  }

  #put(resource: Resource, object: unknown, name: FollowedName): void {
    if (resource === 'pods') this.#graph.setPod(name, nodeNameOf(object), podReferences(object));
    else if (resource === 'persistentvolumes') {
      const { claim, secrets } = volumeReferences(object);
      this.#graph.setVolume(name.name, claim, secrets);
    } else this.#graph.setOwner(resource, name.name, nodeNameOf(object));
  }

  #remove(resource: Resource, name: FollowedName): void {
    if (resource === 'pods') this.#graph.deletePod(name);
    else if (resource === 'persistentvolumes') this.#graph.deleteVolume(name.name);
    else this.#graph.setOwner(resource, name.name, '');
  }
}
