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
  /** For docs/errors.md: what whoever is at fault can do. */
  readonly remedy: string;
}

/** Every way a request can fail, in one table. Codes are public: never rename one, only add. docs/errors.md is made from it. */
export const FAILURES = {
  BAD_REQUEST: {
    status: 400,
    fault: 'caller',
    retry: 'never',
    title: 'Bad request',
    detail: 'The request is not well-formed HTTP.',
    remedy: 'Send a request that follows RFC 9110 and RFC 9112; to a model, a body that is JSON.',
  },
  UNAUTHENTICATED: {
    status: 401,
    fault: 'caller',
    retry: 'never',
    title: 'Unauthenticated',
    detail: 'This route needs a valid credential.',
    remedy: 'Read `WWW-Authenticate`: it says which scheme is wanted and what was wrong with the token.',
  },
  FORBIDDEN: {
    status: 403,
    fault: 'caller',
    retry: 'never',
    title: 'Forbidden',
    detail: 'The credential is valid, but does not permit this.',
    remedy: 'Ask for a token with the scopes and roles that the route names.',
  },
  NO_ROUTE: {
    status: 404,
    fault: 'caller',
    retry: 'never',
    title: 'No route',
    detail: 'No route answers for this request.',
    remedy: 'Check path and host; operators: `penstock explain METHOD URL` says why each route does not match.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    fault: 'caller',
    retry: 'never',
    title: 'Method not allowed',
    detail: 'The path exists, but not for this method.',
    remedy: 'Use one of the methods in `Allow`.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    fault: 'caller',
    retry: 'never',
    title: 'Request timeout',
    detail: 'The request did not arrive in time.',
    remedy: 'Send headers and body without pauses longer than `headersTimeout` and `bodyIdleTimeout`.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    fault: 'caller',
    retry: 'never',
    title: 'Body too large',
    detail: 'The body is larger than this route takes.',
    remedy: 'Send less at once, or raise the route’s `body.max`.',
  },
  URL_TOO_LONG: {
    status: 414,
    fault: 'caller',
    retry: 'never',
    title: 'URL too long',
    detail: 'The URL is longer than this gateway takes.',
    remedy: 'Move the input to the body, or raise `listen.urlBytesMax`.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    fault: 'caller',
    retry: 'never',
    title: 'Headers too large',
    detail: 'The header fields are larger than this gateway takes.',
    remedy: 'Send fewer or shorter fields, or raise `listen.headerBytesMax`.',
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
    detail: 'Too many requests.',
    remedy: 'Wait as long as `Retry-After` says.',
  },
  CALLER_GONE: {
    status: 499,
    fault: 'caller',
    retry: 'never',
    title: 'Caller gone',
    detail: 'The caller closed the connection before the answer.',
    remedy: 'Nothing is wrong here; it stands in logs and metrics only.',
  },
  INTERNAL: {
    status: 500,
    fault: 'gateway',
    retry: 'never',
    title: 'Internal error',
    detail: 'The gateway made a mistake.',
    remedy: 'Report it with the request id; the log has the stack.',
  },
  STREAM_NOT_ENABLED: {
    status: 501,
    fault: 'gateway',
    retry: 'never',
    title: 'Stream not enabled',
    detail: 'This is a stream, and the route carries none. Set `stream: true` on it.',
    remedy: 'Set `stream: true` on the route.',
  },
  CONNECT_FAILED: {
    status: 502,
    fault: 'upstream',
    retry: 'always',
    title: 'Connect failed',
    detail: 'No instance took the connection.',
    remedy: 'Is the R process up, and reachable at the address in the roster?',
  },
  CONNECTION_LOST: {
    status: 502,
    fault: 'upstream',
    retry: 'if-idempotent',
    title: 'Connection lost',
    detail: 'The instance broke off before its answer was complete.',
    remedy: 'R probably died: look at the service’s log, and for the kernel’s out-of-memory killer.',
  },
  UPSTREAM_FAULT: {
    status: 502,
    fault: 'upstream',
    retry: 'if-idempotent',
    title: 'Upstream fault',
    detail: 'What the instance sent is not a usable answer.',
    remedy: 'Look at the service’s log around the request id.',
  },
  SERVICE_UNAVAILABLE: {
    status: 503,
    fault: 'upstream',
    retry: 'never',
    title: 'Service unavailable',
    detail: 'No instance of this service can take requests now.',
    remedy: 'Look at `GET /api/services` on the admin listener: it says why each instance is out.',
  },
  QUEUE_FULL: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Queue full',
    detail: 'Too many requests are waiting for this service already.',
    remedy: 'Wait as long as `Retry-After` says; operators: start more instances, or raise `queue.depthMax`.',
  },
  QUEUE_TIMEOUT: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Queue timeout',
    detail: 'No instance became free in time, or would have.',
    remedy: 'Wait as long as `Retry-After` says; operators: start more instances, or raise `queue.waitMax`.',
  },
  DRAINING: {
    status: 503,
    fault: 'gateway',
    retry: 'never',
    title: 'Draining',
    detail: 'This gateway is shutting down.',
    remedy: 'Send the request again: another gateway takes it.',
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    fault: 'gateway',
    retry: 'never',
    title: 'Deadline exceeded',
    detail: 'No answer within the route’s timeout.',
    remedy: 'Ask for less at once, or raise the route’s `timeout`.',
  },
  ATTEMPT_TIMEOUT: {
    status: 504,
    fault: 'upstream',
    retry: 'if-idempotent',
    title: 'Attempt timeout',
    detail: 'The instance did not answer within the attempt’s timeout.',
    remedy: 'Ask for less at once, or raise `retry.attemptTimeout`.',
  },
  NOT_CACHED: {
    status: 504,
    fault: 'caller',
    retry: 'never',
    title: 'Not cached',
    detail: 'Nothing that answers this is remembered, and the request asks for nothing else.',
    remedy: 'Leave `only-if-cached` out of `Cache-Control`, and the model is asked.',
  },
} as const satisfies Record<string, Failure>;

/** The public name of a failure. */
export type FailureCode = keyof typeof FAILURES;

interface GatewayErrorOptions {
  readonly cause?: unknown;
  readonly retryAfterMs?: number;
  /** What the caller may read beyond the table's words. Never our insides, never unchecked input. */
  readonly detail?: string;
  /** Fields the answer must carry: name, value, name, value, … */
  readonly fields?: readonly string[];
}

/** The one error that travels through the gateway. `message` is for our logs; callers see code and detail. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: FailureCode;
  readonly retryAfterMs: number | undefined;
  readonly detail: string;
  readonly fields: readonly string[];

  constructor(code: FailureCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.detail = options.detail ?? FAILURES[code].detail;
    this.fields = options.fields ?? [];
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

/** What went wrong as a GatewayError: itself when it is one, else INTERNAL with the original as its cause. */
export function toGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('INTERNAL', 'unexpected error', { cause: error });
}
