import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

/** The messages of proto/kms/api.proto that are sent or read, by name. */
export interface KmsMessages {
  readonly StatusRequest: object;
  readonly StatusResponse: { readonly version: string; readonly healthz: string; readonly key_id: string };
  readonly DecryptRequest: {
    readonly ciphertext: Uint8Array;
    readonly uid: string;
    readonly key_id: string;
    readonly annotations: Annotations;
  };
  readonly DecryptResponse: { readonly plaintext: Uint8Array };
  readonly EncryptedObject: EncryptedObject;
}

/** What a plugin said besides, when it encrypted a data key; handed back when it is to decrypt it. */
export type Annotations = Readonly<Record<string, Uint8Array>>;

/** A stored value, as KMS v2 has it. */
export interface EncryptedObject {
  readonly encryptedData: Uint8Array;
  readonly keyID: string;
  readonly encryptedDEKSource: Uint8Array;
  readonly annotations: Annotations;
  readonly encryptedDEKSourceType: number;
}

export const AES_GCM_KEY = 0;
export const AES_GCM_SEED = 1;

type Name = keyof KmsMessages;

let root: protobuf.Root | undefined;

/** Compiled at first use. */
function messageType(name: Name): protobuf.Type {
  root ??= protobuf.parse(readFileSync(new URL('../../../proto/kms/api.proto', import.meta.url), 'utf8'), {
    keepCase: true,
  }).root;
  return root.lookupType(`v2.${name}`);
}

export function encodeMessage<N extends Name>(name: N, fields: KmsMessages[N]): Buffer {
  const bytes = messageType(name).encode(fields).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Bytes of the message are views of `bytes`. Throws what protobufjs says of bytes that are no such message. */
export function decodeMessage<N extends Name>(name: N, bytes: Uint8Array): KmsMessages[N] {
  return messageType(name).decode(bytes) as unknown as KmsMessages[N];
}
