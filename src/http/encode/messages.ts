import type { Status } from '../../api/status.js';
import { encodeMessage } from '../../codec/encode.js';

/** metav1.Status as a bare message, for error bodies and ERROR events. */
export function statusMessage(status: Status): Uint8Array {
  return encodeMessage('k8s.io.apimachinery.pkg.apis.meta.v1.Status', status);
}

export { encodeMessage };
