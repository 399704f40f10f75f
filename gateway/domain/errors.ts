/** Who must act on a failure. Only 'upstream' counts against an instance's health. */
export type Fault = 'caller' | 'gateway' | 'upstream';

/** When one more attempt is safe. 'always': nothing reached the instance. 'if-idempotent': it may have acted. */
type Retry = 'never' | 'if-idempotent' | 'always';

interface Failure {
  readonly status: number;
  readonly fault: Fault;
  readonly retry: Retry;
  /** What the caller reads as `title`. */
  readonly title: string;
  /** What the caller reads as `detail` unless the error says more, and what docs/errors.md explains. */
  readonly detail: string;
  /** For docs/errors.md: what the caller can do, then what operators can. */
  readonly remedy: string;
}

/** Every way a request can fail, in one table. Codes are public: never rename one, only add. docs/errors.md is made from it. */
export const FAILURES = {
  BAD_REQUEST: {
    status: 400,
    fault: 'caller',
    retry: 'never',
    title: 'Bad request',
    detail: 'The request is not well-formed.',
    remedy: 'Send a request that follows RFC 9110 and RFC 9112; to a model, a body that is JSON.',
  },
  UNAUTHENTICATED: {
    status: 401,
    fault: 'caller',
    retry: 'never',
    title: 'Unauthenticated',
    detail: 'This route needs a valid credential, such as a token or an API key.',
    remedy:
      'Read `detail`, which says what was wrong with the credential, and `WWW-Authenticate`, which names the schemes to use.',
  },
  FORBIDDEN: {
    status: 403,
    fault: 'caller',
    retry: 'never',
    title: 'Forbidden',
    detail: 'The caller may not send this request.',
    remedy:
      'Read `detail`. Ask for a credential with the scopes and roles that it names; or send the request from an address, or from a page, that is permitted.',
  },
  NO_ROUTE: {
    status: 404,
    fault: 'caller',
    retry: 'never',
    title: 'No route',
    detail: 'No route of this gateway matches the request.',
    remedy: 'Check the path and the host. Operators: `penstock explain METHOD URL` says why each route does not match.',
  },
  NO_JOB: {
    status: 404,
    fault: 'caller',
    retry: 'never',
    title: 'No job',
    detail: 'There is no such job, or it is not yours.',
    remedy:
      'Send the credential with which the job was made. A job is removed when its time is over (`jobs.keep`); it is hidden while its route is not there.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    fault: 'caller',
    retry: 'never',
    title: 'Method not allowed',
    detail: 'A route has this path, but not this method.',
    remedy: 'Use one of the methods that the field `Allow` lists.',
  },
  NOT_ACCEPTABLE: {
    status: 406,
    fault: 'caller',
    retry: 'never',
    title: 'Not acceptable',
    detail: 'The answer has no form that `Accept` would have.',
    remedy:
      'Send `Accept: application/json`, or leave the field out. On a route with `csv: true` an answer that is a table can be `text/csv`, too.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    fault: 'caller',
    retry: 'never',
    title: 'Request timeout',
    detail: 'The request did not arrive in time.',
    remedy:
      'Send the header fields within `listen.headersTimeout`, and the body without a pause longer than `listen.bodyIdleTimeout`.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    fault: 'caller',
    retry: 'never',
    title: 'Body too large',
    detail: 'The body is larger than this route accepts.',
    remedy: 'Send fewer rows in one call. Operators: raise the route’s `body.max`.',
  },
  URL_TOO_LONG: {
    status: 414,
    fault: 'caller',
    retry: 'never',
    title: 'URL too long',
    detail: 'The URL is longer than this gateway accepts.',
    remedy: 'Move the input from the query to the body. Operators: raise `listen.urlBytesMax`.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    fault: 'caller',
    retry: 'never',
    title: 'Unsupported media type',
    detail: 'The body is compressed in a way that this route does not take.',
    remedy:
      'Send the body as it is, or in one of the codings that the field `Accept-Encoding` of the answer lists; of a type that the field `Accept` lists, where there is one. Operators: `csv: true` lets a route take `text/csv`.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    fault: 'caller',
    retry: 'never',
    title: 'Headers too large',
    detail: 'The header fields are larger than this gateway accepts.',
    remedy: 'Send fewer or shorter fields. Operators: raise `listen.headerBytesMax`.',
  },
  MISDIRECTED: {
    status: 421,
    fault: 'caller',
    retry: 'never',
    title: 'Misdirected',
    detail: 'The request names another host than its connection was opened for.',
    remedy:
      'Open a connection for the host of the request: the name that is asked for in the TLS handshake (SNI), or the certificate shown for it, must name the host. Operators: a proxy before the gateway belongs into `listen.trustedProxies`.',
  },
  INVALID_INPUT: {
    status: 422,
    fault: 'caller',
    retry: 'never',
    title: 'Invalid input',
    detail: 'The body is JSON, but not what the model takes.',
    remedy:
      'Read `errors`: each has a `pointer` to a place in the body (RFC 6901) and says what is wrong there. `GET …/prototype` shows what the model takes.',
  },
  RATE_LIMITED: {
    status: 429,
    fault: 'caller',
    retry: 'never',
    title: 'Rate limited',
    detail: 'The caller has sent more requests, or more wrong credentials, than the gateway allows.',
    remedy: 'Wait for the number of seconds in `Retry-After`.',
  },
  CALLER_GONE: {
    status: 499,
    fault: 'caller',
    retry: 'never',
    title: 'Caller gone',
    detail: 'The caller closed the connection before the answer.',
    remedy: 'Nothing. The code appears in the log and the metrics only.',
  },
  INTERNAL: {
    status: 500,
    fault: 'gateway',
    retry: 'never',
    title: 'Internal error',
    detail: 'The gateway failed because of an error in its own code.',
    remedy: 'Report it with the request id. Operators: the log has the stack under that id.',
  },
  PLUGIN_FAILED: {
    status: 500,
    fault: 'gateway',
    retry: 'never',
    title: 'Plug-in failed',
    detail: 'A plug-in of this gateway failed.',
    remedy:
      'Tell the operators which plug-in `detail` names. Operators: `plugin-failed` in the log has the stack under the request id; `plugins` in gateway.yaml names the files.',
  },
  NOT_IMPLEMENTED: {
    status: 501,
    fault: 'caller',
    retry: 'never',
    title: 'Not implemented',
    detail: 'This gateway does not know the transfer coding of the body.',
    remedy: 'Send the body with `Content-Length`, or in chunks with `Transfer-Encoding: chunked` alone.',
  },
  MODEL_FAILED: {
    status: 500,
    fault: 'upstream',
    retry: 'never',
    title: 'Model failed',
    detail: 'The model ended with an error.',
    remedy: 'Check the input against what the model takes. Operators: the log has what R said.',
  },
  STREAM_NOT_ENABLED: {
    status: 501,
    fault: 'gateway',
    retry: 'never',
    title: 'Stream not enabled',
    detail: 'The request or its answer is a stream, and this route carries none: it has no `stream: true`.',
    remedy: 'Operators: set `stream: true` on the route.',
  },
  CONNECT_FAILED: {
    status: 502,
    fault: 'upstream',
    retry: 'always',
    title: 'Connect failed',
    detail: 'The gateway could not connect to an instance of the service.',
    remedy:
      'Operators: check that the R process runs, and that it is reachable at the address that `GET /api/services` shows.',
  },
  CONNECTION_LOST: {
    status: 502,
    fault: 'upstream',
    retry: 'if-idempotent',
    title: 'Connection lost',
    detail: 'The instance closed the connection before its answer was complete.',
    remedy:
      'Operators: R has probably died. Look at the service’s log, and at the kernel’s for its out-of-memory killer.',
  },
  UPSTREAM_FAULT: {
    status: 502,
    fault: 'upstream',
    retry: 'if-idempotent',
    title: 'Upstream fault',
    detail: 'The instance sent no usable answer: it is not valid HTTP, or R was interrupted.',
    remedy: 'Operators: look at the service’s log at the time of the request.',
  },
  UPSTREAM_UNTRUSTED: {
    status: 502,
    fault: 'gateway',
    retry: 'never',
    title: 'Upstream untrusted',
    detail: 'The certificate of the instance does not verify, or it does not take the gateway’s.',
    remedy:
      'The gateway’s log and `GET /api/services` have the reason. The certificate must name the host of the instance’s ' +
      'address, or `tls.serverName` of the service; an authority of your own is made known by its `tls.ca`.',
  },
  SERVICE_UNAVAILABLE: {
    status: 503,
    fault: 'upstream',
    retry: 'never',
    title: 'Service unavailable',
    detail: 'No instance of this service is in rotation.',
    remedy:
      'Wait for the number of seconds in `Retry-After`, where there is one. Operators: `GET /api/services` on the admin listener says why each instance is out.',
  },
  IDENTITY_UNAVAILABLE: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Identity unavailable',
    detail: 'Whose credential this is cannot be found out now: the identity provider does not answer.',
    remedy:
      'Wait for the number of seconds in `Retry-After`. Operators: the log says which provider, and why it gives no answer.',
  },
  LIMITS_UNAVAILABLE: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Limits unavailable',
    detail: 'How much this caller may cannot be found out now: the store that gateways share does not answer.',
    remedy:
      'Wait for the number of seconds in `Retry-After`. Operators: look at Redis, and at `redis` in the log; `onStoreFailure` of the limit says what becomes of calls meanwhile.',
  },
  QUEUE_FULL: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Queue full',
    detail: 'The queue of this service is full.',
    remedy:
      'Wait for the number of seconds in `Retry-After`. Operators: start more instances, or raise `queue.depthMax`.',
  },
  QUEUE_TIMEOUT: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Queue timeout',
    detail: 'The request waited for a free instance as long as it may.',
    remedy:
      'Wait for the number of seconds in `Retry-After`. Operators: start more instances, or raise `queue.waitMax`. A request whose wait would be too long is refused at once; its `detail` says how long.',
  },
  DRAINING: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Draining',
    detail: 'This gateway is shutting down.',
    remedy: 'Send the request again. Behind a load balancer another gateway answers it.',
  },
  AUDIT_UNAVAILABLE: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Audit unavailable',
    detail: 'This route’s calls must be written down, and nothing can be written now.',
    remedy:
      'Wait for the number of seconds in `Retry-After`. Operators: the log says why; most often the disk is full. `audit.required: false` lets calls go on.',
  },
  JOBS_UNAVAILABLE: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Jobs unavailable',
    detail: 'Jobs can be neither made nor read now.',
    remedy:
      'Wait for the number of seconds in `Retry-After`. Operators: the log says why: the disk is full, `jobs.folder` cannot be read, or another gateway has it.',
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    fault: 'gateway',
    retry: 'never',
    title: 'Deadline exceeded',
    detail: 'The answer did not come within the route’s `timeout`.',
    remedy: 'Send fewer rows in one call. Operators: raise the route’s `timeout`.',
  },
  ATTEMPT_TIMEOUT: {
    status: 504,
    fault: 'upstream',
    retry: 'if-idempotent',
    title: 'Attempt timeout',
    detail: 'The instance did not answer within the time of one attempt.',
    remedy: 'Send fewer rows in one call. Operators: raise `retry.attemptTimeout`.',
  },
  NOT_CACHED: {
    status: 504,
    fault: 'caller',
    retry: 'never',
    title: 'Not cached',
    detail: 'The cache has no answer to this request, and the caller wants no other (`only-if-cached`).',
    remedy: 'Leave `only-if-cached` out of `Cache-Control`; then the model answers.',
  },
} as const satisfies Record<string, Failure>;

