import { accessMutations } from './access.js';
import { answerMutations } from './answers.js';
import { boundsMutations } from './bounds.js';
import { checkpointMutations } from './checkpoints.js';
import { customResourceMutations } from './custom-resources.js';
import { encryptionMutations } from './encryption.js';
import { forwardingMutations } from './forwarding.js';
import { harnessMutations } from './harness.js';
import { hollowMutations } from './hollow.js';
import { listMutations } from './lists.js';
import { liveMutations } from './live.js';
import type { Mutation } from './mutation.js';
import { storageMutations } from './storage.js';
import { tableMutations } from './tables.js';
import { workerMutations } from './workers.js';

export const mutations: readonly Mutation[] = [
  ...storageMutations,
  ...liveMutations,
  ...answerMutations,
  ...boundsMutations,
  ...listMutations,
  ...tableMutations,
  ...workerMutations,
  ...checkpointMutations,
  ...encryptionMutations,
  ...harnessMutations,
  ...accessMutations,
  ...customResourceMutations,
  ...hollowMutations,
  ...forwardingMutations,
];
