import type { Call, Matched } from '../call.ts';
import { listOf, lowerNameOf, removeField } from '../http/fields.ts';
import type { Auth } from '../route.ts';

const PROTOCOLS = 'sec-websocket-protocol';

/** What follows `bearer` among the subprotocols that a WebSocket offers. */
export function protocolTokenOf({ fields }: Call): string | undefined {
  const offered = listOf(fields, PROTOCOLS);
  const at = offered.findIndex(protocol => protocol.toLowerCase() === 'bearer');
  return at < 0 ? undefined : (offered[at + 1] ?? '');
}

/** Says which subprotocol was chosen where a WebSocket offered nothing but its token (RFC 6455 §4.2.2). */
export function answerProtocol(call: Matched): void {
  const places = call.route.policy.auth?.from;
  if (places?.some(({ kind }) => kind === 'protocol') !== true || protocolTokenOf(call) === undefined) return;
  if (listOf(call.fields, PROTOCOLS).length === 2) call.addReplyField('Sec-WebSocket-Protocol', 'bearer');
}

/** Takes out of the fields that travel on what a credential stood in elsewhere than in `Authorization`. */
export function withholdCredentials(fields: string[], auth: Auth): void {
  const { keyField, from = [] } = auth;
  if (keyField !== undefined) removeField(fields, keyField);
  for (const place of from) {
    if (place.kind === 'cookie') replaceField(fields, 'cookie', line => withoutCookie(line, place.name));
    if (place.kind === 'protocol') replaceField(fields, PROTOCOLS, withoutToken);
  }
}

/** Each line of a field as it becomes; undefined: it goes. */
function replaceField(fields: string[], name: string, become: (line: string) => string | undefined): void {
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    if (lowerNameOf(fields[i] ?? '') !== name) continue;
    const line = become(fields[i + 1] ?? '');
    if (line === undefined) fields.splice(i, 2);
    else fields[i + 1] = line;
  }
}

function withoutCookie(line: string, name: string): string | undefined {
  const pairs = line.split(';').map(pair => pair.trim());
  const kept = pairs.filter(pair => pair.split('=', 1)[0]?.trim() !== name && pair !== '');
  return kept.length === 0 ? undefined : kept.join('; ');
}

/** `bearer` may end one line and its token begin the next: nothing is left of a line that holds neither safely. */
function withoutToken(line: string): string | undefined {
  const offered = line.split(',').map(protocol => protocol.trim());
  const at = offered.findIndex(protocol => protocol.toLowerCase() === 'bearer');
  const kept = offered.filter((protocol, i) => protocol !== '' && (at < 0 || (i !== at && i !== at + 1)));
  return kept.length === 0 ? undefined : kept.join(', ');
}
