import type { Caller, SchemeName } from './caller.ts';
import type { RawFields } from './http/fields.ts';
import type { RpcService } from './grpc/rpc.ts';
import type { WaitingCall } from './plugin/guard.ts';
import type { PluginOrigin } from './plugin/plugin-set.ts';
import type { PathPattern } from './routing/path-pattern.ts';
import type { Priority, Service } from './service.ts';
import type { InputSchema } from './validation/input.ts';
import type { PublishedAs } from './validation/published.ts';
import type { InputBounds } from './validation/json-walk.ts';
import type { RowsForm } from './validation/records.ts';

/** What a predicate may look at. */
export interface RequestAttributes {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly fields: RawFields;
  readonly host: string;
  readonly peerAddress: string;
  readonly callerAddress: string;
  readonly wallMs: number;
}

/** What a filter may look at: of the call, once its route is known. */
export interface Filtered extends RequestAttributes {
  readonly id: string;
  readonly scheme: 'http' | 'https';
  /** What the route's patterns captured, by name. */
  readonly variables: ReadonlyMap<string, string>;
  readonly caller: Caller | undefined;
}

/** A condition a request meets or not. */
export interface Predicate {
  readonly name: string;
  /** As the operator wrote it, for `explain`. */
  readonly text: string;
  /** Where it came from; undefined: it is the gateway's own. */
  readonly plugin?: PluginOrigin;
  /** Adds what its patterns capture to `variables`, and only when it holds. */
  holds(request: RequestAttributes, variables: Map<string, string>): boolean;
}

/** What will be sent to the instance, while filters change it. */
export interface RequestDraft {
  path: string;
  query: string;
  readonly fields: string[];
  /** Sent as `Host`; the instance's own when undefined. */
  host: string | undefined;
  /** `PrefixPath` applies once, however often it is listed. */
  isPrefixed: boolean;
}

/** What will be sent to the caller, while filters change it. */
export interface ReplyDraft {
  status: number;
  readonly fields: string[];
}

/** A change to a request or reply on a route. A filter has one or more of the three. */
export interface Filter {
  readonly name: string;
  /** As the operator wrote it, for `explain`. */
  readonly text: string;
  /** Where it came from; undefined: it is the gateway's own. */
  readonly plugin?: PluginOrigin;
  /** Waits for what it must know of a call, and goes on with `next`. */
  readonly prepare?: (call: Filtered & WaitingCall, next: () => void) => void;
  readonly onRequest?: (draft: RequestDraft, call: Filtered) => void;
  /** `onRequest` changes path, query and `Host` alone, and leaves the fields as they were. */
  readonly isOfPath?: true;
  readonly onReply?: (draft: ReplyDraft, call: Filtered) => void;
  /** Answers instead of the instance: a redirect. Undefined: of this call it does not. */
  readonly onBehalf?: (call: Filtered) => (ReplyDraft & { readonly body: Buffer; readonly via: null }) | undefined;
  /** `onBehalf` may leave a call to the instance. */
  readonly mayPass?: true;
}

/** Who may use a route. */
export interface Auth {
  readonly allow: readonly (SchemeName | 'anonymous')[];
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly forwardToken: boolean;
  /** Where a credential may stand; undefined: in `Authorization` alone. */
  readonly from?: readonly CredentialPlace[] | undefined;
  /** The field of API keys, in lower case, where there are any: no instance is sent it. */
  readonly keyField?: string | undefined;
}

/** From where callers may come: ranges in CIDR notation. */
export interface AddressRules {
  /** Empty: from anywhere. */
  readonly allow: readonly string[];
  /** From there none may, not even where `allow` holds them. */
  readonly deny: readonly string[];
  readonly admits: (address: string) => boolean;
}

/** What routes must know of the identity that is configured. */
export interface IdentityTraits {
  readonly schemes: readonly SchemeName[];
  readonly keyField: string | undefined;
}

/** Where a credential may stand. */
export type CredentialPlace =
  { readonly kind: 'header' | 'protocol' } | { readonly kind: 'cookie'; readonly name: string };

/** What is counted together: a caller, an address, the route as a whole, or the value of a header. */
export type LimitKey =
  { readonly kind: 'caller' | 'ip' | 'route' } | { readonly kind: 'header'; readonly name: string };

/** How calls are spread: so many go at once, the rest wait, each a while behind the one before. */
export interface Pace {
  readonly burst: number;
  readonly waitMsMax: number;
  /** How many wait under one key. */
  readonly depthMax: number;
}

/** At most `rate` calls, or rows in their bodies, in each window of `perMs` that share a key; or `rate` a `perMs` at a pace. */
export interface Limit {
  readonly rate: number;
  readonly perMs: number;
  readonly by: LimitKey;
  /** Undefined: a window, and what is too much in it is refused. */
  readonly pace: Pace | undefined;
  readonly cost: 'calls' | 'rows';
  /** False: it only counts. */
  readonly isEnforced: boolean;
  /** What becomes of calls while the store that gateways share does not answer. */
  readonly onStoreFailure: 'allow' | 'refuse' | 'local';
}

/** Why an attempt may be repeated: failures of transport by name, answers by status. */
export type RetryReason = 'connect-failure' | 'connection-lost' | 'attempt-timeout' | number;

/** When an attempt may be repeated, and how long each may take: `retry` of a route, compiled. */
export interface RetryPolicy {
  /** Counts the first. */
  readonly attempts: number;
  readonly attemptTimeoutMs: number;
  /** For requests that may be repeated, whose one attempt must leave time for another. */
  readonly repeatableTimeoutMs: number;
  readonly on: ReadonlySet<RetryReason>;
  readonly budgetPercent: number;
}

