import { hash } from 'node:crypto';
import type { Digest } from '../domain/sharing/shared-call.ts';

/** SHA-256, in the alphabet of base64url; of a string its UTF-8. */
export const sha256: Digest = data => hash('sha256', data, 'base64url');
