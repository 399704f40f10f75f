import { GatewayError } from '../errors.ts';
import type { Random } from '../clock.ts';
import { listOf, type RawFields } from '../http/fields.ts';
import type { RequestAttributes, Route, RouteSpec } from '../route.ts';
import type { FoundRoute, RouteTable } from '../routing/route-table.ts';
import type { ServiceView } from '../service.ts';
import { isEligibleIn } from '../service.ts';

/** True for a route that makes jobs of calls where their callers ask for that. */
export function takesJobs(route: Pick<Route, 'policy'>): boolean {
  return whyNoJobs(route) === undefined;
}

/** Why a route makes no jobs of calls, in words; undefined: it does. */
function whyNoJobs({ policy }: Pick<Route, 'policy'>): string | undefined {
  if (policy.isStream) return 'it is a stream';
  if (!policy.isPure) return 'it is not `pure: true`: rows may be asked twice';
  return policy.async === 'refuse' ? 'it has `async: refuse`' : undefined;
}

/** True where a caller would rather be told where the answer will be than wait for it (RFC 7240 §4.1). */
export function prefersAsync(fields: RawFields): boolean {
  return listOf(fields, 'prefer').some(preference => /^respond-async\s*(?:;|$)/i.test(preference));
}

/** What `explain` says of a route's jobs. */
export interface JobsView {
  /** Null: it takes them. */
  readonly why: string | null;
  /** Where files are brought; null: its path has variables, and they are brought to the path itself, or there are none. */
  readonly files: string | null;
  /** Each call is a job, asked for or not. */
  readonly isAlways: boolean;
  /** Rows of each call; null: as many as are answered quickly. */
  readonly rows: number | null;
}

/** Of a route, where files are brought below `path`. */
export function jobsView(route: Pick<Route, 'id' | 'policy' | 'paths'>, path: string): JobsView {
  const why = whyNoJobs(route) ?? null;
  const { isFixed, rowsMax } = rowsOfCall(route);
  const isBrought = why === null && pathOfJobs(route, '') !== undefined;
  return {
    why,
    files: isBrought ? `${path}/${encodeURIComponent(route.id)}` : null,
    isAlways: why === null && route.policy.async === 'always',
    rows: isFixed ? rowsMax : null,
  };
}

/** How the rows of a file are put to a route. */
export interface RowsOfCall {
  /** No call has more. */
  readonly rowsMax: number;
  /** Each has so many, as far as the file goes. */
  readonly isFixed: boolean;
  readonly bytesMax: number;
  readonly form: 'array' | 'columns';
}

/** As many rows as travel together there, and no more than the route takes in one body. */
export function rowsOfCall({ policy }: Pick<Route, 'policy'>): RowsOfCall {
  const { sharing, validate, bodyBytesMax, limits } = policy;
  const batch = sharing?.batch;
  const rates = limits.flatMap(({ cost, rate, pace }) => (cost === 'rows' && pace === undefined ? [rate] : []));
  return {
    rowsMax: Math.max(1, Math.min(batch?.sizeMax ?? Infinity, validate?.rowsMax ?? Infinity, ...rates)),
    isFixed: batch !== undefined,
    bytesMax: bodyBytesMax,
    form: batch?.rows ?? validate?.form ?? 'array',
  };
}

/** Rows of the first call, and after one of which it was not told which row is at fault. */
const ROWS_FIRST = 64;
const ROWS_MAX = 1_024;
/** A call that is over sooner could ask for more, and a caller should not have to wait for a longer one. */
const CALL_MS_MIN = 50;
const CALL_MS_MAX = 150;

/**
 * How many rows of a job make one call, where its route does not say it (`batch.sizeMax`): as many as are answered while
 * another caller would hardly notice. Most of what R does for a call is the same for one row and for a thousand.
 */
export class CallSize {
  #rows = ROWS_FIRST;
  #rowsMax = ROWS_MAX;

  get rows(): number {
    return this.#rows;
  }

  /** So long a call of so many rows took, its wait for an instance included. */
  took(ms: number, rows: number): void {
    if (ms > CALL_MS_MAX) this.#rows = Math.max(ROWS_FIRST, Math.floor(this.#rows / 2));
    else if (ms < CALL_MS_MIN && rows >= this.#rows) this.#rows = Math.min(this.#rowsMax, this.#rows * 2);
  }

  /** A row among them is at fault for all: where rows are refused, halving few costs less than halving many. */
  refused(): void {
    this.#rows = this.#rowsMax = ROWS_FIRST;
  }
}

/** Where callers ask a route for what its jobs ask; undefined: its path is not a plain one. `rest`: what stands behind its front. */
export function pathOfJobs({ paths }: Pick<Route, 'paths'>, rest: string): string | undefined {
  const pattern = paths[0]?.text ?? '';
  const front = pattern.endsWith('/**') ? pattern.slice(0, -3) : pattern;
  if (front === '' || /[{*?]/.test(front)) return undefined;
  if (front === pattern) return rest === '' ? front : undefined;
  return `${front}/${rest === '' ? 'predict' : rest}`;
}

const ofJobs = new WeakMap<Route, Route>();

/** The route as the calls of jobs take it: behind all others, and sharing nothing, since no two rows of a file are one call. */
export function routeOfJobs(route: Route): Route {
  const known = ofJobs.get(route);
  if (known !== undefined) return known;
  const policy = { ...route.policy, priority: 'low' as const, sharing: undefined, compress: false };
  const made = { ...route, policy };
  ofJobs.set(route, made);
  return made;
}

/**
 * How many calls of jobs a service has at once: what all its instances but one can work on, and one call where there is
 * only one, so that a caller who waits for an answer finds an instance, or waits for one such call.
 */
export function callsAtOnce({ instances }: Pick<ServiceView, 'instances'>, concurrency: number): number {
  const inRotation = instances.filter(({ state }) => isEligibleIn(state)).length;
  return Math.max(1, (inRotation - 1) * concurrency);
}

/** Where a file was brought: below `jobs.path`, to a route by its id, and what stands behind it in the path. */
interface FileBrought {
  readonly segments: readonly string[];
  readonly random?: Random | undefined;
}

/**
 * The route that takes a file, and the path of its calls: what holds of a call to that path holds of the file. Throws
 * NO_ROUTE.
 */
export function findForFile<R extends RouteSpec>(
  table: RouteTable<R>,
  request: RequestAttributes,
  { segments: [name = '', ...rest], random }: FileBrought,
): FoundRoute<R> & { readonly path: string } {
  const id = decoded(name);
  const named = table.routes.find(route => route.id === id);
  const path = named && pathOfJobs(named, rest.join('/'));
  const found = path === undefined ? undefined : table.find({ ...request, method: 'POST', path }, random);
  if (path === undefined || found?.kind !== 'route' || found.route.id !== id || !takesJobs(found.route)) {
    throw new GatewayError('NO_ROUTE', 'no route of this name takes jobs', {
      detail:
        'No route of this name takes files here. It must be `pure: true`, without `async: refuse`; where its path has variables, send the file to the path itself, with `Prefer: respond-async`.',
    });
  }
  return { ...found, path };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no route is called so
  }
}
