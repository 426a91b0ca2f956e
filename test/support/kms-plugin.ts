import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServiceError, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { decodeMessage, encodeMessage, type KmsMessages } from '../../src/encryption/kms-messages.js';

/**
 * A KMS v2 plugin on a unix socket in this process, to be stopped, slowed down and made to fail. (test/peer/kms-plugin is one
 * of Go's own parts.) It encrypts data keys with AES-GCM, each key ID with a key of its own.
 */
export class TestKmsPlugin implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'listwatch-kms-'));
  /** As the endpoint has it: an abstract one begins with `@`. */
  readonly path: string;
  readonly endpoint: string;
  /** Methods in the order of their calls. */
  readonly calls: string[] = [];
  answer: KmsMessages['StatusResponse'] = { version: 'v2', healthz: 'ok', key_id: '1' };
  /** What Decrypt fails with. */
  failure: string | undefined;
  /** Decrypt does not answer before this is resolved. */
  gate: Promise<void> | undefined;
  #server: Server | undefined;

  constructor(path?: string) {
    this.path = path ?? join(this.#folder, 'kms.sock');
    this.endpoint = `unix://${path === undefined ? '' : '/'}${this.path}`;
  }

  async start(): Promise<void> {
    const server = new Server();
    const method = (name: 'Status' | 'Decrypt') => ({
      path: `/v2.KeyManagementService/${name}`,
      requestStream: false as const,
      responseStream: false as const,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    });
    const implementation: UntypedServiceImplementation = {
      Status: (_call: unknown, done: (error: ServiceError | null, answer?: Buffer) => void) => {
        this.calls.push('Status');
        done(null, encodeMessage('StatusResponse', this.answer));
      },
      Decrypt: (call: { request: Buffer }, done: (error: Partial<ServiceError> | null, answer?: Buffer) => void) => {
        this.calls.push('Decrypt');
        void Promise.resolve(this.gate).then(() => {
          try {
            if (this.failure !== undefined) throw new Error(this.failure);
            done(
              null,
              encodeMessage('DecryptResponse', {
                plaintext: decryptKey(decodeMessage('DecryptRequest', call.request)),
              }),
            );
          } catch (error) {
            done({ code: status.INVALID_ARGUMENT, details: (error as Error).message });
          }
        });
      },
    };
    server.addService({ Status: method('Status'), Decrypt: method('Decrypt') }, implementation);
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${this.path.replace(/^@/, '\0')}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    this.#server = server;
  }

  /** Calls that are under way fail. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    rmSync(this.path, { force: true });
  }

  count(method: string): number {
    return this.calls.filter((call) => call === method).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const ANNOTATION = 'cipher.test.listwatch.dev';
const keyOf = (keyId: string) => createHash('sha256').update(`kek ${keyId}`).digest();

function decryptKey({ ciphertext, uid, key_id: keyId, annotations }: KmsMessages['DecryptRequest']): Uint8Array {
  if (uid === '') throw new Error('the call has no uid');
  if (Buffer.from(annotations[ANNOTATION] ?? []).toString() !== 'gcm') throw new Error('the annotation is missing');
  return openGcm(keyOf(keyId), Buffer.from(ciphertext), Buffer.alloc(0));
}

/** A data key or a seed, as kube-apiserver keeps it beside the values that it opens. */
export class TestDataKey {
  readonly #secret: Buffer;
  readonly #type: number;
  readonly #keyId: string;
  readonly #encrypted: Buffer;

  /** `type`: 0, the key itself; 1, a seed. */
  constructor(type: 0 | 1, keyId = '1', secret = randomBytes(32)) {
    this.#secret = secret;
    this.#type = type;
    this.#keyId = keyId;
    this.#encrypted = sealGcm(keyOf(keyId), secret, Buffer.alloc(0));
  }

  /** A stored value of the provider. */
  encrypt(provider: string, key: string, plain: string | Uint8Array): Buffer {
    const info = this.#type === 1 ? randomBytes(32) : Buffer.alloc(0);
    // RFC 5869: the first block of the expansion.
    const secret = this.#type === 1 ? hmac(this.#secret, Buffer.concat([info, Buffer.of(1)])) : this.#secret;
    const object = encodeMessage('EncryptedObject', {
      encryptedData: Buffer.concat([info, sealGcm(secret, Buffer.from(plain), Buffer.from(key))]),
      keyID: this.#keyId,
      encryptedDEKSource: this.#encrypted,
      annotations: { [ANNOTATION]: Buffer.from('gcm') },
      encryptedDEKSourceType: this.#type,
    });
    return Buffer.concat([Buffer.from(`k8s:enc:kms:v2:${provider}:`), object]);
  }
}

/** By hand, as RFC 2104 has it: what is under test uses Node's. */
function hmac(key: Buffer, data: Buffer): Buffer {
  const block = Buffer.alloc(64);
  key.copy(block);
  const pad = (byte: number) => block.map((value) => value ^ byte);
  const inner = createHash('sha256').update(pad(0x36)).update(data).digest();
  return createHash('sha256').update(pad(0x5c)).update(inner).digest();
}

function sealGcm(key: Uint8Array, plain: Uint8Array, authenticated: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(authenticated);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function openGcm(key: Uint8Array, sealed: Buffer, authenticated: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
  decipher.setAAD(authenticated);
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}
