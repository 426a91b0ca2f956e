import type { Random } from '../../lib/random.js';

/** The invented shop that the sample cluster runs. Nothing here names a real company, product or image. */
export const REGISTRY = 'registry.example.com';

/** Namespace -> the services that its team runs. */
export const teams: Readonly<Record<string, readonly string[]>> = {
  storefront: ['web', 'basket', 'session', 'banner', 'wishlist'],
  catalogue: ['browse', 'search', 'prices', 'images', 'suggest'],
  checkout: ['orders', 'payment', 'coupons', 'invoices', 'fraud'],
  warehouse: ['stock', 'picking', 'labels', 'returns', 'forecast'],
  delivery: ['routes', 'tracking', 'couriers', 'slots', 'maps'],
  insight: ['collector', 'sessions', 'reports', 'exports', 'metrics'],
  messaging: ['mail', 'push', 'templates', 'digest', 'inbox'],
};

export const roles = ['api', 'worker', 'gateway', 'cache', 'proxy'] as const;
export const stores = ['db', 'queue', 'index'] as const;
export const chores = ['cleanup', 'rollup', 'backup', 'report', 'reindex'] as const;
export const systemAgents = ['node-agent', 'log-shipper', 'net-bridge'] as const;

export const zones = ['eu-example-1a', 'eu-example-1b', 'eu-example-1c'] as const;

/** Kubernetes' own alphabet for generated names: without vowels and look-alikes, so that no words come out. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

export function suffix(random: Random, length: number): string {
  let text = '';
  for (let index = 0; index < length; index++) text += ALPHABET[random.int(ALPHABET.length)]!;
  return text;
}

/** What generateName makes of a prefix. */
export function generated(random: Random, prefix: string): string {
  return `${prefix}${suffix(random, 5)}`;
}
