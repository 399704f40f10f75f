import { z } from 'zod';
import { addressRules } from '../../domain/admission/addresses.ts';
import { AddressRange } from './listen.ts';

/** From where callers may come. */
export const Addresses = z
  .strictObject({
    allow: z.array(AddressRange).default([]).describe('Only from these addresses and ranges; empty: from anywhere.'),
    deny: z.array(AddressRange).default([]).describe('Not from these, whatever `allow` says.'),
  })
  .transform(addressRules);
