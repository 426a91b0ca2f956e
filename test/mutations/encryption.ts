import { type Mutation, of } from './mutation.js';

const KMS = ['encryption/kms'] as const;

/** Values encrypted at rest: what opens them, what waits for keys, and what becomes of failures. */
export const encryptionMutations: readonly Mutation[] = [
  ...of(
    'src/encryption/ciphers.ts',
    ['encryption/ciphers'],
    [
      ['aesgcm authenticates the etcd key', '    decipher.setAAD(authenticated);\n', ''],
      ['aescbc checks its padding', '.every((byte) => byte === padding)', '.every((byte) => byte <= 255)'],
    ],
  ),
  ...of('src/encryption/ciphers.ts', KMS, [
    ['the key of a value is derived by HKDF', '.update(info).update(FIRST_BLOCK).digest()', '.update(info).digest()'],
  ]),
  ...of(
    'src/encryption/transformer.ts',
    ['encryption/ciphers'],
    [
      [
        'a key that fails does not end the search',
        "      reasons.push(...(error instanceof DecryptError ? error.reasons : ['the value could not be decrypted']));",
        "      reasons.push(...(error instanceof DecryptError ? error.reasons : ['the value could not be decrypted']));\n      break;",
      ],
      ['identity takes no encrypted value', 'if (!beginsWith(value, ENCRYPTED)) return value;', 'return value;'],
    ],
  ),
  ...of('src/encryption/decrypting-watch.ts', KMS, [
    [
      'what follows a value waits for its data key',
      'if (head?.finish === undefined || head.waiting > 0) return;',
      'if (head?.finish === undefined) return;',
    ],
    [
      'a revision is delivered whole',
      'if (head?.finish === undefined || head.waiting > 0) return;',
      'if (head === undefined || head.waiting > 0) return;',
    ],
    [
      'what waits is bounded',
      'if (this.#heldBytes <= this.#heldBytesMax) return;',
      'if (this.#heldBytes >= 0) return;',
    ],
    [
      'nothing follows a close',
      '    this.#over = true;\n    this.#forget();\n    this.#handle.close();\n  }\n\n  change(',
      '    this.#handle.close();\n  }\n\n  change(',
    ],
  ]),
  ...of('src/encryption/decrypting-source.ts', KMS, [
    ['a page waits for its data keys', '  await Promise.all(missing);\n', ''],
  ]),
  ...of('src/encryption/kms-provider.ts', KMS, [
    ['one data key is one call', 'return this.#calls.get(name) ?? this.#failed', 'return this.#failed'],
    ['of a key that has failed nobody waits', '?? this.#failed.get(name)?.open ?? this.#call(', '?? this.#call('],
    [
      'what was read without a key is read anew',
      'if (this.#failed.delete(name)) this.#recovered();',
      'this.#failed.delete(name);',
    ],
    ['failed keys are asked for again', 'void this.#call(name, failed.object, failed.attempts + 1);', ''],
    ['data keys are kept for a time', 'this.#parts.clock.monotonicMs() < known.untilMs', 'known.untilMs > 0'],
    ['calls at a time are bounded', 'const leave = await this.#gate.enter();', 'const leave = () => {};'],
    [
      'calls that wait for a plugin that is away fail with the first',
      'if (this.#away !== undefined && this.#away.atMs >= sinceMs) throw this.#away.error;',
      '',
    ],
  ]),
  ...of(
    'src/encryption/kms-health.ts',
    ['encryption/kms-health'],
    [
      [
        'each problem is told once',
        'if (problem !== this.#told) this.#changed((this.#told = problem));',
        'this.#changed((this.#told = problem));',
      ],
      ['what a plugin says counts: healthz', "if (healthz !== 'ok') problems", "if (healthz === 'x') problems"],
    ],
  ),
  ...of(
    'src/app/followed-files.ts',
    ['app/certificate-renewal'],
    [['what is refused is told of once', 'const again = refusal === this.#refused;', 'const again = false;']],
  ),
  ...of(
    'src/app/open-encryption.ts',
    ['app/open-encryption'],
    [
      [
        'a watch whose list missed a change is listed anew',
        'this.#failedAfter = Math.min(this.#failedAfter, this.#rereadings);',
        '',
      ],
      [
        'a value that fails after a change is no reason to list anew',
        'if (this.#failedAfter < this.#rereadings) {',
        'if (this.#failedAfter <= this.#rereadings) {',
      ],
    ],
  ),
];
