import { GatewayError } from '../errors.ts';
import type { AddressRules } from '../route.ts';
import { withinRanges } from '../http/address-range.ts';

/** The rules, ready to be asked; undefined where they let in anyone. */
export function addressRules({ allow, deny }: Omit<AddressRules, 'admits'>): AddressRules | undefined {
  if (allow.length + deny.length === 0) return undefined;
  const [isAllowed, isDenied] = [withinRanges(allow), withinRanges(deny)];
  const admits = (address: string) => !isDenied(address) && (allow.length === 0 || isAllowed(address));
  return { allow, deny, admits };
}

/** Refuses a call from where none may come: FORBIDDEN, and not a word of what is behind. */
export function refuseAddress(
  rules: AddressRules | undefined,
  { callerAddress }: { readonly callerAddress: string },
): void {
  if (rules === undefined || rules.admits(callerAddress)) return;
  throw new GatewayError('FORBIDDEN', 'from an address that may not come', {
    detail: 'Requests from this address are not taken.',
  });
}
