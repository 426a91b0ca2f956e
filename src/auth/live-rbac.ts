import { type Clock, coalesced } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { type Follower, type Following, followAll } from '../serve/follow.js';
import type { Reader } from '../serve/reader.js';
import { readBinding, readRole } from './policy.js';
import { Rbac } from './rbac.js';

export const RBAC_GROUP = 'rbac.authorization.k8s.io';
const RESOURCES = ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'] as const;

/** RBAC that follows its objects. It is ready once it has seen all that there are. */
export class LiveRbac {
  readonly rbac: Rbac;
  readonly #clock: Clock;
  readonly #limits: Limits;
  #following: Following | undefined;

  constructor(clock: Clock, limits: Limits) {
    this.rbac = new Rbac(limits.verdictsPerUserMax);
    this.#clock = clock;
    this.#limits = limits;
  }

  /** `changed` is called once the loop has time, after one change or many. */
  start(readerFor: (resource: string) => Reader, changed: () => void): void {
    const { rbac } = this;
    const soon = coalesced(this.#clock, 0, changed);
    const tell = () => {
      if (rbac.ready) soon();
    };
    const followed = RESOURCES.map((resource) => {
      const isRole = resource === 'roles' || resource === 'clusterroles';
      const follower: Omit<Follower, 'synced'> = {
        put(object) {
          if (isRole) rbac.setRole(readRole(object));
          else rbac.setBinding(readBinding(object));
          tell();
        },
        remove(name) {
          if (isRole) rbac.deleteRole(name);
          else rbac.deleteBinding(name);
          tell();
        },
      };
      return [readerFor(resource), follower] as const;
    });
    const synced = () => {
      rbac.ready = true;
    };
    this.#following = followAll(followed, synced, this.#clock, this.#limits);
  }

  stop(): void {
    this.#following?.stop();
  }
}
