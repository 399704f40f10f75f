/**
 * What a plug-in file says: `import { definePredicate, defineFilter, defineMiddleware } from 'penstock'`. A file exports
 * what it defines; the names of its exports do not matter. docs/plugins.md is its manual.
 */

/** One argument of a predicate or filter: `check` holds what routes.yaml says against it. */
export type ArgSpec =
  | TextSpec
  | {
      /** Whole numbers; durations come as milliseconds, sizes as bytes. */
      readonly type: 'integer' | 'number' | 'duration' | 'size';
      readonly min?: number;
      readonly max?: number;
      readonly optional?: true;
    }
  | { readonly type: 'boolean'; readonly optional?: true }
  | {
      /** All values that are left: it stands last. */
      readonly type: 'list';
      readonly optional?: true;
    };

interface TextSpec {
  readonly type: 'text';
  readonly oneOf?: readonly string[];
  readonly pattern?: RegExp;
  readonly optional?: true;
}

/** By name, in the order of the shortcut. */
export type ArgSpecs = Readonly<Record<string, ArgSpec>>;

type ValueOf<S extends ArgSpec> = S extends { readonly oneOf: readonly (infer O)[] }
  ? O
  : S extends { readonly type: 'list' }
    ? readonly string[]
    : S extends { readonly type: 'boolean' }
      ? boolean
      : S extends { readonly type: 'text' }
        ? string
        : number;

/** The arguments as a plug-in gets them. */
export type ArgsOf<A extends ArgSpecs> = {
  readonly [K in keyof A]: A[K] extends { readonly optional: true } ? ValueOf<A[K]> | undefined : ValueOf<A[K]>;
};

/** Header fields that are only read; names in any case. */
export interface PluginFields {
  /** The first line; undefined: it is not there. */
  get(name: string): string | undefined;
  /** Every line. */
  all(name: string): readonly string[];
  has(name: string): boolean;
}

/** Header fields that may be changed. What frames a message (`Content-Length`, `Connection`, …) may not. */
export interface PluginFieldsDraft extends PluginFields {
  /** Leaves one line. */
  set(name: string, value: string): void;
  /** Adds one more line. */
  add(name: string, value: string): void;
  remove(name: string): void;
}

/** A call, as plug-ins see it: nothing of it can be changed. */
export interface PluginCall {
  readonly method: string;
  /** In its normal form, percent-encoded. */
  readonly path: string;
  /** Without its question mark. */
  readonly query: string;
  /** Host and port as the caller named them. */
  readonly host: string;
  readonly headers: PluginFields;
  /** Who is calling, believing `X-Forwarded-For` only from `listen.trustedProxies`. */
  readonly address: string;
  /** Whose connection it is. */
  readonly peerAddress: string;
  /** Milliseconds since 1970 when it came. */
  readonly timeMs: number;
}

/** A call whose route is known and whose caller was let in. */
export interface PluginAdmittedCall extends PluginCall {
  readonly id: string;
  readonly scheme: 'http' | 'https';
  /** What the route's patterns captured. */
  readonly variables: ReadonlyMap<string, string>;
  /** Who is calling; `subject` is undefined for an anonymous caller. */
  readonly caller: {
    readonly issuer: string | undefined;
    readonly subject: string | undefined;
    readonly scopes: readonly string[];
    readonly roles: readonly string[];
  };
}

/** What R will be sent, to be changed. */
export interface PluginRequest {
  path: string;
  query: string;
  /** The `Host` that R is sent; undefined: the instance's own. */
  host: string | undefined;
  readonly headers: PluginFieldsDraft;
}

/** What the caller will be sent, to be changed. */
export interface PluginReply {
  /** 200 to 599. */
  status: number;
  readonly headers: PluginFieldsDraft;
}

/** An answer in R's place. What is neither text nor bytes is sent as JSON. */
export interface PluginAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface Common<A extends ArgSpecs> {
  /** What routes.yaml calls it: a capital letter first, then letters and digits; no name of the gateway's own. */
  readonly name: string;
  readonly args?: A;
  /** How long `prepare` may take, at most 30 000; 1000 unless said. */
  readonly timeoutMs?: number;
}

/** What `prepare` is given: the signal aborts when its time is over, or its call has ended. */
export interface Preparing<C, V> {
  readonly call: C;
  readonly args: V;
  readonly signal: AbortSignal;
}

/** A condition on a call. */
export interface PredicateDefinition<A extends ArgSpecs = ArgSpecs, P = unknown> extends Common<A> {
  /** Names that `holds` may capture, for templates of filters: `{tenant}`. */
  readonly captures?: readonly string[];
  /** The asynchronous form: what must be waited for, once a call; `holds` gets what it resolves with. */
  readonly prepare?: (about: Preparing<PluginCall, ArgsOf<A>>) => Promise<P>;
  /** Pure and quick: true or false, or captured values by name, which is true. */
  readonly holds: (about: {
    readonly call: PluginCall;
    readonly args: ArgsOf<A>;
    readonly prepared: P;
  }) => boolean | Readonly<Record<string, string>>;
}

interface FilterAbout<V, P> {
  readonly call: PluginAdmittedCall;
  readonly args: V;
  readonly prepared: P;
}

/** A change to what R is sent, or to what the caller gets; or an answer in R's place. */
export interface FilterDefinition<A extends ArgSpecs = ArgSpecs, P = unknown> extends Common<A> {
  /** The asynchronous form: what must be waited for, once a call, before its body is taken in; the others get its result. */
  readonly prepare?: (about: Preparing<PluginAdmittedCall, ArgsOf<A>>) => Promise<P>;
  /** Pure and quick; asked as often as the request is put together. */
  readonly onRequest?: (about: FilterAbout<ArgsOf<A>, P> & { readonly request: PluginRequest }) => void;
  /** Pure and quick. */
  readonly onReply?: (about: FilterAbout<ArgsOf<A>, P> & { readonly reply: PluginReply }) => void;
  /** Answers instead of R; undefined: R is asked. */
  readonly answer?: (about: FilterAbout<ArgsOf<A>, P>) => PluginAnswer | undefined;
}

/** Express middleware for the edge. */
export interface MiddlewareDefinition {
  /** In the log, in errors and metrics. */
  readonly name: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- Express's own types, or those of an older one
  readonly handler: (req: any, res: any, next: (error?: unknown) => void) => unknown;
  /** How long it may keep a request before it answers or passes it on, at most 30 000; 1000 unless said. */
  readonly timeoutMs?: number;
}

/** What a plug-in file exports. */
export type Definition =
  | { readonly kind: 'predicate'; readonly definition: PredicateDefinition }
  | { readonly kind: 'filter'; readonly definition: FilterDefinition }
  | { readonly kind: 'middleware'; readonly definition: MiddlewareDefinition };

/** A predicate of one's own. */
export function definePredicate<const A extends ArgSpecs, P = undefined>(
  definition: PredicateDefinition<A, P>,
): Definition {
  return { kind: 'predicate', definition: definition as unknown as PredicateDefinition };
}

/** A filter of one's own. */
export function defineFilter<const A extends ArgSpecs, P = undefined>(definition: FilterDefinition<A, P>): Definition {
  return { kind: 'filter', definition: definition as unknown as FilterDefinition };
}

/** Express middleware, which sees every HTTP request before it is routed. */
export function defineMiddleware(definition: MiddlewareDefinition): Definition {
  return { kind: 'middleware', definition };
}
