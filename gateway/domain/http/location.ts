import type { Matched } from '../call.ts';
import type { RequestDraft } from '../route.ts';
import { setField } from './fields.ts';
import { frontsOf } from './forwarding.ts';

/**
 * Leads an instance's `Location` back below the route's prefix, since the instance knows its own paths only.
 *
 * A path is led back, and a URL at one of the instances' own addresses, which becomes a path. What leads to another
 * server, or names the prefix already, stays as it is. The prefix is found by asking the route's path filters once more:
 * redirects are few.
 */
export function leadBack(fields: string[], location: string, call: Matched): void {
  const path = pathAtInstance(location, call);
  const led = path === undefined ? undefined : ledBack(path, call);
  if (led !== undefined && led !== location) setField(fields, 'Location', led);
}

function ledBack(path: string, call: Matched): string | undefined {
  const fronts = frontsOf(call.path, innerPath(call));
  if (fronts === undefined) return path;
  const { outer, inner } = fronts;
  if (outer !== '' && isBelow(path, outer)) return path;
  return isBelow(path, inner) ? outer + path.slice(inner.length) || '/' : path;
}

function isBelow(path: string, front: string): boolean {
  return path.startsWith(front) && (path.length === front.length || /[/?#]/.test(path.charAt(front.length)));
}

function innerPath(call: Matched): string {
  const draft: RequestDraft = { path: call.path, query: '', fields: [], host: undefined, isPrefixed: false };
  for (const { isOfPath, onRequest } of call.route.filters) if (isOfPath === true) onRequest?.(draft, call);
  return draft.path;
}

const ABSOLUTE = /^(https?:\/\/[^/?#]+)(.*)$/i;

/** The path, query and fragment; undefined where it leads elsewhere, or is relative, which holds below any prefix. */
function pathAtInstance(location: string, { route }: Matched): string | undefined {
  if (location.startsWith('/')) return location.startsWith('//') ? undefined : location;
  const [, origin = '', rest = ''] = ABSOLUTE.exec(location) ?? [];
  if (origin === '' || !route.service.view().instances.some(({ address }) => address === origin.toLowerCase())) {
    return undefined;
  }
  return rest.startsWith('/') ? rest : `/${rest}`;
}
