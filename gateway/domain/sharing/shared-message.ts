import type { Complete } from '../exchange.ts';
import { fieldOf, setField } from '../http/fields.ts';
import { identityFields } from '../http/identity-fields.ts';
import { callersFields, compose } from '../http/upstream-request.ts';
import type { UpstreamMessage } from '../ports.ts';
import type { VaryKey } from '../route.ts';
import { bodyReadingOf } from './body-reading.ts';

/**
 * What R is sent on a route that shares: the content with its own fields, what `varyBy` names, who calls only with
 * `varyBy: [caller]`, and what the route's filters make of that. Nothing else of the one who happens to ask reaches R,
 * so that nothing of it can be in an answer that others get.
 */
export function composeShared(complete: Complete, varyBy: readonly VaryKey[]): UpstreamMessage {
  const { caller, content } = complete;
  const identity = varyBy.some(({ kind }) => kind === 'caller') ? identityFields(caller) : [];
  const fields = sharedFields(complete, varyBy);
  if (!isNamed('content-type', varyBy)) sayJson(fields, content);
  return compose(complete, { fields, identity, content });
}

function sharedFields(complete: Complete, varyBy: readonly VaryKey[]): string[] {
  const fields = callersFields(complete);
  const hasContent = complete.content.length > 0;
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    const lowerName = name.toLowerCase();
    if ((hasContent && isOfContent(lowerName)) || isNamed(lowerName, varyBy)) kept.push(name, value);
  }
  return kept;
}

/** What tells of the content begins so, be it of RFC 9110 (§8.3 to §8.7), RFC 9530 (`Content-Digest`) or another. */
function isOfContent(name: string): boolean {
  return name.startsWith('content-');
}

function isNamed(name: string, varyBy: readonly VaryKey[]): boolean {
  return varyBy.some(key => key.kind === 'header' && key.name === name);
}

/** JSON that Plumber reads as JSON is said to be JSON, however the caller said it or left it out: then it is one request. */
function sayJson(fields: string[], content: Buffer): void {
  if (fieldOf(fields, 'content-type') === JSON_TYPE || bodyReadingOf(fields, content) !== 'json') return;
  setField(fields, 'Content-Type', JSON_TYPE);
}

const JSON_TYPE = 'application/json';
