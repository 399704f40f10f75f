import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyDigests } from '../domain/admission/api-key.ts';
import type { Digest } from '../domain/sharing/shared-call.ts';

/** SHA-256, in the alphabet of base64url; of a string its UTF-8. */
export const sha256: Digest = data => hash('sha256', data, 'base64url');

/**
 * A digest under a key that this process made and never tells: the name of a credential in memory, from which the
 * credential cannot be guessed.
 */
export function keyedDigest(): (text: string) => string {
  const bytes = Buffer.alloc(KEY_BYTES + TEXT_BYTES_MAX);
  const key = randomBytes(KEY_BYTES);
  key.copy(bytes);
  return text => {
    // Put behind the key as text, it would be copied to become one piece.
    if (text.length * UTF8_BYTES_MAX > TEXT_BYTES_MAX)
      return hash('sha256', Buffer.concat([key, Buffer.from(text)]), 'base64');
    const end = KEY_BYTES + bytes.write(text, KEY_BYTES);
    const digest = hash('sha256', bytes.subarray(0, end), 'base64');
    bytes.fill(0, KEY_BYTES, end);
    return digest;
  };
}

const KEY_BYTES = 32;

/** Of a character of JavaScript's. */
const UTF8_BYTES_MAX = 3;

/** A longer text is put together anew. */
const TEXT_BYTES_MAX = 8 * 1024;

/** What API keys are known by. */
export function keyDigests(): KeyDigests {
  return {
    sha256: text => hash('sha256', text, 'hex'),
    keyed: keyedDigest(),
    isEqual: (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b)),
  };
}
