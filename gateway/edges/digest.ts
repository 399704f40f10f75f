import { hash, randomBytes } from 'node:crypto';
import type { Digest } from '../domain/sharing/shared-call.ts';

/** SHA-256, in the alphabet of base64url; of a string its UTF-8. */
export const sha256: Digest = data => hash('sha256', data, 'base64url');

/**
 * A digest under a key that this process made and never tells: the name of a credential in memory, from which the
 * credential cannot be guessed.
 */
export function keyedDigest(): (text: string) => string {
  const key = randomBytes(32).toString('base64');
  return text => hash('sha256', key + text, 'base64');
}
