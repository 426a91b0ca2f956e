import { type Mutation, of } from './mutation.js';

/** What is passed on to a kube-apiserver, as whom, and how it ends. */
export const forwardingMutations: readonly Mutation[] = [
  ...of(
    'src/http/forward/headers.ts',
    ['http/forward/headers'],
    [
      ['clients cannot name another user', "['x-remote-', 'impersonate-']", "['impersonate-']"],
      ['impersonation ends here', "['x-remote-', 'impersonate-']", "['x-remote-']"],
      ['credentials stay here', "new Set(['authorization', ", 'new Set(['],
      ['names of our own front proxy are removed, too', '|| identityHeaders.has(name)) continue;', ') continue;'],
      ['a name that loses its spaces is another name', '|^[ \\t]|[ \\t]$/', '/'],
      ['names go as UTF-8', "Buffer.from(value, 'utf8').toString('latin1')", 'value'],
    ],
  ),
  ...of(
    'src/http/forward/forwarder.ts',
    ['http/forward/streaming', 'http/forward/forwarding'],
    [
      ['what breaks off never looks whole', 'if (!isWhole && !exchange.isOver) exchange.cut();', 'response.end();'],
      ['the head of a request does not wait for its body', '  outgoing.flushHeaders();\n', ''],
      ['an answer that is not read holds the target back', 'incoming.pause();', 'incoming.resume();'],
      ['writes are never sent twice', 'return isRead && outgoing.reusedSocket', 'return outgoing.reusedSocket'],
    ],
  ),
  ...of(
    'src/http/answering.ts',
    ['http/forward/forwarding', 'http/forward/upgrades'],
    [
      ['a page of another origin does nothing', 'origin !== undefined && !isLoopbackOrigin(origin)', 'origin === "x"'],
      ['what may take any time is not counted', ' || (exchange.isForwarded && isLongRunning(request));', ';'],
    ],
  ),
  ...of(
    'src/http/access.ts',
    ['http/forward/forwarding'],
    [['the target decides about what is forwarded', ' || exchange.isForwarded) return', ') return']],
  ),
];
