/**
 * Whether an etcd of this version reports progress only when it is true. Older ones could answer a progress
 * request before events that precede it (etcd issue 15220); the fix is in 3.4.31 and 3.5.13. What cannot be
 * parsed is not trusted, nor are release candidates of the first fixed versions.
 */
export function isProgressTrusted(version: string): boolean {
  const match = /^v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.exec(version);
  if (match === null) return false;
  const [major, minor, patch] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const isPrerelease = match[4] !== undefined;
  if (major !== 3) return major > 3;
  const firstFixed = minor === 4 ? 31 : minor === 5 ? 13 : minor > 5 ? 0 : Number.POSITIVE_INFINITY;
  if (patch !== firstFixed) return patch > firstFixed;
  return !isPrerelease || minor > 5;
}
