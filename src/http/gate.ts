import { isIPv4 } from 'node:net';

/**
 * A listener without authentication answers only whoever means this machine. Otherwise a web page
 * could point its own host name at 127.0.0.1 (DNS rebinding), or open a WebSocket, and read every
 * Secret through the browser of the developer who runs the server.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  if (host === undefined) return false;
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::[0-9]*)?$/.exec(host);
  if (match === null) return false;
  const [, bracketed, plain] = match;
  if (bracketed !== undefined) return bracketed === '::1';
  const name = plain!.toLowerCase();
  return name === 'localhost' || (isIPv4(name) && name.startsWith('127.'));
}

/** Browsers send the Origin of the page that opens a WebSocket; the same rule holds for its host. */
export function isLoopbackOrigin(origin: string): boolean {
  try {
    const { protocol, host } = new URL(origin);
    return (protocol === 'http:' || protocol === 'https:') && isLoopbackHost(host);
  } catch {
    return false;
  }
}

/** More than one Host: whoever stands between the client and us may have believed another one. */
export function isHostRepeated(raw: readonly string[]): boolean {
  let seen = false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (seen) return true;
    seen = true;
  }
  return false;
}

export function hostRefusal(host: string | undefined): string {
  const named = host === undefined ? 'no Host' : `Host ${JSON.stringify(host.slice(0, 253))}`;
  return (
    `Forbidden: this listener has no authentication, so it answers only requests addressed to a loopback ` +
    `Host (127.0.0.0/8, [::1] or localhost); this one has ${named}.\n`
  );
}

export function originRefusal(origin: string): string {
  return (
    `Forbidden: this listener has no authentication, so it accepts WebSockets only from a loopback ` +
    `Origin (127.0.0.0/8, [::1] or localhost); this one has Origin ${JSON.stringify(origin.slice(0, 253))}.\n`
  );
}
