import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { type Follower, type Following, follow } from '../serve/follow.js';
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
  readonly #followings: Following[] = [];
  #told = false;

  constructor(clock: Clock, limits: Limits) {
    this.rbac = new Rbac(limits.verdictsPerUserMax);
    this.#clock = clock;
    this.#limits = limits;
  }

  /** `changed` is called once the loop has time, after one change or many. */
  start(readerFor: (resource: string) => Reader, changed: () => void): void {
    const { rbac } = this;
    const missing = new Set<string>(RESOURCES);
    const tell = () => {
      if (this.#told || !rbac.ready) return;
      this.#told = true;
      this.#clock.setTimer(0, () => {
        this.#told = false;
        changed();
      });
    };
    for (const resource of RESOURCES) {
      const isRole = resource === 'roles' || resource === 'clusterroles';
      const follower: Follower = {
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
        synced() {
          missing.delete(resource);
          rbac.ready = missing.size === 0;
        },
      };
      this.#followings.push(follow(readerFor(resource), follower, this.#clock, this.#limits));
    }
  }

  stop(): void {
    for (const following of this.#followings) following.stop();
  }
}
