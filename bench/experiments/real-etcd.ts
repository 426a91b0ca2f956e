import { ETCD_MISSING, type Etcd, findEtcd, startEtcd } from '../../test/support/etcd.js';

/** An etcd for an experiment, empty; `await using` ends it. Throws, with the command that installs one, when there is none. */
export function startRealEtcd(): Promise<Etcd> {
  if (findEtcd() === undefined) throw new Error(ETCD_MISSING.replace('these tests need', 'this experiment needs'));
  return startEtcd();
}
