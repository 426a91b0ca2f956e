import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** What is loaded with a built module: files of ours, and names of packages; what is imported when it is wanted is not. */
function loadedWith(entry: string): Set<string> {
  const loaded = new Set<string>();
  const waiting = [fileURLToPath(new URL(`../../src/${entry}`, import.meta.url))];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (loaded.has(file)) continue;
    loaded.add(file);
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)\b[^;=('"]*'([^']+)';/gm)) {
      if (name.startsWith('.')) waiting.push(fileURLToPath(new URL(name, `file://${file}`)));
      else loaded.add(name);
    }
  }
  return loaded;
}

const flagsOnly = loadedWith('cli/serve.js');
const beforePages = new Set([...flagsOnly, ...loadedWith('app/compose.js')]);

test('flags are read before the rest is loaded', () => {
  for (const name of ['@grpc/grpc-js', 'fastify', 'prom-client']) assert.ok(!flagsOnly.has(name), name);
  assert.ok(![...flagsOnly].some((file) => file.endsWith('/app/compose.js')));
});

test('the first pages are asked for before the HTTP half is loaded, and what few flags need is left out', () => {
  assert.ok(
    [...beforePages].some((file) => file.endsWith('/source/etcd/etcd-source.js')),
    'the graph is read',
  );
  for (const name of ['fastify', 'prom-client', 'ws', 'yaml', 'selfsigned', '@noble/ciphers/salsa.js']) {
    assert.ok(!beforePages.has(name), name);
  }
  for (const file of ['/http/server.js', '/app/open-access.js', '/app/open-encryption.js', '/app/load/load.js']) {
    assert.ok(![...beforePages].some((loaded) => loaded.endsWith(file)), file);
  }
});