/** The public name of a failure. */
export type FailureCode = keyof typeof FAILURES;

/** One thing that is wrong with a call's input. */
export interface InputError {
  /** Its place in the body (RFC 6901); empty for the body as a whole, and for what stands in the query. */
  readonly pointer: string;
  /** In the words of a data scientist; it may quote the caller. */
  readonly detail: string;
}

interface GatewayErrorOptions {
  readonly cause?: unknown;
  readonly retryAfterMs?: number;
  /** What the caller may read beyond the table's words. Never our insides, never unchecked input. */
  readonly detail?: string;
  /** Fields the answer must carry: name, value, name, value, … */
  readonly fields?: readonly string[];
  /** What of the input is wrong. */
  readonly errors?: readonly InputError[];
}

/** The one error that travels through the gateway. `message` is for our logs; callers see code and detail. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: FailureCode;
  readonly retryAfterMs: number | undefined;
  readonly detail: string;
  readonly fields: readonly string[];
  readonly errors: readonly InputError[] | undefined;

  constructor(code: FailureCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.detail = options.detail ?? FAILURES[code].detail;
    this.fields = options.fields ?? [];
    this.errors = options.errors;
  }

  get status(): number {
    return FAILURES[this.code].status;
  }

  get fault(): Fault {
    return FAILURES[this.code].fault;
  }

  /** True when sending the request again cannot make its effect happen twice. */
  isSafeToRetry(isIdempotent: boolean): boolean {
    const { retry } = FAILURES[this.code];
    return retry === 'always' || (retry === 'if-idempotent' && isIdempotent);
  }
}

/** A body beyond its bound, as its caller is told. */
export function bodyTooLarge(bytesMax: number): GatewayError {
  return new GatewayError('BODY_TOO_LARGE', `the body is larger than ${bytesMax} bytes`, {
    detail: `The body is larger than the ${bytesMax} bytes that this route takes.`,
  });
}

/** What went wrong as a GatewayError: itself when it is one, else INTERNAL with the original as its cause. */
export function toGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('INTERNAL', 'unexpected error', { cause: error });
}

/** What is wrong, in one line, where no list of errors can be shown. */
export function wordsOfFailure({ detail, errors }: GatewayError): string {
  return errors === undefined ? detail : errors.map(error => error.detail).join('; ');
}
