import { originOf, portOf } from './schema/scalars.ts';
import { SERVICE_NAME } from './schema/discovery.ts';

/** Where a route leads. */
export interface RouteTarget {
  readonly serviceName: string;
  /** The one address of a plain URI; undefined for `lb://`, whose instances a roster knows. */
  readonly origin: string | undefined;
  readonly isStream: boolean;
  /** What of the URI has no effect. */
  readonly warning: string | undefined;
}

/** Why a URI leads nowhere. */
export interface UriProblem {
  readonly problem: string;
  readonly hint: string | undefined;
}

const FORMS = 'write lb://SERVICE, http://HOST:PORT or https://HOST:PORT';

const NOWHERE_HINT = 'where RedirectTo answers write a service that is never asked: lb://nowhere';

type ReadRest = (rest: string) => RouteTarget | UriProblem;

/** What each scheme means; a URI of any other leads nowhere. */
const SCHEMES: ReadonlyMap<string, ReadRest> = new Map<string, ReadRest>([
  ['lb', rest => named(rest, false)],
  ['lb:http', rest => named(rest, false)],
  ['lb:ws', rest => named(rest, true)],
  ['lb:https', () => SAID_BY_INSTANCES],
  ['lb:wss', () => SAID_BY_INSTANCES],
  ['http', rest => addressed(`http://${rest}`, false)],
  ['https', rest => addressed(`https://${rest}`, false)],
  ['ws', rest => addressed(`http://${rest}`, true)],
  ['wss', rest => addressed(`https://${rest}`, true)],
]);

const SAID_BY_INSTANCES: UriProblem = {
  problem:
    'whether an instance is spoken to by TLS stands where the instance does: https:// there, or `secure: true` in its Consul meta',
  hint: 'write lb://SERVICE',
};

/** Reads a route's `uri`: `lb://NAME`, `http(s)://HOST:PORT`, and `ws(s)://…`, `lb:ws://NAME` for streams. */
export function parseRouteUri(text: string): RouteTarget | UriProblem {
  if (text.startsWith('no:')) return { problem: 'leads nowhere', hint: NOWHERE_HINT };
  if (text.startsWith('forward:')) {
    return { problem: 'forward: is not part of this gateway', hint: 'name the service that answers: lb://SERVICE' };
  }
  const [, scheme = '', rest = ''] = /^([A-Za-z][A-Za-z0-9+.-]*(?::[A-Za-z]+)?):\/\/(.*)$/.exec(text) ?? [];
  return SCHEMES.get(scheme.toLowerCase())?.(rest) ?? { problem: 'is no URI of a service', hint: FORMS };
}

function named(rest: string, isStream: boolean): RouteTarget | UriProblem {
  const [name = '', ...path] = rest.split('/');
  if (/:\d+$/.test(name)) return { problem: 'a service has no port: its instances have', hint: 'write lb://SERVICE' };
  if (!SERVICE_NAME.test(name)) {
    return { problem: 'is no name of a service', hint: 'write lb://SERVICE, of letters, digits, `.`, `_` and `-`' };
  }
  return { serviceName: name, origin: undefined, isStream, warning: warningOf(path.join('/')) };
}

function addressed(text: string, isStream: boolean): RouteTarget | UriProblem {
  const problem = { problem: 'is no address of a service', hint: FORMS };
  if (!URL.canParse(text)) return problem;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return { problem: 'credentials do not belong in a URI', hint: FORMS };
  const origin = originOf(`${url.protocol}//${url.host}`);
  if (origin === undefined) return problem;
  const serviceName = `${url.hostname}:${portOf(url)}`;
  return { serviceName, origin, isStream, warning: warningOf(`${url.pathname.slice(1)}${url.search}${url.hash}`) };
}

/** As in Spring: only scheme, host and port count. */
function warningOf(surplus: string): string | undefined {
  return surplus === '' ? undefined : 'what follows the address has no effect: use SetPath or PrefixPath';
}
