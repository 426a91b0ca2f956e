import type { Random } from '../../src/lib/random.js';
import { mutate } from './selectors.js';
import type { World } from './world.js';

const BASE64URL = 'ABCXYZabcxyz0189-_=+/ ';

/** A continue token: harvested, harvested and then damaged, or made by hand. */
export function continueToken(random: Random, world: World): string {
  const harvested = world.tokens.length === 0 ? undefined : random.pick(world.tokens).token;
  const choice = random.float();
  if (harvested !== undefined && choice < 0.45) return harvested;
  if (harvested !== undefined && choice < 0.6) return mutate(random, harvested, BASE64URL);
  if (harvested !== undefined && choice < 0.65) return harvested + random.pick(['=', '==', 'A', '\n', ' ', '.']);
  if (choice < 0.72)
    return random.pick(['abc', 'e30', 'bnVsbA', 'W10', 'MQ', '!', 'a', 'ab', 'Ig', '====', 'eyJ2Ijoi', '\u00e9']);
  return encode(random, madeByHand(random, world));
}

function encode(random: Random, text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  return random.chance(0.9) ? bytes.toString('base64url') : bytes.toString('base64');
}

function madeByHand(random: Random, world: World): string {
  const { compacted, beforeCaches, history, now } = world.revisions;
  const object = random.pick(random.pick(world.kinds).objects);
  const revision = random.pick<string | number>([
    now,
    random.pick(history),
    beforeCaches,
    compacted,
    -1,
    -1,
    -2,
    0,
    1,
    '"7"',
    '1.5',
    '1e2',
    '-0',
    'null',
    '9223372036854775807',
    '9223372036854775808',
    'true',
  ]);
  const start = random.pick([
    `${object.name}\\u0000`,
    `/${object.name}\\u0000`,
    `${object.namespace ?? 'team-01'}/${object.name}\\u0000`,
    `/${object.namespace ?? 'team-01'}/${object.name}\\u0000`,
    object.name,
    '',
    '/',
    '//',
    '..',
    '../x',
    'a/../b',
    'a//b',
    'a/.',
    'a/b/',
    '/zzzz',
    '\\u0000',
    'é\\u00e9',
    '\\ud800',
    'a\\tb',
  ]);
  const version = random.pick([
    'meta.k8s.io/v1',
    'meta.k8s.io/v1',
    'meta.k8s.io/v1',
    'meta.k8s.io/v1',
    'v1',
    '',
    'a"b'.replaceAll('"', '\\"'),
  ]);
  return random.pick([
    () => `{"v":"${version}","rv":${revision},"start":"${start}"}`,
    () => `{"v":"${version}","rv":${revision},"start":"${start}"}`,
    () => `{"v":"${version}","rv":${revision},"start":"${start}"}`,
    () => `{"start":"${start}","rv":${revision},"v":"${version}"}`,
    () => ` { "v" : "${version}" , "rv" : ${revision} , "start" : "${start}" } `,
    () => `{"V":"${version}","RV":${revision},"Start":"${start}"}`,
    () => `{"v":"${version}","rv":${revision}}`,
    () => `{"v":"${version}","start":"${start}"}`,
    () => `{"rv":${revision},"start":"${start}"}`,
    () => `{"v":"${version}","rv":${revision},"start":"${start}","x":[1,{"y":null}]}`,
    () => `{"v":"${version}","v":"meta.k8s.io/v1","rv":${revision},"start":"${start}"}`,
    () => `{"v":"${version}","rv":${revision},"start":"${start}"`,
    () => `{"v":"${version}","rv":${revision},"start":"${start}"}}`,
    () => `{"v":"${version}","rv":${revision},"start":"${start}"}x`,
    () => `{"v":1,"rv":${revision},"start":"${start}"}`,
    () => `{"v":"${version}","rv":${revision},"start":7}`,
    () => `{"v":"${version}","rv":${revision},"start":null}`,
    () => `{'v':1}`,
    () => `[]`,
  ])();
}
