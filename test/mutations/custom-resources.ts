import { type Mutation, of } from './mutation.js';

/** Kinds that CRDs define, and what is shown of their objects. */
export const customResourceMutations: Mutation[] = [
  ...of(
    'src/codec/structural-schema.ts',
    ['codec/custom-resource'],
    [
      ['custom resources: what is not in the schema is pruned', 'else if (!keeps) {', 'else if (keeps) {'],
      [
        'custom resources: null stays where the schema allows it',
        'if (value[name] === null && !of.nullable) {',
        'if (value[name] === null) {',
      ],
    ],
  ),
  ...of(
    'src/codec/custom-resource.ts',
    ['codec/custom-resource'],
    [
      ['custom resources: bytes that need no change are kept', 'kept &&= !changed;', 'kept = false;'],
      [
        'custom resources: webhooks are refused',
        "if (this.custom.converts === 'webhook') {",
        "if (this.custom.converts === 'none') {",
      ],
    ],
  ),
  ...of(
    'src/codec/kind-set.ts',
    ['codec/custom-resource'],
    [
      [
        'custom resources: a kind stays the same object while nothing about it changes',
        'if (before?.text === text ||',
        'if (before?.kinds === found ||',
      ],
    ],
  ),
];
