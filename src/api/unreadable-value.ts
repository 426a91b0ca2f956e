/**
 * What stands in the place of a stored value that cannot be decrypted: the marker, then the reason as UTF-8. No stored value
 * begins like this, as protobuf, JSON and CBOR begin otherwise; the codec reports the reason as that object's error.
 */
const MARKER = Buffer.from('\0listwatch:unreadable:');

export function unreadableValue(reason: string): Uint8Array {
  return Buffer.concat([MARKER, Buffer.from(reason)]);
}

/** The reason, or undefined for any other value. */
export function unreadableReason(value: Uint8Array, start: number, end: number): string | undefined {
  if (value[start] !== 0 || end - start < MARKER.length) return undefined;
  const bytes = Buffer.from(value.buffer, value.byteOffset + start, end - start);
  return bytes.subarray(0, MARKER.length).equals(MARKER) ? bytes.toString('utf8', MARKER.length) : undefined;
}
