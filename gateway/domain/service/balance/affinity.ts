import type { Admitted } from '../../call.ts';
import { cookiesOf, fieldOf } from '../../http/fields.ts';
import type { AffinityKey, BalanceSpec } from '../service-policy.ts';

/** What keeps this request with an instance; empty where nothing does. */
export function affinityOf(balance: BalanceSpec, request: Admitted): string {
  return balance.policy === 'hash' ? valueOf(balance.by, request) : '';
}

function valueOf(key: AffinityKey, request: Admitted): string {
  switch (key.kind) {
    case 'caller':
      return request.caller.id;
    case 'ip':
      return request.callerAddress;
    case 'header':
      return fieldOf(request.fields, key.name.toLowerCase()) ?? '';
    case 'cookie':
      return cookiesOf(request.fields, key.name)[0] ?? '';
  }
}