/** What browsers of other origins may do (Fetch standard, "CORS protocol"). */
export interface Cors {
  /** Origins in full, or `*` for any. */
  readonly origins: ReadonlySet<string>;
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  /** Of the answer, for scripts to read. */
  readonly expose: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
}

/** What requests must agree in, beside what is asked itself, to share anything. */
export type VaryKey = { readonly kind: 'caller' } | { readonly kind: 'header'; readonly name: string };

/** What of R's answers is stored, and for how long. */
export interface CachePolicy {
  /** `http`: as RFC 9111 says, for a shared cache. */
  readonly ttlMs: number | 'http';
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** For so long after its time an answer serves where R gives none. */
  readonly staleIfErrorMs: number;
  readonly methods: ReadonlySet<string>;
}

/** How calls travel together. */
export interface BatchPolicy {
  /** Rows. */
  readonly sizeMax: number;
  /** How long a call waits for others though an instance is idle. */
  readonly waitMsMax: number;
  readonly rows: 'array' | 'columns';
  /** Of the rows that travelled together, from 0 to 1, the share that is asked again alone once answers have agreed. */
  readonly recheckShare: number;
  /** The operator declares that no row's answer depends on the rows beside it. */
  readonly rowsIndependent: boolean;
}

/** What a route's callers share. Their requests reach R stripped of all that is not in the key. */
export interface Sharing {
  readonly coalesce: boolean;
  readonly cache: CachePolicy | undefined;
  readonly batch: BatchPolicy | undefined;
  readonly varyBy: readonly VaryKey[];
  /** Requests of other methods share nothing: GET and HEAD, and POST where calling twice does no harm. */
  readonly methods: ReadonlySet<string>;
}

/** What callers' input is held against. */
export interface ValidatePolicy extends InputBounds {
  /** What the service publishes, or a JSON Schema in a file. */
  readonly from: PublishedAs | { readonly file: string; readonly schemas: readonly InputSchema[] };
  readonly form: RowsForm;
}

/** Everything a route promises, compiled: no default is missing, no text is left to parse. */
/** How a call becomes one of an R behind Rserve. */
export type RserveTask =
  | { readonly kind: 'call'; /** A function, perhaps `package::name`. */ readonly name: string }
  | { readonly kind: 'script'; /** Where the scripts are, on the machine of Rserve. */ readonly folder: string };

/** How calls of a route are treated: its keys beside predicates and filters, compiled. */
export interface RoutePolicy {
  /** Undefined: the route is open, because no identity is configured. */
  readonly auth: Auth | undefined;
  /** Undefined: callers may come from anywhere. */
  readonly addresses?: AddressRules | undefined;
  readonly limits: readonly Limit[];
  /** One of them counts the rows in bodies. */
  readonly countsRows: boolean;
  readonly bodyBytesMax: number;
  /** Of a stream, whose request's body is counted as it passes; Infinity where no bound is written. */
  readonly streamBodyBytesMax: number;
  readonly answerBytesMax: number;
  /** Every call of it stands in the audit trail. */
  readonly isAudited: boolean;
  /** R's own message on an error reaches the caller. */
  readonly showsErrorMessages: boolean;
  readonly timeoutMs: number;
  /** True: calling twice does no harm, whatever the method. */
  readonly isPure: boolean;
  readonly retry: RetryPolicy;
  readonly cors: Cors | undefined;
  readonly isStream: boolean;
  readonly streamIdleMs: number;
  readonly priority: Priority;
  /** Answers are coded for callers that like it. */
  readonly compress: boolean;
  /** CSV is taken, and answered, by content negotiation. */
  readonly csv: boolean;
  /** Undefined: every request is put to R for its own caller alone. */
  readonly sharing: Sharing | undefined;
  /** Undefined: input is passed on as it comes. */
  readonly validate: ValidatePolicy | undefined;
  /** Whether calls become jobs: where their callers prefer that, never, or always. */
  readonly async: 'allow' | 'refuse' | 'always';
  /** Undefined: the service is no Rserve. */
  readonly rserve?: RserveTask | undefined;
  /** What callers of gRPC may call; undefined: the route is REST's alone. */
  readonly grpc?: RpcService | undefined;
}

/** By what a caller is kept on its side of a weighted choice. */
export type WeightKey =
  | { readonly kind: 'ip' }
  | { readonly kind: 'cookie' | 'header'; /** A header's in lower case. */ readonly name: string };

/** A route's share of its group: of the routes whose other predicates hold, one is drawn. */
export interface Weight {
  readonly group: string;
  readonly weight: number;
  /** Undefined: each request is drawn for by itself. */
  readonly by: WeightKey | undefined;
}

/** Where a route leads before it is bound to a service: what `config/compile.ts` makes. */
export interface RouteSpec {
  readonly id: string;
  readonly order: number;
  readonly predicates: readonly Predicate[];
  /** From the Method predicate, kept apart for 405, `Allow` and preflights; undefined: any. */
  readonly methods: readonly string[] | undefined;
  /** From the Weight predicate; undefined: the route stands for itself. */
  readonly weight?: Weight | undefined;
  /** Path patterns, for the index; empty: any path. */
  readonly paths: readonly PathPattern[];
  readonly filters: readonly Filter[];
  /** Of the filters those that must wait for something first; undefined: none. */
  readonly preparing?: readonly Filter[] | undefined;
  readonly serviceName: string;
  readonly policy: RoutePolicy;
}

/** Predicates, filters and a service. */
export interface Route extends RouteSpec {
  readonly service: Service;
}
