import { percentEncode } from '../http/request-target.ts';
import { FAILURES, type FailureCode, type GatewayError } from '../errors.ts';

/** How a call of gRPC ends (google/rpc/code.proto): number and name. */
export const CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** The name of such an end. */
export type CodeName = keyof typeof CODES;

/** How a call ended, as its caller is told. */
export interface RpcStatus {
  readonly code: CodeName;
  readonly message: string;
  /** What the gateway itself says of it; undefined: R said it. */
  readonly failure?: GatewayError | undefined;
}

/** What R answers with a status of HTTP, as gRPC's own mapping has it (grpc/doc/http-grpc-status-mapping.md). */
const OF_HTTP: Readonly<Partial<Record<number, CodeName>>> = {
  400: 'INTERNAL',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  429: 'UNAVAILABLE',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
};

/** The end that an answer of R's with this status of HTTP is; of one that is no error, OK. */
export function codeOfHttp(status: number): CodeName {
  return status < 300 ? 'OK' : (OF_HTTP[status] ?? 'UNKNOWN');
}

/** Where the gateway itself refuses or fails, google.rpc.Code says it better than a status of HTTP could. */
const OF_FAILURE: Readonly<Partial<Record<FailureCode, CodeName>>> = {
  NO_ROUTE: 'UNIMPLEMENTED',
  METHOD_NOT_ALLOWED: 'UNIMPLEMENTED',
  BODY_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  URL_TOO_LONG: 'RESOURCE_EXHAUSTED',
  HEADERS_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  UNSUPPORTED_MEDIA_TYPE: 'UNIMPLEMENTED',
  REQUEST_TIMEOUT: 'DEADLINE_EXCEEDED',
  CALLER_GONE: 'CANCELLED',
};

/** By status, for what has no line of its own. */
const OF_STATUS: Readonly<Partial<Record<number, CodeName>>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** The end that a refusal or failure of the gateway's is (google.rpc.Code). */
export function codeOfFailure(code: FailureCode): CodeName {
  const { status } = FAILURES[code];
  return OF_FAILURE[code] ?? OF_STATUS[status] ?? (status < 500 ? 'INVALID_ARGUMENT' : 'UNKNOWN');
}

/** A refusal or failure as its caller is told: the code, and nothing of our insides. */
export function statusOfFailure(failure: GatewayError): RpcStatus {
  return { code: codeOfFailure(failure.code), message: failure.detail, failure };
}

/** Text as it may stand in `grpc-message`: all but printable ASCII, and the percent sign, percent-encoded as UTF-8. */
export function encodeMessage(text: string): string {
  return percentEncode(text, /[^ -$&-~]+/gu);
}

/** What a failure says beyond its code, in the form that gRPC's clients read (google/rpc/error_details.proto). */
export interface Detail {
  /** The message's name. */
  readonly type: string;
  readonly value: Buffer;
}

/** The gateway's code, for programs; and what of the input is wrong, by its place. */
export function detailsOf(failure: GatewayError): Detail[] {
  const reason = { type: 'google.rpc.ErrorInfo', value: Buffer.concat([text(1, failure.code), text(2, 'penstock')]) };
  if (failure.errors === undefined) return [reason];
  const violations = failure.errors.map(({ pointer, detail }) =>
    bytes(1, Buffer.concat([text(1, pointer), text(2, detail)])),
  );
  return [reason, { type: 'google.rpc.BadRequest', value: Buffer.concat(violations) }];
}

/** `grpc-status-details-bin`: a google.rpc.Status in base64; undefined where there is nothing to add. */
export function statusDetails({ code, message, failure }: RpcStatus): string | undefined {
  if (failure === undefined) return undefined;
  const details = detailsOf(failure).map(({ type, value }) =>
    bytes(3, Buffer.concat([text(1, `type.googleapis.com/${type}`), bytes(2, value)])),
  );
  const status = Buffer.concat([Buffer.from([0x08, CODES[code]]), text(2, message), ...details]);
  return status.length > BYTES_MAX ? undefined : status.toString('base64').replace(/=+$/, '');
}

/** Clients take 8 KiB of fields, all together. */
const BYTES_MAX = 4 * 1_024;

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value, 'utf8'));
}

/** A field that has a length, in protobuf's wire format. */
function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2]), varint(value.length), value]);
}

function varint(number: number): Buffer {
  const digits: number[] = [];
  let rest = number;
  for (; rest > 0x7f; rest >>>= 7) digits.push((rest & 0x7f) | 0x80);
  return Buffer.from([...digits, rest]);
}
